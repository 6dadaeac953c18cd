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


def pairs_fit(call: Call, weights: Array) -> bool:
    """Whether two channels share a halfword exactly: weights in -127..127 and |256 high + low| < 2^31 for any input."""
    if len(weights) < 2 or weights.min() < -127:
        return False
    low, high = bounds(call, weights)
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


def pair_table(call: Call, weights: Array) -> Array:
    """int32 [pairs, 2 + taps / 2 + 6]: where the sums of low and of 256 high + low start; weights; rounding of both."""
    pairs = pair_order(len(weights))
    start = folded(call, weights)
    low, high = start[pairs[:, 0]], start[pairs[:, 1]]
    three = rounding(call)
    columns = (np.stack([low, 256 * high + low], axis=1), in_pairs(weights), three[pairs[:, 0]], three[pairs[:, 1]])
    return wrap_int32(np.concatenate(columns, axis=1)).astype(np.int32)


def depthwise_table(call: Call) -> Array:
    """int32 [channels, 7] of a 3x3 depthwise kernel: weights in three words, start of the sum, multiplier, half, shift.

    SXTB16 and SXTB16 ROR 8 of the words give, in turn, the halfwords (row 0, row 1) for kx = 0, 1, 2, then row 2 for
    kx = 0, 1, 2: in the low half for channels 0 and 1 of four, in the high half for 2 and 3, where their inputs lie.
    """
    w = call.constant(1).astype(np.int64)  # [3, 3, c]
    c = w.shape[2]
    start = folded(call, w.reshape(9, c).T)
    zero, low = np.zeros(c, np.int64), np.arange(c) % 4 < 2
    below = [(np.where(low, w[2, kx], zero), np.where(low, zero, w[2, kx])) for kx in range(3)]
    above = [(w[0, kx], w[1, kx]) for kx in range(3)]
    halves = (*above, *below)
    words = []
    for even, odd in (halves[:2], halves[2:4], halves[4:]):
        in_bytes = np.stack([even[0], odd[0], even[1], odd[1]], axis=1) & 0xFF
        words.append(in_bytes @ (1 << np.array([0, 8, 16, 24])))
    return wrap_int32(np.column_stack([*words, start, rounding(call)])).astype(np.int32)


def dense_pairs_fit(call: Call) -> bool:
    """Whether two outputs share a halfword exactly, for sums of raw inputs, and every scale is below 1/2."""
    w = call.constant(1)
    most = 128 * np.abs(w.astype(np.int64)).sum(axis=1)
    fit = len(w) > 1 and w.min() >= -127 and 257 * most.max() < 2**31
    return bool(fit and call.x.q.s * max(call.inputs[1].q.scale) / call.y.q.s < 0.5)


def dense_in_pairs(weights: Array) -> Array:
    """int32 words from [outputs, inputs]: blocks of 4 pairs side by side, then the other pairs one by one.

    Inputs are filled up to a multiple of 8 with zeros.
    """
    out, n = weights.shape
    words = in_pairs(np.pad(weights, ((0, 0), (0, -n % 8))))  # [pairs, inputs / 2]
    whole = out // 8 * 4
    blocks = words[:whole].reshape(out // 8, 4, words.shape[1] // 2, 2).transpose(0, 2, 1, 3)
    return np.concatenate([blocks.ravel(), words[whole:].ravel()])


def staircase(scale: float, zero_point: int, low: int, high: int, reach: int) -> tuple[int, int, int] | None:
    """(multiplier, shift, offset) with clamp((x * multiplier + offset) >> shift) == clamp(round(x * scale) + zero_point).

    For every |x| <= reach; round() is of a double, ties away from zero; the multiplier fits int32, the offset int64.
    Both sides rise with x in steps, so they are equal when each of the `high - low` steps lies at the same x: that is
    what is checked here, not hoped for. None where no multiplier of 31 bits passes between sums that all but tie.
    """
    exponent = math.frexp(scale)[1]
    shift = min(max(31 - exponent, 0), 62)
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
        if 0 <= multiplier < 2**31 and least <= most:
            return multiplier, shift, (least + most) // 2 + (zero_point << shift)
    return None


def dense_requantization(call: Call, low: int, high: int) -> Array:
    """int32 [outputs, 4]: multiplier, shift less 32, and the 64-bit offset as (low, high) words, for sums of raw inputs.

    The offset carries bias, both zero points and the rounding: y = clamp((sum * multiplier + offset) >> shift).
    """
    w, bias, z = call.constant(1).astype(np.int64), call.constant(2).astype(np.int64), call.x.q.z
    scales = np.broadcast_to(call.inputs[1].q.scale, w.shape[0])
    reach = np.abs(w).sum(axis=1) * max(127 - z, z + 128) + np.abs(bias)
    rows = []
    for i, scale in enumerate(scales):
        step = staircase(call.x.q.s * float(scale) / call.y.q.s, call.y.q.z, low, high, int(reach[i]))
        if step is None:
            fact = f"no 31-bit multiplier rounds every sum of output {i} as LiteRT does: two sums all but tie."
            raise Unsupported(call.y.name, fact, "Quantise again with other calibration pictures.")
        multiplier, shift, offset = step
        offset += multiplier * int(bias[i] - z * w[i].sum())
        rows.append((multiplier, shift - 32, offset & 0xFFFFFFFF, (offset >> 32) & 0xFFFFFFFF))
    return np.array(rows, np.int64).astype(np.uint32).view(np.int32)
