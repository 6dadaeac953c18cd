# SPDX-License-Identifier: Apache-2.0
"""Divide: the quotient of two operands in float32, broadcast, ReLU fused; either of them may be constant.

By a constant of int8, multiply by its reciprocal; LiteRT itself has no int8 division.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import sampling
from ..activation import activate, float_range
from ..ir import Array, Call, Tensor
from . import Op, register
from ._pairs import (
    OrderedAttrs,
    infer,
    is_float,
    kernels,
    operands,
    ordered_form,
    random_inputs,
    random_output,
    shapes_broadcast,
    two_operands,
    windows,
)


def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
    x0, x1 = operands(call, arrays)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return (activate(x1 / x0 if call.attrs.reverse else x0 / x1, call.attrs.activation),)


def arguments(call: Call) -> str:
    return f"/*reverse*/ {int(call.attrs.reverse)}, /*clamp*/ {float_range(call.attrs.activation)}"


def operands_are_float(a: Any, inputs: Sequence[Tensor]) -> bool:
    "Both operands must be float32: int8 has no division in TFLite; multiply by the reciprocal."
    return all(t.dtype == "float32" for t in inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        inputs, reverse = random_inputs(rng, "float32", ordered_operands=True)
        yield Call(OrderedAttrs(sampling.fused(rng), reverse), inputs, (random_output(rng, inputs, 1.0),))


OP = register(Op(
    name="div",
    summary="Quotient of two operands in float32, the smaller one repeated, ReLU fused.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=kernels("puce_div_f32", "pairs.h", is_float, arguments),
    formula=lambda call: "out[i] = " + ("second[i] / first[i]" if call.attrs.reverse else "first[i] / second[i]"),
    macc=lambda call: call.y.size,
    limits=(two_operands, shapes_broadcast, operands_are_float),
    in_place=True,
    tflite=ordered_form("DIV", "DivOptions"),
    onnx=("Div",),
))  # fmt: skip
