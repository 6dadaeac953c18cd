# SPDX-License-Identifier: Apache-2.0
"""What does nothing goes: operators that return their input, operators that nobody reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir import Graph, Node
from .edit import exchanged, rescales, sole_reader, without


@dataclass(frozen=True)
class DropNoOps:
    """Numbered cases:

    1  a reshape to the same shape, a frame of no pixels
    2  a reshape of a reshape: the second alone does it
    """

    name: str = "drop-no-ops"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            if does_nothing(graph, node):
                shorter = without(graph, node)
                if shorter is not None:
                    return self(shorter)
            before = graph.producer(node.inputs[0])
            if before and before.op.view and node.op.view and sole_reader(graph, before.outputs[0]) is node:
                return self(exchanged(graph, {before.name: [], node.name: [replace(node, inputs=before.inputs)]}))
        return graph


@dataclass(frozen=True)
class RemoveDead:
    """Operators none of whose results reaches an output."""

    name: str = "remove-dead"

    def __call__(self, graph: Graph) -> Graph:
        needed, kept = set(graph.outputs), []
        for node in reversed(graph.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
        return graph.replaced(kept[::-1])


def does_nothing(graph: Graph, node: Node) -> bool:
    if rescales(graph, node):
        return False
    if node.op.view:
        return graph.tensors[node.inputs[0]].shape == graph.tensors[node.outputs[0]].shape
    return node.op.name == "pad" and not any((*node.attrs.padding, *node.attrs.channels))
