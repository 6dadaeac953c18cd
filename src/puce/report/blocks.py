# SPDX-License-Identifier: Apache-2.0
"""What a report is made of, before it is HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..units import count
from .pictures import Picture

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Text:
    text: str
    note: bool = False


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Cell:
    """`bar` from 0 to 1 draws a small bar behind a number; numbers stand right, names left."""

    text: str
    name: bool = False
    bar: float | None = None

    @classmethod
    def of(cls, n: int) -> Cell:
        return cls(count(n))


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    last_is_total: bool = False


@dataclass(frozen=True)
class Chart:
    """Inline SVG; `name` is that of its file in plots/."""

    name: str
    svg: str
    label: str


@dataclass(frozen=True)
class Grid:
    pictures: tuple[Picture, ...]
    caption: str


@dataclass(frozen=True)
class Strips:
    """Rows of pictures, each behind its name."""

    rows: tuple[tuple[str, tuple[Picture, ...]], ...]
    caption: str


@dataclass(frozen=True)
class Matrix:
    """Counts [true, predicted]."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    corner: str
    caption: str


@dataclass(frozen=True)
class Gauge:
    """How much of a resource is used: parts as fractions of the capacity, for one bar."""

    name: str
    text: str
    parts: tuple[tuple[str, float, str], ...]
    """(what, fraction of the capacity, size in words)."""
    fits: bool


@dataclass(frozen=True)
class Gauges:
    gauges: tuple[Gauge, ...]


Block = Text | Code | Table | Chart | Grid | Strips | Matrix | Gauges


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Figure:
    """One of the large numbers under the title."""

    value: str
    name: str
    detail: str


@dataclass(frozen=True)
class Report:
    lang: str
    label: str
    title: str
    subtitle: str
    verdict: str
    tone: Tone
    proof: str
    proof_chain: str
    proof_tone: Tone
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    warning: str = ""
    """What the reader must know first: the data set declares it."""
