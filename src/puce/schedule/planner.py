# SPDX-License-Identifier: Apache-2.0
"""Cuts a graph into streaming stages, sizes their rings, and lays everything out: the smallest peak that it finds.

Inside a stage tensors are rings of rows; a tensor that crosses a cut is whole. One stage for everything is small where
pictures are large; a cut is cheaper where they are small, since all rings of a stage are alive at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import DoesNotFit, Unsupported
from ..ir import Call, Graph, Node
from ..ops import Kernel, Window
from ..units import size
from .cuts import Cuts, merged
from .layout import arrange, lower_bound
from .plan import Bank, Buffer, Place, Schedule, Step
from .prove import prove
from .stream import ARRIVES, NEVER, Trace, ring_rows

Chooser = Callable[[Node, Call], Kernel]


def first_kernel(features: frozenset[str]) -> Chooser:
    """Choose the first kernel of each operator that this core can run and that accepts the call."""

    def choose(node: Node, call: Call) -> Kernel:
        for kernel in node.op.kernels:
            if kernel.needs <= features and kernel.accepts(call):
                return kernel
        types = ", ".join(t.dtype for t in call.inputs)
        raise Unsupported(
            node.origin or node.name,
            f"no C kernel computes {node.op.name} on {types}.",
            "Quantise the model to int8 with `puce quantize`, or see `puce ops` for the types of each operator.",
        )

    return choose


@dataclass(frozen=True, eq=False)
class Planner:
    """One graph, with its kernels chosen; every method is a step of `plan`."""

    graph: Graph
    kernels: Mapping[str, Kernel]
    cuts: Cuts

    @cached_property
    def windows(self) -> dict[str, tuple[Window, ...]]:
        return self.cuts.windows(self.kernels)

    def stage(self, start: int, stop: int, at: int = 0) -> tuple[Trace, list[Buffer], dict[str, int]]:
        """One stage: its trace, its buffers from step `at` on, and the rows that each memory holds.

        A memory that comes from an earlier stage or goes to a later one appears with its life in this stage only.
        """
        lives = self.cuts.lives
        trace, (memory, viewed) = self.cuts.trace(start, stop, self.windows), lives.memory
        end = len(trace.order) - 1
        members: dict[str, list[str]] = {}
        for tensor, name in memory.items():
            if tensor in trace.written or tensor in trace.used:
                members.setdefault(name, []).append(tensor)
        buffers, rows = [], {}
        for name, tensors in members.items():
            t = self.graph.tensors[name]
            before = lives.first_writer[name] < start and trace.fed != name
            after = lives.last_reader.get(name, -1) >= stop
            if before or after or name in viewed:
                rows[name] = t.rows
            else:
                rows[name] = min(t.rows, ring_rows(*merged(trace, tensors)))
            events = np.concatenate([found[m] for found in (trace.written, trace.used) for m in tensors if m in found])
            events = events[events != NEVER] if (events != NEVER).any() else np.zeros(1, np.int64)
            first, last = 0 if before else int(events.min()), end if after else int(events.max())
            buffers.append(Buffer(name, "tensor", rows[name] * t.row_bytes, at + first, at + last))
        through = {
            name: first for name, first in lives.first_writer.items()
            if first < start and lives.last_reader.get(name, -1) >= stop and name not in members
        }  # fmt: skip
        buffers += [Buffer(n, "tensor", self.graph.tensors[n].nbytes, at, at + end) for n in through]
        rows |= {n: self.graph.tensors[n].rows for n in through}
        return trace, buffers + self._own_memory(trace, start, at), rows

    def _own_memory(self, trace: Trace, start: int, at: int) -> list[Buffer]:
        """State of each node of a stage, and one scratch that all of them share."""
        buffers: list[Buffer] = []
        needed, busy = 0, list[int]()
        for node in trace.nodes:
            kernel, steps = self.kernels.get(node.name), trace.fired[node.name]
            if kernel is None or not len(steps):
                continue
            first, last = int(steps[0]), int(steps[-1])
            state, scratch = self.cuts.own(node, kernel)
            if state:
                buffers.append(Buffer(f"{node.name}.state", "state", state, at + first, at + last))
            if scratch:
                needed, busy = max(needed, scratch), [*busy, first, last]
        if needed:
            buffers.append(Buffer(f"scratch.{start}", "scratch", needed, at + min(busy), at + max(busy)))
        return buffers


def plan(
    graph: Graph,
    *,
    features: frozenset[str] = frozenset(),
    banks: Sequence[Bank] = (Bank("ram", 1 << 40),),
    fed_by_rows: bool = False,
    choose: Chooser | None = None,
    cuts: Cuts | None = None,
) -> Schedule:
    """Schedule a lowered graph for a core with these features; proved before it is returned.

    `cuts`, of the same graph and way to feed it, knows from earlier plans what need not be run on paper again.
    Raises Unsupported where no kernel computes a node, DoesNotFit where the buffers do not fit the banks.
    """
    read = {*graph.outputs, *(t for n in graph.nodes for t in n.inputs)}
    assert all(read.intersection(n.outputs) for n in graph.nodes), "dead nodes are removed before"
    choose = choose or first_kernel(features)
    kernels = {n.name: choose(n, graph.call(n)) for n in graph.nodes if not n.op.view}
    if fed_by_rows and len(graph.inputs) != 1:
        raise Unsupported(graph.name, "only a model with one input can be fed by rows.", "Compile it with the whole input.")
    planner = Planner(graph, kernels, cuts or Cuts(graph, fed_by_rows))
    _, ends = planner.cuts.find(kernels)
    steps: list[Step] = []
    buffers: dict[str, Buffer] = {}
    rows: dict[str, int] = {}
    stages = []
    for start, stop in zip([0, *ends], ends, strict=False):
        trace, found, held = planner.stage(start, stop, len(steps))
        stages.append(tuple(n.name for n in graph.nodes[start:stop] if not n.op.view))
        for b in found:
            old = buffers.get(b.name, b)
            buffers[b.name] = replace(b, first=min(b.first, old.first), last=max(b.last, old.last))
        rows |= held
        steps += _steps(trace)
    memory, _ = planner.cuts.lives.memory
    for name in graph.inputs if not fed_by_rows else ():
        buffers[memory[name]] = replace(buffers[memory[name]], first=-1)
    for name in graph.outputs:
        buffers[memory[name]] = replace(buffers[memory[name]], last=len(steps))
    placed = arrange(tuple(buffers.values()), banks)
    if placed is None:
        raise DoesNotFit(
            graph.name,
            f"its activations need at least {size(lower_bound(tuple(buffers.values())))} of RAM, "
            f"and {' + '.join(size(b.nbytes) for b in banks)} are free.",
            "Use a smaller input or fewer channels in the first layers; `puce analyze` shows which layer needs how much.",
        )
    fired = [s for s in steps if s.node is None or s.node in kernels]
    schedule = Schedule(
        stages=tuple(s for s in stages if s),
        steps=tuple(fired),
        kernels=kernels,
        windows=planner.windows,
        places={t: _place(graph, t, m, rows[m]) for t, m in memory.items() if m in rows},
        buffers={b.name: b for b in _renumbered(placed, steps, fired)},
        state={n: f"{n}.state" for n in kernels if f"{n}.state" in buffers},
        scratch=_scratch_of(planner, ends),
        banks=tuple(banks),
        fed_by_rows=fed_by_rows,
        lower_bound=lower_bound(placed),
    )
    prove(graph, schedule)
    return schedule


def _place(graph: Graph, tensor: str, memory: str, rows: int) -> Place:
    """Rows of a whole memory are counted in the tensor's own shape, which a view may have changed."""
    t, whole = graph.tensors[tensor], rows == graph.tensors[memory].rows
    return Place(memory, t.rows if whole else rows, t.row_bytes)


def _renumbered(buffers: Sequence[Buffer], steps: Sequence[Step], fired: Sequence[Step]) -> list[Buffer]:
    """Lives counted in the steps that remain once views, which do nothing, are left out."""
    index, position = [], 0
    kept = {id(s) for s in fired}
    for s in steps:
        index.append(position)
        position += id(s) in kept
    index.append(position)
    return [replace(b, first=index[b.first] if b.first >= 0 else -1, last=min(index[b.last], position)) for b in buffers]


def _scratch_of(planner: Planner, ends: Sequence[int]) -> dict[str, str]:
    result = {}
    for start, stop in zip([0, *ends], ends, strict=False):
        for node in planner.graph.nodes[start:stop]:
            if node.name in planner.kernels and planner.cuts.own(node, planner.kernels[node.name])[1]:
                result[node.name] = f"scratch.{start}"
    return result


def _steps(trace: Trace) -> list[Step]:
    """The steps by name, each with the number of the firing."""
    count = dict.fromkeys(range(ARRIVES, len(trace.nodes)), 0)
    steps = []
    for i in trace.order.tolist():
        steps.append(Step(None if i == ARRIVES else trace.nodes[i].name, count[i]))
        count[i] += 1
    return steps
