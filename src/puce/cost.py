# SPDX-License-Identifier: Apache-2.0
"""What a model takes: parameters, operations, flash, RAM and cycles, in sum and by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .boards import Board, energy_uj, latency_ms
from .ir import Graph
from .schedule import Schedule
from .units import Estimate


@dataclass(frozen=True)
class Flash:
    """Bytes of flash. `weights` are the tables of the layers, `code` is everything else that is linked."""

    total: int
    weights: int
    code: int

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, "weights": self.weights, "code": self.code}


@dataclass(frozen=True)
class Ram:
    """Bytes of RAM. `activations`: the plan, input and output inside; `stack`: its deepest; `other`: static variables."""

    total: int
    activations: int
    stack: int
    other: int

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, "activations": self.activations, "stack": self.stack, "other": self.other}


@dataclass(frozen=True)
class Layer:
    """One node that computes. `ram_bytes`: its output's rows, its state and its scratch; shared with others in time."""

    name: str
    op: str
    kernel: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    macc: int
    flash_bytes: int
    ram_bytes: int
    rows: int
    cycles: int | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "op": self.op, "kernel": self.kernel, "shape": list(self.shape),
            "parameters": self.parameters, "macs": self.macs, "macc": self.macc, "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes, "rows_held": self.rows, "cycles": self.cycles,
        }  # fmt: skip


@dataclass(frozen=True)
class Time:
    """Modelled cycles of one inference on a board, and what follows from them."""

    cycles: Estimate
    latency_ms: Estimate
    energy_uj: Estimate

    @classmethod
    def on(cls, board: Board, cycles: int, relative_error: float) -> Time:
        estimate = Estimate.within(cycles, relative_error)
        return cls(estimate, latency_ms(estimate, board), energy_uj(estimate, board))


def layers(
    graph: Graph, schedule: Schedule, weight_bytes: Mapping[str, int], cycles: Mapping[str, int] | None = None
) -> tuple[Layer, ...]:
    """One record for each node that has a kernel, in execution order."""
    result = []
    for node in graph.nodes:
        if node.name not in schedule.kernels:
            continue
        call, place = graph.call(node), schedule.places[node.outputs[0]]
        own = [m[node.name] for m in (schedule.state, schedule.scratch) if node.name in m]
        ram = schedule.buffers[place.buffer].nbytes + sum(schedule.buffers[b].nbytes for b in own)
        result.append(Layer(
            name=node.name, op=node.op.name, kernel=schedule.kernels[node.name].name, shape=call.y.shape,
            parameters=sum(t.size for t in call.inputs if t.data is not None),
            macs=node.op.macs(call), macc=node.op.macc(call),
            flash_bytes=weight_bytes[node.name], ram_bytes=ram, rows=place.rows,
            cycles=None if cycles is None else cycles.get(node.name, 0),
        ))  # fmt: skip
    return tuple(result)
