# SPDX-License-Identifier: Apache-2.0
"""Logistic (sigmoid): 1 / (1 + exp(-x)).

LiteRT's rule, found by experiment: a byte less its zero point is requantised to a number of 4 integer bits, whose
logistic is computed as a fraction of 2^31 (exponential by squaring, reciprocal by Newton's method) and rounded to 8
bits; beyond 15 the result is 0 or 255. The output's quantisation is fixed: 1/256, and zero point -128 or 0.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize, rounding_shift
from ..ir import Array, Call, Quantization, Tensor
from . import Rule, _fractions, register
from ._pairs import is_float
from ._single import form, from_keras, kernels, operator, samples

BITS = 4  # integer bits of the argument


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        with np.errstate(over="ignore"):
            return ((1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32),)
    multiplier, left = quantize_multiplier(call.x.q.s * 2.0 ** (31 - BITS))
    centred = x.astype(np.int64) - call.x.q.z
    radius = _fractions.furthest(BITS, left)
    inside = np.clip(centred, 1 - radius, radius - 1)
    y = np.minimum(rounding_shift(_fractions.logistic(requantize(inside, multiplier, left)), 31 - 8), 255)
    y = np.where(centred <= -radius, 0, np.where(centred >= radius, 255, y))
    return ((y - (128 if call.y.dtype == "int8" else 0)).astype(call.y.dtype),)


def output(rng: np.random.Generator, x: Tensor) -> Quantization:
    return Quantization((1 / 256,), (-128 if x.dtype == "int8" else 0,))


OP = register(operator(
    "logistic", "The logistic function (sigmoid).", reference, "out[i] = 1 / (1 + exp(-in[i]))", form("LOGISTIC"),
    kernels=kernels(reference, "puce_logistic_f32"),
    samples=samples(output=output),
    macc=10,
    rule=Rule((1 / 256, -128)),
    keras={"Activation:sigmoid": from_keras},
    onnx=("Sigmoid",),
))  # fmt: skip
