# SPDX-License-Identifier: Apache-2.0
"""Cast: the same numbers in another type, scale and zero point left out of account.

LiteRT's rule, found by experiment: from float32 the fraction is cut off, what lies beyond the type becomes its largest or
smallest value, and what is no number the largest; between integers the low bits are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..fixedpoint import type_range
from ..ir import Array, Call, DType, Quantization, Tensor
from . import ROW, Kernel, Op, TfliteForm, register
from .transpose import KINDS

CODES: dict[DType, int] = {"float32": 0, "int32": 2, "uint8": 3, "int16": 7, "int8": 9}  # TensorType of the schema


@dataclass(frozen=True)
class Attrs:
    dtype: DType  # of the output


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (Tensor("y", inputs[0].shape, a.dtype),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    kind = call.y.dtype
    if x.dtype != np.float32 or kind == "float32":
        return (x.astype(kind),)
    low, high = type_range(kind)
    y = np.clip(np.trunc(np.where(np.isnan(x), np.inf, x).astype(np.float64)), low, high)
    return (y.astype(kind),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def values(call: Call) -> str:
    return f"{call.x.size // call.x.rows}"


def source(call: Call) -> str:
    return f"/*bytes, unsigned*/ {call.x.itemsize}, {int(call.x.dtype == 'uint8')}"


def to_float_arguments(call: Call) -> str:
    return f"{values(call)}, {source(call)}"


def integer_arguments(call: Call) -> str:
    return f"{values(call)}, {source(call)}, /*bytes*/ {call.y.itemsize}"


def from_float_arguments(call: Call) -> str:
    low, high = type_range(call.y.dtype)
    lowest = "INT32_MIN" if call.y.dtype == "int32" else low
    return f"{values(call)}, /*bytes*/ {call.y.itemsize}, /*range*/ {lowest}, {high}"


def floats(call: Call) -> tuple[bool, bool]:
    return call.x.dtype == "float32", call.y.dtype == "float32"


KERNELS = (
    Kernel("puce_cast_to_f32", "cast.h", lambda call: floats(call) == (False, True), to_float_arguments),
    Kernel("puce_cast_from_f32", "cast.h", lambda call: floats(call) == (True, False), from_float_arguments),
    Kernel("puce_cast_integers", "cast.h", lambda call: floats(call) == (False, False), integer_arguments),
)


def types_differ(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "A cast must change the type, from and to int8, uint8, int16, int32 or float32."
    return a.dtype in CODES and inputs[0].dtype in CODES and a.dtype != inputs[0].dtype


def encode(call: Call) -> Mapping[str, Any]:
    return {"InDataType": CODES[call.x.dtype], "OutDataType": CODES[call.y.dtype]}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    """The tensors' own types say it: converters leave the options out."""
    return Attrs(outputs[0].dtype), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        x, kind = sampling.anything(rng, "x", shape, KINDS), KINDS[sampling.integer(rng, 0, len(KINDS) - 1)]
        if kind != x.dtype:
            q = Quantization((sampling.scale(rng),), (0,)) if kind in ("int8", "uint8", "int16") else None
            yield Call(Attrs(kind), (x,), (Tensor("y", shape, kind, q),))


OP = register(Op(
    name="cast",
    summary="The same numbers in another type: int8, uint8, int16, int32, float32.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: f"out[i] = ({call.y.dtype})in[i]",
    limits=(types_differ,),
    tflite=TfliteForm("CAST", "CastOptions", encode, decode),
    onnx=("Cast",),
))  # fmt: skip
