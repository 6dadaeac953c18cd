# SPDX-License-Identifier: Apache-2.0
"""MaxPooling2D: each output is the largest pixel of a window, channel by channel.

LiteRT's rule, found by experiment: the largest quantised value of the pixels inside the picture (padding never wins),
then the clamp of the fused activation. Input and output share one scale and zero point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..fixedpoint import clamp_range, type_range
from ..ir import Array, Call, Tensor
from ..spatial import NO_PADDING, Padding, Pair, output_size, pad, padding_name, same_padding, windows
from . import Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, Window, register


@dataclass(frozen=True)
class Attrs:
    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: Padding = NO_PADDING
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x = inputs[0]
    return (x.like("y", (*output_size(x.shape[:2], a.kernel, a.stride, a.padding), x.shape[2])),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    lowest = -np.inf if x.dtype == np.float32 else type_range(call.x.dtype)[0]
    y = windows(pad(x, a.padding, lowest), a.kernel, a.stride).max(axis=(-2, -1))
    if x.dtype == np.float32:
        return (activate(y, a.activation),)
    return (np.clip(y, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def taps(call: Call) -> int:
    """Pixels looked at, padding included: Cube.AI's count."""
    kh, kw = call.attrs.kernel
    return int(call.y.size * kh * kw)


def row_window(call: Call) -> tuple[Window, ...]:
    a: Attrs = call.attrs
    return (Window(a.kernel[0], a.stride[0], a.padding[0]),)


def formula(call: Call) -> str:
    a: Attrs = call.attrs
    rows, columns = f"y*{a.stride[0]}-{a.padding[0]}+ky", f"x*{a.stride[1]}-{a.padding[2]}+kx"
    return f"out[y][x][c] = the largest of in[{rows}][{columns}][c]"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def geometry(call: Call) -> str:
    a: Attrs = call.attrs
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, "
        f"/*kernel*/ {a.kernel[0]}, {a.kernel[1]}, /*stride, left*/ {a.stride[1]}, {a.padding[2]}, "
        f"/*padded*/ {int(any(a.padding))}"
    )


def single_row_geometry(call: Call) -> str:
    """Without the height of the kernel, which is 1."""
    a: Attrs = call.attrs
    return (
        f"/*in*/ {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, "
        f"/*kernel*/ {a.kernel[1]}, /*stride, left*/ {a.stride[1]}, {a.padding[2]}, /*padded*/ {int(any(a.padding))}"
    )


def clamp(call: Call) -> str:
    if call.x.dtype == "float32":
        return f"/*clamp*/ {float_range(call.attrs.activation)}"
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"/*clamp*/ {low}, {high}"


def rows_arguments(call: Call) -> str:
    return f"{geometry(call)}, {clamp(call)}"


def single_row_arguments(call: Call) -> str:
    return f"{single_row_geometry(call)}, {clamp(call)}"


def reads_several_rows(call: Call, kind: str) -> bool:
    return call.x.dtype == kind and call.attrs.kernel[0] > 1


def reads_one_row(call: Call, kind: str) -> bool:
    return call.x.dtype == kind and call.attrs.kernel[0] == 1


KERNELS = (
    Kernel("puce_max_pool_2d_s8", "max_pool_2d.h", lambda call: reads_several_rows(call, "int8"), rows_arguments),
    Kernel("puce_max_pool_1d_s8", "max_pool_2d.h", lambda call: reads_one_row(call, "int8"), single_row_arguments),
    Kernel("puce_max_pool_2d_f32", "max_pool_2d.h", lambda call: reads_several_rows(call, "float32"), rows_arguments),
    Kernel("puce_max_pool_1d_f32", "max_pool_2d.h", lambda call: reads_one_row(call, "float32"), single_row_arguments),
)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_has_rows_columns_channels(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c]."
    return len(inputs[0].shape) == 3


def kernel_and_stride_are_positive(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Kernel and stride must be at least 1."
    return min(*a.kernel, *a.stride) >= 1


def padding_is_smaller_than_the_kernel(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Padding must be smaller than the kernel, or a window would see no pixel."
    return min(a.padding) >= 0 and max(a.padding[:2]) < a.kernel[0] and max(a.padding[2:]) < a.kernel[1]


def window_fits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The kernel must fit the padded picture at least once."
    return min(infer(a, inputs)[0].shape) >= 1


LIMITS = (
    input_has_rows_columns_channels, kernel_and_stride_are_positive, padding_is_smaller_than_the_kernel, window_fits,
)  # fmt: skip


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    a: Attrs = call.attrs
    word = padding_name(a.padding, call.x.shape[:2], a.kernel, a.stride)
    assert word is not None, "a .tflite file knows no pooling with explicit padding"
    return {
        "Padding": {"SAME": 0, "VALID": 1}[word],
        "StrideH": a.stride[0], "StrideW": a.stride[1],
        "FilterHeight": a.kernel[0], "FilterWidth": a.kernel[1],
        "FusedActivationFunction": TFLITE_ACTIVATION[a.activation],
    }  # fmt: skip


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    kernel = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    padding = NO_PADDING if options.Padding() else same_padding(inputs[0].shape[:2], kernel, stride)
    return Attrs(kernel, stride, padding, ACTIVATION_OF_TFLITE[options.FusedActivationFunction()]), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """Strides that are absent equal the pool."""
    kernel = layer.pair("pool_size")
    stride = kernel if layer.config.get("strides") is None else layer.pair("strides")
    same = layer.config.get("padding") == "same"
    padding = same_padding(inputs[0].shape[:2], kernel, stride) if same else NO_PADDING
    return Imported(Attrs(kernel, stride, padding))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def random_window(rng: np.random.Generator, size: Pair) -> tuple[Pair, Pair, Padding]:
    """A legal kernel, stride and padding for a picture of this size: valid, same or explicit padding alike often."""
    kernel = sampling.integer(rng, 1, 4), sampling.integer(rng, 1, 4)
    stride = sampling.integer(rng, 1, 3), sampling.integer(rng, 1, 3)
    way = sampling.integer(rng, 0, 2)
    if way == 0:
        return (min(kernel[0], size[0]), min(kernel[1], size[1])), stride, NO_PADDING
    if way == 1:
        return kernel, stride, same_padding(size, kernel, stride)
    top, bottom, left, right = (sampling.integer(rng, 0, k - 1) for k in (kernel[0], kernel[0], kernel[1], kernel[1]))
    return kernel, stride, (top, bottom, left, right)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        h, w, c = (sampling.integer(rng, 1, n) for n in (12, 12, 20))
        a = Attrs(*random_window(rng, (h, w)), sampling.fused(rng))
        x = sampling.activation(rng, "x", (h, w, c), sampling.dtype(rng))
        if all(limit(a, (x,)) for limit in LIMITS):
            yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="max_pool_2d",
    summary="Largest pixel of a window, any kernel, stride and padding, ReLU fused.",
    infer=infer, reference=reference, windows=row_window, samples=samples, kernels=KERNELS, formula=formula,
    macc=taps,
    limits=LIMITS,
    rule=Rule("same"),
    tflite=TfliteForm(
        "MAX_POOL_2D", "Pool2DOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    keras={"MaxPooling2D": from_keras},
    onnx=("MaxPool",),
))  # fmt: skip
