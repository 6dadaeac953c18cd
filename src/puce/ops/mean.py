# SPDX-License-Identifier: Apache-2.0
"""GlobalAveragePooling2D: the mean of each channel over rows and columns, [h, w, c] -> [c].

LiteRT's rule, found by experiment: the sum of all (q - zero point) is requantised once, by a multiplier into which
1 / (h * w) is folded in integers: with n = h * w and k = floor(log2 n), multiplier = floor(multiplier * 2^k / n) and
shift = shift - k. It is not brought back to 31 bits, so the first of the two roundings stands elsewhere than with a
multiplier computed in floating point: that one gave other bytes in 131 of 300 random cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..fixedpoint import quantize_multiplier, requantize, type_range
from ..ir import Array, Call, Quantization, Tensor
from . import REDUCE, Imported, KerasLayer, Kernel, Op, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    keep_dims: bool = False  # [1, 1, c] instead of [c]


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    c = inputs[0].shape[-1]
    return (inputs[0].like("y", (1, 1, c) if a.keep_dims else (c,)),)


def pixels(call: Call) -> int:
    return call.x.shape[0] * call.x.shape[1]


def folded_multiplier(call: Call) -> tuple[int, int]:
    """Multiplier and shift of x scale / y scale / pixels, rounded as LiteRT's QuantizedMeanOrSum does."""
    multiplier, shift = quantize_multiplier(call.x.q.s / call.y.q.s)
    n = pixels(call)
    k = min(n.bit_length() - 1, 32, 31 + shift)
    return (multiplier << k) // n, shift - k


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if x.dtype == np.float32:
        y = x.astype(np.float64).mean(axis=(1, 2)).astype(np.float32)
    else:
        total = x.astype(np.int64).sum(axis=(1, 2)) - call.x.q.z * pixels(call)
        y = np.clip(requantize(total, *folded_multiplier(call)) + call.y.q.z, *type_range(call.y.dtype))
    return (y.astype(call.y.dtype).reshape(len(x), *call.y.shape),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_arguments(call: Call) -> str:
    h, w, c = call.x.shape
    multiplier, shift = folded_multiplier(call)
    return f"/*in*/ {h}, {w}, {c}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*multiplier*/ {multiplier}, {shift}"


def float_arguments(call: Call) -> str:
    h, w, c = call.x.shape
    return f"/*in*/ {h}, {w}, {c}"


def sums_bytes(call: Call) -> int:
    return 4 * call.y.size


KERNELS = (
    Kernel(
        "puce_mean_s8", "mean.h", lambda call: call.x.dtype == "int8", int8_arguments, state=sums_bytes, takes_y=True,
    ),
    Kernel(
        "puce_mean_f32", "mean.h", lambda call: call.x.dtype == "float32", float_arguments, state=sums_bytes,
        takes_y=True,
    ),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_has_rows_columns_channels(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c]."
    return len(inputs[0].shape) == 3


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of all pixels must fit 32 bits: at most 8 million pixels of int8."
    return inputs[0].dtype == "float32" or inputs[0].shape[0] * inputs[0].shape[1] <= 8_000_000


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"KeepDims": call.attrs.keep_dims}


def constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("axes", np.array([1, 2], np.int32))


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, axes = inputs
    rank = len(x.shape) + 1
    values = None if axes.data is None else sorted(int(v) % rank for v in axes.data.ravel())
    if values != [1, 2] or rank != 4:
        fact = f"the mean is computed over the rows and columns of a picture, not over the axes {values} of {rank}."
        raise Unsupported(outputs[0].name, fact, "Use GlobalAveragePooling2D in the model.")
    return Attrs(bool(options.KeepDims())), (x,)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs(bool(layer.config.get("keepdims", False))))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        shape = sampling.integer(rng, 1, 12), sampling.integer(rng, 1, 12), sampling.integer(rng, 1, 40)
        x, a = sampling.activation(rng, "x", shape, kind), Attrs(bool(rng.random() < 0.3))
        (y,) = infer(a, (x,))
        q = None
        if x.quantization is not None:
            way = sampling.integer(rng, 0, 2)
            factor = 1.0 if way == 0 else float(np.exp(rng.uniform(-3, 1)))
            zero = x.q.z if way < 2 else sampling.integer(rng, -128, 127)
            q = Quantization((float(np.float32(x.q.s * factor)),), (zero,))
        yield Call(a, (x,), (Tensor("y", y.shape, kind, q),))


OP = register(Op(
    name="mean",
    summary="Mean of each channel over all rows and columns (global average pooling).",
    infer=infer, reference=reference, windows=lambda call: (REDUCE,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[c] = the mean of in[y][x][c] over all y, x",
    macc=lambda call: call.x.size,
    limits=(input_has_rows_columns_channels, sums_fit_32_bits),
    tflite=TfliteForm(
        "MEAN", "ReducerOptions", encode, decode, constants, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    keras={"GlobalAveragePooling2D": from_keras},
    onnx=("GlobalAveragePool",),
))  # fmt: skip
