# SPDX-License-Identifier: Apache-2.0
"""What is known of a board and of its core, and what follows from it for time and energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from puce.units import Estimate


@dataclass(frozen=True)
class Prices:
    """Cycles an instruction of each class, from the core's published timing; `source` says where from."""

    source: str
    alu: float
    multiply: float
    multiply_long: float
    divide: float
    load: float
    load_pipelined: float
    store: float
    store_register: float
    load_dual: float
    store_dual: float
    multiple_base: float
    multiple_each: float
    branch_not_taken: float
    branch_taken: float
    branch_register: float
    misaligned_target: float
    it: float
    move_status: float
    barrier: float
    fp_simple: float
    fp_multiply_add: float
    fp_divide: float
    address_dependency: float
    fp_dependency: float
    dual_issue: bool


@dataclass(frozen=True)
class Core:
    """A processor core: how to compile for it, how to emulate it, what its instructions cost.

    `model_error` is relative: 0.05 says that modelled cycles lie within 5 % of the measured ones.
    """

    name: str
    title: str
    zig_target: str
    zig_cpu: str
    gcc_flags: tuple[str, ...]
    fpu: Literal["none", "sp", "dp"]
    features: frozenset[str]
    unaligned_access: bool
    cycle_counter: Literal["dwt", "systick"]
    unicorn_model: str
    model_error: float
    model_error_source: str
    prices: Prices


@dataclass(frozen=True)
class Bank:
    """A piece of RAM: `start` address, size in bytes."""

    name: str
    start: int
    bytes: int
    source: str

    @property
    def end(self) -> int:
        return self.start + self.bytes


@dataclass(frozen=True)
class Flash:
    """Where code and weights lie; the first `reserved_bytes` belong to a boot loader."""

    start: int
    bytes: int
    source: str
    reserved_bytes: int = 0

    @property
    def usable_bytes(self) -> int:
        return self.bytes - self.reserved_bytes

    @property
    def end(self) -> int:
        return self.start + self.bytes


@dataclass(frozen=True)
class FlashTiming:
    """Wait states of flash: two caches of whole lines, least recently used goes first; 0 bytes is no cache.

    A line that is not cached costs `data_miss_cycles` or `instruction_miss_cycles`.
    """

    line_bytes: int
    data_cache_bytes: int
    instruction_cache_bytes: int
    data_miss_cycles: float
    instruction_miss_cycles: float
    provenance: Literal["fitted", "datasheet", "guess"]
    source: str

    @property
    def relative_error(self) -> float:
        """What not knowing the penalties adds to the error of the cycles spent waiting."""
        return {"fitted": 0.0, "datasheet": 0.2, "guess": 0.5}[self.provenance]


@dataclass(frozen=True)
class Energy:
    """Picojoule a clock cycle, and the interval over supplies."""

    value: float
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class Measurement:
    """One inference timed on the real board; `modelled_ms` is what the uncorrected model said of it."""

    model: str
    modelled_ms: float
    measured_ms: float


@dataclass(frozen=True)
class Calibration:
    """What real measurements say of the cycle model: its cycles times `scale` lie within `relative_error` of the board's."""

    scale: float
    relative_error: float
    source: str
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class Board:
    """One board of the catalogue; `banks[0]` holds .data, .bss and the stack unless a section asks otherwise."""

    name: str
    title: str
    mcu: str
    core: Core
    clock_hz: int
    clock_source: str
    flash: Flash
    banks: tuple[Bank, ...]
    timing: FlashTiming
    energy: Energy
    price_class: str = ""
    calibration: Calibration | None = None

    @property
    def ram_bytes(self) -> int:
        """RAM of all banks together."""
        return sum(bank.bytes for bank in self.banks)

    @property
    def cycle_scale(self) -> float:
        """What modelled cycles are multiplied by: 1, unless the board was calibrated."""
        return self.calibration.scale if self.calibration else 1.0

    @property
    def model_error(self) -> float:
        """The relative error of modelled cycles: the core's, unless the board was calibrated."""
        return self.calibration.relative_error if self.calibration else self.core.model_error

    def bank(self, name: str) -> Bank:
        return next(bank for bank in self.banks if bank.name == name)


def latency_ms(cycles: Estimate | float, board: Board) -> Estimate:
    """Milliseconds of so many modelled cycles; a bare number gets the error of the board's model."""
    return _estimate(cycles, board).scaled(1000.0 / board.clock_hz)


def energy_uj(cycles: Estimate | float, board: Board) -> Estimate:
    """Microjoules of so many modelled cycles: the errors of the model and of the energy figure multiply."""
    time, energy = _estimate(cycles, board), board.energy
    return Estimate(time.value * energy.value, time.low * energy.low, time.high * energy.high).scaled(1e-6)


def _estimate(cycles: Estimate | float, board: Board) -> Estimate:
    return cycles if isinstance(cycles, Estimate) else Estimate.within(cycles, board.model_error)
