# SPDX-License-Identifier: Apache-2.0
"""A frame of zeros into the operator that reads it: kernels see padding as a missing row, and store nothing.

After the .tflite has been written, because that format knows only its own two words for padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir import Graph, Node
from .edit import exchanged, rescales, sole_reader

NON_NEGATIVE = ("relu", "relu6")


@dataclass(frozen=True)
class FoldPad:
    """Where the padding then stays within the operator's own limits. Numbered cases:

    1  convolutions: padding is real zero there too, the zero point in int8: exact
    2  max pooling, which leaves padding out: exact where no pixel is below zero, that is behind a relu
    """

    name: str = "fold-pad"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            zeros = node.op.name == "pad" and node.attrs.is_a_frame_of_zeros
            reader = sole_reader(graph, node.outputs[0]) if zeros else None
            if reader is None or rescales(graph, node) or not self.exact(graph, node, reader):
                continue
            padding = tuple(a + b for a, b in zip(node.attrs.padding, reader.attrs.padding, strict=True))
            wider = replace(reader, inputs=(node.inputs[0], *reader.inputs[1:]), attrs=replace(reader.attrs, padding=padding))
            inputs = [graph.tensors[t] for t in wider.inputs]
            if all(limit(wider.attrs, inputs) for limit in wider.op.limits):
                return self(exchanged(graph, {node.name: [], reader.name: [wider]}))
        return graph

    def exact(self, graph: Graph, node: Node, reader: Node) -> bool:
        if reader.op.name in ("conv_2d", "depthwise_conv_2d"):
            return True
        before = graph.producer(node.inputs[0])
        behind_relu = before is not None and getattr(before.attrs, "activation", "none") in NON_NEGATIVE
        return reader.op.name == "max_pool_2d" and behind_relu
