# SPDX-License-Identifier: Apache-2.0
"""Cuts a graph into streaming stages, sizes their rings, and lays everything out: the smallest peak that it finds.

Inside a stage tensors are rings of rows; a tensor that crosses a cut is whole. One stage for everything is small where
pictures are large; a cut is cheaper where they are small, since all rings of a stage are alive at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import DoesNotFit, Unsupported
from ..ir import Call, Graph, Node
from ..ops import Kernel, Window
from ..units import size
from .layout import arrange, lower_bound
from .plan import Bank, Buffer, Place, Schedule, Step, aligned
from .prove import prove
from .storage import groups
from .stream import Trace, ring_rows, simulate

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


@dataclass(frozen=True)
class Planner:
    """One graph, with its kernels chosen; every method is a step of `plan`."""

    graph: Graph
    kernels: Mapping[str, Kernel]
    fed_by_rows: bool

    @cached_property
    def windows(self) -> dict[str, tuple[Window, ...]]:
        result = {}
        for node in self.graph.nodes:
            call, kernel = self.graph.call(node), self.kernels.get(node.name)
            override = kernel.windows if kernel is not None else None
            result[node.name] = (override or node.op.windows)(call)
        return result

    @cached_property
    def memory(self) -> tuple[Mapping[str, str], frozenset[str]]:
        return groups(self.graph)

    @cached_property
    def last_reader(self) -> dict[str, int]:
        """Index of the last node that needs each memory; graph outputs are needed after the last node."""
        memory, _ = self.memory
        last: dict[str, int] = {}
        for i, node in enumerate(self.graph.nodes):
            for t in self.graph.call(node).data:
                last[memory[t.name]] = i
        return last | {memory[t]: len(self.graph.nodes) for t in self.graph.outputs}

    @cached_property
    def first_writer(self) -> dict[str, int]:
        """Index of the first node that writes each memory; -1 for graph inputs."""
        memory, _ = self.memory
        first = {memory[t]: -1 for t in self.graph.inputs}
        for i, node in enumerate(self.graph.nodes):
            for t in node.outputs:
                first.setdefault(memory[t], i)
        return first

    def trace(self, start: int, stop: int) -> Trace:
        nodes = self.graph.nodes[start:stop]
        fed = self.graph.inputs[0] if self.fed_by_rows and start == 0 else None
        later = {t.name for n in self.graph.nodes[stop:] for t in self.graph.call(n).data} | {*self.graph.outputs}
        return simulate(self.graph, nodes, self.windows, fed, later.__contains__)

    def stage(self, start: int, stop: int, at: int = 0) -> tuple[Trace, list[Buffer], dict[str, int]]:
        """One stage: its trace, its buffers from step `at` on, and the rows that each memory holds.

        A memory that comes from an earlier stage or goes to a later one appears with its life in this stage only.
        """
        trace, (memory, viewed) = self.trace(start, stop), self.memory
        end = len(trace.steps) - 1
        members: dict[str, list[str]] = {}
        for tensor, name in memory.items():
            if tensor in trace.written or tensor in trace.used:
                members.setdefault(name, []).append(tensor)
        buffers, rows = [], {}
        for name, tensors in members.items():
            t = self.graph.tensors[name]
            before = self.first_writer[name] < start and not (self.fed_by_rows and name in self.graph.inputs and start == 0)
            after = self.last_reader.get(name, -1) >= stop
            if before or after or name in viewed:
                rows[name] = t.rows
            else:
                merged = self._merged(trace, tensors)
                rows[name] = min(t.rows, ring_rows(*merged))
            # an input of which only padding is seen is never touched; it is there all the same
            events = [s for m in tensors for s in (*trace.written.get(m, ()), *trace.used.get(m, {}).values())] or [0]
            first, last = 0 if before else min(events), end if after else max(events)
            buffers.append(Buffer(name, "tensor", rows[name] * t.row_bytes, at + first, at + last))
        through = {
            name: first for name, first in self.first_writer.items()
            if first < start and self.last_reader.get(name, -1) >= stop and name not in members
        }  # fmt: skip
        buffers += [Buffer(n, "tensor", self.graph.tensors[n].nbytes, at, at + end) for n in through]
        rows |= {n: self.graph.tensors[n].rows for n in through}
        return trace, buffers + self._own_memory(trace, start, stop, at), rows

    def _merged(self, trace: Trace, tensors: Sequence[str]) -> tuple[list[int], dict[int, int]]:
        """First write and last use of each row of a memory that several tensors share."""
        written: dict[int, int] = {}
        used: dict[int, int] = {}
        for tensor in tensors:
            for y, s in enumerate(trace.written.get(tensor, ())):
                written[y] = min(s, written.get(y, s))
                used[y] = max(s, used.get(y, s))
            for y, s in trace.used.get(tensor, {}).items():
                used[y] = max(s, used.get(y, s))
        return [written[y] for y in sorted(written)], used

    def _own_memory(self, trace: Trace, start: int, stop: int, at: int) -> list[Buffer]:
        """State of each node of a stage, and one scratch that all of them share."""
        buffers: list[Buffer] = []
        scratch, busy = 0, list[int]()
        for node in self.graph.nodes[start:stop]:
            kernel, steps = self.kernels.get(node.name), trace.fired.get(node.name)
            if kernel is None or steps is None:
                continue
            call = self.graph.call(node)
            if nbytes := kernel.state(call):
                buffers.append(Buffer(f"{node.name}.state", "state", nbytes, at + steps[0], at + steps[-1]))
            if nbytes := kernel.scratch(call):
                scratch, busy = max(scratch, nbytes), [*busy, steps[0], steps[-1]]
        if scratch:
            buffers.append(Buffer(f"scratch.{start}", "scratch", scratch, at + min(busy), at + max(busy)))
        return buffers

    def cuts(self) -> list[int]:
        """Where stages end, for the smallest peak of bytes alive; among equals the fewest stages."""
        n = len(self.graph.nodes)
        best: list[tuple[int, int, int]] = [(0, 0, 0)] + [(1 << 62, 0, 0)] * n  # peak, stages, start of the last stage
        for stop in range(1, n + 1):
            for start in range(stop - 1, -1, -1):
                if self._at_least(start, stop) > best[stop][0] or best[start][0] > best[stop][0]:
                    continue
                peak = max(best[start][0], lower_bound(self.stage(start, stop)[1]))
                best[stop] = min(best[stop], (peak, best[start][1] + 1, start))
        ends, stop = [], n
        while stop > 0:
            ends.append(stop)
            stop = best[stop][2]
        return ends[::-1]

    def _at_least(self, start: int, stop: int) -> int:
        """A quick bound from below of a stage's peak: what it must hold whole at its end."""
        alive = (
            name for name, first in self.first_writer.items() if first < stop <= self.last_reader.get(name, -1)
        )  # fmt: skip
        return sum(aligned(self.graph.tensors[n].nbytes) for n in alive)


def plan(
    graph: Graph,
    *,
    features: frozenset[str] = frozenset(),
    banks: Sequence[Bank] = (Bank("ram", 1 << 40),),
    fed_by_rows: bool = False,
    choose: Chooser | None = None,
) -> Schedule:
    """Schedule a lowered graph for a core with these features; proved before it is returned.

    Raises Unsupported where no kernel computes a node, DoesNotFit where the buffers do not fit the banks.
    """
    read = {*graph.outputs, *(t for n in graph.nodes for t in n.inputs)}
    assert all(read.intersection(n.outputs) for n in graph.nodes), "dead nodes are removed before"
    choose = choose or first_kernel(features)
    kernels = {n.name: choose(n, graph.call(n)) for n in graph.nodes if not n.op.view}
    if fed_by_rows and len(graph.inputs) != 1:
        raise Unsupported(graph.name, "only a model with one input can be fed by rows.", "Compile it with the whole input.")
    planner = Planner(graph, kernels, fed_by_rows)
    ends = planner.cuts()
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
        steps += trace.steps
    memory, _ = planner.memory
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
        scratch=_scratch_of(graph, kernels, ends),
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


def _scratch_of(graph: Graph, kernels: Mapping[str, Kernel], ends: Sequence[int]) -> dict[str, str]:
    result = {}
    for start, stop in zip([0, *ends], ends, strict=False):
        for node in graph.nodes[start:stop]:
            if node.name in kernels and kernels[node.name].scratch(graph.call(node)):
                result[node.name] = f"scratch.{start}"
    return result
