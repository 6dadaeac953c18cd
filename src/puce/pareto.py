# SPDX-License-Identifier: Apache-2.0
"""What one model can be on one board: its choices of kernels that no other beats in flash, RAM and time at once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .analysis import profile
from .boards import Board, latency_ms
from .choice import Chooser, Objective
from .compiler import Compiler, build, choice_for, compile_choice, limits_of, lower
from .errors import DoesNotFit
from .ir import Graph
from .progress import track
from .text import table
from .units import count, milliseconds, size


@dataclass(frozen=True)
class Point:
    """One firmware, built and run: linked bytes, modelled cycles. `name` is its objective, or "between" two of them."""

    name: str
    flash_bytes: int
    ram_bytes: int
    cycles: int
    latency_ms: float
    chosen: bool

    def beats(self, other: Point) -> bool:
        """Whether it is nowhere worse and somewhere better."""
        mine, theirs = ((p.flash_bytes, p.ram_bytes, p.cycles) for p in (self, other))
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Pareto:
    """Points by falling RAM. The chosen one is there even where another beats it."""

    model: str
    board: str
    points: tuple[Point, ...]
    ok: bool = True

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "name": p.name, "flash_bytes": p.flash_bytes, "ram_bytes": p.ram_bytes, "cycles": p.cycles,
                "latency_ms": p.latency_ms, "chosen": p.chosen,
            }
            for p in self.points
        ]  # fmt: skip

    def __str__(self) -> str:
        rows = [
            (
                "*" if p.chosen else "",
                p.name,
                size(p.flash_bytes),
                size(p.ram_bytes),
                count(p.cycles),
                milliseconds(p.latency_ms),
            )
            for p in self.points
        ]
        head = ("", "kernels for", "flash", "RAM", "cycles (modelled)", "time (modelled)")
        return table(head, rows, right={2, 3, 4, 5})


def pareto(
    graph: Graph,
    board: Board,
    *,
    name: str,
    optimize: Objective = "balanced",
    fed_by_rows: bool = False,
    compiler: Compiler = "zig",
) -> Pareto:
    """Build and run the model with every choice that the search knows; those that do not fit the board are left out.

    Raises DoesNotFit where none does.
    """
    chooser = Chooser(lower(graph), board, fed_by_rows=fed_by_rows, compiler=compiler)
    found, refused = list[Point](), DoesNotFit(name, f"no choice of kernels fits {board.name}.", "See `puce boards --fits`.")
    variants = chooser.variants(limits_of(board))
    chosen = choice_for(optimize, chooser, board, limits_of(board), compiler).kernels
    for label, choice in track(variants.items(), "Building variants", len(variants)):
        with tempfile.TemporaryDirectory() as folder:
            try:
                compiled = build(compile_choice(choice, chooser, Path(folder), board, "model"), compiler)
            except DoesNotFit:
                continue
            cycles = profile(compiled, board)[0]
        assert compiled.linked is not None
        flash, ram = compiled.linked.flash.total, compiled.linked.ram.total
        title, time = label.split()[0], latency_ms(float(cycles), board).value
        found.append(Point(title, flash, ram, cycles, time, choice.kernels == chosen))
    if not found:
        raise refused
    front = [p for p in found if p.chosen or not any(o.beats(p) for o in found)]
    return Pareto(name, board.name, tuple(sorted(front, key=lambda p: (-p.ram_bytes, -p.flash_bytes, p.cycles))))
