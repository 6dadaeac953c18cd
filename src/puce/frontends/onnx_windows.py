# SPDX-License-Identifier: Apache-2.0
"""ONNX's convolutions and pools; those of one dimension work on a picture of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Quantization, Tensor
from ..ops._reduce import Attrs as ReduceAttrs
from ..ops.concatenation import Attrs as JoinAttrs
from ..ops.conv_2d import Attrs as ConvAttrs
from ..ops.max_pool_2d import Attrs as PoolAttrs
from ..ops.pad import Attrs as PadAttrs
from ..ops.split import Attrs as SplitAttrs
from ..ops.transpose_conv import Attrs as PaintAttrs
from .onnx_elementwise import Handler, array_of, given, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_reductions import averaged
from .onnx_values import Constant, Value, channels_last

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]  # top, bottom, left, right
MOST_GROUPS = 8  # what split and concatenation have functions for


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and padding of a node, in rows and columns."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides


def two(b: Builder, values: Sequence[int], one: int = 1) -> Pair:
    """A setting in rows and columns: one dimension is a picture of one row."""
    if len(values) not in (1, 2):
        raise b.refuse(f"only one or two dimensions are computed. Got {len(values)}.", "Use a 2D layer.")
    rows, columns = (one, *values)[-2:]
    return rows, columns


def window(b: Builder, n: FileNode, size: Sequence[int], kernel: Sequence[int]) -> Window:
    """Read a node's window over a picture of this size (both without the row that one dimension lacks)."""
    rank = len(size)
    stride, dilation = n.ints("strides", (1,) * rank), n.ints("dilations", (1,) * rank)
    pads = n.ints("pads", (0,) * (2 * rank))
    if {len(kernel), len(stride), len(dilation)} != {rank} or len(pads) != 2 * rank or min(*stride, *dilation, *kernel) < 1:
        raise b.refuse(f"its kernel, strides, dilations or pads do not belong to {rank} dimensions.", "Export it again.")
    word = n.text("auto_pad", "NOTSET")
    sides = []
    for i in range(rank):
        total = max((-(-size[i] // stride[i]) - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - size[i], 0)
        if word == "SAME_UPPER":
            sides += [total // 2, total - total // 2]
        elif word == "SAME_LOWER":
            sides += [total - total // 2, total // 2]
        else:
            sides += [0, 0] if word == "VALID" else [pads[i], pads[rank + i]]
    top, bottom, left, right = (0, 0, *sides)[-4:]
    return Window(two(b, kernel), two(b, stride), two(b, dilation), (top, bottom, left, right))


def picture(b: Builder, v: Value) -> Tensor:
    """The value as [h, w, c]."""
    if len(v.shape) not in (3, 4):
        raise b.refuse(f"its input has {len(v.shape)} axes: only pictures and sequences are computed.", "Use a 2D layer.")
    return b.arranged(v, channels_last(len(v.shape)))


def result(t: Tensor, v: Value, channels: int, real: bool) -> Value:
    """A picture as the file's tensor: [n, c, h, w] or [n, c, t]."""
    h, w, _ = t.shape
    shape = (v.shape[0], channels, h, w) if len(v.shape) == 4 else (v.shape[0], channels, w)
    return Value.plain(t, shape, channels_last(len(shape)), real)


# ── convolution ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Weights:
    """Weights and bias as an operator of ours wants them; for int8, the integers of the file and their scales."""

    data: Array  # output channels first
    scales: tuple[float, ...] | None
    bias: Array


def weights(b: Builder, x: Sequence[Operand | None], v: Value, integers: bool, outputs: int, axis: int = 0) -> Weights:
    """The constant weights of a node, output channels moved to the front, and its bias or zeros."""
    kernel, offset = given(x, 1), given(x, 2)
    array_of(b, kernel, "weights")
    assert isinstance(kernel, Constant)
    bias = np.zeros(outputs, np.float32) if offset is None else array_of(b, offset, "biases").ravel()
    if not integers:
        return Weights(np.moveaxis(kernel.data, axis, 0).astype(np.float32), None, bias)
    if kernel.raw is None or kernel.q is None or set(kernel.q.zero_point) != {0} or kernel.q.axis not in (None, axis):
        fact = "its weights are not symmetric int8 (zero point 0) with one scale, or one a channel of the output."
        raise b.refuse(fact, "Quantise with weight_type=QInt8 and extra_options={'WeightSymmetric': True}.")
    scales = kernel.q.scale
    steps = np.array(scales, np.float64) * v.tensor.q.s
    if isinstance(offset, Constant) and offset.raw is not None and offset.raw.dtype == np.int32 and offset.q is not None:
        same = np.allclose(np.array(offset.q.scale), steps, rtol=1e-3) and set(offset.q.zero_point) == {0}
        if same:
            return Weights(np.moveaxis(kernel.raw, axis, 0), scales, offset.raw.ravel())
    return Weights(np.moveaxis(kernel.raw, axis, 0), scales, np.rint(bias / steps).astype(np.int64).clip(-(2**31), 2**31 - 1))


def constants(b: Builder, w: Weights, shaped: Array, axis: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Weights in our layout, whose output channels are along `axis`, and the bias."""
    if w.scales is None:
        return b.numbers("weights", shaped), b.numbers("bias", w.bias)
    q = Quantization(w.scales, (0,) * len(w.scales), axis if len(w.scales) > 1 else None)
    steps = tuple(float(s * x.q.s) for s in w.scales)
    bias = Quantization(steps, (0,) * len(steps), 0 if len(steps) > 1 else None)
    return b.constant("weights", shaped.astype(np.int8), q), b.constant("bias", w.bias.astype(np.int32), bias)


def conv(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    shape = array_of(b, given(x, 1), "weights").shape
    if len(shape) != len(v.shape) or len(shape) not in (3, 4):
        raise b.refuse(f"only convolutions of one or two dimensions are computed. Got weights of {list(shape)}.", "Use Conv2d.")
    integers = b.in_integers(v)
    v = v if integers else b.floats(v)
    w = weights(b, x, v, integers, shape[0])
    place = window(b, n, v.shape[2:], shape[2:])
    data = w.data if len(shape) == 4 else w.data[:, :, None]
    groups, c, oc = n.number("group", 1), v.shape[1], shape[0]
    if c != groups * shape[1] or oc % groups:
        raise b.refuse(f"{c} channels in {groups} groups do not fit weights of {list(shape)}.", "Export the model again.")
    t, attrs = framed(b, picture(b, v), place)
    if groups == 1:
        pair = constants(b, w, data.transpose(0, 2, 3, 1), 0, t)
        y = b.node("conv_2d", (t, *pair), attrs, b.target)
    elif groups == c:
        pair = constants(b, w, data[:, 0].transpose(1, 2, 0), 2, t)
        y = b.node("depthwise_conv_2d", (t, *pair), attrs, b.target)
    else:
        y = grouped(b, t, w, data.transpose(0, 2, 3, 1), attrs, groups)
    return (result(y, v, oc, integers),)


def grouped(b: Builder, t: Tensor, w: Weights, data: Array, attrs: ConvAttrs, groups: int) -> Tensor:
    """A convolution a group of channels, side by side."""
    if groups > MOST_GROUPS:
        fact = f"a convolution in {groups} groups is not computed."
        raise b.refuse(fact, f"Use at most {MOST_GROUPS} groups, or one a channel (depthwise) and a 1x1 convolution.")
    c, oc = t.shape[2] // groups, len(data) // groups
    names = [f"{b.name}/group{i}" for i in range(groups)]
    parts = b.nodes_outputs("split", (t,), SplitAttrs(2, (c,) * groups), names)
    results = []
    for i, part in enumerate(parts):
        own = slice(i * oc, (i + 1) * oc)
        scales = w.scales if w.scales is None or len(w.scales) == 1 else w.scales[own]
        pair = constants(b, Weights(data[own], scales, w.bias[own]), data[own], 0, part)
        results.append(b.node("conv_2d", (part, *pair), attrs, b.target, name=f"{b.name}/part{i}"))
    return b.node("concatenation", results, JoinAttrs(2))


def framed(b: Builder, t: Tensor, place: Window) -> tuple[Tensor, ConvAttrs]:
    """Padding that a convolution cannot have itself stands before it."""
    spans = [(k - 1) * d + 1 for k, d in zip(place.kernel, place.dilation, strict=True)]
    limits = (spans[0], spans[0], spans[1], spans[1])
    if all(0 <= p < s for p, s in zip(place.padding, limits, strict=True)):
        return t, ConvAttrs(place.stride, place.padding, place.dilation)
    return b.node("pad", (t,), PadAttrs(place.padding), name=f"{b.name}/padded"), ConvAttrs(
        place.stride, (0, 0, 0, 0), place.dilation
    )


def conv_transpose(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.floats(value_of(b, x[0]))
    kernel = array_of(b, given(x, 1), "weights")  # [c, oc, kh, kw]
    if kernel.ndim != len(v.shape) or kernel.ndim not in (3, 4) or n.number("group", 1) != 1:
        raise b.refuse(
            "only transposed convolutions of one or two dimensions in one group are computed.", "Use Resize, then Conv."
        )
    data = kernel if kernel.ndim == 4 else kernel[:, :, None]
    sizes, rank = data.shape[2:], kernel.ndim - 2
    stride, dilation = two(b, n.ints("strides", (1,) * rank)), two(b, n.ints("dilations", (1,) * rank))
    if dilation != (1, 1):
        raise b.refuse("a dilated transposed convolution is not computed.", "Use Resize, then Conv.")
    t = picture(b, v)
    extra = two(b, n.ints("output_padding", (0,) * rank), 0)
    size, cut = painted_size(b, n, t, (sizes[0], sizes[1]), stride, extra, rank)
    offset = given(x, 2)
    bias = np.zeros(data.shape[1]) if offset is None else array_of(b, offset, "biases")
    pair = b.numbers("weights", data.transpose(1, 2, 3, 0)), b.numbers("bias", bias)
    y = b.node("transpose_conv", (t, *pair), PaintAttrs(stride, size, cut))
    return (result(y, v, data.shape[1], False),)


def painted_size(b: Builder, n: FileNode, t: Tensor, kernel: Pair, stride: Pair, extra: Pair, rank: int) -> tuple[Pair, Pair]:
    """Size of the output, and what is cut off at its top and left."""
    whole = [(size - 1) * s + k for size, s, k in zip(t.shape[:2], stride, kernel, strict=True)]
    pads = n.ints("pads", (0,) * (2 * rank))
    wanted = n.ints("output_shape")[-rank:] if n.ints("output_shape") else ()
    word = n.text("auto_pad", "NOTSET")
    if wanted or word in ("SAME_UPPER", "SAME_LOWER"):
        size = two(b, wanted, t.shape[0]) if wanted else (t.shape[0] * stride[0], t.shape[1] * stride[1])
        total = [max(f + e - s, 0) for f, e, s in zip(whole, extra, size, strict=True)]
        cut = [p // 2 if word == "SAME_UPPER" else p - p // 2 for p in total]
        return size, (cut[0], cut[1])
    before, after = two(b, pads[:rank], 0), two(b, pads[rank:], 0)
    rows, columns = (f + e - p - q for f, e, p, q in zip(whole, extra, before, after, strict=True))
    return (rows, columns), before


# ── pools ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pool(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """MaxPool and AveragePool. Both leave padding out; where an average counts it, zeros stand before it."""
    v, kind = value_of(b, x[0]), "max_pool_2d" if n.op == "MaxPool" else "average_pool_2d"
    if len(v.shape) not in (3, 4):
        raise b.refuse("only pools of one or two dimensions are computed.", "Use a 2D layer.")
    if len([name for name in n.outputs if name]) > 1:
        raise b.refuse("the places of the largest values are not computed.", "Use only the pool's first output.")
    place = window(b, n, v.shape[2:], n.ints("kernel_shape"))
    if place.dilation != (1, 1):
        raise b.refuse("a dilated pool is not computed.", "Use a pool without dilation.")
    integers = v.real and (kind == "max_pool_2d" or b.in_integers(v))
    v = v if integers else b.floats(v)
    t, padding = picture(b, v), place.padding
    ceiling = rounded_up(t, place) if n.number("ceil_mode") else padding
    if kind == "average_pool_2d" and n.number("count_include_pad") and any(padding):
        if ceiling != padding:
            fact = "an average that counts its padding and rounds its size up is not computed."
            raise b.refuse(fact, "Use ceil_mode=False or count_include_pad=False.")
        t, ceiling = b.node("pad", (t,), PadAttrs(padding), name=f"{b.name}/padded"), (0, 0, 0, 0)
    if kind == "average_pool_2d" and place.kernel == t.shape[:2] and not any(ceiling):  # rounds once where the scale changes
        return (result(averaged(b, t, b.target), v, v.shape[1], integers),)
    y = b.node(kind, (t,), PoolAttrs(place.kernel, place.stride, ceiling), t.quantization)
    if integers and b.target is not None and kind == "average_pool_2d":
        y = b.quantized(y, b.target)
    return (result(y, v, v.shape[1], integers),)


def rounded_up(t: Tensor, place: Window) -> Sides:
    """ceil_mode: more padding below and right, as long as the last window begins inside or on the padding before."""
    sides = list(place.padding)
    for i in (0, 1):
        k, s, size = place.kernel[i], place.stride[i], t.shape[i]
        before, after = sides[2 * i], sides[2 * i + 1]
        out = -(-(size + before + after - k) // s) + 1
        if (out - 1) * s >= size + before:
            out -= 1
        sides[2 * i + 1] = max(after, (out - 1) * s + k - size - before)
    return (sides[0], sides[1], sides[2], sides[3])


def global_pool(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    if n.op == "GlobalMaxPool":
        t = picture(b, v)
        y = b.node("reduce_max", (t,), ReduceAttrs(keep_dims=True), t.quantization)
        return (result(y, v, v.shape[1], v.real),)
    integers = b.in_integers(v)
    v = v if integers else b.floats(v)
    t = picture(b, v)
    y = averaged(b, t, b.target)
    return (result(y, v, v.shape[1], integers),)


WINDOWS: Mapping[str, Handler] = {
    "AveragePool": pool, "Conv": conv, "ConvTranspose": conv_transpose, "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool, "MaxPool": pool,
}  # fmt: skip
