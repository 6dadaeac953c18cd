# SPDX-License-Identifier: Apache-2.0
"""The square of float32 values; LiteRT has no int8 form of it."""

from __future__ import annotations

from ..ir import Array, Call
from . import register
from ._single import form, input_is_float, kernels, operator, samples


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (x * x,)


OP = register(operator(
    "square", "The square of float32 values.", reference, "out[i] = in[i] * in[i]", form("SQUARE", "SquareOptions"),
    kernels=kernels(reference, "puce_square_f32")[1:],
    samples=samples(kind=lambda rng: "float32"),
    limits=(input_is_float,),
))  # fmt: skip
