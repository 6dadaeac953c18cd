# SPDX-License-Identifier: Apache-2.0
"""gemmlowp's sigmoid and tanh of 16-bit words, on which TFLite's integer LSTM stands, and one exact table for both.

The constants are its own, in 1/2^15: exp(-1/8), 1/3; 48/17 and -32/17 in 1/2^13.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..fixedpoint import rounding_shift
from ..ir import Array

EXPONENTIALS = (25520, 19875, 12055, 4435, 600, 11, 0)  # exp(-1/4), exp(-1/2) ... exp(-16)


def saturate(x: Array) -> Array:
    return np.clip(x, -32768, 32767)


def high(a: Array, b: Array | int) -> Array:
    """a * b / 2^15, rounded, ties up."""
    rounded: Array = (np.asarray(a, np.int64) * np.asarray(b, np.int64) + (1 << 14)) >> 15
    return np.minimum(rounded, 32767)


def exp16(a: Array, m: int) -> Array:
    """exp(a) for a <= 0 with m integer bits."""
    quarter = 1 << (13 - m)
    rest = (a & (quarter - 1)) - quarter
    x = rest * (1 << m) + 4096
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    series = x + rounding_shift(high(rounding_shift(x4, 2) + x3, 10923) + x2, 1)
    result = saturate(28918 + high(series, 28918))
    for e, factor in enumerate(EXPONENTIALS[: m + 2]):
        result = np.where((rest - a) & (quarter << e), high(result, factor), result)
    return np.where(a == 0, 32767, result)


def reciprocal16(a: Array) -> Array:
    """2 / (1 + a) with two integer bits, by Newton's method."""
    half = (a + 32768) >> 1
    x = 23130 + high(half, -15420)
    for _ in range(3):
        x = x + saturate(high(x, 8192 - high(half, x)) * 4)
    return x


def sigmoid16(a: Array) -> Array:
    """Of words with 3 integer bits."""
    result = saturate(reciprocal16(exp16(-np.abs(a), 3)) * 2)
    return np.where(a == 0, 16384, np.where(a > 0, result, 32767 - result))


def tanh16(a: Array, m: int) -> Array:
    result = saturate((reciprocal16(exp16(-np.abs(a), m + 1)) - 8192) * 4)
    return np.where(a == 0, 0, np.sign(a) * result)


@cache
def curves(m: int) -> tuple[Array, Array]:
    """sigmoid16 and tanh16 of every word, by its value plus 32768: pictures by the thousand are looked up, not computed."""
    words = np.arange(-32768, 32768)
    return sigmoid16(words), tanh16(words, m)


CURVE = 37460  # from here on the curve is 2 exactly


@cache
def curve() -> Array:
    """2 / (1 + exp(-k / 2^12)) in 1/2^13, k = 0 .. CURVE. sigmoid16 and tanh16 are this, doubled, or less 1 and doubled twice.

    At 0, where both are exact, it is 1. exp16 gives the same for the same real number whatever its integer bits; only tanh
    goes beyond 8, where k is even.
    """
    k = np.arange(CURVE + 1)
    near, far = (reciprocal16(exp16(-words, m)) for words, m in ((np.minimum(k, 32768), 3), (k // 2, 4)))
    return np.where(k == 0, 8192, np.where(k <= 32768, near, far)).astype(np.int16)
