# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation into the weights of a neighbour: it then costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Call, Graph, Node
from ..spatial import NO_PADDING
from .edit import along, exchanged, linear, sole_reader, with_constants, without


@dataclass(frozen=True)
class FoldBatchNorm:
    """Into the convolution or dense layer before, whose output nobody else reads and which has no activation yet.

    y = (sum(w * x) + b) * scale + offset = sum((w * scale) * x) + (b * scale + offset), for each output channel.
    """

    name: str = "fold-batch-norm"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            before = graph.producer(node.inputs[0]) if node.op.name == "batch_norm" else None
            if before is None or sole_reader(graph, node.inputs[0]) is not node:
                continue
            places = linear(before)
            if places is None or before.attrs.activation != "none":
                continue
            call = graph.call(before)
            scale, offset = scale_and_offset(graph.call(node))
            w, b = call.constant(places.weights).astype(np.float64), call.constant(places.bias)
            values = {places.weights: w * along(places.axis, w.ndim, scale), places.bias: b * scale + offset}
            shorter = without(with_constants(graph, before, values), node)
            assert shorter is not None
            return self(shorter)
        return graph


@dataclass(frozen=True)
class FoldBatchNormForward:
    """Into the convolution or dense layer after, where it stands behind an activation.

    sum(w * (x * scale + offset)) + b = sum((w * scale) * x) + (b + sum(w * offset)). Numbered cases:
      1  between the two may stand a global mean or an average pool without activation (averages commute with it), or a
         flatten (scale and offset repeat for every pixel)
      2  where padding follows, padded pixels would get no offset: only if every offset is 0
    """

    name: str = "fold-batch-norm-forward"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            if node.op.name != "batch_norm":
                continue
            scale, offset = scale_and_offset(graph.call(node))
            reader = sole_reader(graph, node.outputs[0])
            while reader is not None and linear(reader) is None:
                repeats = passes_through(graph.call(reader), reader, bool(offset.any()))
                scale, offset = np.tile(scale, repeats), np.tile(offset, repeats)
                reader = sole_reader(graph, reader.outputs[0]) if repeats else None
            if reader is None:
                continue
            if offset.any() and getattr(reader.attrs, "padding", NO_PADDING) != NO_PADDING:
                continue
            if offset.any() and reader.op.name == "transpose_conv":  # not every pixel sees every weight
                continue
            shorter = without(graph, node)
            if shorter is None:
                continue
            same = next(n for n in shorter.nodes if n.name == reader.name)
            return self(with_constants(shorter, same, folded(graph.call(reader), reader, scale, offset)))
        return graph


@dataclass(frozen=True)
class SinkBatchNorm:
    """Below the pooling that follows, where there are fewer pixels to scale.

    1  averages commute with scale and offset
    2  max(x) * scale + offset = max(x * scale + offset) where no scale is negative; padding is left out of the maximum
    """

    name: str = "sink-batch-norm"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            reader = sole_reader(graph, node.outputs[0]) if node.op.name == "batch_norm" else None
            if reader is None or reader.op.name not in POOLING or not self.commute(graph, node, reader):
                continue
            top, middle, end = node.inputs[0], node.outputs[0], reader.outputs[0]
            pooled = replace(reader, inputs=(top,), outputs=(middle,))
            scaled = replace(node, inputs=(middle, *node.inputs[1:]), outputs=(end,))
            shape = graph.tensors[end].shape
            changes = {node.name: [pooled], reader.name: [scaled]}
            return self(exchanged(graph, changes, [graph.tensors[top].like(middle, shape)]))
        return graph

    def commute(self, graph: Graph, node: Node, pooling: Node) -> bool:
        scale, _ = scale_and_offset(graph.call(node))
        if pooling.op.name == "max_pool_2d":
            return bool(scale.min() >= 0) and pooling.attrs.activation == "none"
        return passes_through(graph.call(pooling), pooling, True) == 1


POOLING = ("max_pool_2d", "average_pool_2d", "mean")


def scale_and_offset(call: Call) -> tuple[Array, Array]:
    return call.constant(1).astype(np.float64), call.constant(2).astype(np.float64)


def passes_through(call: Call, node: Node, shifts: bool) -> int:
    """How often the channels repeat behind this operator; 0 where it does not commute with scale and offset."""
    if node.op.name == "mean":
        return 1
    if node.op.name == "average_pool_2d":  # its mean leaves padding out
        return int(call.attrs.activation == "none")
    if node.op.name == "pad":
        return int(not shifts and node.attrs.is_a_frame_of_zeros)
    if node.op.name == "reshape":
        before, after = call.x.shape[-1], call.y.shape[-1]
        # Channels come last: a flatten lays whole pixels side by side.
        return after // before if after % before == 0 else 0
    return 0


def folded(call: Call, node: Node, scale: Array, offset: Array) -> dict[int, Array]:
    """Weights and bias of a linear operator whose input is x * scale + offset, one pair an input channel."""
    places = linear(node)
    assert places is not None
    w, b = call.constant(places.weights).astype(np.float64), call.constant(places.bias).astype(np.float64)
    if node.op.name == "depthwise_conv_2d":
        # Weights have no axis of input channels: output channel o belongs to input channel o // multiplier.
        multiplier = w.shape[places.axis] // len(scale)
        scale, offset = np.repeat(scale, multiplier), np.repeat(offset, multiplier)
    others = tuple(i for i in range(w.ndim) if i != places.axis)
    shift = (w * along(-1, w.ndim, offset)).sum(axis=others)
    return {places.weights: w * along(-1, w.ndim, scale), places.bias: b + shift}
