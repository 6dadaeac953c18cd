# SPDX-License-Identifier: Apache-2.0
"""Integer functions of int8 values replaced by one multiply-add and shift, only where that gives the same bytes.

An element-wise int8 operator has so few possible inputs (256, or 65 536 for two) that the compiler can try them all. So
clamp((factor * x + offset) >> shift) takes the place of two-step requantisation exactly where every input agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .ir import Array

WIDEST_SHIFT = 29
STRETCHES = (0, 1, 2, 4, -1)


@dataclass(frozen=True)
class Affine:
    """clamp((factors[0] * x0 + factors[1] * x1 ... + offset) >> shift), every partial sum within int32."""

    factors: tuple[int, ...]
    offset: int
    shift: int

    def __call__(self, low: int, high: int, *inputs: Array) -> Array:
        total: Array = np.asarray(self.offset, np.int64)
        for factor, x in zip(self.factors, inputs, strict=True):
            total = total + factor * x.astype(np.int64)
        y: Array = np.clip(total >> self.shift, low, high)
        return y


def fit(slopes: Sequence[float], inputs: Sequence[Array], want: Array, low: int, high: int) -> Affine | None:
    """Find the affine form that equals `want` (already clamped to low .. high) on all `inputs`, or None.

    For given factors the offsets that are right for one input form an interval; so the offset is solved, not guessed.
    Factors are the slopes times 2^shift, from the largest shift that cannot overflow; stretching all of them by a few
    units turns exact ties away from zero, as requantisation does.
    """
    inside = [np.asarray(x, np.int64) for x in inputs]
    reach = sum(abs(s) * float(np.abs(x).max()) for s, x in zip(slopes, inside, strict=True))
    reach += abs(float(want.max())) + abs(float(want.min())) + reach + 1  # the offset is at most this
    widest = min(WIDEST_SHIFT, int(np.floor(np.log2(2**31 / reach))))
    nonzero = [abs(s) for s in slopes if s]
    for shift in range(widest, max(widest - 3, 0), -1):
        for units in STRETCHES:
            stretch = 1 + units / (min(nonzero, default=1.0) * 2**shift)
            factors = tuple(round(s * 2**shift * stretch) for s in slopes)
            found = solve(factors, shift, inside, want, low, high)
            if found is not None:
                return found
    return None


def solve(factors: tuple[int, ...], shift: int, inputs: Sequence[Array], want: Array, low: int, high: int) -> Affine | None:
    """The offset, in the middle of those that are right for all inputs; None where there is none or it could overflow."""
    total = sum((f * x for f, x in zip(factors, inputs, strict=True)), np.int64(0))
    target = want.astype(np.int64) << shift
    least = np.where(want > low, target - total, -(2**40)).max()
    most = np.where(want < high, target + (1 << shift) - 1 - total, 2**40).min()
    if least > most:
        return None
    offset = int(np.clip((int(least) + int(most)) // 2, -(2**30), 2**30))
    if not least <= offset <= most:
        return None
    bound = sum(abs(f) * int(np.abs(x).max()) for f, x in zip(factors, inputs, strict=True)) + abs(offset)
    return Affine(factors, offset, shift) if bound < 2**31 else None
