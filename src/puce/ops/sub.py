# SPDX-License-Identifier: Apache-2.0
"""Subtract: the difference of two operands, broadcast, ReLU fused; either of them may be constant.

LiteRT's rule, found by experiment: that of add, with the second requantised operand taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import sampling
from ..activation import activate
from ..ir import Array, Call, Tensor
from . import Imported, KerasLayer, Op, register
from ._pairs import (
    OrderedAttrs,
    infer,
    is_float,
    is_quantized,
    kernels,
    operands,
    ordered_form,
    random_inputs,
    random_kind,
    random_output,
    shapes_broadcast,
    two_operands,
    windows,
)
from .add import affine_arguments, affine_form, float_arguments, integer_arguments, scheme


def signs(call: Call) -> tuple[int, int]:
    return (-1, 1) if call.attrs.reverse else (1, -1)


def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
    x0, x1 = operands(call, arrays)
    if is_float(call):
        return (activate(x1 - x0 if call.attrs.reverse else x0 - x1, call.attrs.activation),)
    return (scheme(call, signs(call))(x0, x1).astype(call.y.dtype),)


KERNELS = (
    *kernels(
        "puce_add_affine_8", "add.h", lambda call: is_quantized(call) and affine_form(call, signs(call)) is not None,
        lambda call: affine_arguments(call, signs(call)),
    ),
    *kernels("puce_add_8", "add.h", is_quantized, lambda call: integer_arguments(call, signs(call))),
    *kernels("puce_add_f32", "add.h", is_float, lambda call: float_arguments(call, signs(call))),
)  # fmt: skip


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(OrderedAttrs())


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        inputs, reverse = random_inputs(rng, random_kind(rng), ordered_operands=True)
        typical = 1.0 if inputs[0].quantization is None else float(np.hypot(inputs[0].q.s, inputs[1].q.s))
        yield Call(OrderedAttrs(sampling.fused(rng), reverse), inputs, (random_output(rng, inputs, typical),))


OP = register(Op(
    name="sub",
    summary="Difference of two operands, the smaller one repeated, ReLU fused.",
    infer=infer, reference=reference, windows=windows, samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = " + ("second[i] - first[i]" if call.attrs.reverse else "first[i] - second[i]"),
    macc=lambda call: call.y.size,
    limits=(two_operands, shapes_broadcast),
    in_place=True,
    tflite=ordered_form("SUB", "SubOptions"),
    keras={"Subtract": from_keras},
    onnx=("Sub",),
))  # fmt: skip
