# SPDX-License-Identifier: Apache-2.0
"""The few ways in which passes change a graph: skip a node, exchange nodes and constants, ask who reads what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Graph, Node, Tensor


@dataclass(frozen=True)
class Linear:
    """Where an operator that sums products keeps its weights, their axis of output channels, and its bias."""

    weights: int
    axis: int
    bias: int


def linear(node: Node) -> Linear | None:
    """The operator's own quantisation rule says it: who has weights, output channels, a bias and nothing more is linear."""
    rule = node.op.rule
    if rule.weights is None or rule.axis is None or rule.bias is None or rule.more:
        return None
    return Linear(rule.weights, rule.axis, rule.bias)


def sole_reader(graph: Graph, tensor: str) -> Node | None:
    """The node that alone reads a tensor, once; None where there are several, or where it leaves the graph."""
    readers = [n for n in graph.nodes for t in n.inputs if t == tensor]
    return readers[0] if len(readers) == 1 and tensor not in graph.outputs else None


def rescales(graph: Graph, node: Node) -> bool:
    """Whether an operator changes the quantisation on the way: in int8 it then does more than its name says."""
    return graph.tensors[node.inputs[0]].quantization != graph.tensors[node.outputs[0]].quantization


def without(graph: Graph, node: Node) -> Graph | None:
    """The graph with a node of one input and one output skipped; None where it joins an input to an output directly."""
    before, after = node.inputs[0], node.outputs[0]
    if after in graph.outputs and (before in graph.inputs or before in graph.outputs):
        return None
    nodes = [replace(n, inputs=tuple(before if t == after else t for t in n.inputs)) for n in graph.nodes if n is not node]
    return graph.replaced(nodes, outputs=tuple(before if t == after else t for t in graph.outputs))


def exchanged(graph: Graph, changes: Mapping[str, Sequence[Node]], tensors: Sequence[Tensor] = ()) -> Graph:
    """The graph with each named node replaced by others, in its place, and with new or changed tensors."""
    nodes = [new for n in graph.nodes for new in changes.get(n.name, (n,))]
    return graph.replaced(nodes, {**graph.tensors, **{t.name: t for t in tensors}})


def unused_name(graph: Graph, wanted: str) -> str:
    name, n = wanted, 1
    while name in graph.tensors or any(node.name == name for node in graph.nodes):
        name, n = f"{wanted}_{n}", n + 1
    return name


def with_constants(graph: Graph, node: Node, values: Mapping[int, Array]) -> Graph:
    """The graph with other float values for constant inputs of a node; constants that others read too are copied."""
    inputs, tensors = list(node.inputs), []
    for index, array in values.items():
        name = node.inputs[index]
        if sole_reader(graph, name) is None:
            name = unused_name(graph, f"{node.name}/{name.rpartition('/')[2]}")
        inputs[index] = name
        tensors.append(Tensor.constant(name, np.ascontiguousarray(array, np.float32)))
    return exchanged(graph, {node.name: [replace(node, inputs=tuple(inputs))]}, tensors)


def along(axis: int, rank: int, values: Array) -> Array:
    """Values along one axis, shaped so that they multiply an array of this rank."""
    return values.reshape([-1 if i == axis % rank else 1 for i in range(rank)])
