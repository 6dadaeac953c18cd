# SPDX-License-Identifier: Apache-2.0
"""Which tensors share memory because one is another under a new name: views, and operators that write in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir import Graph, Node, Tensor


def in_place_input(graph: Graph, node: Node) -> str | None:
    """The input whose rows this node may overwrite with its output: the same size, and nobody else reads it."""
    if not node.op.in_place:
        return None
    y = graph.tensors[node.outputs[0]]
    for x in graph.call(node).data:
        same = x.rows == y.rows and x.row_bytes == y.row_bytes
        free = len(graph.readers(x.name)) == 1 and x.name not in graph.outputs
        if same and free and not shared_view(graph, x) and not cut_into_rows(graph, x):
            return x.name
    return None


def cut_into_rows(graph: Graph, tensor: Tensor) -> bool:
    """Whether views gave a tensor more rows than its memory was written in: one row would overwrite part of another."""
    node = graph.producer(tensor.name)
    if node is None or not node.op.view:
        return False
    source = graph.tensors[node.inputs[0]]
    return tensor.rows > source.rows or cut_into_rows(graph, replace(source, shape=tensor.shape))


def shared_view(graph: Graph, tensor: Tensor) -> bool:
    """Whether a tensor is, through views, the memory of another that still has readers of its own."""
    node = graph.producer(tensor.name)
    if node is None or not node.op.view:
        return False
    source = graph.tensors[node.inputs[0]]
    return len(graph.readers(source.name)) > 1 or source.name in graph.outputs or shared_view(graph, source)


def groups(graph: Graph) -> tuple[Mapping[str, str], frozenset[str]]:
    """Map each activation to the name of the memory it lies in; and the memories that a view makes whole."""
    memory = {t.name: t.name for t in graph.tensors.values() if t.data is None}
    whole = set()
    for node in graph.nodes:
        source = node.inputs[0] if node.op.view else in_place_input(graph, node)
        if source is not None:
            memory[node.outputs[0]] = memory[source]
        if node.op.view:
            whole.add(memory[source or ""])
    return memory, frozenset(whole)
