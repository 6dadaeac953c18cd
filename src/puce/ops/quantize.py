# SPDX-License-Identifier: Apache-2.0
"""Quantize: real numbers to int8 or uint8, or one quantisation to another.

LiteRT's rule, found by experiment: from float32, x / scale in float32, rounded half away from zero, plus zero point,
clamped; between integers, (q - zero point) is requantised and clamped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .. import fixedpoint, sampling
from ..activation import float_literal
from ..affine import Affine, fit
from ..fixedpoint import quantize_multiplier, requantize, type_range
from ..ir import Array, Call, DType, Quantization, Tensor
from . import ROW, Kernel, Op, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    dtype: DType = "int8"  # of the output: int8 or uint8


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", dtype=a.dtype),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if x.dtype == np.float32:
        return (fixedpoint.quantize(x, call.y),)
    y = requantize(x.astype(np.int64) - call.x.q.z, *quantize_multiplier(call.x.q.s / call.y.q.s)) + call.y.q.z
    return (np.clip(y, *type_range(call.y.dtype)).astype(call.y.dtype),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def affine(slope: float, x_zero: int, y_zero: int, x_type: str, y_type: str) -> Affine | None:
    """The same bytes by one multiply-add, compared on all 256 inputs."""
    first, last = type_range(x_type)
    x, (low, high) = np.arange(first, last + 1), type_range(y_type)
    y = np.clip(requantize(x - x_zero, *quantize_multiplier(slope)) + y_zero, low, high)
    return fit((slope,), (x,), y, low, high)


def affine_form(call: Call) -> Affine | None:
    return affine(call.x.q.s / call.y.q.s, call.x.q.z, call.y.q.z, call.x.dtype, call.y.dtype)


def from_integers(call: Call) -> bool:
    return call.x.dtype in ("int8", "uint8")


def is_affine(call: Call) -> bool:
    return from_integers(call) and affine_form(call) is not None


def layout(call: Call) -> str:
    """Values in a row, and which sides are unsigned."""
    return f"{call.y.size // call.y.rows}, /*unsigned*/ {int(call.x.dtype == 'uint8')}, {int(call.y.dtype == 'uint8')}"


def affine_arguments(call: Call) -> str:
    form = affine_form(call)
    assert form is not None
    return f"{layout(call)}, /*factor, offset, shift*/ {form.factors[0]}, {form.offset}, {form.shift}"


def integer_arguments(call: Call) -> str:
    multiplier, shift = quantize_multiplier(call.x.q.s / call.y.q.s)
    return f"{layout(call)}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*multiplier*/ {multiplier}, {shift}"


def float_arguments(call: Call) -> str:
    low, high = type_range(call.y.dtype)
    n = call.y.size // call.y.rows
    return f"{n}, /*scale, zero point*/ {float_literal(call.y.q.s)}, {call.y.q.z}, /*clamp*/ {low}, {high}"


KERNELS = (
    Kernel("puce_requantize_affine", "quantize.h", is_affine, affine_arguments),
    Kernel("puce_requantize_rows", "quantize.h", from_integers, integer_arguments),
    Kernel("puce_quantize_f32", "quantize.h", lambda call: call.x.dtype == "float32", float_arguments),
)


def types_are_known(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be float32, int8 or uint8, the output int8 or uint8."
    return inputs[0].dtype in ("float32", "int8", "uint8") and a.dtype in ("int8", "uint8")


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(outputs[0].dtype), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        kind: DType = ("float32", "int8", "uint8")[sampling.integer(rng, 0, 2)]
        a = Attrs("int8" if rng.random() < 0.6 else "uint8")
        x, zero = Tensor("x", shape), sampling.integer(rng, *type_range(a.dtype))
        q = Quantization((sampling.scale(rng),), (zero,))
        if kind != "float32":
            before = Quantization((sampling.scale(rng),), (sampling.integer(rng, *type_range(kind)),))
            way = sampling.integer(rng, 0, 2)
            factor = (1.0, 2.0 ** sampling.integer(rng, -2, 2), float(np.exp(rng.uniform(-2, 2))))[way]
            shifted = before.z + 128 * ((a.dtype == "uint8") - (kind == "uint8"))  # a mere change of sign
            q = Quantization((float(np.float32(before.s * factor)),), (shifted if way == 0 else zero,))
            x = Tensor("x", shape, kind, before)
        yield Call(a, (x,), (Tensor("y", shape, a.dtype, q),))


OP = register(Op(
    name="quantize",
    summary="float32 to int8 or uint8, or a change of scale and zero point.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = round(real(in[i]) / scale) + zero point",
    macc=lambda call: 2 * call.y.size,
    limits=(types_are_known,),
    in_place=True,
    tflite=TfliteForm(
        "QUANTIZE", "QuantizeOptions", encode, decode, version=lambda call: 1 if call.x.dtype == "float32" else 2,
    ),
    onnx=("QuantizeLinear",),
))  # fmt: skip
