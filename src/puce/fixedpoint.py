# SPDX-License-Identifier: Apache-2.0
"""Integer arithmetic of the TFLite quantisation specification, in NumPy: the truth that the C kernels are held to.

A real factor is stored as (multiplier, shift): factor = multiplier * 2^(shift - 31), multiplier in 2^30 .. 2^31 - 1.
Requantisation has two steps, each of which rounds: a rounding doubling high multiply, then a rounding right shift.
"""

from __future__ import annotations

import math

import numpy as np

from .activation import ACTIVATION_RANGE, Activation
from .ir import Array, Tensor


def round_away(x: float) -> int:
    """Round half away from zero, as C's round() does."""
    return math.floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """Split a non-negative real factor into (multiplier, shift); (0, 0) when it is too small to matter."""
    assert factor >= 0, factor
    if factor == 0:
        return 0, 0
    fraction, shift = math.frexp(factor)
    multiplier = round_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def doubling_high_multiply(a: Array, b: Array | int) -> Array:
    """Round(a * b / 2^31) with ties towards plus infinity: int32 by int32, saturated at its one overflow.

    gemmlowp's SRDHM nudges by 2^30 or 1 - 2^30 and then divides towards zero, which is this same function.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    high: Array = (product + (1 << 30)) >> 31
    return np.minimum(high, 2**31 - 1)


def rounding_shift(x: Array, exponent: Array | int) -> Array:
    """Round(x / 2^exponent), ties away from zero."""
    x, e = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    half = np.where(e > 0, np.left_shift(1, np.maximum(e - 1, 0)), 0)
    return (x + half - ((x < 0) & (e > 0))) >> e


def wrap_int32(x: Array) -> Array:
    """What an int32 register holds after overflow."""
    return ((np.asarray(x, np.int64) + 2**31) & 0xFFFFFFFF) - 2**31


def requantize(x: Array, multiplier: Array | int, shift: Array | int) -> Array:
    """TFLite's MultiplyByQuantizedMultiplier: x * multiplier * 2^(shift - 31), rounded twice; int64 array of int32 values."""
    s = np.asarray(shift, np.int64)
    shifted = wrap_int32(np.left_shift(np.asarray(x, np.int64), np.maximum(s, 0)))
    return rounding_shift(doubling_high_multiply(shifted, multiplier), np.maximum(-s, 0))


def channel_multipliers(x: Tensor, w: Tensor, y: Tensor) -> tuple[Array, Array]:
    """Multiplier and shift of each output channel: x scale * w scale / y scale, computed in double from float32 scales."""
    n = w.shape[w.q.axis] if w.q.axis is not None else 1
    scales = w.q.scale if len(w.q.scale) == n else w.q.scale * n
    pairs = [quantize_multiplier(x.q.s * s / y.q.s) for s in scales]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


def type_range(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def clamp_range(y: Tensor, activation: Activation) -> tuple[int, int]:
    """The smallest and largest quantised output under a fused activation (TFLite's CalculateActivationRangeQuantized)."""
    low, high = type_range(y.dtype)
    real_low, real_high = ACTIVATION_RANGE[activation]
    if real_low > -math.inf:
        low = max(low, y.q.z + round_away(float(np.float32(real_low) / np.float32(y.q.s))))
    if real_high < math.inf:
        high = min(high, y.q.z + round_away(float(np.float32(real_high) / np.float32(y.q.s))))
    return low, high


def quantize(x: Array, t: Tensor) -> Array:
    """Real values to the integers of `t`: round(x / scale) + zero point, ties away from zero, in float32 as TFLite does."""
    low, high = type_range(t.dtype)
    ratio = np.asarray(x, np.float32) / np.float32(t.q.s)
    # trunc(|r| + 0.5) in double: |r| + 0.5 would round up in float32 just below a half
    nearest = np.copysign(np.floor(np.abs(ratio.astype(np.float64)) + 0.5), ratio)
    q: Array = np.clip(nearest + t.q.z, low, high)
    return q.astype(t.dtype)


def dequantize(q: Array, t: Tensor) -> Array:
    """The real values of the integers of `t`."""
    real: Array = (q.astype(np.float64) - t.q.z) * t.q.s
    return real.astype(np.float32)
