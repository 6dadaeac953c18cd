# SPDX-License-Identifier: Apache-2.0
"""Between which bounds each value of a graph stays, whatever the picture: the proof behind the removal of channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Call, Graph, Node, Tensor
from ..ops import REGISTRY
from .edit import Linear, linear

# Results rise, or stay, when any input rises: the bounds of the inputs give those of the output.
RISING = frozenset({
    "add", "average_pool_2d", "concatenation", "dequantize", "max_pool_2d", "maximum", "mean", "minimum", "pad", "quantize",
    "relu", "reshape",
})  # fmt: skip
KNOWN = frozenset({"float32", "int8", "uint8"})
LINEAR = frozenset({"conv_2d", "dense", "depthwise_conv_2d"})
# In float32 these round on the way, and each kernel in its own order: only zeros stay what they are.
AVERAGES = frozenset({"average_pool_2d", "mean"})
INT32 = 2**31
BLOCK = 8  # channels of a depthwise convolution at a time


@dataclass(frozen=True, eq=False)
class Interval:
    """Every element of a tensor: low <= value <= high, in the tensor's own integers; shapes are the tensor's."""

    low: Array
    high: Array

    @property
    def fixed(self) -> Array:
        """Which elements have one value only."""
        known: Array = self.low == self.high
        return known


def intervals(graph: Graph) -> dict[str, Interval]:
    """The bounds of every computed tensor, for all inputs of the graph's type that are finite. Numbered cases:

    1  a rising operator: its own reference, once on the low ends and once on the high ends
    2  a sum of products in int8: its own reference, positive weights on one end and negative ones on the other; the
       padding takes part, so the border of a picture has bounds of its own
    3  a sum of products in float32: known only where nothing but zeros meets weights that are not zero; then it is the
       bias, in whatever order a kernel adds
    4  any other operator, or one whose sums could leave int32: the whole range of its type
    """
    known = {name: anything(graph.tensors[name]) for name in graph.inputs}
    for node in graph.nodes:
        call = graph.call(node)
        inputs = [known[t.name] for t in call.data]
        for t, found in zip(call.outputs, bounds(node, call, inputs), strict=True):
            known[t.name] = found
    return known


def bounds(node: Node, call: Call, inputs: list[Interval]) -> tuple[Interval, ...]:
    places = linear(node)
    if not inputs:
        return tuple(anything(t) for t in call.outputs)
    if node.op.name in LINEAR and places is not None:
        if call.x.dtype == "float32":
            return (float_sum(node, call, places, inputs[0]),)
        if call.x.dtype == "int8" and stays_in_int32(node, call):
            return (int8_sum(node, call, places, inputs[0]),)
    elif node.op.name in RISING and all(t.dtype in KNOWN for t in (*call.inputs, *call.outputs)) and stays_in_int32(node, call):
        ends = node.op.reference(call, *(np.stack([i.low, i.high]) for i in inputs))
        found = tuple(Interval(y[0], y[1]) for y in ends)
        return tuple(only_zeros(i) for i in found) if rounds_by_kernel(node, call) else found
    return tuple(anything(t) for t in call.outputs)


def anything(t: Tensor) -> Interval:
    """The whole range of the tensor's type."""
    if t.dtype == "float32":
        low, high = -np.inf, np.inf
    else:
        low, high = np.iinfo(t.dtype).min, np.iinfo(t.dtype).max
    return Interval(np.full(t.shape, low, t.dtype), np.full(t.shape, high, t.dtype))


def rounds_by_kernel(node: Node, call: Call) -> bool:
    return node.op.name in AVERAGES and call.x.dtype == "float32"


def only_zeros(i: Interval) -> Interval:
    zero = (i.low == 0) & (i.high == 0)
    return Interval(np.where(zero, i.low, np.float32(-np.inf)), np.where(zero, i.high, np.float32(np.inf)))


def stays_in_int32(node: Node, call: Call) -> bool:
    """Whether no sum, and no sum shifted left before its requantisation, can leave int32: else it would wrap, not rise."""
    x, y = call.x, call.y
    if x.quantization is None or y.quantization is None:
        return True
    places = linear(node)
    if places is None:
        terms = -(-x.size // y.size)
        return 255 * terms * 2 * max(t.q.s for t in call.inputs if t.quantization) / y.q.s < INT32
    w, b = (call.constant(i).astype(np.float64) for i in (places.weights, places.bias))
    others = tuple(i for i in range(w.ndim) if i != places.axis)
    most = np.abs(w).sum(axis=others) * max(127 - x.q.z, x.q.z + 128) + np.abs(b)
    factor = x.q.s * np.array(call.inputs[places.weights].q.scale) / y.q.s
    return bool((most * np.maximum(1, 2 * factor)).max() < INT32)


# ── sums of products ──────────────────────────────────────────────────────────────────────────────────────────────


def int8_sum(node: Node, call: Call, places: Linear, x: Interval) -> Interval:
    if node.op.name == "depthwise_conv_2d":
        blocks = [both_ends(*use) for use in as_convolutions(call, x)]
        low, high = (np.concatenate([y[i] for y in blocks], axis=-1) for i in (0, 1))
        return Interval(low, high)
    y = both_ends(node, call, x)
    return Interval(y[0], y[1])


def both_ends(node: Node, call: Call, x: Interval) -> Array:
    """[low end, high end] of a convolution or dense layer: one reference call on inputs twice as long.

    The least sum is that of max(w, 0) * low + min(w, 0) * high; the greatest has both ends exchanged.
    """
    w = call.inputs[1]
    assert w.data is not None
    signs = np.concatenate([np.maximum(w.data, 0), np.minimum(w.data, 0)], axis=-1)
    twice = replace(w, shape=signs.shape, data=signs)
    wide = replace(call.x, shape=(*call.x.shape[:-1], 2 * call.x.shape[-1]))
    ends = np.stack([np.concatenate([x.low, x.high], axis=-1), np.concatenate([x.high, x.low], axis=-1)])
    (y,) = node.op.reference(Call(call.attrs, (wide, twice, call.inputs[2]), call.outputs), ends)
    return y


def as_convolutions(call: Call, x: Interval) -> Iterator[tuple[Node, Call, Interval]]:
    """A depthwise convolution as convolutions of a few input channels: the same sums, the same requantisation."""
    w, b = call.inputs[1], call.inputs[2]
    values, bias, c = call.constant(1), call.constant(2), call.x.shape[2]
    m = w.shape[2] // c
    node = Node(REGISTRY["conv_2d"], "", (), (), call.attrs)
    scales = np.broadcast_to(w.q.scale, w.shape[2:])
    for first in range(0, c, BLOCK):
        last = min(first + BLOCK, c)
        own, n = slice(first * m, last * m), last - first
        belongs = np.repeat(np.eye(n, dtype=values.dtype), m, axis=0)[:, None, None]  # [outputs, 1, 1, inputs]
        filters = np.moveaxis(values[:, :, own], 2, 0)[..., None] * belongs
        q = replace(w.q, scale=tuple(float(s) for s in scales[own]), zero_point=(0,) * (n * m), axis=0)
        inputs = (
            replace(call.x, shape=(*call.x.shape[:2], n)),
            Tensor(w.name, filters.shape, w.dtype, q, filters),
            Tensor(b.name, (n * m,), b.dtype, None, bias[own]),
        )
        y = replace(call.y, shape=(*call.y.shape[:2], n * m))
        yield node, Call(call.attrs, inputs, (y,)), Interval(x.low[..., first:last], x.high[..., first:last])


def float_sum(node: Node, call: Call, places: Linear, x: Interval) -> Interval:
    y = anything(call.y)
    zero = np.equal(x.low, 0) & np.equal(x.high, 0)
    (bias_alone,) = node.op.reference(call, np.zeros((1, *call.x.shape), np.float32))
    counted = {
        places.weights: (call.constant(places.weights) != 0).astype(np.float32),
        places.bias: np.zeros_like(call.constant(places.bias)),
    }
    inputs = tuple(replace(t, data=counted.get(i, t.data)) for i, t in enumerate(call.inputs))
    (open_taps,) = node.op.reference(replace(call, inputs=inputs), (~zero)[None].astype(np.float32))
    decided = np.equal(open_taps[0], 0)
    return Interval(np.where(decided, bias_alone[0], y.low), np.where(decided, bias_alone[0], y.high))


def fixed_channels(known: Mapping[str, Interval], t: Tensor) -> Array:
    """Which channels [c] of a tensor have one known value at each position, not necessarily the same at all."""
    return np.asarray(known[t.name].fixed.reshape(-1, t.shape[-1]).all(axis=0))
