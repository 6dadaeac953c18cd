# SPDX-License-Identifier: Apache-2.0
"""Which memories a graph has, and between which nodes each is needed: what every way to cut the graph has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..ir import Graph
from .storage import groups


@dataclass(frozen=True, eq=False)
class Lives:
    """A memory is one tensor, or several that lie in one place: views, and outputs written over an input."""

    graph: Graph

    @cached_property
    def memory(self) -> tuple[Mapping[str, str], frozenset[str]]:
        """Tensor -> its memory; and the memories that a view makes whole."""
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

    @cached_property
    def needed_from(self) -> dict[str, int]:
        """Index after the last node that needs each tensor; past the end for graph outputs."""
        last = {t.name: i + 1 for i, node in enumerate(self.graph.nodes) for t in self.graph.call(node).data}
        return last | dict.fromkeys(self.graph.outputs, len(self.graph.nodes) + 1)

    def crossing_bytes(self, stop: int) -> int:
        """Bytes that must be whole where a stage ends before node `stop`."""
        last = self.last_reader
        alive = (m for m, first in self.first_writer.items() if first < stop <= last.get(m, -1))
        return sum(-(-self.graph.tensors[m].nbytes // 4) * 4 for m in alive)
