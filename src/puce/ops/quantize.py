# SPDX-License-Identifier: Apache-2.0
"""Quantize: real numbers to integers, or one quantisation to another.

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

BYTES: tuple[DType, ...] = ("int8", "uint8", "int16")
TARGETS: Mapping[DType, tuple[DType, ...]] = {
    "float32": BYTES, "int8": BYTES, "uint8": BYTES, "int16": ("int8", "int16", "int32"), "int32": ("int8", "int16"),
}  # fmt: skip


@dataclass(frozen=True)
class Attrs:
    dtype: DType = "int8"  # of the output


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
    return call.x.dtype != "float32"


def is_affine(call: Call) -> bool:
    return call.x.itemsize == call.y.itemsize == 1 and affine_form(call) is not None


def values(call: Call) -> int:
    """In a row."""
    return call.y.size // call.y.rows


def affine_arguments(call: Call) -> str:
    form = affine_form(call)
    assert form is not None
    sides = f"/*unsigned*/ {int(call.x.dtype == 'uint8')}, {int(call.y.dtype == 'uint8')}"
    return f"{values(call)}, {sides}, /*factor, offset, shift*/ {form.factors[0]}, {form.offset}, {form.shift}"


def integer_arguments(call: Call) -> str:
    multiplier, shift = quantize_multiplier(call.x.q.s / call.y.q.s)
    kinds = f"/*bytes, unsigned*/ {call.x.itemsize}, {int(call.x.dtype == 'uint8')}, /*bytes*/ {call.y.itemsize}"
    zeros = f"/*zero points*/ {call.x.q.z}, {call.y.q.z}"
    return f"{values(call)}, {kinds}, {zeros}, /*multiplier*/ {multiplier}, {shift}, {clamp(call)}"


def float_arguments(call: Call) -> str:
    scale = f"/*scale, zero point*/ {float_literal(call.y.q.s)}, {call.y.q.z}"
    return f"{values(call)}, /*bytes*/ {call.y.itemsize}, {scale}, {clamp(call)}"


def clamp(call: Call) -> str:
    low, high = type_range(call.y.dtype)
    return f"/*clamp*/ {'INT32_MIN' if call.y.dtype == 'int32' else low}, {high}"


KERNELS = (
    Kernel("puce_requantize_affine", "quantize.h", is_affine, affine_arguments),
    Kernel("puce_requantize_rows", "quantize.h", from_integers, integer_arguments),
    Kernel("puce_quantize_f32", "quantize.h", lambda call: call.x.dtype == "float32", float_arguments),
)


def types_are_known(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "float32, int8 and uint8 become int8, uint8 or int16; int16 becomes int8, int16 or int32; int32 becomes int8 or int16."
    return a.dtype in TARGETS[inputs[0].dtype]


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(outputs[0].dtype), tuple(inputs)


def version(call: Call) -> int:
    if call.x.dtype == "float32":
        return 3 if call.y.dtype == "int16" else 1
    return 2 if call.x.itemsize == call.y.itemsize == 1 else 3


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        kind: DType = ("float32", "int8", "uint8", "float32", "int8", "uint8", "int16", "int32")[sampling.integer(rng, 0, 7)]
        a = Attrs(TARGETS[kind][sampling.integer(rng, 0, len(TARGETS[kind]) - 1)])
        x, zero = Tensor("x", shape), zero_point(rng, a.dtype)
        q = Quantization((sampling.scale(rng),), (zero,))
        if kind != "float32":
            before = Quantization((sampling.scale(rng),), (zero_point(rng, kind),))
            way = sampling.integer(rng, 0, 2)
            factor = (1.0, 2.0 ** sampling.integer(rng, -2, 2), float(np.exp(rng.uniform(-2, 2))))[way]
            if way == 0 and {kind, a.dtype} <= {"int8", "uint8"}:  # a mere change of sign
                zero = before.z + 128 * ((a.dtype == "uint8") - (kind == "uint8"))
            q = Quantization((float(np.float32(before.s * factor)),), (zero,))
            x = Tensor("x", shape, kind, before)
        yield Call(a, (x,), (Tensor("y", shape, a.dtype, q),))


def zero_point(rng: np.random.Generator, kind: DType) -> int:
    """Wider types than a byte are symmetric."""
    return sampling.integer(rng, *type_range(kind)) if kind in ("int8", "uint8") else 0


OP = register(Op(
    name="quantize",
    summary="float32 to int8, uint8 or int16, or a change of type, scale and zero point.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = round(real(in[i]) / scale) + zero point",
    macc=lambda call: 2 * call.y.size,
    limits=(types_are_known,),
    in_place=True,
    tflite=TfliteForm(
        "QUANTIZE", "QuantizeOptions", encode, decode, version=version,
    ),
    onnx=("QuantizeLinear",),
))  # fmt: skip
