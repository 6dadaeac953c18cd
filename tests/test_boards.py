# SPDX-License-Identifier: Apache-2.0
"""Every board and core of the catalogue, and what is said of a board file that is wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from puce.boards import core_names, energy_uj, latency_ms, load, load_core, names
from puce.errors import BadInput, UnknownName
from puce.units import Estimate

FOLDER = Path(__file__).parent.parent / "src" / "puce" / "boards"
GOOD = (FOLDER / "nucleo-l4r5zi.toml").read_text()


@pytest.mark.parametrize("name", names())
def test_board_is_complete_and_consistent(name: str) -> None:
    board = load(name)
    assert board.name == name
    regions = sorted([(board.flash.start, board.flash.end), *((bank.start, bank.end) for bank in board.banks)])
    assert all(a[1] <= b[0] for a, b in pairwise(regions)), "memory regions overlap"
    assert 0 < board.flash.usable_bytes <= board.flash.bytes
    assert board.energy.low <= board.energy.value <= board.energy.high
    assert board.timing.line_bytes > 0 and board.flash.bytes % board.timing.line_bytes == 0
    assert board.timing.source and board.energy.source and board.clock_source and all(bank.source for bank in board.banks)


@pytest.mark.parametrize("name", core_names())
def test_core_is_complete(name: str) -> None:
    from unicorn import arm_const

    core = load_core(name)
    assert core.name == name
    assert core.features <= {"dsp", "fpu"}
    assert ("fpu" in core.features) == (core.fpu != "none")
    assert hasattr(arm_const, core.unicorn_model)
    assert 0 < core.model_error < 1 and core.model_error_source and core.prices.source


def test_stm32l4r9_is_the_chip_of_the_mission() -> None:
    board = load("stm32l4r9i-disco")
    assert (board.mcu, board.clock_hz, board.flash.bytes) == ("STM32L4R9AII6", 120_000_000, 2 * 1024 * 1024)
    assert board.ram_bytes == 640 * 1024
    assert board.bank("sram3").bytes == 384 * 1024
    assert {"dsp", "fpu"} == board.core.features


def test_misspelt_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"^nucleo-l4r5: no board has this name. Did you mean nucleo-l4r5zi or "):
        load("nucleo-l4r5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mcu = ", "chip = ", "own.toml: unknown key 'chip'. Known: name, title, mcu, "),
        ("clock_hz = 120_000_000\n", "", "own.toml: 'clock_hz' is missing."),
        ("120_000_000", "-1", "own.toml: clock_hz: -1 is negative."),
        ("120_000_000", '"fast"', "own.toml: clock_hz: 'fast' is not a int."),
        ('"fitted"', '"hope"', "own.toml: timing: provenance: 'hope' is not one of fitted, datasheet, guess."),
        ('"sram2"', '"sram1"', "own.toml: two memory banks have the same name."),
        ('core = "cortex-m4"', 'core = "cortex-m44"', "cortex-m44: no core has this name. Did you mean cortex-m4 or "),
        ("[flash]", "[flash", "own.toml: this is not TOML: "),
    ],
)
def test_wrong_board_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "own.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput) as raised:
        load(path)
    assert message in str(raised.value)


def test_own_board_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace("nucleo-l4r5zi", "own"))
    assert load(path).name == "own"
    assert load(str(path)) == load(path)
    with pytest.raises(BadInput, match="this board file cannot be read"):
        load(tmp_path / "none.toml")


def test_latency_and_energy_carry_their_intervals() -> None:
    board = load("nucleo-l4r5zi")
    assert latency_ms(12_000_000, board) == Estimate(100.0, 95.0, 105.0)
    assert latency_ms(Estimate(120_000, 60_000, 240_000), board) == Estimate(1.0, 0.5, 2.0)
    energy = energy_uj(1_000_000, board)
    assert (energy.value, energy.low, energy.high) == pytest.approx((349.0, 0.95 * 276, 1.05 * 650))
