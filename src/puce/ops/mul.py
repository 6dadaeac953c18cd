# SPDX-License-Identifier: Apache-2.0
"""Multiply: the product of two operands, broadcast, ReLU fused; one of them may be constant. Squeeze-and-excite scales so.

LiteRT's rule, found by experiment: the product of both inputs less their zero points is requantised once, by
scale * scale / scale computed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import sampling
from ..activation import activate, float_range
from ..fixedpoint import clamp_range, quantize_multiplier, requantize
from ..ir import Array, Call
from . import Op, register
from ._pairs import (
    Attrs,
    form,
    from_keras,
    infer,
    is_float,
    is_quantized,
    is_unsigned,
    kernels,
    operands,
    random_inputs,
    random_kind,
    random_output,
    shapes_broadcast,
    two_operands,
    windows,
)


def multiplier(call: Call) -> tuple[int, int]:
    s0, s1, sy = (np.float32(t.q.s) for t in (*call.inputs, call.y))
    return quantize_multiplier(float(s0 * s1 / sy))


def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
    x0, x1 = operands(call, arrays)
    if is_float(call):
        return (activate(x0 * x1, call.attrs.activation),)
    product = (x0.astype(np.int64) - call.inputs[0].q.z) * (x1.astype(np.int64) - call.inputs[1].q.z)
    y = requantize(product, *multiplier(call)) + call.y.q.z
    return (np.clip(y, *clamp_range(call.y, call.attrs.activation)).astype(call.y.dtype),)


def integer_arguments(call: Call) -> str:
    zeros = ", ".join(str(t.q.z) for t in (*call.inputs, call.y))
    (m, shift), (low, high) = multiplier(call), clamp_range(call.y, call.attrs.activation)
    return f"{is_unsigned(call)}, /*zero points*/ {zeros}, /*multiplier*/ {m}, {shift}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"/*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    *kernels("puce_mul_8", "pairs.h", is_quantized, integer_arguments),
    *kernels("puce_mul_f32", "pairs.h", is_float, float_arguments),
)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        inputs, _ = random_inputs(rng, random_kind(rng))
        typical = 1.0 if inputs[0].quantization is None else inputs[0].q.s * inputs[1].q.s * 60
        yield Call(Attrs(sampling.fused(rng)), inputs, (random_output(rng, inputs, typical),))


OP = register(Op(
    name="mul",
    summary="Product of two operands, the smaller one repeated, ReLU fused.",
    infer=infer, reference=reference, windows=windows, samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = first[i] * second[i]",
    macs=lambda call: call.y.size,
    macc=lambda call: call.y.size,
    limits=(two_operands, shapes_broadcast),
    in_place=True,
    tflite=form("MUL", "MulOptions"),
    keras={"Multiply": from_keras},
    onnx=("Mul",),
))  # fmt: skip
