# SPDX-License-Identifier: Apache-2.0
"""The catalogue of boards: one TOML a board, one a core; every figure with its source."""

from puce.boards.board import (
    Bank,
    Board,
    Calibration,
    Core,
    Energy,
    Flash,
    FlashTiming,
    Measurement,
    Prices,
    energy_uj,
    latency_ms,
)
from puce.boards.calibration import Calibrated, calibrate
from puce.boards.load import core_names, load, load_core, names

__all__ = [
    "Bank",
    "Board",
    "Calibrated",
    "Calibration",
    "Core",
    "Energy",
    "Flash",
    "FlashTiming",
    "Measurement",
    "Prices",
    "calibrate",
    "core_names",
    "energy_uj",
    "latency_ms",
    "load",
    "load_core",
    "names",
]
