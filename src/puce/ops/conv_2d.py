# SPDX-License-Identifier: Apache-2.0
"""Conv2D: each output channel is the weighted sum of a window of all input channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..fixedpoint import channel_multipliers, clamp_range, requantize
from ..ir import Array, Call, Tensor
from ..packing import requantization
from ..spatial import NO_PADDING, Padding, Pair, output_size, pad, padding_name, same_padding, span, windows
from . import (
    Constant,
    Imported,
    KerasLayer,
    Kernel,
    Op,
    Rule,
    TfliteForm,
    Window,
    _conv_pairs,
    _conv_quads,
    _row_blocks,
    _winograd,
    register,
)
from ._sliding import (
    input_has_rows_columns_channels,
    padding_is_smaller_than_the_kernel,
    sampled_output,
    sums_fit_32_bits,
    window_fits,
)


@dataclass(frozen=True)
class Attrs:
    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x, w = inputs[0], inputs[1]
    oc, kh, kw, _ = w.shape
    return (x.like("y", (*output_size(x.shape[:2], (kh, kw), a.stride, a.padding, a.dilation), oc)),)


def accumulate(call: Call, x: Array) -> Array:
    """Sums of products plus bias: exact in float64 for int8 operands, rounded once to float32 for float ones."""
    a: Attrs = call.attrs
    w, b = call.constant(1), call.constant(2)
    oc, kh, kw, _ = w.shape
    offset = call.x.q.z if x.dtype != np.float32 else 0
    padded = pad(x.astype(np.float64) - offset, a.padding, 0)
    seen = windows(padded, (kh, kw), a.stride, a.dilation)  # [n, oh, ow, c, kh, kw]
    n, oh, ow = seen.shape[:3]
    flat = seen.reshape(n * oh * ow, -1) @ w.transpose(3, 1, 2, 0).reshape(-1, oc).astype(np.float64)
    return flat.reshape(n, oh, ow, oc) + b


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    acc = accumulate(call, x)
    if x.dtype == np.float32:
        return (activate(acc.astype(np.float32), a.activation),)
    y = requantize(acc.astype(np.int64), *channel_multipliers(call.x, call.inputs[1], call.y)) + call.y.q.z
    return (np.clip(y, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def macs(call: Call) -> int:
    return call.y.size * call.inputs[1].size // call.inputs[1].shape[0]


def row_window(call: Call) -> tuple[Window, ...]:
    a: Attrs = call.attrs
    return (Window(call.inputs[1].shape[1], a.stride[0], a.padding[0], a.dilation[0]),)


def formula(call: Call) -> str:
    a: Attrs = call.attrs
    y = f"y*{a.stride[0]}-{a.padding[0]}+ky*{a.dilation[0]}"
    x = f"x*{a.stride[1]}-{a.padding[2]}+kx*{a.dilation[1]}"
    return f"out[y][x][o] = bias[o] + sum over ky, kx, c of w[o][ky][kx][c] * in[{y}][{x}][c]"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_constants(call: Call) -> tuple[Constant, ...]:
    return (
        Constant("weights", call.constant(1), "[oc][kh][kw][c]"),
        Constant("requant", requantization(call), "a channel: bias, multiplier, shift"),
    )


def float_constants(call: Call) -> tuple[Constant, ...]:
    return Constant("weights", call.constant(1), "[oc][kh][kw][c]"), Constant("bias", call.constant(2), "[oc]")


def geometry(call: Call) -> str:
    a: Attrs = call.attrs
    oc, kh, kw, c = call.inputs[1].shape
    return (
        f"/*in*/ {call.x.shape[1]}, {c}, /*out*/ {call.y.shape[1]}, {oc}, /*kernel*/ {kh}, {kw}, "
        f"/*stride, left, dilation*/ {a.stride[1]}, {a.padding[2]}, {a.dilation[1]}"
    )


def int8_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{geometry(call)}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{geometry(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


def one_row(call: Call) -> bool:
    """Kernels of one row get a pointer to it, others an array of pointers: two C functions."""
    return call.inputs[1].shape[1] == 1


def accepts(kind: str, rows: bool, weights: str | None = None) -> Callable[[Call], bool]:
    return lambda call: (call.x.dtype, call.inputs[1].dtype, one_row(call)) == (kind, weights or kind, not rows)


DSP = frozenset({"dsp"})


def dsp_kernel(rows: bool, small: bool) -> Kernel:
    """The kernel for the DSP extension, for windows of several rows or of one; a small one needs the least scratch."""
    plain, fits = accepts("int8", rows), _conv_pairs.can_be_small if small else _conv_pairs.accepts

    def arguments(call: Call) -> str:
        low, high = clamp_range(call.y, call.attrs.activation)
        return (
            f"{geometry(call)}, /*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}, "
            f"/*pixels*/ {_conv_pairs.block(call, small)}, /*signs*/ {int(_conv_pairs.has_signs(call))}"
        )

    return Kernel(
        f"puce_conv_{2 if rows else 1}d_s8_dsp{'_small' if small else ''}", "conv_2d_dsp.h",
        lambda call: plain(call) and fits(call), arguments, _conv_pairs.constants,
        scratch=lambda call: _conv_pairs.scratch(call, small), needs=DSP,
    )  # fmt: skip


def quads_accepts(rows: bool) -> Callable[[Call], bool]:
    plain = accepts("int8", rows)
    return lambda call: plain(call) and _conv_quads.accepts(call)


def quads_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{geometry(call)}, /*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}"


def winograd_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, {call.y.shape[2]}, "
        f"/*left*/ {call.attrs.padding[2]}, /*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}, "
        f"/*positive*/ {int(_winograd.has_no_sign(call))}"
    )


def block_arguments(call: Call) -> str:
    a: Attrs = call.attrs
    low, high = clamp_range(call.y, a.activation)
    oc, kh, kw, c = call.inputs[1].shape
    return (
        f"/*in*/ {call.x.shape[1]}, {c}, /*out*/ {call.y.shape[0]}, {call.y.shape[1]}, {oc}, /*kernel*/ {kh}, {kw}, "
        f"/*stride, left, dilation*/ {a.stride[0]}, {a.stride[1]}, {a.padding[2]}, {a.dilation[1]}, "
        f"/*zero point*/ {call.x.q.z}, /*clamp*/ {low}, {high}, /*rows*/ {_row_blocks.conv_rows(call)}, "
        f"/*signs*/ {int(_conv_pairs.has_signs(call))}"
    )


KERNELS = (
    dsp_kernel(rows=True, small=False),
    dsp_kernel(rows=False, small=False),
    dsp_kernel(rows=True, small=True),
    dsp_kernel(rows=False, small=True),
    Kernel(
        "puce_conv_2d_s8_winograd", "conv_2d_winograd.h", _winograd.accepts, winograd_arguments, _winograd.constants,
        _winograd.state, _winograd.scratch, _winograd.window, takes_y=True, needs=DSP,
    ),
    Kernel(
        "puce_conv_2d_s8_block", "conv_2d_block_dsp.h", _row_blocks.conv_accepts, block_arguments, _conv_pairs.constants,
        _row_blocks.conv_state, _row_blocks.conv_scratch, _row_blocks.conv_window, takes_y=True, needs=DSP,
    ),
    Kernel("puce_conv_2d_s8_quads", "conv_2d_quads.h", quads_accepts(True), quads_arguments, _conv_quads.constants),
    Kernel("puce_conv_1d_s8_quads", "conv_2d_quads.h", quads_accepts(False), quads_arguments, _conv_quads.constants),
    Kernel("puce_conv_2d_s8", "conv_2d.h", accepts("int8", True), int8_arguments, int8_constants),
    Kernel("puce_conv_1d_s8", "conv_2d.h", accepts("int8", False), int8_arguments, int8_constants),
    Kernel("puce_conv_2d_s8_wide", "wide_weights.h", accepts("int8", True, "int16"), int8_arguments, int8_constants),
    Kernel("puce_conv_1d_s8_wide", "wide_weights.h", accepts("int8", False, "int16"), int8_arguments, int8_constants),
    Kernel("puce_conv_2d_f32", "conv_2d.h", accepts("float32", True), float_arguments, float_constants),
    Kernel("puce_conv_1d_f32", "conv_2d.h", accepts("float32", False), float_arguments, float_constants),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def channels_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The weights must have as many input channels as the input: grouped convolution is not computed."
    return inputs[0].shape[-1] == inputs[1].shape[-1]


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    a: Attrs = call.attrs
    word = padding_name(a.padding, call.x.shape[:2], call.inputs[1].shape[1:3], a.stride, a.dilation)
    assert word is not None, "explicit padding stands in a PAD of its own until after the file is written"
    return {
        "Padding": {"SAME": 0, "VALID": 1}[word],
        "StrideH": a.stride[0], "StrideW": a.stride[1],
        "DilationHFactor": a.dilation[0], "DilationWFactor": a.dilation[1],
        "FusedActivationFunction": TFLITE_ACTIVATION[a.activation],
    }  # fmt: skip


def weights_are_narrow(call: Call) -> bool:
    """.tflite has no int16 weights: those came from uint8 ones, whose zero point is taken off."""
    return call.inputs[1].dtype != "int16"


def with_bias(inputs: Sequence[Tensor], channels: int) -> tuple[Tensor, ...]:
    """Input, weights, bias: zeros where the file has none."""
    if len(inputs) == 3:
        return tuple(inputs)
    kind = "float32" if inputs[0].dtype == "float32" else "int32"
    return (*inputs, Tensor.constant(f"{inputs[1].name}_bias", np.zeros(channels, kind)))


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    stride = (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    kernel = inputs[1].shape[1:3]
    padding = NO_PADDING if options.Padding() else same_padding(inputs[0].shape[:2], kernel, stride, dilation)
    activation = ACTIVATION_OF_TFLITE[options.FusedActivationFunction()]
    return Attrs(stride, padding, dilation, activation), with_bias(inputs, inputs[1].shape[0])


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    kernel, *rest = layer.weights  # [kh, kw, c, oc]
    stride, dilation = layer.pair("strides"), layer.pair("dilation_rate")
    padding = NO_PADDING
    if layer.config.get("padding") == "same":
        padding = same_padding(inputs[0].shape[:2], kernel.shape[:2], stride, dilation)
    bias = rest[0] if rest else np.zeros(kernel.shape[3], np.float32)
    weights = np.ascontiguousarray(kernel.transpose(3, 0, 1, 2))
    return Imported(Attrs(stride, padding, dilation), (("weights", weights), ("bias", bias)))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        kh, kw, sh, sw, dh, dw = (int(v) for v in rng.integers(1, (5, 5, 4, 4, 3, 3)))
        usual = rng.random()
        if usual < 0.3:  # what most networks have, 3x3 with a kernel of its own
            kh, kw, sh, sw, dh, dw = (3, 3, 1, 1, 1, 1) if usual < 0.2 else (1, 1, 1, 1, 1, 1)
        h, w, c, oc = (int(v) for v in rng.integers(1, (12, 12, 20, 14)))
        reach = (span(kh, dh), span(kh, dh), span(kw, dw), span(kw, dw))
        top, bottom, left, right = (int(rng.integers(0, r)) for r in reach)
        a = Attrs((sh, sw), (top, bottom, left, right), (dh, dw), sampling.fused(rng))
        x = sampling.activation(rng, "x", (h, w, c), kind)
        weights = sampling.sometimes_wide(rng, sampling.weights(rng, (oc, kh, kw, c), kind, 0))
        inputs = (x, weights, sampling.bias(rng, oc, x, weights))
        if all(limit(a, inputs) for limit in OP.limits):
            (y,) = infer(a, inputs)
            q = sampled_output(rng, x, weights, kh * kw * c) if kind == "int8" else None
            yield Call(a, inputs, (Tensor("y", y.shape, kind, q),))


OP = register(Op(
    name="conv_2d",
    summary="Convolution over rows and columns, any stride, padding and dilation, ReLU fused.",
    infer=infer, reference=reference, windows=row_window, samples=samples, kernels=KERNELS, formula=formula,
    macs=macs, macc=lambda call: macs(call) + call.y.size,
    limits=(
        input_has_rows_columns_channels, channels_match, window_fits, padding_is_smaller_than_the_kernel,
        sums_fit_32_bits,
    ),
    rule=Rule("calibrated", weights=1, axis=0, bias=2),
    tflite=TfliteForm(
        "CONV_2D", "Conv2DOptions", encode, decode, version=lambda call: 3 if call.x.dtype == "int8" else 1,
        fits=weights_are_narrow,
    ),
    keras={"Conv2D": from_keras},
    onnx=("Conv",),
))  # fmt: skip
