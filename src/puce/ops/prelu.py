# SPDX-License-Identifier: Apache-2.0
"""PReLU: x where it is not negative, else x times a learned slope, one a channel or one a value.

LiteRT's rule, found by experiment: (x - zero point) is requantised by x scale / y scale; where it is negative its
product with (slope - zero point of the slopes) is, by x scale * slope scale / y scale. Both are computed in double.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize, type_range
from ..ir import Array, Call, Tensor
from . import Imported, KerasLayer, Op, TfliteForm, register
from ._pairs import (
    is_float,
    is_quantized,
    is_unsigned,
    kernels,
    operands,
    quantization,
    random_kind,
    random_output,
    random_shapes,
    shapes_broadcast,
    windows,
    without_batch,
)


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def multipliers(call: Call) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of positive values, and of negative ones times their slope."""
    x, slopes = call.inputs
    return quantize_multiplier(x.q.s / call.y.q.s), quantize_multiplier(x.q.s * slopes.q.s / call.y.q.s)


def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
    x, slopes = operands(call, arrays)
    if is_float(call):
        return (np.where(x >= 0, x, x * slopes),)
    positive, negative = multipliers(call)
    wide = x.astype(np.int64) - call.x.q.z
    product = wide * (slopes.astype(np.int64) - call.inputs[1].q.z)
    y = np.where(wide >= 0, requantize(wide, *positive), requantize(product, *negative)) + call.y.q.z
    return (np.clip(y, *type_range(call.y.dtype)).astype(call.y.dtype),)


def integer_arguments(call: Call) -> str:
    zeros = ", ".join(str(t.q.z) for t in (*call.inputs, call.y))
    pairs = ", ".join(f"{m}, {shift}" for m, shift in multipliers(call))
    low, high = type_range(call.y.dtype)
    return f"{is_unsigned(call)}, /*zero points*/ {zeros}, /*multipliers*/ {pairs}, /*clamp*/ {low}, {high}"


def slopes_are_constant(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The slopes must be constant, of the input's type, and repeat to its shape: [c], [1, 1, c] or [h, w, c]."
    if len(inputs) != 2 or inputs[1].data is None or inputs[0].dtype != inputs[1].dtype:
        return False
    return shapes_broadcast(a, inputs) and np.broadcast_shapes(*(t.shape for t in inputs)) == inputs[0].shape


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, slopes = inputs
    return Attrs(), (x, without_batch(slopes, len(x.shape)))


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs(), (("slopes", layer.weights[0]),))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, (full, other) = random_kind(rng), random_shapes(rng)
        if kind == "float32":
            x, slopes = Tensor("x", full), Tensor.constant("slopes", rng.normal(size=other).astype(np.float32))
        else:
            low, high = type_range(kind)
            x = Tensor("x", full, kind, quantization(rng, kind))
            slopes = Tensor.constant("slopes", rng.integers(low, high + 1, other).astype(kind), quantization(rng, kind))
        inputs = x, slopes
        yield Call(Attrs(), inputs, (random_output(rng, inputs, 1.0 if kind == "float32" else x.q.s),))


OP = register(Op(
    name="prelu",
    summary="x where it is not negative, else x times a constant slope, one a channel or one a value.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=tuple(
        next(k for k in kernels(name, "pairs.h", accepts, arguments) if "_constant_" in k.name)
        for name, accepts, arguments in (
            ("puce_prelu_8", is_quantized, integer_arguments),
            ("puce_prelu_f32", is_float, lambda call: ""),
        )
    ),
    formula=lambda call: "out[i] = in[i] if in[i] >= 0, else in[i] * slope[i]",
    macc=lambda call: call.y.size,
    limits=(slopes_are_constant,),
    in_place=True,
    tflite=TfliteForm("PRELU", "", encode, decode),
    keras={"PReLU": from_keras},
    onnx=("PRelu",),
))  # fmt: skip
