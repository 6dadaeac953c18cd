# SPDX-License-Identifier: Apache-2.0
"""The gains of a batch normalisation behind a ReLU go before it, where weights have a scale for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Graph, Node
from .edit import along, linear, sole_reader, with_constants
from .fold_batch_norm import scale_and_offset


@dataclass(frozen=True)
class GainBeforeRelu:
    """relu(x) * scale = relu(x * |scale|) * sign(scale): exact, and what lies between is as even as the normalised values.

    Folded forward only, the gains would stay in the weights behind: their channels may differ by a factor of 1 000, and
    an activation has one scale for all. A small channel with a large gain then has no steps left in int8.
    A maximum over a window commutes with a positive gain too.
    """

    name: str = "gain-before-relu"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            before = source(graph, node) if node.op.name == "batch_norm" else None
            if before is None:
                continue
            scale, _ = scale_and_offset(graph.call(node))
            gain = np.where(scale == 0, 1, np.abs(scale))
            if np.all(gain == 1):
                continue
            places, call = linear(before), graph.call(before)
            assert places is not None
            w, b = call.constant(places.weights).astype(np.float64), call.constant(places.bias)
            values = {places.weights: w * along(places.axis, w.ndim, gain), places.bias: b * gain}
            return self(with_constants(with_constants(graph, before, values), node, {1: np.sign(scale)}))
        return graph


def source(graph: Graph, node: Node) -> Node | None:
    """The linear operator before the ReLU before a node, if all between read only each other."""
    rectified, reader = False, node
    while (before := graph.producer(reader.inputs[0])) is not None and sole_reader(graph, reader.inputs[0]) is reader:
        if linear(before) is not None:
            return before if rectified and before.attrs.activation == "none" else None
        if before.op.name == "relu" and before.attrs.activation == "relu":
            rectified = True
        elif before.op.name != "max_pool_2d" or before.attrs.activation != "none":
            return None
        reader = before
    return None
