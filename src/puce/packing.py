# SPDX-License-Identifier: Apache-2.0
"""Constant tables in the order in which kernels read them: requantisation, and weights re-ordered for the DSP extension."""

from __future__ import annotations

import math

import numpy as np

from .errors import Unsupported
from .fixedpoint import channel_multipliers, wrap_int32
from .ir import Array, Call


def requantization(call: Call) -> Array:
    """int32 [channels, 3]: bias, multiplier, shift, of sums of inputs less their zero point."""
    multiplier, shift = channel_multipliers(call.x, call.inputs[1], call.y)
    return np.stack(np.broadcast_arrays(call.constant(2), multiplier, shift), axis=1).astype(np.int32)


def folded(call: Call, weights: Array) -> Array:
    """int64 [channels]: bias - zero point * sum of weights, where sums of raw inputs start; weights are [channels, taps]."""
    start: Array = call.constant(2).astype(np.int64) - call.x.q.z * weights.astype(np.int64).sum(axis=1)
    return start


def bounds(call: Call, weights: Array) -> tuple[Array, Array]:
    """Least and greatest sum of each channel, bias in, for int8 inputs; weights are [channels, taps]."""
    w, z, bias = weights.astype(np.int64), call.x.q.z, call.constant(2).astype(np.int64)
    positive, negative = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    low = bias + positive * (-128 - z) + negative * (127 - z)
    high = bias + positive * (127 - z) + negative * (-128 - z)
    return low, high


def rounds_in_four(call: Call, weights: Array) -> bool:
    """Whether SMMLAR, ADD, ASR and SSAT requantise exactly: doubled sums fit int32, and every shift is to the right.

    weights are [channels, taps]. The zero point rides on the rounding constant, so the shift stays below 23.
    """
    low, high = bounds(call, weights)
    multiplier, shift = channel_multipliers(call.x, call.inputs[1], call.y)
    right = ((shift <= -1) & (shift >= -22)) | (multiplier == 0)
    return bool(low.min() >= -(2**30) and high.max() < 2**30 and right.all())


def rounding(call: Call) -> Array:
    """int64 [channels, 3]: multiplier, half of the last place plus the zero point moved up, right shift."""
    multiplier, shift = np.broadcast_arrays(*channel_multipliers(call.x, call.inputs[1], call.y))
    right = np.where(multiplier == 0, 1, -shift)
    half = (1 << (right - 1)) + (call.y.q.z << right)
    return np.broadcast_to(np.stack([multiplier, half, right], axis=1), (call.y.shape[-1], 3))


def pair_order(channels: int) -> Array:
    """[pairs, 2]: (0, 1), (2, 3) ...; an odd last channel goes once more with its neighbour."""
    first = np.arange(0, channels - 1, 2)
    if channels % 2:
        first = np.append(first, channels - 2)
    return np.stack([first, first + 1], axis=1)


def pairs_fit(call: Call, weights: Array, moved: Array | int = 0) -> bool:
    """Whether two channels share a halfword exactly: weights in -127..127 and |256 high + low| < 2^31 for any input.

    `moved` is what is added to the sums of each channel.
    """
    if len(weights) < 2 or weights.min() < -127:
        return False
    low, high = (end + moved for end in bounds(call, weights))
    pairs = pair_order(len(weights))
    most = 256 * high[pairs[:, 1]] + high[pairs[:, 0]]
    least = 256 * low[pairs[:, 1]] + low[pairs[:, 0]]
    return bool(most.max() < 2**31 and least.min() >= -(2**31))


def in_pairs(weights: Array) -> Array:
    """int32 [pairs, taps / 2] from [channels, taps], taps a multiple of 4: the picture is in docs/design/kernels.md.

    A halfword is 256 * high + low, so its high byte holds `high` less one where `low` is negative. A word holds taps
    0 and 2 of a group of four, the next 1 and 3: the order in which SXTB16 and SXTB16 ROR 8 leave the inputs.
    """
    low, high = (weights[pair_order(len(weights))[:, i]].astype(np.int64) for i in (0, 1))
    halves = (256 * high + low) & 0xFFFF
    groups = halves.reshape(len(halves), -1, 2, 2)  # [pairs, groups, tap // 2, tap % 2]
    words: Array = groups[:, :, 0] | groups[:, :, 1] << 16
    return words.reshape(len(halves), -1).astype(np.uint32).view(np.int32)


def dense_rounding_fits(call: Call, bits: int = 32) -> bool:
    """Whether 2^-22 <= every scale < 1/2, and every sum, moved as `dense_rounding` says, fits `bits`.

    A sum is one of raw inputs that starts at bias - zero point * sum of weights. It moves by at most 129 / scale + 3:
    `staircase` picks the offset nearest to half a step, and a step has room within one multiplier of it.
    """
    w = call.constant(1)
    scales = np.array([call.x.q.s * s / call.y.q.s for s in call.inputs[1].q.scale])
    start = np.abs(folded(call, w)) + 129 / scales.clip(2**-22) + 3
    most = start + 128 * np.abs(w.astype(np.int64)).sum(axis=1)
    return bool(scales.min() >= 2**-22 and scales.max() < 0.5 and most.max() < 2 ** (bits - 1))


def dense_pairs_fit(call: Call) -> bool:
    """Whether two outputs share a halfword exactly: weights in -127..127, and 256 * sum fits int32, whatever the other adds."""
    w = call.constant(1)
    return len(w) > 1 and bool(w.min() >= -127) and dense_rounding_fits(call, 24)


def dense_rounding(call: Call, low: int, high: int) -> tuple[Array, Array]:
    """int64 [outputs] by how much sums start later; int32 [1 or outputs, 3] multiplier, offset, shift.

    An output is (sum * multiplier + offset) >> 32 >> shift: one row where one scale and one rounding serve all. What is a
    multiple of the multiplier in the offset goes where the sum starts: the rest fits int32.
    """
    steps = dense_steps(call, low, high)
    moved, offset = steps[:, 2] // steps[:, 0], steps[:, 2] % steps[:, 0]
    rows = np.stack([steps[:, 0], offset, steps[:, 1] - 32], axis=1).astype(np.int64).astype(np.int32)
    return np.broadcast_to(moved, call.y.shape[-1]).astype(np.int64), rows


def dense_pair_tables(call: Call, low: int, high: int) -> tuple[Array, Array]:
    """Tables of the DSP kernel: int32 words of steps of 8 outputs, then of 2; int32 [1 or outputs, 3] of the rounding.

    A step starts with where its sums of 256 high + low start, then those of low; its weights follow, pairs side by side.
    The low sums are of (x0 + l1) * (x1 + l0), one product for two, so they start lower by every l1 * l0.
    """
    w = call.constant(1)
    moved, rounding = dense_rounding(call, low, high)
    pairs = pair_order(len(w))
    start = folded(call, w) + moved
    assert np.abs(start).max() < 2**23, "dense_pairs_fit bounds it"
    filled = np.pad(w, ((0, 0), (0, -w.shape[1] % 8))).astype(np.int64)
    products = (filled[:, 0::2] * filled[:, 1::2]).sum(axis=1)
    low_start, high_start = start[pairs[:, 0]], start[pairs[:, 1]]
    starts = wrap_int32(np.stack([256 * high_start + low_start, low_start - products[pairs[:, 0]]])).astype(np.int32)
    words = in_pairs(filled).reshape(len(pairs), -1, 2)  # [pairs, inputs / 4, 2]
    whole = len(w) // 8 * 4
    groups = [*range(0, whole, 4), *range(whole, len(pairs))]
    parts = []
    for first in groups:
        group = slice(first, first + (4 if first < whole else 1))
        parts += [starts[:, group].ravel(), words[group].transpose(1, 0, 2).ravel()]
    if len(rounding) > 1:
        rounding = rounding[pairs.ravel()]
    return np.concatenate(parts), rounding


def staircase(scale: float, zero_point: int, low: int, high: int, reach: int) -> tuple[int, int, int] | None:
    """(multiplier, shift, offset) with clamp((x * multiplier + offset) >> shift) == clamp(round(x * scale) + zero_point).

    For every |x| <= reach; round() is of a double, ties away from zero; the multiplier fits int32, the offset int64.
    Both sides rise with x in steps, so they are equal when each of the `high - low` steps lies at the same x: that is
    what is checked here, not hoped for. None where no multiplier of 31 bits passes between sums that all but tie.
    """
    exponent = math.frexp(scale)[1]
    shift = min(max(31 - exponent, 0), 54)  # a result of up to 8 bits moved so far still fits int64
    steps = np.arange(low - zero_point + 1, high - zero_point + 1)
    guess = np.ceil((steps - 0.5) / scale) if scale else np.sign(steps) * np.inf
    near = np.clip(guess, -reach - 3, reach + 3)[:, None] + np.arange(-2, 3)  # float64 holds them exactly
    reached = np.copysign(np.floor(np.abs(near * scale) + 0.5), near) >= steps[:, None]
    first = near[:, 0] + np.where(reached.any(axis=1), np.argmax(reached, axis=1), 5)  # the least x with that result
    at = [(int(x), int(k) << shift) for x, k in zip(first, steps, strict=True)]
    nearest = min(round(math.ldexp(scale, shift)), 2**31 - 1)  # a larger scale takes every sum but 0 to an end, as this does
    for multiplier in sorted(range(nearest - 32, nearest + 33), key=lambda m: abs(m - nearest)):
        least = max((k - multiplier * x for x, k in at if x <= reach), default=-(2**62))
        most = min((k - 1 - multiplier * min(x - 1, reach) for x, k in at if x > -reach), default=2**62)
        if 0 < multiplier < 2**31 and least <= most:
            half = 1 << shift >> 1  # the nearest to it: few steps leave much room, and a great offset moves sums far
            return multiplier, shift, min(max(half, least), most) + (zero_point << shift)
    return None


def dense_reach(call: Call) -> Array:
    """int64 [outputs]: the greatest |sum|, bias in, for int8 inputs less their zero point."""
    w, z = call.constant(1).astype(np.int64), call.x.q.z
    reach: Array = np.abs(w).sum(axis=1) * max(127 - z, z + 128) + np.abs(call.constant(2).astype(np.int64))
    return reach


def dense_steps(call: Call, low: int, high: int) -> Array:
    """[1 or outputs, 3] of Python integers: multiplier, shift, offset for sums less zero points, bias in.

    One row where the weights have one scale and one rounding is right for the sums of all outputs.
    """
    scales, reach = call.inputs[1].q.scale, dense_reach(call)
    if len(scales) == 1:
        one = staircase(call.x.q.s * float(scales[0]) / call.y.q.s, call.y.q.z, low, high, int(reach.max()))
        if one is not None:
            return np.array([one], object)
    rows = []
    for i, scale in enumerate(np.broadcast_to(scales, len(reach))):
        step = staircase(call.x.q.s * float(scale) / call.y.q.s, call.y.q.z, low, high, int(reach[i]))
        if step is None:
            fact = f"no 31-bit multiplier rounds every sum of output {i} as LiteRT does: two sums all but tie."
            raise Unsupported(call.y.name, fact, "Quantise again with other calibration pictures.")
        rows.append(step)
    return np.array(rows, object)


def dense_requantization(call: Call, low: int, high: int) -> Array:
    """int32 [outputs, 4]: multiplier, shift less 32, and the 64-bit offset as (low, high) words, for sums of raw inputs.

    The offset carries bias, both zero points and the rounding: y = clamp((sum * multiplier + offset) >> shift).
    """
    start = folded(call, call.constant(1))
    rows = []
    steps = np.broadcast_to(dense_steps(call, low, high), (len(start), 3))
    for first, (multiplier, shift, offset) in zip(start, steps, strict=True):
        offset += multiplier * int(first)
        rows.append((multiplier, shift - 32, offset & 0xFFFFFFFF, (offset >> 32) & 0xFFFFFFFF))
    return np.array(rows, np.int64).astype(np.uint32).view(np.int32)
