# SPDX-License-Identifier: Apache-2.0
"""ReLU between zero and one: a clamp; of bytes also a change of scale.

LiteRT's rule, found by experiment: (x - zero point) is requantised to the output's scale, then clamped.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize, round_away
from ..ir import Array, Call
from . import Kernel, register
from ._pairs import is_float
from ._single import clamped, form, lookup, operator, samples, values


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        return (np.clip(x, np.float32(0), np.float32(1)),)
    y = requantize(x.astype(np.int64) - call.x.q.z, *quantize_multiplier(call.x.q.s / call.y.q.s)) + call.y.q.z
    one = call.y.q.z + round_away(float(np.float32(1) / np.float32(call.y.q.s)))
    return (clamped(call, np.clip(y, call.y.q.z, one)),)


OP = register(operator(
    "relu_0_to_1", "A clamp between zero and one.", reference, "out[i] = min(max(in[i], 0), 1)",
    form("RELU_0_TO_1", int8_version=1),
    kernels=(lookup(reference), Kernel("puce_relu_0_to_1_f32", "relu_0_to_1.h", is_float, lambda call: f"{values(call)}")),
    samples=samples(),
))  # fmt: skip
