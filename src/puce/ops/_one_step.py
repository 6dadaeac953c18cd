# SPDX-License-Identifier: Apache-2.0
"""Requantisation in one multiply, proved equal to TFLite's two rounding steps for every sum that a layer can reach.

A channel's sum becomes ((sum + delta) * multiplier / 2^32 + offset) >> shift, saturated to int8: SMMLA, and SSAT with its
own shift. Both this and the reference rise with the sum in at most 255 steps, so they are equal when each step lies at the
same sum. The offset moves them by 2^-shift of a step, `delta` by whole sums: so many places that one nearly always fits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..fixedpoint import channel_multipliers, requantize
from ..ir import Array, Call
from ..packing import bounds

REACHES = (1 << 8, 1 << 12, 1 << 17)  # how far a sum may be moved: small ranges are searched first, for all channels at once
ZERO = -128  # the zero point of outputs that are never negative
STEPS = np.arange(-127, 128)
FAR = np.int64(2**62)
NEAR = sorted(range(-4, 5), key=abs)


def one_step(call: Call, weights: Array, places: int) -> Array | None:
    """int64 [channels, 3]: delta, multiplier, offset, for a shift of `places`; None where a channel has no such numbers.

    weights are [channels, taps]; delta is to be added to the start of the sum. Only outputs whose least value is their
    zero: elsewhere ties of negative sums go down, and no one line has the steps of both signs.
    """
    low, high = bounds(call, weights)
    multiplier, shift = np.broadcast_arrays(*channel_multipliers(call.x, call.inputs[1], call.y))
    if len(multiplier) != len(low):
        multiplier, shift = (np.broadcast_to(v, low.shape) for v in (multiplier, shift))
    right = (shift <= -1) | (multiplier == 0)
    if call.y.q.z != ZERO or low.min() < -(2**30) or high.max() >= 2**30 or not right.all():
        return None
    key = (np.ascontiguousarray(v, np.int64).tobytes() for v in (low, high, multiplier, shift))
    found = _search(*key, places)
    return None if found is None else np.frombuffer(found, np.int64).reshape(-1, 3)


@lru_cache(maxsize=512)
def _search(low_: bytes, high_: bytes, multiplier_: bytes, shift_: bytes, places: int) -> bytes | None:
    """The same for bytes of int64."""
    low, high, multiplier, shift = (np.frombuffer(part, np.int64) for part in (low_, high_, multiplier_, shift_))
    wanted = np.where(multiplier == 0, 0.0, np.ldexp(multiplier.astype(np.float64), (places + shift + 1).astype(int)))
    if wanted.max() > 2**31 - 2:
        return None
    nearest, first = np.rint(wanted).astype(np.int64), _thresholds(low, high, multiplier, shift)
    result, left, found = np.zeros((len(low), 3), np.int64), np.arange(len(low)), np.zeros(len(low), bool)
    for reach, together in zip(REACHES, (len(left), len(left), 1), strict=True):
        for some in [left[i : i + together] for i in range(0, len(left), together)]:
            for j in NEAR:
                m = np.clip(nearest[some] + j, 0, 2**31 - 1)
                delta, offset, fits = _split(*_offsets(first[some], low[some], high[some], m, places), m, reach)
                result[some[fits]] = np.column_stack([delta, m, offset])[fits]
                found[some[fits]], some = True, some[~fits]
            if len(some) and reach == REACHES[-1]:
                return None  # one channel without is enough
        left = left[~found[left]]
    return result.tobytes()


def _thresholds(low: Array, high: Array, multiplier: Array, shift: Array) -> Array:
    """[channels, 255]: the least sum from `low` to `high` that gives each output above -128, high + 1 where none does."""
    least = np.repeat(low[:, None], len(STEPS), axis=1)
    most = np.repeat(high[:, None] + 1, len(STEPS), axis=1)
    m, s = multiplier[:, None], shift[:, None]
    while (least < most).any():
        middle = (least + most) >> 1
        reached = requantize(middle, m, s) + ZERO >= STEPS
        most = np.where(reached, middle, most)
        least = np.where(reached, least, np.minimum(middle + 1, most))
    return most


def _offsets(first: Array, low: Array, high: Array, m: Array, places: int) -> tuple[Array, Array]:
    """Least and greatest 64-bit offset with which sum * m + offset steps where the reference does."""
    steps = STEPS << (places + 32)
    least = np.where(first <= high[:, None], steps - first * m[:, None], -FAR).max(axis=1)
    most = np.where(first > low[:, None], steps - (first - 1) * m[:, None] - 1, FAR).min(axis=1)
    least = np.maximum(least, most - 2**33)  # where no step bounds one side
    return least, np.minimum(most, least + 2**33)


def _split(least: Array, most: Array, m: Array, reach: int) -> tuple[Array, Array, Array]:
    """delta and offset with least <= delta * m + 2^32 * offset <= most, the smallest delta; and whether there are any."""
    delta = _moves(reach)
    found = np.zeros((len(m), 2), np.int64)
    fits = np.zeros(len(m), bool)
    for i in np.flatnonzero(least <= most):
        at = delta * m[i]
        offset = -((at - least[i]) >> 32)  # rounded up
        good = at + (offset << 32) <= most[i]
        chosen = np.argmax(good)
        fits[i] = good[chosen]
        found[i] = delta[chosen], offset[chosen]
    return found[:, 0], found[:, 1], fits


@lru_cache
def _moves(reach: int) -> Array:
    """0, -1, 1, -2, 2, ... as int64."""
    away = np.arange(1, reach + 1)
    return np.concatenate([[0], np.stack([-away, away], axis=1).ravel()])
