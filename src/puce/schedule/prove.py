# SPDX-License-Identifier: Apache-2.0
"""Replays a schedule byte by byte and stops at the first lie; shares nothing with the planner but the record it reads.

Every byte of RAM carries a tag that says whose row it holds. A firing must find its input rows intact, may write only
inside its bank, and finishes each output row exactly once. What it proves: every read sees the right row, no row is
computed twice, all outputs stand at the end, and no bank is exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..ir import Array, Graph, Node
from .plan import Buffer, Schedule


class Refuted(AssertionError):
    """The schedule would compute something wrong: a defect of the planner, never of the user's model."""


@dataclass(frozen=True)
class Proof:
    """What was replayed: `rows` computed, each once; `bytes_touched` is the highest address used, over all banks."""

    steps: int
    rows: int
    reads: int
    bytes_touched: int

    def __str__(self) -> str:
        return f"{self.steps} steps replayed, {self.reads} row reads intact, {self.rows} rows computed, none twice"


@dataclass
class Replay:
    graph: Graph
    schedule: Schedule
    ram: dict[str, Array] = field(default_factory=dict)
    tags: dict[tuple[str, int], int] = field(default_factory=dict)
    firing: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    scratch_bytes: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    step: int = -1

    def __post_init__(self) -> None:
        self.capacity = {b.name: b.nbytes for b in self.schedule.banks}
        self.calls = {n.name: self.graph.call(n) for n in self.graph.nodes}
        self.viewed = {t: n.inputs[0] for n in self.graph.nodes if n.op.view for t in n.outputs}
        for bank, used in self.schedule.bank_bytes.items():
            self.ram[bank] = np.zeros(used, np.int64)

    def refute(self, what: str) -> None:
        raise Refuted(f"{self.graph.name}, step {self.step}: {what}")

    def tag(self, tensor: str, row: int) -> int:
        return self.tags.setdefault((tensor, row), len(self.tags) + 1)

    def region(self, buffer: Buffer, start: int, nbytes: int) -> Array:
        if start + nbytes > buffer.nbytes:
            self.refute(f"{buffer.name} has {buffer.nbytes} bytes, byte {start + nbytes} is touched")
        begin = buffer.offset + start
        if begin < 0 or begin + nbytes > self.capacity[buffer.bank]:
            self.refute(f"{buffer.name} lies outside of bank {buffer.bank}")
        return self.ram[buffer.bank][begin : begin + nbytes]

    def row(self, tensor: str, y: int) -> Array:
        place = self.schedule.places[tensor]
        return self.region(self.schedule.buffers[place.buffer], y % place.rows * place.row_bytes, place.row_bytes)

    def source(self, tensor: str) -> str:
        """A view is the tensor that it views."""
        return self.source(self.viewed[tensor]) if tensor in self.viewed else tensor

    def write(self, tensor: str, y: int) -> None:
        if y != self.made.get(tensor, 0):
            self.refute(f"row {y} of {tensor} is written, row {self.made.get(tensor, 0)} was due")
        self.row(tensor, y)[:] = self.tag(tensor, y)
        self.made[tensor] = y + 1

    def read(self, tensor: str, y: int) -> None:
        origin = self.source(tensor)
        if origin != tensor:  # every row of what it views, at the very same place
            for r in range(self.graph.tensors[origin].rows):
                self.read(origin, r)
            a, b = self.schedule.places[origin], self.schedule.places[tensor]
            if a.buffer != b.buffer or b.rows * b.row_bytes != self.graph.tensors[tensor].nbytes:
                self.refute(f"{tensor} is not the same memory as {origin}")
            return
        self.reads += 1
        if not (self.row(tensor, y) == self.tag(tensor, y)).all():
            self.refute(f"row {y} of {tensor} is read, but it is not there")

    def fire(self, node: Node, y: int) -> None:
        if self.firing.get(node.name, 0) != y:
            self.refute(f"{node.name} fires {y}, {self.firing.get(node.name, 0)} was due")
        self.firing[node.name] = y + 1
        call, windows = self.calls[node.name], self.schedule.windows[node.name]
        seen = [(t.name, r) for t, window in zip(call.data, windows, strict=True) for r in window.rows(y, t.rows)]
        for tensor, r in seen:
            self.read(tensor, r)
        for tensor, r in seen if self.own(node, y) else ():
            self.read(tensor, r)  # scratch and state are written while the inputs are still read
        kinds = {w.kind for w in windows}
        last = "rows" not in kinds
        if "reduce" in kinds:
            last = y == next(t.rows for t, w in zip(call.data, windows, strict=True) if w.kind == "reduce") - 1
        for t in call.outputs:
            for r in range(t.rows) if last else range(y, y + 1) if "rows" in kinds else ():
                self.write(t.name, r)
        for tensor, r in seen:
            # an output may take the place of an input only where the operator allows it, and then exactly row on row
            if not (node.op.in_place and any(self.address(tensor, r) == self.address(t.name, r) for t in call.outputs)):
                self.read(tensor, r)

    def address(self, tensor: str, y: int) -> tuple[str, int]:
        place = self.schedule.places[tensor]
        return place.buffer, y % place.rows * place.row_bytes

    def own(self, node: Node, y: int) -> bool:
        """State must survive from firing to firing; scratch is spoilt by each. Say whether the node has any."""
        if name := self.schedule.state.get(node.name):
            b = self.schedule.buffers[name]
            area = self.region(b, 0, b.nbytes)
            if y > 0 and not np.all(area == self.tag(name, 0)):
                self.refute(f"the state of {node.name} was overwritten")
            area[:] = self.tag(name, 0)
        if name := self.schedule.scratch.get(node.name):
            self.region(self.schedule.buffers[name], 0, self.scratch(node))[:] = self.tag(f"scratch of {node.name}", y)
        return node.name in self.schedule.state or node.name in self.schedule.scratch

    def scratch(self, node: Node) -> int:
        """Bytes of scratch, asked once: some kernels pack their weights to tell."""
        if node.name not in self.scratch_bytes:
            self.scratch_bytes[node.name] = self.schedule.kernels[node.name].scratch(self.calls[node.name])
        return self.scratch_bytes[node.name]

    def run(self) -> Proof:
        nodes = {n.name: n for n in self.graph.nodes}
        if not self.schedule.fed_by_rows:
            for name in self.graph.inputs:
                for y in range(self.graph.tensors[name].rows):
                    self.write(name, y)
        for step in self.schedule.steps:
            self.step += 1
            if step.node is None:
                self.write(self.graph.inputs[0], step.firing)
            else:
                self.fire(nodes[step.node], step.firing)
        self.step += 1
        computed = sum(self.made.get(t, 0) for n in self.graph.nodes if not n.op.view for t in n.outputs)
        for name in self.graph.outputs:
            for y in range(self.graph.tensors[name].rows):
                self.read(name, y)
        return Proof(len(self.schedule.steps), computed, self.reads, sum(map(len, self.ram.values())))


def prove(graph: Graph, schedule: Schedule) -> Proof:
    """Replay; raises Refuted with the step and the row where the schedule is wrong."""
    return Replay(graph, schedule).run()
