# SPDX-License-Identifier: Apache-2.0
"""Hyperbolic tangent.

LiteRT's rule, found by experiment: as logistic's, with tanh = (1 - exp(-2 x)) / (1 + exp(-2 x)) rounded to 7 bits and a
sign. The output's quantisation is fixed: 1/128, and zero point 0 or 128.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize, rounding_shift
from ..ir import Array, Call, Quantization, Tensor
from . import Rule, _fractions, register
from ._pairs import is_float
from ._single import clamped, form, from_keras, kernels, operator, samples

BITS = 4  # integer bits of the argument


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        return (np.tanh(x.astype(np.float64)).astype(np.float32),)
    multiplier, left = quantize_multiplier(call.x.q.s * 2.0 ** (31 - BITS))
    centred = x.astype(np.int64) - call.x.q.z
    radius = _fractions.furthest(BITS, left)
    inside = np.clip(centred, 1 - radius, radius - 1)
    y = rounding_shift(_fractions.tanh(requantize(inside, multiplier, left)), 31 - 7)
    y = np.where(centred <= -radius, -128, np.where(centred >= radius, 127, y))
    return (clamped(call, y + (0 if call.y.dtype == "int8" else 128)),)


def output(rng: np.random.Generator, x: Tensor) -> Quantization:
    return Quantization((1 / 128,), (0 if x.dtype == "int8" else 128,))


OP = register(operator(
    "tanh", "The hyperbolic tangent.", reference, "out[i] = tanh(in[i])", form("TANH"),
    kernels=kernels(reference, "puce_tanh_f32"),
    samples=samples(output=output),
    macc=10,
    rule=Rule((1 / 128, 0)),
    keras={"Activation:tanh": from_keras},
    onnx=("Tanh",),
))  # fmt: skip
