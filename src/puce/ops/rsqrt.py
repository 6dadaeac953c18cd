# SPDX-License-Identifier: Apache-2.0
"""Reciprocal square root, of values that are not negative.

LiteRT's rule, found by experiment: 1 / sqrt(x - zero point) in fixed point by five steps of Newton's method, shifted
left by 20, then requantised by 1 / (sqrt(x scale) * y scale) * 2^-20; zero gives the largest byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize
from ..ir import Array, Call, Quantization, Tensor
from . import register
from ._fractions import inverse_root
from ._pairs import is_float
from ._single import clamped, form, kernels, operator
from ._single import samples as random_uses

LEFT = 20


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        with np.errstate(divide="ignore", invalid="ignore"):
            return ((1 / np.sqrt(x.astype(np.float64))).astype(np.float32),)
    scale = float(np.float32(1) / (np.sqrt(np.float32(call.x.q.s)) * np.float32(call.y.q.s)))
    multiplier, shift = quantize_multiplier(scale)
    roots = [inverse_root(value) for value in range(256)]
    factors, shifts = (np.array(side, np.int64) for side in zip(*roots, strict=True))
    wide = requantize(np.ones(256, np.int64), factors, shifts + LEFT)
    y = requantize(wide, multiplier, shift - LEFT) + call.y.q.z
    y[0] = 127
    return (clamped(call, y[x.astype(np.int64) - call.x.q.z]),)


def no_byte_is_negative(a: Any, inputs: Sequence[Tensor]) -> bool:
    "An int8 input must have the zero point -128: the root of a negative number is none."
    return inputs[0].dtype == "float32" or (inputs[0].dtype == "int8" and inputs[0].q.z == -128)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    for call in random_uses(kind=lambda rng: "int8" if rng.random() < 0.7 else "float32")(rng):
        if call.x.quantization is None:
            yield call
            continue
        x = replace(call.x, quantization=Quantization(call.x.q.scale, (-128,)))
        scale = float(np.float32(np.exp(rng.uniform(-2, 1)) / np.sqrt(call.x.q.s) / 100))
        yield Call(call.attrs, (x,), (replace(call.y, quantization=Quantization((scale,), call.y.q.zero_point)),))


OP = register(operator(
    "rsqrt", "One divided by the square root.", reference, "out[i] = 1 / sqrt(in[i])", form("RSQRT"),
    kernels=kernels(reference, "puce_rsqrt_f32"),
    samples=samples,
    macc=10,
    limits=(no_byte_is_negative,),
))  # fmt: skip
