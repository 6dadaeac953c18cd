# SPDX-License-Identifier: Apache-2.0
"""Runs a stage on paper: rows are computed when a reader needs them, and each row's first write and last use are noted.

The pull is depth first: before a node fires, the rows it needs are made, one by one, by the nodes that make them. So the
branches of a residual connection keep in step, an input row is asked for only when its first reader fires, and a ring
never holds a row that nobody will read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..ir import Array, Graph, Node
from ..ops import Window

ARRIVES = -1  # in an order: a row of the input comes
NEVER = -1  # in `used`: nobody reads this row

Rows = list[tuple[str, list[int]]]


@dataclass(frozen=True, eq=False)
class Trace:
    """One stage as it runs. `order` holds the index in `nodes` of each step, ARRIVES for a row of `fed`.

    Steps count from 0. `fired` is the step of each firing of a node; a node that nobody needs has none.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    windows: Mapping[str, tuple[Window, ...]]
    fed: str | None
    order: Array

    @cached_property
    def fired(self) -> dict[str, Array]:
        by_node = np.argsort(self.order, kind="stable")
        ends = np.searchsorted(self.order[by_node], np.arange(len(self.nodes) + 1))
        return {n.name: by_node[ends[i] : ends[i + 1]] for i, n in enumerate(self.nodes)}

    @cached_property
    def written(self) -> dict[str, Array]:
        """The step in which each row of a tensor is made, rows in order; of `fed` too."""
        result = {} if self.fed is None else {self.fed: np.flatnonzero(self.order == ARRIVES)}
        for node in self.nodes:
            steps, kinds = self.fired[node.name], {w.kind for w in self.windows[node.name]}
            for name in node.outputs if len(steps) else ():
                by_row = "rows" in kinds and "reduce" not in kinds
                result[name] = steps if by_row else np.repeat(steps[-1:], self.graph.tensors[name].rows)
        return result

    @cached_property
    def reads(self) -> dict[tuple[str, str], Array]:
        """(node, tensor) -> the last step in which the node reads each row of the tensor, NEVER where it does not."""
        result: dict[tuple[str, str], Array] = {}
        for node in self.nodes:
            steps = self.fired[node.name]
            for t, window in zip(self.graph.call(node).data, self.windows[node.name], strict=True) if len(steps) else ():
                last = result.setdefault((node.name, t.name), np.full(t.rows, NEVER))
                if window.kind == "whole":
                    last[:] = steps[-1]
                    continue
                taps = (np.arange(len(steps)) * window.stride - window.top + k * window.dilation for k in range(window.size))
                for rows in taps if window.kind == "rows" else (np.arange(len(steps)),):
                    inside = (rows >= 0) & (rows < t.rows)
                    last[rows[inside]] = np.maximum(last[rows[inside]], steps[inside])
        return result

    @cached_property
    def used(self) -> dict[str, Array]:
        """The last step in which anybody reads each row of a tensor."""
        result: dict[str, Array] = {}
        for (_, name), last in self.reads.items():
            result[name] = np.maximum(result[name], last) if name in result else last
        return result


def firings(graph: Graph, node: Node, windows: Sequence[Window]) -> int:
    """How often a node fires in one inference."""
    kinds = [w.kind for w in windows]
    if "reduce" in kinds:
        return graph.call(node).data[kinds.index("reduce")].rows
    return graph.tensors[node.outputs[0]].rows if "rows" in kinds else 1


def last_row(window: Window, firing: int, height: int) -> int:
    """The lowest row, of a picture of `height` rows, that a firing reads; below 0 where it reads none."""
    if window.kind == "whole":
        return height - 1
    if window.kind == "reduce":
        return firing
    start = firing * window.stride - window.top
    taps = min(window.size - 1, (height - 1 - start) // window.dilation)
    return start + taps * window.dilation if taps >= 0 else -1


class Firings:
    """What each firing of a node needs and makes, worked out once for all stages that hold the node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[tuple[str, tuple[Window, ...]], tuple[Rows, Rows]] = {}

    def of(self, node: Node, windows: tuple[Window, ...]) -> tuple[Rows, Rows]:
        """By tensor, for each firing: the lowest row that it reads; and how many rows it finishes."""
        if (node.name, windows) not in self._known:
            times, data = firings(self.graph, node, windows), self.graph.call(node).data
            needs = [(t.name, [last_row(w, y, t.rows) for y in range(times)]) for t, w in zip(data, windows, strict=True)]
            kinds = {w.kind for w in windows}
            makes = []
            for name in node.outputs:  # a row a firing, or all at the last firing of a node that needs everything
                rows = self.graph.tensors[name].rows
                makes.append((name, [1] * times if "rows" in kinds and "reduce" not in kinds else [*[0] * (times - 1), rows]))
            self._known[node.name, windows] = needs, makes
        return self._known[node.name, windows]


def simulate(
    firings: Firings,
    nodes: Sequence[Node],
    windows: Mapping[str, tuple[Window, ...]],
    fed: str | None,
    wanted: Callable[[str], bool],
) -> Trace:
    """Fire the nodes of one stage until every tensor that is `wanted` outside of it stands.

    `fed` is the graph input that arrives row by row in this stage, None where the input lies there whole. Tensors made
    by earlier stages are whole.
    """
    graph = firings.graph
    producer = {t: i for i, n in enumerate(nodes) for t in n.outputs}
    made, height = dict.fromkeys(producer, 0), {t: graph.tensors[t].rows for t in producer}
    if fed is not None:
        height[fed], made[fed], producer[fed] = graph.tensors[fed].rows, 0, ARRIVES
    count = [0] * len(nodes)
    tables = [firings.of(n, windows[n.name]) for n in nodes]
    needs = [[each for each in reads if each[0] in producer] for reads, _ in tables]
    order: list[int] = []

    def pull(tensor: str) -> None:
        """Let the maker of a tensor fire once, its inputs first; a stack of our own, for graphs may be deep."""
        stack = [tensor]
        while stack:
            i = producer[stack[-1]]
            if i == ARRIVES:
                made[stack.pop()] += 1
                order.append(ARRIVES)
                continue
            y = count[i]
            for name, last in needs[i]:
                if made[name] <= last[y]:
                    stack.append(name)
                    break
            else:
                stack.pop()
                order.append(i)
                count[i] = y + 1
                for name, rows in tables[i][1]:
                    made[name] += rows[y]

    sinks = [t for t in producer if t != fed and wanted(t)]
    while sinks:
        # several outputs advance side by side, the one that lags first
        slowest = min(sinks, key=lambda t: made[t] / height[t]) if len(sinks) > 1 else sinks[0]
        pull(slowest)
        sinks = [t for t in sinks if made[t] < height[t]]
    if fed is not None:
        while made[fed] < height[fed]:  # rows that nobody needs are still fed
            pull(fed)
    return Trace(graph, tuple(nodes), windows, fed, np.array(order, np.int64))


def ring_rows(written: Array, used: Array) -> int:
    """The smallest ring in which no row is overwritten before its last use; `used` may hold NEVER."""
    last = np.maximum(used[: len(written)], written)
    return max(1, int((np.searchsorted(written, last, side="right") - np.arange(len(written))).max(initial=1)))
