# SPDX-License-Identifier: Apache-2.0
"""Where to cut a graph into stages: dynamic programming over all ranges of nodes, for the smallest peak of bytes alive.

One run on paper of the nodes before a cut tells the trace of every stage that ends there: leaving out the steps of earlier
nodes leaves the others in their order. For a stage needs its rows in an order that its own end alone decides. So a graph of
n nodes takes n runs, not n * n; and a large one, of which even these would take long, is cut at fewer places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Graph, Node
from ..ops import Kernel, Window
from .lives import Lives
from .plan import ALIGN
from .stream import ARRIVES, Firings, Trace, firings, ring_rows, simulate

STEPS = 1_500_000  # steps run on paper in the search for cuts: two or three seconds
NOBODY = 1 << 62

Windows = Mapping[str, tuple[Window, ...]]


def up(nbytes: Array) -> Array:
    return -(-nbytes // ALIGN) * ALIGN


@dataclass(frozen=True, eq=False)
class Run:
    """The nodes before `stop`, run on paper. Arrays [memories], or [nodes] of lists of (memory, first, last step)."""

    stop: int
    rings: Array  # bytes of the ring, were the whole life of the memory in one stage
    touches: tuple[tuple[tuple[int, int, int], ...], ...]
    spans: tuple[tuple[int, int] | None, ...]  # first and last firing of each node
    arrivals: tuple[int, int] | None


class Cuts:
    """Finds cuts for one graph; what it learns for one choice of kernels serves the next."""

    def __init__(self, graph: Graph, fed_by_rows: bool = False, steps: int = STEPS) -> None:
        self.graph, self.fed_by_rows, self.steps, self.lives = graph, fed_by_rows, steps, Lives(graph)
        memory, viewed = self.lives.memory
        self.names = list(dict.fromkeys(memory.values()))
        self.index = {name: i for i, name in enumerate(self.names)}
        tensors = [graph.tensors[m] for m in self.names]
        self.whole = up(np.array([t.nbytes for t in tensors], np.int64))
        self.first_writer = np.array([self.lives.first_writer.get(m, NOBODY) for m in self.names])
        self.last_reader = np.array([self.lives.last_reader.get(m, -1) for m in self.names])
        self.viewed = np.array([m in viewed for m in self.names], bool)
        self.members: dict[str, list[str]] = {}
        for tensor, name in memory.items():
            self.members.setdefault(name, []).append(tensor)
        self.firings = Firings(graph)
        self._windows: dict[tuple[str, Kernel | None], tuple[Window, ...]] = {}
        self._same: dict[tuple[Window, ...], tuple[Window, ...]] = {}
        self._runs: dict[tuple[int, ...], Run] = {}
        self._own: dict[tuple[str, Kernel], tuple[int, int]] = {}

    def windows(self, kernels: Mapping[str, Kernel]) -> dict[str, tuple[Window, ...]]:
        """Of each node: the operator's, or those of a kernel that wants others."""
        result = {}
        for node in self.graph.nodes:
            kernel = kernels.get(node.name)
            override = kernel.windows if kernel is not None else None
            key = (node.name, kernel if override else None)
            if key not in self._windows:
                found = (override or node.op.windows)(self.graph.call(node))
                self._windows[key] = self._same.setdefault(found, found)
            result[node.name] = self._windows[key]
        return result

    def own(self, node: Node, kernel: Kernel) -> tuple[int, int]:
        """Bytes of state and of scratch; some kernels pack their weights to tell."""
        if (node.name, kernel) not in self._own:
            call = self.graph.call(node)
            self._own[node.name, kernel] = kernel.state(call), kernel.scratch(call)
        return self._own[node.name, kernel]

    def trace(self, start: int, stop: int, windows: Windows) -> Trace:
        """One stage, run on paper."""
        fed = self.graph.inputs[0] if self.fed_by_rows and start == 0 else None
        needed = self.lives.needed_from
        return simulate(self.firings, self.graph.nodes[start:stop], windows, fed, lambda t: needed.get(t, 0) > stop)

    def run(self, stop: int, windows: Windows) -> Run:
        """The nodes before `stop`, with what follows for each stage that ends there."""
        key = (stop, *(id(windows[n.name]) for n in self.graph.nodes[:stop]))  # equal ones are one object: see `windows`
        if key not in self._runs:
            self._runs[key] = self._run(stop, windows)
        return self._runs[key]

    def _run(self, stop: int, windows: Windows) -> Run:
        trace = self.trace(0, stop, windows)
        memory, _ = self.lives.memory
        touches, spans = [], []
        for node in trace.nodes:
            steps = trace.fired[node.name]
            spans.append((int(steps[0]), int(steps[-1])) if len(steps) else None)
            found = []
            for name in dict.fromkeys(t.name for t in self.graph.call(node).data) if len(steps) else ():
                read = trace.reads[node.name, name]
                seen = read[read >= 0]
                # an input of which only padding is seen is never touched; it is there all the same
                found.append((self.index[memory[name]], *((int(seen.min()), int(seen.max())) if len(seen) else (-1, -1))))
            for name in node.outputs if len(steps) else ():
                made = trace.written[name]
                found.append((self.index[memory[name]], int(made[0]), int(made[-1])))
            touches.append(tuple(found))
        arrived = np.flatnonzero(trace.order == ARRIVES)
        arrivals = (int(arrived[0]), int(arrived[-1])) if len(arrived) else None
        rings = np.array([self._ring(trace, i) if self.last_reader[i] < stop else 0 for i in range(len(self.names))])
        return Run(stop, rings, tuple(touches), tuple(spans), arrivals)

    def _ring(self, trace: Trace, i: int) -> int:
        """Bytes of the ring of a memory whose whole life is in this trace."""
        t = self.graph.tensors[self.names[i]]
        if self.viewed[i]:
            return int(self.whole[i])
        return int(up(np.array(min(t.rows, ring_rows(*merged(trace, self.members[t.name]))) * t.row_bytes)))

    def peak(self, start: int, stop: int, kernels: Mapping[str, Kernel], windows: Windows) -> int:
        """The most bytes alive in any step of one stage."""
        return self._stages(stop, kernels, windows, [start])[start]

    def _stages(self, stop: int, kernels: Mapping[str, Kernel], windows: Windows, starts: Sequence[int]) -> dict[int, int]:
        """Peaks of the stages that end before `stop`, by where they start; `starts` fall."""
        run, result = self.run(stop, windows), {}
        n = len(self.names)
        first, last, touched = np.full(n, NOBODY), np.full(n, -1), np.zeros(n, bool)
        begin, end, scratch, busy = NOBODY, -1, 0, (NOBODY, -1)
        own: list[tuple[int, int, int]] = []  # bytes, first, last step
        for start in range(stop - 1, min(starts) - 1, -1):
            node, span = self.graph.nodes[start], run.spans[start]
            for i, a, b in run.touches[start]:
                touched[i] = True
                if a >= 0:
                    first[i], last[i] = min(first[i], a), max(last[i], b)
            if span is not None:
                begin, end = min(begin, span[0]), max(end, span[1])
                if (kernel := kernels.get(node.name)) is not None:
                    state, needed = self.own(node, kernel)
                    if state:
                        own.append((state, *span))
                    if needed:
                        scratch, busy = max(scratch, needed), (min(busy[0], span[0]), max(busy[1], span[1]))
            if start in starts:
                fed = self.fed_by_rows and start == 0
                if fed and run.arrivals is not None:
                    i = self.index[self.lives.memory[0][self.graph.inputs[0]]]
                    touched[i], first[i], last[i] = True, min(first[i], run.arrivals[0]), max(last[i], run.arrivals[1])
                    begin, end = min(begin, run.arrivals[0]), max(end, run.arrivals[1])
                extra = [*own, (scratch, *busy)] if scratch else own
                result[start] = self._alive(run, start, fed, first, last, touched, begin, end, extra)
        return result

    def _alive(
        self, run: Run, start: int, fed: bool, first: Array, last: Array, touched: Array, begin: int, end: int,
        own: Sequence[tuple[int, int, int]],
    ) -> int:  # fmt: skip
        before = self.first_writer < start
        if fed:
            before &= self.first_writer >= 0
        after = self.last_reader >= run.stop
        there = touched | (before & after)
        whole = before | after | self.viewed
        nbytes = np.where(whole, self.whole, run.rings)[there]
        a = np.where(before, begin, np.minimum(first, np.maximum(last, begin)))[there]
        b = np.where(after, end, np.maximum(last, begin))[there]
        if own:
            more = np.array(own)
            nbytes, a, b = (np.concatenate(pair) for pair in ((nbytes, up(more[:, 0])), (a, more[:, 1]), (b, more[:, 2])))
        return most_alive(nbytes, a, b)

    def find(self, kernels: Mapping[str, Kernel]) -> tuple[int, tuple[int, ...]]:
        """The smallest peak, and where its stages end; among equals the fewest stages."""
        windows = self.windows(kernels)
        stops = self.stops(windows)
        best = {0: (0, 0, 0)}  # stop -> peak, stages, start of the last stage
        for stop in stops:
            starts = [s for s in (0, *stops) if s < stop]
            floor = self.lives.crossing_bytes(stop)
            peaks = self._stages(stop, kernels, windows, starts)
            best[stop] = min((max(best[s][0], floor, peaks[s]), best[s][1] + 1, s) for s in starts)
        ends, stop = [], stops[-1]
        while stop > 0:
            ends.append(stop)
            stop = best[stop][2]
        return best[stops[-1]][0], tuple(ends[::-1])

    def peak_of(self, ends: Sequence[int], kernels: Mapping[str, Kernel]) -> int:
        """The peak with given cuts: quick, and never below that of the best cuts."""
        windows = self.windows(kernels)
        return max(self.peak(start, stop, kernels, windows) for start, stop in zip((0, *ends), ends, strict=False))

    def stops(self, windows: Windows) -> list[int]:
        """Where stages may end: after every node, or in a large graph where the least crosses, one place in each part of it."""
        nodes = self.graph.nodes
        total = sum(firings(self.graph, n, windows[n.name]) for n in nodes)
        places = max(1, 2 * self.steps // max(total, 1))
        if places >= len(nodes):
            return list(range(1, len(nodes) + 1))
        bounds = np.linspace(0, len(nodes) - 1, places, endpoint=False).astype(int).tolist()
        parts = zip(bounds, [*bounds[1:], len(nodes) - 1], strict=True)
        inner = {min(range(a + 1, b + 1), key=self.lives.crossing_bytes) for a, b in parts if b > a}
        return sorted({*inner, len(nodes)})


def merged(trace: Trace, tensors: Sequence[str]) -> tuple[Array, Array]:
    """First write and last use of each row of a memory that several tensors share."""
    rows = max((len(trace.written[t]) for t in tensors if t in trace.written), default=0)
    written, used = np.full(rows, NOBODY), np.full(rows, -1)
    for tensor in tensors:
        if tensor in trace.written:
            made = trace.written[tensor]
            written[: len(made)] = np.minimum(written[: len(made)], made)
            used[: len(made)] = np.maximum(used[: len(made)], made)
        if tensor in trace.used:
            read = trace.used[tensor][:rows]
            used[: len(read)] = np.maximum(used[: len(read)], read)
    return written, used


def most_alive(nbytes: Array, first: Array, last: Array) -> int:
    """The most bytes in use in any step; each stretch is in use from its first to its last, both included."""
    if not len(nbytes):
        return 0
    by_first, by_last = np.argsort(first, kind="stable"), np.argsort(last, kind="stable")
    gone = np.concatenate([[0], np.cumsum(nbytes[by_last])])[np.searchsorted(last[by_last], first[by_first], side="left")]
    return int((np.cumsum(nbytes[by_first]) - gone).max())
