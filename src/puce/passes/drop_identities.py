# SPDX-License-Identifier: Apache-2.0
"""Integer operators that give every value back as it came: a byte has few values, so all that can come are tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..fixedpoint import type_range
from ..ir import Array, Call, Graph, Node
from ..ops import make
from ..ops.quantize import Attrs as QuantizeAttrs
from .edit import exchanged, rescales, sole_reader, without
from .intervals import Interval, intervals

PAIRS = frozenset({"add", "sub", "mul", "maximum", "minimum"})
POOLS = frozenset({"max_pool_2d", "average_pool_2d"})


@dataclass(frozen=True)
class DropIdentities:
    """Only between tensors of one type, scale and zero point, so that no reader counts otherwise. Numbered cases:

    1  a change of scale to the same scale
    2  a relu where nothing below zero (or above six) can come: the layer before clamps, or its type ends there
    3  plus a constant zero, times a constant one: where requantisation gives back each byte that can come
    4  a pool of one pixel
    5  dequantize, then quantize: nothing where the scales are the same, else one change of scale where all bytes agree
    """

    name: str = "drop-identities"

    def __call__(self, graph: Graph) -> Graph:
        known: dict[str, Interval] = {}
        for node in graph.nodes:
            call = graph.call(node)
            if node.op.name == "quantize" and call.x.dtype == "float32":
                shorter = self.joined(graph, node)
            elif works_alone(node, call) and not rescales(graph, node):
                known = known or intervals(graph)
                shorter = without(graph, node) if gives_back(node, call, known[call.data[0].name]) else None
            else:
                continue
            if shorter is not None:
                return self(shorter)
        return graph

    def joined(self, graph: Graph, node: Node) -> Graph | None:
        """Case 5: both operators as one change of scale, which case 1 then drops if it is none."""
        before = graph.producer(node.inputs[0])
        if before is None or before.op.name != "dequantize" or sole_reader(graph, node.inputs[0]) is not node:
            return None
        x, y = graph.tensors[before.inputs[0]], graph.tensors[node.outputs[0]]
        single = make("quantize", node.name, (x.name,), (y.name,), QuantizeAttrs(y.dtype), node.origin)
        after = exchanged(graph, {before.name: [], node.name: [single]})
        every = every_byte(x.dtype)
        point = {t.name: replace(t, shape=(1,)) for t in (x, y)}
        (real,) = before.op.reference(graph.call(before), every)
        (wanted,) = node.op.reference(graph.call(node), real)
        (got,) = single.op.reference(Call(single.attrs, (point[x.name],), (point[y.name],)), every)
        return after if np.array_equal(wanted, got) else None


def every_byte(dtype: str) -> Array:
    """[256, 1]"""
    low, high = type_range(dtype)
    return np.arange(low, high + 1).astype(dtype)[:, None]


def works_alone(node: Node, call: Call) -> bool:
    """Whether each output depends on the input at its own place alone, and both are bytes of one shape."""
    if len(call.data) != 1 or call.data[0].dtype not in ("int8", "uint8"):
        return False
    if (call.data[0].shape, call.data[0].dtype) != (call.y.shape, call.y.dtype):
        return False
    if node.op.name in POOLS:
        return bool(call.attrs.kernel == (1, 1))
    return node.op.name in ("quantize", "relu") or (node.op.name in PAIRS and call.data[0] is call.x)


def gives_back(node: Node, call: Call, x: Interval) -> bool:
    """Whether every value that can come at each place is given back."""
    for byte in every_byte(call.x.dtype)[:, 0]:
        comes = (x.low <= byte) & (byte <= x.high)
        if not comes.any():
            continue
        (y,) = node.op.reference(call, np.full((1, *call.x.shape), byte, call.x.dtype))
        if (comes & (y[0] != byte)).any():
            return False
    return True
