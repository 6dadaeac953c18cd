# SPDX-License-Identifier: Apache-2.0
"""exp, 1 / x and 1 / sqrt(x) in 32-bit fixed point, bit for bit as TFLite's reference kernels compute them (gemmlowp's way).

A fraction is an integer over 2^31; a number with `bits` integer bits is an integer over 2^(31 - bits).
"""

from __future__ import annotations

import math

import numpy as np

from ..fixedpoint import doubling_high_multiply, rounding_shift
from ..ir import Array

ONE = 2**31 - 1
# exp(-2^e) for e = -2 .. 4, exp(-1/8), 1/3, 48/17, 32/17, sqrt(1/2): fixed-point constants of the algorithms
EXP_OF_POWER = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
EXP_OF_MINUS_EIGHTH, THIRD, NEWTON_START, NEWTON_SLOPE = 1895147668, 715827883, 1515870810, 1010580540
ROOT_OF_HALF = 1518500250


def exp_of_quarter(a: Array) -> Array:
    """exp(a / 2^31) as a fraction, for -1/4 <= a / 2^31 < 0: Taylor round -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3, x4 = doubling_high_multiply(x2, x), doubling_high_multiply(x2, x2)
    cubic = doubling_high_multiply(rounding_shift(x4, 2) + x3, THIRD) + x2
    return EXP_OF_MINUS_EIGHTH + doubling_high_multiply(x + rounding_shift(cubic, 1), EXP_OF_MINUS_EIGHTH)


def exp_of_negative(a: Array, bits: int) -> Array:
    """exp(a) as a fraction, for numbers a <= 0 of 4 or 5 integer bits."""
    quarter = 1 << (29 - bits)
    rest = (a & (quarter - 1)) - quarter
    y = exp_of_quarter(rest << bits)
    for bit, factor in zip(range(29 - bits, 31), EXP_OF_POWER, strict=False):
        y = np.where((rest - a) >> bit & 1, doubling_high_multiply(y, factor), y)
    return np.where(a == 0, ONE, y)


def inverse_of_half(half: Array) -> Array:
    """1 / half over 2^29, for fractions of 1/2 to 1: three steps of Newton's method."""
    x = NEWTON_START + doubling_high_multiply(half, -NEWTON_SLOPE)
    for _ in range(3):
        x = x + 4 * doubling_high_multiply(x, (1 << 29) - doubling_high_multiply(half, x))
    return x


def logistic(a: Array) -> Array:
    """1 / (1 + exp(-a)) as a fraction, for numbers of 4 integer bits."""
    half = (exp_of_negative(-np.abs(a), 4) + ONE + 1) >> 1
    positive = np.minimum(2 * inverse_of_half(half), ONE)
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(a: Array) -> Array:
    """(1 - exp(-2 a)) / (1 + exp(-2 a)) as a fraction, for numbers of 4 integer bits."""
    half = (exp_of_negative(-np.abs(a), 5) + ONE + 1) >> 1
    positive = np.minimum(4 * (inverse_of_half(half) - (1 << 29)), ONE)
    return np.where(a == 0, 0, np.where(a > 0, positive, -positive))


def inverse_root(value: int) -> tuple[int, int]:
    """1 / sqrt(value) as (multiplier, shift) of a requantisation: five steps of Newton's method."""
    if value <= 1:
        return ONE, 0
    shift = 11
    while value >= 1 << 29:
        value, shift = value // 4, shift + 1
    pairs = (31 - value.bit_length()) // 2 - 1
    shift -= pairs
    a = (value << 2 * pairs) >> 1  # 3 integer bits
    half, x = int(rounding_shift(np.array(a), 1)), 1 << 28
    for _ in range(5):
        cube = saturated(product(product(x, x), x) << 6)
        x = saturated((product((1 << 28) + (1 << 27), x) - product(half, cube)) << 3)
    multiplier = product(x, ROOT_OF_HALF)
    return (multiplier << -shift, 0) if shift < 0 else (multiplier, -shift)


def product(a: int, b: int) -> int:
    """Rounded, as fractions."""
    return (a * b + (1 << 30)) >> 31


def saturated(x: int) -> int:
    return max(-(2**31), min(x, ONE))


def furthest(bits: int, left: int) -> int:
    """TFLite's CalculateInputRadius: beyond it, a value shifted left leaves the range of `bits` integer bits."""
    reach: int = math.floor((2**bits - 1) * 2.0 ** (31 - bits) / 2.0**left)
    return reach
