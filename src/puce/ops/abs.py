# SPDX-License-Identifier: Apache-2.0
"""Absolute value.

LiteRT's rule, found by experiment: |x - zero point| is requantised by x scale / y scale, not at all where they agree.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize
from ..ir import Array, Call
from . import register
from ._pairs import is_float
from ._single import clamped, form, kernels, operator, samples


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        return (np.abs(x),)
    y = np.abs(x.astype(np.int64) - call.x.q.z)
    if call.x.q.s != call.y.q.s:
        y = requantize(y, *quantize_multiplier(call.x.q.s / call.y.q.s))
    return (clamped(call, y + call.y.q.z),)


OP = register(operator(
    "abs", "The absolute value.", reference, "out[i] = |in[i]|", form("ABS", "AbsOptions"),
    kernels=kernels(reference, "puce_abs_f32"),
    samples=samples(kind=lambda rng: "int8" if rng.random() < 0.7 else "float32"),
    onnx=("Abs",),
))  # fmt: skip
