# SPDX-License-Identifier: Apache-2.0
"""What batch normalisation becomes where no neighbour can take it: a 1x1 depthwise convolution."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Graph, Tensor
from ..ops import make
from ..ops.conv_2d import Attrs as WindowAttrs
from ..ops.reshape import Attrs as ReshapeAttrs
from .edit import exchanged, unused_name


@dataclass(frozen=True)
class BatchNormToDepthwise:
    """x * scale + offset, a channel, is a depthwise convolution of one pixel with a bias.

    1  [h, w, c]    as it is
    2  [n], [t, c]  as a picture of one row, with a reshape before and one after
    """

    name: str = "batch-norm-to-depthwise"

    def __call__(self, graph: Graph) -> Graph:
        node = next((n for n in graph.nodes if n.op.name == "batch_norm"), None)
        if node is None:
            return graph
        call, origin = graph.call(node), node.origin
        x, y = call.x, call.y
        weights = Tensor.constant(unused_name(graph, f"{node.name}/weights"), call.constant(1).reshape(1, 1, -1))
        bias = Tensor.constant(unused_name(graph, f"{node.name}/bias"), call.constant(2))
        new = [weights, bias]
        if len(x.shape) == 3:
            inputs = (x.name, weights.name, bias.name)
            nodes = [make("depthwise_conv_2d", node.name, inputs, node.outputs, WindowAttrs(), origin)]
        else:
            picture = (1, x.size // x.shape[-1], x.shape[-1])
            before, after = (unused_name(graph, f"{node.name}/{side}") for side in ("before", "after"))
            new += [x.like(before, picture), y.like(after, picture)]
            inputs = (before, weights.name, bias.name)
            nodes = [
                make("reshape", before, (x.name,), (before,), ReshapeAttrs(picture), origin),
                make("depthwise_conv_2d", node.name, inputs, (after,), WindowAttrs(), origin),
                make("reshape", after, (after,), node.outputs, ReshapeAttrs(y.shape), origin),
            ]
        return self(exchanged(graph, {node.name: nodes}, new))
