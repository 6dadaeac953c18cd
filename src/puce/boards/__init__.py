# SPDX-License-Identifier: Apache-2.0
"""The catalogue of boards: one TOML a board, one a core; every figure with its source."""

from puce.boards.board import Bank, Board, Core, Energy, Flash, FlashTiming, Prices, energy_uj, latency_ms
from puce.boards.load import core_names, load, load_core, names

__all__ = [
    "Bank",
    "Board",
    "Core",
    "Energy",
    "Flash",
    "FlashTiming",
    "Prices",
    "core_names",
    "energy_uj",
    "latency_ms",
    "load",
    "load_core",
    "names",
]
