# SPDX-License-Identifier: Apache-2.0
"""Runs a stage on paper: rows are computed when a reader needs them, and each row's first write and last use are noted.

The pull is depth first: before a node fires, the rows it needs are made, one by one, by the nodes that make them. So the
branches of a residual connection keep in step, an input row is asked for only when its first reader fires, and a ring
never holds a row that nobody will read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..ir import Graph, Node
from ..ops import Window
from .plan import Step


@dataclass
class Trace:
    """What happened to each row: step of its first write, step of its last use. Steps count from 0 in the stage."""

    steps: list[Step] = field(default_factory=list)
    written: dict[str, list[int]] = field(default_factory=dict)
    used: dict[str, dict[int, int]] = field(default_factory=dict)
    fired: dict[str, list[int]] = field(default_factory=dict)


def firings(graph: Graph, node: Node, windows: Sequence[Window]) -> int:
    """How often a node fires in one inference."""
    kinds = [w.kind for w in windows]
    if "reduce" in kinds:
        return graph.call(node).data[kinds.index("reduce")].rows
    return graph.tensors[node.outputs[0]].rows if "rows" in kinds else 1


def rows_written(graph: Graph, node: Node, output: str, windows: Sequence[Window], firing: int) -> int:
    """Rows of an output that a firing finishes: one, or all at the (last) firing of a node that needs everything."""
    if any(w.kind == "reduce" for w in windows):
        last = firing == firings(graph, node, windows) - 1
        return graph.tensors[output].rows if last else 0
    return 1 if any(w.kind == "rows" for w in windows) else graph.tensors[output].rows


def simulate(
    graph: Graph,
    nodes: Sequence[Node],
    windows: Mapping[str, tuple[Window, ...]],
    fed: str | None,
    wanted: Callable[[str], bool],
) -> Trace:
    """Fire the nodes of one stage until every tensor that is `wanted` outside of it stands.

    `fed` is the graph input that arrives row by row in this stage, None where the input lies there whole. Tensors made
    by earlier stages are whole.
    """
    trace = Trace()
    producer = {t: n for n in nodes for t in n.outputs}
    made: dict[str, int] = dict.fromkeys(producer, 0)
    count: dict[str, int] = {n.name: 0 for n in nodes}
    data = {n.name: [t.name for t in graph.call(n).data] for n in nodes}
    height = {t: graph.tensors[t].rows for n in nodes for t in (*data[n.name], *n.outputs)}
    if fed is not None:
        made[fed] = 0

    def pull(tensor: str) -> None:
        node = producer.get(tensor)
        if node is None:  # a row of the input arrives
            trace.written.setdefault(tensor, []).append(len(trace.steps))
            trace.steps.append(Step(None, made[tensor]))
            made[tensor] += 1
            return
        y, spans = count[node.name], windows[node.name]
        needs = [(name, w.rows(y, height[name])) for name, w in zip(data[node.name], spans, strict=True)]
        for name, rows in needs:
            while rows and made.get(name, height[name]) <= rows[-1]:
                pull(name)
        now = len(trace.steps)
        trace.steps.append(Step(node.name, y))
        trace.fired.setdefault(node.name, []).append(now)
        for name, rows in needs:
            trace.used.setdefault(name, {}).update(dict.fromkeys(rows, now))
        for name in node.outputs:
            new = rows_written(graph, node, name, spans, y)
            trace.written.setdefault(name, []).extend([now] * new)
            made[name] += new
        count[node.name] += 1

    sinks = [t for t in producer if wanted(t)]
    while sinks:
        # several outputs advance side by side, the one that lags first
        slowest = min(sinks, key=lambda t: made[t] / height[t])
        pull(slowest)
        sinks = [t for t in sinks if made[t] < height[t]]
    if fed is not None:
        while made[fed] < graph.tensors[fed].rows:  # rows that nobody needs are still fed
            pull(fed)
    return trace


def ring_rows(written: Sequence[int], used: Mapping[int, int]) -> int:
    """The smallest ring in which no row is overwritten before its last use."""
    size = 1
    for y, first in enumerate(written):
        last = max(used.get(y, first), first)
        z = y + size
        while z < len(written) and written[z] <= last:
            z += 1
        size = max(size, z - y)
    return size
