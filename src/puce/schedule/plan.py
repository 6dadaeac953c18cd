# SPDX-License-Identifier: Apache-2.0
"""What a schedule is: in which order rows are computed, and where each row lies in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..ops import Kernel, Window

ALIGN = 4  # bytes: every buffer starts at a word


@dataclass(frozen=True)
class Bank:
    """A piece of RAM that buffers may lie in; `nbytes` is what the planner may use of it."""

    name: str
    nbytes: int


@dataclass(frozen=True)
class Step:
    """Firing number `firing` of a node; a node of None is the arrival of that row of the input."""

    node: str | None
    firing: int


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: row y is at buffer + (y % rows) * row_bytes."""

    buffer: str
    rows: int
    row_bytes: int


@dataclass(frozen=True)
class Buffer:
    """A stretch of a bank, in use from step `first` to step `last`, both included; step -1 is before the run."""

    name: str
    kind: Literal["tensor", "state", "scratch"]
    nbytes: int
    first: int
    last: int
    bank: str = ""
    offset: int = -1

    def alive_together(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Schedule:
    """A plan that `prove` has replayed. Keyed by the names of nodes and tensors of one graph."""

    stages: tuple[tuple[str, ...], ...]
    steps: tuple[Step, ...]
    kernels: Mapping[str, Kernel]
    windows: Mapping[str, tuple[Window, ...]]
    places: Mapping[str, Place]
    buffers: Mapping[str, Buffer]
    state: Mapping[str, str]  # node -> buffer
    scratch: Mapping[str, str]  # node -> buffer
    banks: tuple[Bank, ...]
    fed_by_rows: bool
    lower_bound: int  # no layout of these buffers can be smaller: the most bytes alive in one step

    @property
    def bank_bytes(self) -> dict[str, int]:
        """Bytes used of each bank, up to the end of its highest buffer, in whole words."""
        used = {bank.name: 0 for bank in self.banks}
        for b in self.buffers.values():
            used[b.bank] = max(used[b.bank], aligned(b.offset + b.nbytes))
        return used

    @property
    def activation_bytes(self) -> int:
        """RAM of the whole plan: tensors with input and output, state and scratch."""
        return sum(self.bank_bytes.values())

    def alive(self) -> list[int]:
        """Bytes in use in each step."""
        totals = [0] * len(self.steps)
        for b in self.buffers.values():
            for i in range(max(b.first, 0), min(b.last, len(totals) - 1) + 1):
                totals[i] += b.nbytes
        return totals


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN
