# SPDX-License-Identifier: Apache-2.0
"""TransposeConv, Keras's Conv2DTranspose: each input pixel paints a kernel, `stride` apart, and the kernels add up.

LiteRT's rule, from its reference kernel and checked by experiment: sums of (x - zero point) * w in int32, the bias, then
two-step requantisation by channel, as in conv_2d. What is cut off at the top and left is the padding that a convolution
of the same kernel and stride from the output back to the input would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..errors import Unsupported
from ..fixedpoint import channel_multipliers, clamp_range, requantize
from ..ir import Array, Call, Tensor
from ..packing import requantization
from ..spatial import Pair
from . import WHOLE, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    stride: Pair
    size: Pair  # rows, columns of the output
    cut: Pair = (0, 0)  # rows and columns that are cut off at the top and left
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (*a.size, inputs[1].shape[0])),)


def painted(call: Call, x: Array) -> Array:
    """[n, oh, ow, oc]: the sums of the kernels that the pixels paint."""
    (sh, sw), (top, left), (oh, ow) = call.attrs.stride, call.attrs.cut, call.attrs.size
    w = call.constant(1).astype(x.dtype)
    (n, h, wide, _), (oc, kh, kw, _) = x.shape, w.shape
    whole = np.zeros((n, max((h - 1) * sh + kh, top + oh), max((wide - 1) * sw + kw, left + ow), oc), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            whole[:, ky : ky + (h - 1) * sh + 1 : sh, kx : kx + (wide - 1) * sw + 1 : sw] += x @ w[:, ky, kx].T
    return whole[:, top : top + oh, left : left + ow]


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    if x.dtype == np.float32:
        y = painted(call, x.astype(np.float64)) + call.constant(2)
        return (activate(y.astype(np.float32), a.activation),)
    acc = painted(call, x.astype(np.int64) - call.x.q.z) + call.constant(2)
    q = requantize(acc, *channel_multipliers(call.x, call.inputs[1], call.y)) + call.y.q.z
    return (np.clip(q, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def macs(call: Call) -> int:
    """Every pixel paints every weight, what is cut off included."""
    return call.inputs[1].size * call.x.shape[0] * call.x.shape[1]


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_constants(call: Call) -> tuple[Constant, ...]:
    return (
        Constant("weights", call.constant(1), "[out][row][column][in]"),
        Constant("requant", requantization(call), "an output channel: bias, multiplier, shift"),
    )


def float_constants(call: Call) -> tuple[Constant, ...]:
    return Constant("weights", call.constant(1), "[out][row][column][in]"), Constant("bias", call.constant(2), "[out]")


def geometry(call: Call) -> str:
    a: Attrs = call.attrs
    (h, w, c), (oh, ow, oc), (_, kh, kw, _) = call.x.shape, call.y.shape, call.inputs[1].shape
    return (
        f"/*in*/ {h}, {w}, {c}, /*out*/ {oh}, {ow}, {oc}, /*kernel*/ {kh}, {kw}, /*stride*/ {a.stride[0]}, {a.stride[1]}, "
        f"/*top, left*/ {a.cut[0]}, {a.cut[1]}"
    )


def int8_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{geometry(call)}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{geometry(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    Kernel("puce_transpose_conv_s8", "transpose_conv.h", lambda call: call.x.dtype == "int8", int8_arguments, int8_constants),
    Kernel(
        "puce_transpose_conv_f32", "transpose_conv.h", lambda call: call.x.dtype == "float32", float_arguments, float_constants,
    ),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def channels_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c], the weights [out, rows, columns, c] of as many channels."
    x, w = inputs[:2]
    return len(x.shape) == 3 and len(w.shape) == 4 and x.shape[2] == w.shape[3]


def size_and_stride_are_positive(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Stride and output size must be at least 1, and what is cut off not negative."
    return min(*a.stride, *a.size) >= 1 and min(a.cut) >= 0


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 65 000 int8 weights an output channel."
    _, kh, kw, c = inputs[1].shape
    return inputs[0].dtype == "float32" or kh * kw * c <= 65000


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def back(word: str, n: int, k: int, s: int) -> int:
    """Places of an input from which a word's kernel and stride make an output of n."""
    return -(-n // s) if word == "SAME" else (n + s - k) // s


def cut_by(word: str, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Pair:
    """What 'SAME' or 'VALID' cut off at the top and left of an output of this size."""
    axes = zip(size, kernel, stride, strict=True)
    rows, columns = (max((back(word, n, k, s) - 1) * s + k - n, 0) // 2 for n, k, s in axes)
    return rows, columns


def word_of(call: Call) -> str | None:
    """The word that gives this very geometry; LiteRT holds it against the input's size, too."""
    a, kernel = call.attrs, call.inputs[1].shape[1:3]
    for word in ("VALID", "SAME"):
        size = tuple(back(word, n, k, s) for n, k, s in zip(a.size, kernel, a.stride, strict=True))
        if size == call.x.shape[:2] and cut_by(word, a.size, kernel, a.stride) == a.cut:
            return word
    return None


def file_constants(call: Call) -> tuple[Tensor, ...]:
    shape = Tensor.constant("shape", np.array([1, *call.y.shape], np.int32))
    return shape, call.inputs[1], call.x, call.inputs[2]


def encode(call: Call) -> Mapping[str, Any]:
    a: Attrs = call.attrs
    return {
        "Padding": {"SAME": 0, "VALID": 1}[word_of(call) or ""], "StrideH": a.stride[0], "StrideW": a.stride[1],
        "FusedActivationFunction": TFLITE_ACTIVATION[a.activation],
    }  # fmt: skip


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    """TFLite's inputs: the output's shape, the weights, the picture, and perhaps the bias."""
    _, w, x, *rest = inputs
    if w.data is None:
        raise Unsupported(outputs[0].name, "weights that are computed cannot be compiled.", "Use constant weights.")
    h, wide, oc = outputs[0].shape
    stride = (options.StrideH(), options.StrideW())
    cut = cut_by("VALID" if options.Padding() else "SAME", (h, wide), w.shape[1:3], stride)
    kind = np.float32 if x.dtype == "float32" else np.int32
    bias = rest[0] if rest else Tensor.constant(f"{w.name}/no_bias", np.zeros(oc, kind))
    activation = ACTIVATION_OF_TFLITE[options.FusedActivationFunction()]
    return Attrs(stride, (h, wide), cut, activation), (x, w, bias)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    kernel, *rest = layer.weights  # [rows, columns, out, in]
    stride, extra = layer.pair("strides"), layer.config.get("output_padding")
    if layer.pair("dilation_rate") != (1, 1) or extra is not None or layer.config.get("groups", 1) != 1:
        fact = "a Conv2DTranspose that is dilated, grouped or has output_padding is not computed."
        raise Unsupported(layer.name, fact, "Use UpSampling2D and Conv2D.")
    word, size = "SAME" if layer.config.get("padding") == "same" else "VALID", inputs[0].shape[:2]
    spans = zip(size, kernel.shape[:2], stride, strict=True)
    oh, ow = (n * s + (0 if word == "SAME" else max(k - s, 0)) for n, k, s in spans)
    a = Attrs(stride, (oh, ow), cut_by(word, (oh, ow), kernel.shape[:2], stride))
    bias = rest[0] if rest else np.zeros(kernel.shape[2], np.float32)
    return Imported(a, (("weights", np.ascontiguousarray(kernel.transpose(2, 0, 1, 3))), ("bias", bias)))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        h, w, c, oc = (sampling.integer(rng, 1, n) for n in (5, 5, 9, 7))
        kernel = sampling.integer(rng, 1, 4), sampling.integer(rng, 1, 4)
        stride = sampling.integer(rng, 1, 3), sampling.integer(rng, 1, 3)
        word = "SAME" if rng.random() < 0.5 else "VALID"
        rows, columns = (
            n * s + (0 if word == "SAME" else max(k - s, 0)) for n, k, s in zip((h, w), kernel, stride, strict=True)
        )
        a = Attrs(stride, (rows, columns), cut_by(word, (rows, columns), kernel, stride), sampling.fused(rng))
        x = sampling.activation(rng, "x", (h, w, c), kind)
        weights = sampling.weights(rng, (oc, *kernel, c), kind, 0 if rng.random() < 0.8 else None)
        inputs = (x, weights, sampling.bias(rng, oc, x, weights))
        q = sampling.spread(rng, x, weights, kernel[0] * kernel[1] * c) if kind == "int8" else None
        yield Call(a, inputs, (Tensor("y", (*a.size, oc), kind, q),))


OP = register(Op(
    name="transpose_conv",
    summary="Transposed convolution (Conv2DTranspose), weights with one scale or one a channel, ReLU fused.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[y*stride-top+ky][x*stride-left+kx][o] += w[o][ky][kx][c] * in[y][x][c], from bias[o]",
    macs=macs, macc=lambda call: macs(call) + call.y.size,
    limits=(channels_match, size_and_stride_are_positive, sums_fit_32_bits),
    rule=Rule("calibrated", weights=1, axis=0, bias=2),
    tflite=TfliteForm(
        "TRANSPOSE_CONV", "TransposeConvOptions", encode, decode, file_constants,
        version=lambda call: 4 if call.attrs.activation != "none" else 3, fits=lambda call: word_of(call) is not None,
    ),
    keras={"Conv2DTranspose": from_keras},
    onnx=("ConvTranspose",),
))  # fmt: skip
