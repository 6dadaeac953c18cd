# SPDX-License-Identifier: Apache-2.0
"""A recurrent layer of which only the last step is wanted: how a .tflite file says it, and how a kernel computes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir import Graph
from ..ops import make
from ..ops.slice import Attrs as Slice
from .edit import exchanged, sole_reader, unused_name


@dataclass(frozen=True)
class SpellOutLastStep:
    """lstm(last) = slice(lstm(every step), the last one). Its whole output is calibrated so: that is its hidden state."""

    name: str = "spell-out-last-step"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            if node.op.name == "lstm" and not node.attrs.whole:
                (last,) = node.outputs
                steps, cell = graph.tensors[node.inputs[0]].shape[0], graph.tensors[last].shape[0]
                every = graph.tensors[last].like(unused_name(graph, f"{node.name}/steps"), (steps, cell))
                taken = Slice((steps - 1, 0), (1, cell), (1, 1), (cell,))
                name = unused_name(graph, f"{node.name}/last")
                whole = replace(node, outputs=(every.name,), attrs=replace(node.attrs, whole=True))
                cut = make("slice", name, (every.name,), (last,), taken, node.origin)
                return self(exchanged(graph, {node.name: [whole, cut]}, (every,)))
        return graph


@dataclass(frozen=True)
class KeepLastStep:
    """The way back, where nobody reads the other steps: they need no memory."""

    name: str = "keep-last-step"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            cut = sole_reader(graph, node.outputs[0]) if node.op.name == "lstm" and node.attrs.whole else None
            if cut is None or cut.op.name != "slice":
                continue
            steps, cell = graph.tensors[node.outputs[0]].shape
            if (cut.attrs.begin, cut.attrs.size, cut.attrs.shape) == ((steps - 1, 0), (1, cell), (cell,)):
                last = replace(node, outputs=cut.outputs, attrs=replace(node.attrs, whole=False))
                return self(exchanged(graph, {node.name: [last], cut.name: []}))
        return graph
