# SPDX-License-Identifier: Apache-2.0
"""The kernels that can compute a layer, and what each takes of flash and RAM; bytes are counted, not estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import Unsupported
from ..ir import Call, Graph, Node
from ..ops import Constant, Kernel
from ..schedule import Cuts


@dataclass(frozen=True)
class Measured:
    """Of one kernel on the emulated core: modelled cycles of the whole layer with the flash waits of the board.

    `code_bytes` is the layer's own function; `routines` are the functions that it calls and others may share.
    """

    cycles: int
    code_bytes: int
    routines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """One kernel for one layer; `rank` is its place among those that the operator's file lists, the best first."""

    node: Node
    call: Call
    kernel: Kernel
    rank: int
    state_bytes: int
    scratch_bytes: int
    measured: Measured | None = None

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        return self.kernel.constants(self.call)

    @cached_property
    def table_bytes(self) -> int:
        """Of the layer's own tables."""
        return sum(c.values.nbytes for c in self.constants if not c.shared)

    @property
    def cycles(self) -> int:
        """Modelled cycles; where nothing was measured the rank stands for them, since only the order counts then."""
        return self.measured.cycles if self.measured else self.rank

    @property
    def code_bytes(self) -> int:
        return self.measured.code_bytes if self.measured else 0

    @property
    def routines(self) -> Mapping[str, int]:
        """What layers with this kernel have in common: functions, and tables that are the same for all."""
        tables = {c.name: c.values.nbytes for c in self.constants if c.shared}
        return tables | dict(self.measured.routines if self.measured else ())


@dataclass(frozen=True, eq=False)
class Layer:
    """A node with the kernels that accept it on this core, in the order of the operator's file."""

    node: Node
    call: Call
    candidates: tuple[Candidate, ...] = field(repr=False)

    @property
    def plain_bytes(self) -> int:
        """Flash of the layer as its file holds it, or of the smallest tables that a kernel reads, if they are larger."""
        held = sum(t.nbytes for t in self.call.inputs if t.data is not None)
        return max(held, min(c.table_bytes for c in self.candidates))


def layers(graph: Graph, features: frozenset[str], cuts: Cuts) -> tuple[Layer, ...]:
    """Every layer that computes. Raises Unsupported where no kernel does on this core."""
    return tuple(_layer(node, graph.call(node), features, cuts) for node in graph.nodes if not node.op.view)


def _layer(node: Node, call: Call, features: frozenset[str], cuts: Cuts) -> Layer:
    able = [k for k in node.op.kernels if k.needs <= features and k.accepts(call)]
    if not able:
        types = ", ".join(t.dtype for t in call.inputs)
        raise Unsupported(
            node.origin or node.name,
            f"no C kernel computes {node.op.name} on {types}.",
            "Quantise the model to int8 with `puce quantize`, or see `puce ops` for the types of each operator.",
        )
    found: list[Candidate] = []
    for rank, kernel in enumerate(able):
        found.append(Candidate(node, call, kernel, rank, *cuts.own(node, kernel)))
    return Layer(node, call, tuple(found))


def as_json(candidate: Candidate) -> dict[str, Any]:
    """One candidate without the reason."""
    m = candidate.measured
    return {
        "kernel": candidate.kernel.name,
        "cycles": m.cycles if m else None,
        "table_bytes": candidate.table_bytes,
        "code_bytes": m.code_bytes if m else None,
        "state_bytes": candidate.state_bytes,
        "scratch_bytes": candidate.scratch_bytes,
    }
