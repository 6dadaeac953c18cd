# SPDX-License-Identifier: Apache-2.0
"""Dequantize: int8, uint8 or int16 to real numbers: (q - zero point) * scale, rounded once to float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import fixedpoint, sampling
from ..activation import float_literal
from ..ir import Array, Call, Tensor
from . import ROW, Kernel, Op, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (Tensor("y", inputs[0].shape),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (fixedpoint.dequantize(x, call.x),)


def arguments(call: Call) -> str:
    n = call.y.size // call.y.rows
    kind = f"/*bytes, unsigned*/ {call.x.itemsize}, {int(call.x.dtype == 'uint8')}"
    return f"{n}, {kind}, /*scale, zero point*/ {float_literal(call.x.q.s)}, {call.x.q.z}"


def input_is_quantized(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be int8, uint8 or int16."
    return inputs[0].dtype in ("int8", "uint8", "int16")


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        x = sampling.anything(rng, "x", shape, ("int8", "uint8", "int16"))
        yield Call(Attrs(), (x,), infer(Attrs(), (x,)))


OP = register(Op(
    name="dequantize",
    summary="int8, uint8 or int16 to float32.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples,
    kernels=(Kernel("puce_dequantize", "dequantize.h", lambda call: True, arguments),),
    formula=lambda call: "out[i] = (in[i] - zero point) * scale",
    macc=lambda call: 2 * call.y.size,
    limits=(input_is_quantized,),
    tflite=TfliteForm(
        "DEQUANTIZE", "DequantizeOptions", encode, decode, version=lambda call: 3 if call.x.dtype == "int16" else 2,
    ),
    onnx=("DequantizeLinear",),
))  # fmt: skip
