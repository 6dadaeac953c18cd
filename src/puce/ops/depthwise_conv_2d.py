# SPDX-License-Identifier: Apache-2.0
"""DepthwiseConv2D: each input channel is filtered on its own, into one output channel or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, activate, float_range
from ..fixedpoint import channel_multipliers, clamp_range, requantize
from ..ir import Array, Call, Tensor
from ..packing import folded, requantization
from ..spatial import NO_PADDING, output_size, pad, padding_name, same_padding, span, windows
from . import (
    Constant,
    Imported,
    KerasLayer,
    Kernel,
    Op,
    Rule,
    TfliteForm,
    Window,
    _conv_quads,
    _depthwise_pairs,
    _row_blocks,
    register,
)
from ._sliding import (
    input_has_rows_columns_channels,
    padding_is_smaller_than_the_kernel,
    sampled_output,
    sums_fit_32_bits,
    window_fits,
)
from .conv_2d import Attrs, weights_are_narrow, with_bias


def multiplier(x: Tensor, w: Tensor) -> int:
    """Output channels for each input channel."""
    return w.shape[2] // x.shape[2]


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x, w = inputs[0], inputs[1]
    kh, kw, oc = w.shape
    return (x.like("y", (*output_size(x.shape[:2], (kh, kw), a.stride, a.padding, a.dilation), oc)),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    w, b = call.constant(1), call.constant(2)
    offset = call.x.q.z if x.dtype != np.float32 else 0
    padded = pad(x.astype(np.float64) - offset, a.padding, 0)
    seen = windows(padded, w.shape[:2], a.stride, a.dilation)  # [n, oh, ow, c, kh, kw]
    filters = w.reshape(*w.shape[:2], x.shape[3], -1).astype(np.float64)  # [kh, kw, c, m]: output channel c * m + j
    acc = np.einsum("nyxcij,ijcm->nyxcm", seen, filters)
    acc = acc.reshape(*acc.shape[:3], -1) + b
    if x.dtype == np.float32:
        return (activate(acc.astype(np.float32), a.activation),)
    y = requantize(acc.astype(np.int64), *channel_multipliers(call.x, call.inputs[1], call.y)) + call.y.q.z
    return (np.clip(y, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def macs(call: Call) -> int:
    kh, kw, _ = call.inputs[1].shape
    return call.y.size * kh * kw


def row_window(call: Call) -> tuple[Window, ...]:
    a: Attrs = call.attrs
    return (Window(call.inputs[1].shape[0], a.stride[0], a.padding[0], a.dilation[0]),)


def formula(call: Call) -> str:
    a: Attrs = call.attrs
    m = multiplier(call.x, call.inputs[1])
    y = f"y*{a.stride[0]}-{a.padding[0]}+ky*{a.dilation[0]}"
    x = f"x*{a.stride[1]}-{a.padding[2]}+kx*{a.dilation[1]}"
    return f"out[y][x][o] = bias[o] + sum over ky, kx of w[ky][kx][o] * in[{y}][{x}][{'o' if m == 1 else f'o/{m}'}]"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_constants(call: Call) -> tuple[Constant, ...]:
    w = call.constant(1)
    table = np.insert(requantization(call), 1, folded(call, w.reshape(-1, w.shape[2]).T), axis=1)
    return (
        Constant("weights", w, "[kh][kw][oc]"),
        Constant("requant", table, "a channel: bias, bias - zero point * sum of weights, multiplier, shift"),
    )


def float_constants(call: Call) -> tuple[Constant, ...]:
    return Constant("weights", call.constant(1), "[kh][kw][oc]"), Constant("bias", call.constant(2), "[oc]")


def geometry(call: Call) -> str:
    a: Attrs = call.attrs
    kh, kw, _ = call.inputs[1].shape
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, "
        f"/*channels out of one*/ {multiplier(call.x, call.inputs[1])}, /*kernel*/ {kh}, {kw}, "
        f"/*stride, left, dilation*/ {a.stride[1]}, {a.padding[2]}, {a.dilation[1]}"
    )


def int8_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{geometry(call)}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{geometry(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


def accepts(kind: str, one_row: bool, weights: str | None = None) -> Callable[[Call], bool]:
    """Kernels of one row get a pointer to it, others an array of pointers: two C functions."""
    wanted = (kind, weights or kind, one_row)
    return lambda call: (call.x.dtype, call.inputs[1].dtype, call.inputs[1].shape[0] == 1) == wanted


def dsp_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    a: Attrs = call.attrs
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, "
        f"/*stride, left*/ {a.stride[1]}, {a.padding[2]}, /*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}, "
        f"/*signs*/ {int(_depthwise_pairs.has_signs(call))}"
    )


def block_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[0]}, {call.y.shape[1]}, "
        f"/*left*/ {call.attrs.padding[2]}, /*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}, "
        f"/*rows*/ {_row_blocks.depthwise_rows(call)}, /*signs*/ {int(_depthwise_pairs.has_signs(call))}"
    )


def fours_accept(call: Call) -> bool:
    return accepts("int8", False)(call) and _conv_quads.depthwise_accepts(call)


def fours_arguments(call: Call) -> str:
    a: Attrs = call.attrs
    low, high = clamp_range(call.y, a.activation)
    kh, kw, c = call.inputs[1].shape
    return (
        f"/*in*/ {call.x.shape[1]}, {c}, /*out*/ {call.y.shape[1]}, /*kernel*/ {kh}, {kw}, "
        f"/*stride, left, dilation*/ {a.stride[1]}, {a.padding[2]}, {a.dilation[1]}, "
        f"/*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}"
    )


def pairs_kernel(one_row: bool) -> Kernel:
    plain = accepts("int8", one_row)
    return Kernel(
        f"puce_depthwise_conv_{1 if one_row else 2}d_s8_pairs", "depthwise_conv_2d_pairs.h",
        lambda call: plain(call) and _depthwise_pairs.accepts_any(call), fours_arguments, _depthwise_pairs.constants_any,
        needs=frozenset({"dsp"}),
    )  # fmt: skip


KERNELS = (
    Kernel(
        "puce_depthwise_conv_2d_s8_dsp", "depthwise_conv_2d_dsp.h", _depthwise_pairs.accepts, dsp_arguments,
        _depthwise_pairs.constants, scratch=_depthwise_pairs.scratch, needs=frozenset({"dsp"}),
    ),
    Kernel(
        "puce_depthwise_conv_2d_s8_block", "depthwise_conv_2d_block_dsp.h", _row_blocks.depthwise_accepts, block_arguments,
        _depthwise_pairs.constants, _row_blocks.depthwise_state, _row_blocks.depthwise_scratch, _row_blocks.depthwise_window,
        takes_y=True, needs=frozenset({"dsp"}),
    ),
    pairs_kernel(one_row=False),
    pairs_kernel(one_row=True),
    Kernel(
        "puce_depthwise_conv_2d_s8_fours", "depthwise_conv_2d_fours.h", fours_accept, fours_arguments,
        _conv_quads.depthwise_constants,
    ),
    Kernel("puce_depthwise_conv_2d_s8", "depthwise_conv_2d.h", accepts("int8", False), int8_arguments, int8_constants),
    Kernel("puce_depthwise_conv_1d_s8", "depthwise_conv_2d.h", accepts("int8", True), int8_arguments, int8_constants),
    Kernel("puce_depthwise_conv_2d_s8_wide", "wide_weights.h", accepts("int8", False, "int16"), int8_arguments, int8_constants),
    Kernel("puce_depthwise_conv_1d_s8_wide", "wide_weights.h", accepts("int8", True, "int16"), int8_arguments, int8_constants),
    Kernel("puce_depthwise_conv_2d_f32", "depthwise_conv_2d.h", accepts("float32", False), float_arguments, float_constants),
    Kernel("puce_depthwise_conv_1d_f32", "depthwise_conv_2d.h", accepts("float32", True), float_arguments, float_constants),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def channels_divide(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The output channels must be a multiple of the input channels."
    return inputs[1].shape[2] % inputs[0].shape[2] == 0


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    a: Attrs = call.attrs
    word = padding_name(a.padding, call.x.shape[:2], call.inputs[1].shape[:2], a.stride, a.dilation)
    assert word is not None, "explicit padding stands in a PAD of its own until after the file is written"
    return {
        "Padding": {"SAME": 0, "VALID": 1}[word],
        "StrideH": a.stride[0], "StrideW": a.stride[1],
        "DilationHFactor": a.dilation[0], "DilationWFactor": a.dilation[1],
        "DepthMultiplier": multiplier(call.x, call.inputs[1]),
        "FusedActivationFunction": TFLITE_ACTIVATION[a.activation],
    }  # fmt: skip


def moved_axis(w: Tensor, shape: tuple[int, ...], axis: int) -> Tensor:
    """The weights under a shape with or without TFLite's leading 1, their scales along the same channels."""
    q = w.quantization
    assert w.data is not None
    q = replace(q, axis=axis) if q and q.axis is not None else q
    return Tensor(w.name, shape, w.dtype, q, w.data.reshape(shape))


def foreign_constants(call: Call) -> tuple[Tensor, ...]:
    w = call.inputs[1]
    return call.inputs[0], moved_axis(w, (1, *w.shape), 3), call.inputs[2]


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    stride = (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    w = moved_axis(inputs[1], inputs[1].shape[1:], 2)
    padding = NO_PADDING if options.Padding() else same_padding(inputs[0].shape[:2], w.shape[:2], stride, dilation)
    activation = ACTIVATION_OF_TFLITE[options.FusedActivationFunction()]
    return Attrs(stride, padding, dilation, activation), with_bias((inputs[0], w, *inputs[2:]), w.shape[2])


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    kernel, *rest = layer.weights  # [kh, kw, c, m]
    kh, kw, c, m = kernel.shape
    stride, dilation = layer.pair("strides"), layer.pair("dilation_rate")
    padding = NO_PADDING
    if layer.config.get("padding") == "same":
        padding = same_padding(inputs[0].shape[:2], (kh, kw), stride, dilation)
    bias = rest[0] if rest else np.zeros(c * m, np.float32)
    return Imported(Attrs(stride, padding, dilation), (("weights", kernel.reshape(kh, kw, c * m)), ("bias", bias)))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        kh, kw, sh, sw, dh, dw = (int(v) for v in rng.integers(1, (5, 5, 4, 4, 3, 3)))
        h, w, c = (int(v) for v in rng.integers(1, (12, 12, 20)))
        m = 1 if rng.random() < 0.7 else sampling.integer(rng, 2, 5)
        if rng.random() < 0.5:  # what the DSP kernels are for
            kh, kw, sw, dw, c, m = 3, 3, min(sw, 2), 1, 4 * sampling.integer(rng, 1, 5), 1
            if rng.random() < 0.4:
                sh, sw, dh = 1, 1, 1
        reach = (span(kh, dh), span(kh, dh), span(kw, dw), span(kw, dw))
        top, bottom, left, right = (int(rng.integers(0, r)) for r in reach)
        a = Attrs((sh, sw), (top, bottom, left, right), (dh, dw), sampling.fused(rng))
        x = sampling.activation(rng, "x", (h, w, c), kind)
        weights = sampling.sometimes_wide(rng, sampling.weights(rng, (kh, kw, c * m), kind, 2))
        inputs = (x, weights, sampling.bias(rng, c * m, x, weights))
        if all(limit(a, inputs) for limit in OP.limits):
            (y,) = infer(a, inputs)
            q = sampled_output(rng, x, weights, kh * kw) if kind == "int8" else None
            yield Call(a, inputs, (Tensor("y", y.shape, kind, q),))


OP = register(Op(
    name="depthwise_conv_2d",
    summary="Convolution of each channel by itself, any stride, padding, dilation and depth multiplier, ReLU fused.",
    infer=infer, reference=reference, windows=row_window, samples=samples, kernels=KERNELS, formula=formula,
    macs=macs, macc=lambda call: macs(call) + call.y.size,
    limits=(
        input_has_rows_columns_channels, channels_divide, window_fits, padding_is_smaller_than_the_kernel,
        sums_fit_32_bits,
    ),
    rule=Rule("calibrated", weights=1, axis=2, bias=2),
    tflite=TfliteForm(
        "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", encode, decode, foreign_constants,
        lambda call: 3 if call.x.dtype == "int8" else 1, fits=weights_are_narrow,
    ),
    keras={"DepthwiseConv2D": from_keras},
))  # fmt: skip
