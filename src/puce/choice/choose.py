# SPDX-License-Identifier: Apache-2.0
"""The choice of one graph for one board: kernels by layer, every candidate with its figures, and the reason for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..boards import Board
from ..errors import Unsupported
from ..ir import Call, Graph, Node
from ..ops import Kernel
from ..schedule import Cuts
from ..units import percent, size
from .bench import Compiler
from .candidates import Candidate, as_json, layers
from .measure import measured
from .objective import OBJECTIVES, Limits, Objective, checked
from .search import Picks, Search, Whole

ONLY = "the only kernel that computes it on this core"
UNMEASURED = "the first of the operator's kernels: without a board nothing is measured"


@dataclass(frozen=True, eq=False)
class Choice:
    """`picks` and `reasons` by the name of the node; `limits` are those that held in the search."""

    objective: Objective
    picks: Mapping[str, Candidate]
    candidates: Mapping[str, tuple[Candidate, ...]]
    reasons: Mapping[str, tuple[str, ...]]  # one a candidate
    limits: Limits
    whole: Whole
    cuts: Cuts

    @property
    def kernels(self) -> dict[str, str]:
        """The kernel's name of each layer."""
        return {node: c.kernel.name for node, c in self.picks.items()}

    def kernel(self, node: Node, call: Call) -> Kernel:
        """What the planner asks."""
        return self.picks[node.name].kernel

    def as_json(self, node: str) -> list[dict[str, Any]]:
        """All candidates of a layer."""
        pairs = zip(self.candidates[node], self.reasons[node], strict=True)
        return [as_json(c) | {"chosen": c is self.picks[node], "reason": reason} for c, reason in pairs]


class Chooser:
    """One lowered graph on one board: measured once, asked for any objective."""

    def __init__(self, graph: Graph, board: Board | None, *, fed_by_rows: bool = False, compiler: Compiler = "zig") -> None:
        if fed_by_rows and len(graph.inputs) != 1:
            fact = "only a model with one input can be fed by rows."
            raise Unsupported(graph.name, fact, "Compile it with the whole input.")
        features = board.core.features if board else frozenset[str]()
        self.graph, self.cuts = graph, Cuts(graph, fed_by_rows)
        found = layers(graph, features, self.cuts)
        self.layers = measured(found, board, compiler) if board else found
        self.search = Search(self.layers, self.cuts)

    def choose(self, objective: Objective, limits: Limits) -> Choice:
        """The kernels for an objective; `limits` are the board's."""
        fixed = sum(t.nbytes for x in self.layers if len(x.candidates) == 1 for t in x.call.inputs if t.data is not None)
        objective = checked(objective)
        picks, held = self.search.best(objective, replace(limits, flash=limits.flash - fixed))
        return self._choice(objective, picks, held)

    def variants(self, limits: Limits) -> dict[str, Choice]:
        """Different choices by name: each objective's, and others between speed and ram, with large and small tables."""
        found: dict[str, Choice] = {objective: self.choose(objective, limits) for objective in OBJECTIVES}
        for within in (limits, self.search.limits("balanced", limits)):
            for picks in self.search.front(within):
                found[f"between {len(found)}"] = self._choice("speed", picks, within)
        distinct: dict[tuple[str, ...], str] = {}
        for name, choice in found.items():
            distinct.setdefault(tuple(choice.kernels.values()), name)
        return {name: found[name] for name in distinct.values()}

    def _choice(self, objective: Objective, picks: Picks, limits: Limits) -> Choice:
        self.search.settle(picks)
        reasons = {layer.node.name: self._reasons(layer.candidates, picks, limits, objective) for layer in self.layers}
        candidates = {layer.node.name: layer.candidates for layer in self.layers}
        return Choice(objective, picks, candidates, reasons, limits, self.search.whole(picks), self.cuts)

    def _reasons(
        self, candidates: tuple[Candidate, ...], picks: Picks, limits: Limits, objective: Objective
    ) -> tuple[str, ...]:  # fmt: skip
        if len(candidates) == 1:
            return (ONLY,)
        return tuple(self._reason(c, candidates, picks, limits, objective) for c in candidates)

    def _reason(
        self, c: Candidate, candidates: tuple[Candidate, ...], picks: Picks, limits: Limits, objective: Objective
    ) -> str:  # fmt: skip
        chosen = picks[c.node.name]
        if c.measured is None or chosen.measured is None:
            return UNMEASURED if c is chosen and c.rank == 0 else "not measured"
        if c is chosen:
            faster = [o for o in candidates if o.cycles < c.cycles]
            if not faster:
                return "the fastest"
            if objective == "flash":
                return "the smallest in flash"
            if objective == "balanced":
                return "the best balance of time, RAM and flash"
            if objective == "ram":
                return "the smallest peak of RAM in the time allowed"
            equal = self._equal(faster, picks, limits)
            return "as fast as the fastest, with less memory" if equal else f"the fastest that {objective} allows"
        if c.cycles >= chosen.cycles:
            return f"{percent(c.cycles / max(chosen.cycles, 1) - 1)} slower"
        now, then = self.search.whole(picks), self.search.whole(picks | {c.node.name: c})
        gain = f"{percent(1 - c.cycles / max(chosen.cycles, 1))} faster, but "
        if then.ram > limits.ram:
            return f"{gain}the peak of RAM would be {size(then.ram)}, at most {size(int(limits.ram))} are allowed"
        if then.tables > limits.tables:
            return f"{gain}all tables would be {size(then.tables)}, at most {size(int(limits.tables))} are allowed"
        if then.flash > limits.flash:
            return f"{gain}the board's flash has no room for {size(then.flash - now.flash)} more"
        time = percent(1 - then.cycles / now.cycles)
        if then.ram > now.ram:
            return f"{gain}{percent(then.ram / now.ram - 1)} more RAM, for {time} of the time of all layers"
        return f"{gain}{size(then.flash - now.flash)} more flash"

    def _equal(self, faster: list[Candidate], picks: Picks, limits: Limits) -> bool:
        """Whether a faster kernel was allowed, and left for the sake of memory."""
        return any(self.search.whole(picks | {c.node.name: c}).within(limits) for c in faster)
