# SPDX-License-Identifier: Apache-2.0
"""Hard swish: x * min(max(x + 3, 0), 6) / 6.

LiteRT's rule, found by experiment: 16-bit fixed point. The byte less its zero point, times 128, is scaled twice: to the
output's scale, and to 3/32768 with saturation, which becomes the slope; their product is cut, not rounded, to 16 bits,
then shifted with rounding. Both multipliers are rounded to 16 bits.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import quantize_multiplier, rounding_shift
from ..ir import Array, Call
from . import register
from ._pairs import is_float
from ._single import clamped, form, from_keras, kernels, operator, samples

HIGHEST = 2**15 - 1


def multiplier_16(factor: np.float32) -> tuple[int, int]:
    """A multiplier of 16 bits, and its shift."""
    multiplier, shift = quantize_multiplier(float(factor))
    return min((multiplier + (1 << 15)) >> 16, HIGHEST), shift


def saturated(x: Array) -> Array:
    return np.clip(x, -HIGHEST - 1, HIGHEST)


def high_product(a: Array, b: Array | int, rounded: bool) -> Array:
    """a * b / 2^15 in 16 bits, rounded or cut towards zero."""
    p: Array = a * b
    q: Array = (p + (1 << 14) if rounded else p + (p < 0) * HIGHEST) >> 15
    return np.minimum(q, HIGHEST)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        wide = x.astype(np.float64)
        return ((wide * np.clip(wide + 3, 0, 6) / 6).astype(np.float32),)
    scale = np.float32(call.x.q.s) * np.float32(1 / 128)
    slope_multiplier, slope_shift = multiplier_16(scale / (np.float32(3) / np.float32(32768)))
    multiplier, shift = multiplier_16(scale / np.float32(call.y.q.s))
    value = (x.astype(np.int64) - call.x.q.z) << 7
    slope = saturated(value << max(slope_shift - 1, 0))
    slope = high_product(slope, slope_multiplier, rounded=True)
    slope = saturated(slope << 1) if slope_shift > 0 else rounding_shift(slope, -slope_shift)
    slope = (slope + (1 << 15)) >> 1
    y = high_product(slope, high_product(value, multiplier, rounded=True), rounded=False)
    y = rounding_shift(y, -shift) if shift <= 0 else saturated(y << shift)
    return (clamped(call, y + call.y.q.z),)


OP = register(operator(
    "hard_swish", "x times a clamp of (x + 3) / 6 between 0 and 1.", reference,
    "out[i] = in[i] * min(max(in[i] + 3, 0), 6) / 6", form("HARD_SWISH", "HardSwishOptions", 1),
    kernels=kernels(reference, "puce_hard_swish_f32"),
    samples=samples(),
    macc=5,
    keras={"Activation:hard_silu": from_keras, "Activation:hard_swish": from_keras},
    onnx=("HardSwish",),
))  # fmt: skip
