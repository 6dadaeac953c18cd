# SPDX-License-Identifier: Apache-2.0
"""ReLU into the operator before it, which clamps its result anyway."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir import Graph, Node
from .edit import exchanged, rescales, sole_reader, without

CLAMPS = ("relu", "relu6")


@dataclass(frozen=True)
class LiftActivation:
    """relu(max_pool(x)) = max_pool(relu(x)), relu(reshape(x)) = reshape(relu(x)): up to an operator that can take it.

    Only where that operator is a sum, whose range a clamp halves: max pooling could take the clamp too, but its int8
    range is that of its input.
    """

    name: str = "lift-activation"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            before = fusible(graph, node)
            if before is None or not commutes(before) or rescales(graph, before):
                continue
            above = graph.producer(before.inputs[0])
            if above is None or sole_reader(graph, before.inputs[0]) is not before or not (takes(above) or commutes(above)):
                continue
            middle, end = before.outputs[0], node.outputs[0]
            x = graph.tensors[before.inputs[0]]
            lifted = replace(node, inputs=(x.name,), outputs=(middle,))
            lowered = replace(before, inputs=(middle,), outputs=(end,))
            return self(exchanged(graph, {before.name: [lifted], node.name: [lowered]}, [x.like(middle)]))
        return graph


@dataclass(frozen=True)
class FuseActivation:
    """Into any operator with an activation of its own that is still free, and whose result nobody else reads."""

    name: str = "fuse-activation"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            before = fusible(graph, node)
            if before is None or not takes(before):
                continue
            clamped = replace(before, attrs=replace(before.attrs, activation=node.attrs.activation))
            shorter = without(exchanged(graph, {before.name: [clamped]}), node)
            assert shorter is not None
            return self(shorter)
        return graph


def fusible(graph: Graph, node: Node) -> Node | None:
    """The operator before a relu, where the relu is its only reader and does nothing but clamp."""
    if node.op.name not in CLAMPS or rescales(graph, node) or sole_reader(graph, node.inputs[0]) is not node:
        return None
    return graph.producer(node.inputs[0])


def takes(node: Node) -> bool:
    return node.op.name not in CLAMPS and getattr(node.attrs, "activation", "") == "none"


def commutes(node: Node) -> bool:
    return node.op.view or (node.op.name == "max_pool_2d" and node.attrs.activation == "none")
