# SPDX-License-Identifier: Apache-2.0
"""Picks one candidate a layer: the whole that the objective wants, within limits, found by single swaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..schedule import Cuts
from .candidates import Candidate, Layer
from .objective import BALANCED_TABLES, SAME_TIME, SPARING_TIME, Limits, Objective

Picks = dict[str, Candidate]  # by the name of the node
PEAKS = 3  # peaks of RAM that `front` asks for
ROUNDS = 2  # searches, the second with the cuts of the first one's result


@dataclass(frozen=True)
class Whole:
    """What all layers take together: modelled cycles of the layers that have a choice, bytes of flash, tables and RAM."""

    cycles: int
    flash: int
    tables: int
    ram: int

    def excess(self, limits: Limits) -> int:
        """Bytes and cycles above the limits, all added."""
        pairs = (self.flash, limits.flash), (self.ram, limits.ram), (self.tables, limits.tables), (self.cycles, limits.cycles)
        return sum(int(has - limit) for has, limit in pairs if has > limit)

    def within(self, limits: Limits) -> bool:
        return self.excess(limits) == 0


Rank = Callable[[Whole], tuple[int, ...]]
SMALLEST_PEAK: Rank = lambda w: (w.ram, w.cycles, w.flash)  # noqa: E731
RANKS: Mapping[Objective, Rank] = {
    "speed": lambda w: (w.cycles, w.flash, w.ram),
    "balanced": lambda w: (w.cycles * w.ram * w.flash,),
    "ram": SMALLEST_PEAK,
    "flash": lambda w: (w.flash, w.cycles, w.ram),
}


class Search:
    """One graph's layers; what is learned under one objective serves the others."""

    def __init__(self, layers: Sequence[Layer], cuts: Cuts) -> None:
        self.layers, self.cuts = tuple(layers), cuts
        self.open = tuple(layer for layer in layers if len(layer.candidates) > 1)
        self.ends: tuple[int, ...] = ()
        self._lean: Picks | None = None
        self._wholes: dict[tuple[object, ...], Whole] = {}
        self._ends: dict[tuple[int, ...], tuple[int, ...]] = {}

    def whole(self, picks: Picks) -> Whole:
        """Price a choice, with the cuts of the last `settle`."""
        key = (self.ends, *(picks[layer.node.name].rank for layer in self.open))
        if key not in self._wholes:
            self._wholes[key] = self._whole(picks)
        return self._wholes[key]

    def _whole(self, picks: Picks) -> Whole:
        cycles = flash = tables = 0
        routines: dict[str, int] = {}
        for layer in self.open:
            c = picks[layer.node.name]
            cycles, flash, tables = cycles + c.cycles, flash + c.code_bytes, tables + c.table_bytes
            routines |= c.routines
        ram = self.cuts.peak_of(self.ends, {name: c.kernel for name, c in picks.items()})
        return Whole(cycles, flash + tables + sum(routines.values()), tables, ram)

    def settle(self, picks: Picks) -> None:
        """Cut the graph anew, for these kernels."""
        key = tuple(picks[layer.node.name].rank for layer in self.open)
        if key not in self._ends:
            _, self._ends[key] = self.cuts.find({name: c.kernel for name, c in picks.items()})
        self.ends = self._ends[key]

    def each(self, best: Callable[[Candidate], tuple[int, ...]]) -> Picks:
        """The candidate of each layer that is the least by `best`, layer by layer."""
        return {layer.node.name: min(layer.candidates, key=best) for layer in self.layers}

    def improved(self, picks: Picks, rank: Rank, limits: Limits) -> Picks:
        """Swap the kernel of one layer after the other while that brings the whole nearer to its limits, or, within
        them, makes it better. The swaps that save most cycles are tried first; it ends when no single one helps.
        """
        picks, now = dict(picks), self.whole(picks)
        swaps = [c for layer in self.open for c in layer.candidates]
        helped = True
        while helped:
            helped = False
            for c in sorted(swaps, key=lambda c: (c.cycles - picks[c.node.name].cycles, c.node.name, c.rank)):
                if picks[c.node.name] is c:
                    continue
                other = picks | {c.node.name: c}
                then = self.whole(other)
                if (then.excess(limits), *rank(then)) < (now.excess(limits), *rank(now)):
                    picks, now, helped = other, then, True
        return picks

    def fastest(self) -> Picks:
        """The fastest candidate of each layer."""
        return self.each(lambda c: (c.cycles, c.table_bytes + c.code_bytes, c.rank))

    def leanest(self) -> Picks:
        """The smallest peak that single swaps find, from the least state and scratch of each layer."""
        if self._lean is None:
            picks = self.each(lambda c: (c.state_bytes + c.scratch_bytes, c.cycles, c.rank))
            self.settle(picks)
            self._lean = self.improved(picks, SMALLEST_PEAK, Limits())
            self.settle(self._lean)
        return self._lean

    def limits(self, objective: Objective, board: Limits) -> Limits:
        """The board's limits, and those that the objective sets itself."""
        if objective in ("ram", "flash"):
            balanced, _ = self.best("balanced", board)
            return board.tightened(cycles=SPARING_TIME * self.priced(balanced).cycles)
        if objective == "balanced":
            return board.tightened(tables=int(BALANCED_TABLES * sum(layer.plain_bytes for layer in self.open)))
        return board

    def best(self, objective: Objective, board: Limits) -> tuple[Picks, Limits]:
        """The choice, and the limits that held; where nothing is within them, the leanest found."""
        measured = any(c.measured for layer in self.open for c in layer.candidates)
        if not self.open or (objective in ("speed", "balanced") and not measured):
            picks = self.each(lambda c: (c.rank,))
            self.settle(picks)
            return picks, board
        limits = self.limits(objective, board)
        chosen = self._searched(objective, limits)
        if not self.priced(chosen).within(board):
            limits = board
            chosen = self._searched(objective, limits)
        if objective == "speed" and (fastest := self.priced(chosen)).within(limits):
            equal = limits.tightened(cycles=SAME_TIME * fastest.cycles)
            chosen = self._settled(chosen, SMALLEST_PEAK, equal)
        self.settle(chosen)
        return chosen, limits

    def _searched(self, objective: Objective, limits: Limits) -> Picks:
        """The best found from several starts."""
        rank, first = RANKS[objective], self.fastest()
        if objective == "speed" and self.priced(first).within(limits):
            return first
        starts = [first, self._alone(rank, limits), self.leanest()]
        if objective == "flash":
            starts.append(self.each(lambda c: (c.table_bytes + c.code_bytes + sum(c.routines.values()), c.cycles, c.rank)))
        if objective in ("balanced", "ram"):
            starts += self.front(limits)
        if objective in ("ram", "flash"):
            starts.append(self.best("balanced", limits)[0])
        distinct = {tuple(c.rank for c in start.values()): start for start in starts}
        found = [self._settled(start, rank, limits) for start in distinct.values()]
        return min(found, key=lambda picks: ((w := self.priced(picks)).excess(limits), *rank(w)))

    def front(self, limits: Limits) -> list[Picks]:
        """The fastest for several peaks of RAM between the smallest and that of the fastest."""
        low, high = self.priced(self.leanest()).ram, self.priced(self.fastest()).ram
        if high <= low:
            return []
        peaks = [low * (high / low) ** (i / PEAKS) for i in range(PEAKS)]
        rank, each = RANKS["speed"], [limits.tightened(ram=peak) for peak in peaks]
        return [self._settled(self._alone(rank, within), rank, within) for within in each]

    def _alone(self, rank: Rank, limits: Limits) -> Picks:
        """From the leanest: of each layer the candidate that would be the best, were it the only one to change."""
        lean, result = self.leanest(), dict(self.leanest())
        self.settle(lean)
        for layer in self.open:
            name, priced = layer.node.name, dict[int, tuple[int, ...]]()
            for c in layer.candidates:
                w = self.whole(lean | {name: c})
                priced[c.rank] = (w.excess(limits), *rank(w))
            result[name] = min(layer.candidates, key=lambda c: priced[c.rank])
        return result

    def _settled(self, picks: Picks, rank: Rank, limits: Limits) -> Picks:
        for _ in range(ROUNDS):
            self.settle(picks)
            ends = self.ends
            picks = self.improved(picks, rank, limits)
            self.settle(picks)
            if ends == self.ends:
                break
        return picks

    def priced(self, picks: Picks) -> Whole:
        """Price a choice with the best cuts for it."""
        self.settle(picks)
        return self.whole(picks)
