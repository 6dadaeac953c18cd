# SPDX-License-Identifier: Apache-2.0
"""Modelled cycles of a run, and what one basic block costs by the core's price list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from puce.boards import Board, Prices
from puce.units import Estimate


@dataclass(frozen=True)
class FunctionCycles:
    """Cycles of one function: `exclusive` of its own instructions, `inclusive` with all that it calls; flash waits in both."""

    inclusive: int
    exclusive: int
    calls: int


@dataclass(frozen=True)
class CycleReport:
    """Modelled cycles: `total` = `base` (as if flash never waited) + `flash_data` + `flash_instructions`.

    `instructions` is exact. `relative_error` is that of the core's model, widened by what is not known of the flash.
    `unknown_share` is the share of loads whose address could not be followed, so whose flash wait is not in the figure.
    """

    total: int
    base: int
    flash_data: int
    flash_instructions: int
    instructions: int
    by_function: Mapping[str, FunctionCycles]
    relative_error: float
    unknown_share: float

    def estimate(self) -> Estimate:
        return Estimate.within(self.total, self.relative_error)


def relative_error(board: Board, total: int, waiting: int, unknown_share: float) -> float:
    """Error of the core's model, plus that of the flash figures on the cycles spent waiting, plus the loads not followed.

    A calibrated board states one error of its own for the first two: waiting was in what was measured.
    """
    waits = 0.0 if board.calibration or not total else board.timing.relative_error * waiting / total
    return board.model_error + waits + 0.1 * unknown_share


Kind = Literal[
    "alu", "multiply", "multiply_long", "divide", "load", "store", "load_dual", "store_dual", "load_multiple", "store_multiple",
    "branch", "branch_register", "it", "move_status", "barrier", "fp_simple", "fp_multiply_add", "fp_divide",
]  # fmt: skip
MEMORY = ("load", "store", "load_dual", "store_dual", "load_multiple", "store_multiple")
ALONE = {
    "divide",
    "it",
    "barrier",
    "move_status",
    "load_multiple",
    "store_multiple",
}  # issue by themselves on a dual-issue core
Transfer = Literal["none", "jump", "call", "return"]


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction: registers read and written by name, those of its address apart."""

    address: int
    size: int
    mnemonic: str
    operands: str
    kind: Kind
    reads: frozenset[str]
    writes: frozenset[str]
    address_registers: frozenset[str]
    count: int  # registers of a multiple transfer
    conditional: bool  # a branch that may fall through
    transfer: Transfer


@dataclass(frozen=True)
class BlockCost:
    """Cycles of a basic block: `cost` with its last branch not taken if it may be; `taken` more if it is; `entry` more when a
    taken branch arrives."""

    cost: float
    taken: float
    entry: float


def price(block: Sequence[Instruction], prices: Prices) -> BlockCost:
    """Price one basic block by the core's list, with its neighbours' dependencies inside the block."""
    if not block:
        return BlockCost(0.0, 0.0, 0.0)
    costs = list(_costs(block, prices))
    entry = prices.misaligned_target if block[0].size == 4 and block[0].address % 4 else 0.0
    taken = _taken(block[-1], prices)
    return BlockCost(sum(costs), taken, entry)


def _taken(last: Instruction, prices: Prices) -> float:
    if last.transfer == "none":
        return 0.0
    if last.kind == "branch":
        return prices.branch_taken - prices.branch_not_taken
    return prices.branch_register - 1  # BX, or a load or move to PC: the refill of the pipeline


def _costs(block: Sequence[Instruction], prices: Prices) -> Iterator[float]:
    before: Instruction | None = None
    paired = False
    for instruction in block:
        cost = _single(instruction, before, prices)
        if before is not None:
            cost += _stall(instruction, before, prices)
        if prices.dual_issue and before is not None and not paired and _can_pair(before, instruction):
            cost, paired = max(0.0, cost - 1), True
        else:
            paired = False
        yield cost
        before = instruction


def _single(instruction: Instruction, before: Instruction | None, prices: Prices) -> float:
    kind = instruction.kind
    if kind == "load":
        return prices.load_pipelined if before is not None and _pipelines(before, instruction) else prices.load
    if kind == "store":
        return prices.store_register if _has_index(instruction) else prices.store
    if kind in ("load_multiple", "store_multiple"):
        return prices.multiple_base + prices.multiple_each * instruction.count
    if kind == "branch":
        return prices.branch_not_taken
    if kind == "branch_register":  # a table branch also loads; the refill is added when it is taken
        return 1 + (prices.load - 1 if instruction.mnemonic in ("tbb", "tbh") else 0)
    return float(getattr(prices, kind))


def _has_index(instruction: Instruction) -> bool:
    return len(instruction.address_registers) > 1


def _results(instruction: Instruction) -> frozenset[str]:
    """Registers that are late: a written-back address is ready at once."""
    return instruction.writes - instruction.address_registers if instruction.kind in MEMORY else instruction.writes


def _pipelines(before: Instruction, load: Instruction) -> bool:
    if before.kind == "store":
        return not _has_index(before)
    return before.kind == "load" and not _overwritten(before) & load.address_registers


def _overwritten(load: Instruction) -> frozenset[str]:
    """What a load fetched, a register that was also its own address included."""
    fetched = load.operands.split(",")[0].strip()
    return frozenset({fetched})


def _stall(instruction: Instruction, before: Instruction, prices: Prices) -> float:
    stall = 0.0
    results = _overwritten(before) if before.kind == "load" else _results(before)
    if instruction.kind in MEMORY and instruction.address_registers & results:
        stall += prices.address_dependency
    if instruction.kind.startswith("fp_") and before.kind.startswith("fp_") and instruction.reads & before.writes:
        stall += prices.fp_dependency
    return stall


def _can_pair(first: Instruction, second: Instruction) -> bool:
    if second.reads & first.writes or first.transfer != "none":
        return False
    both = {first.kind, second.kind}
    memory = first.kind in MEMORY and second.kind in MEMORY
    multiplies = first.kind.startswith("multiply") and second.kind.startswith("multiply")
    floating = first.kind.startswith("fp_") and second.kind.startswith("fp_")
    return not (memory or multiplies or floating or both & ALONE)
