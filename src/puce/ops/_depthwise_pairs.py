# SPDX-License-Identifier: Apache-2.0
"""Tables, scratch and rounding of the depthwise convolutions for the DSP extension: docs/design/kernels.md."""

from __future__ import annotations

import numpy as np

from ..ir import Array, Call
from ..packing import folded, rounding, rounds_in_four
from . import Constant
from ._one_step import one_step

PLACES = 2  # the shift in the kernel where it rounds once
NOTE = "a channel: nine weights and the shift in three words, multiplier, offset, start of the sum"


def columns(call: Call) -> int:
    """Input columns of a row of windows, padding inside."""
    stride: int = call.attrs.stride[1]
    return (call.y.shape[1] - 1) * stride + 3


def accepts(call: Call) -> bool:
    """3x3 in steps of 1 or 2, channels in fours, a column of padding at most: what nets for small cores are made of."""
    a, w = call.attrs, call.inputs[1]
    if (call.x.dtype, w.dtype) != ("int8", "int8") or w.shape[2] != call.x.shape[2] or w.shape[2] % 4:
        return False
    right = columns(call) - a.padding[2] - call.x.shape[1]
    shape_fits = w.shape[:2] == (3, 3) and a.stride[1] in (1, 2) and a.dilation[1] == 1
    return shape_fits and max(a.padding[2], right) <= 1 and rounds_in_four(call, by_channel(call))


def accepts_any(call: Call) -> bool:
    """Any window, channels in fours."""
    w = call.inputs[1]
    narrow = (call.x.dtype, w.dtype) == ("int8", "int8") and w.shape[2] == call.x.shape[2]
    return narrow and w.shape[2] % 4 == 0 and rounds_in_four(call, by_channel(call))


def by_channel(call: Call) -> Array:
    """Weights [channels, taps]."""
    return call.constant(1).reshape(-1, call.inputs[1].shape[2]).T


def has_signs(call: Call) -> bool:
    """Whether the kernel must round twice, as for outputs that may be negative."""
    return one_step(call, by_channel(call), PLACES) is None


def constants(call: Call) -> tuple[Constant, ...]:
    return (Constant("table", table(call), NOTE),)


def table(call: Call) -> Array:
    """int32 [channels, 6]: the columns that NOTE names.

    SXTB16 and SXTB16 ROR 8 of the words give, in turn, the halfwords (row 0, row 1) for kx = 0, 1, 2, then (kx 0, kx 1) of
    row 2; the third word gives (kx 1, kx 2) of row 2 and, in its second byte, the shift.
    """
    w = call.constant(1).astype(np.int64)  # [3, 3, c]
    start, found = folded(call, by_channel(call)), one_step(call, by_channel(call), PLACES)
    if found is None:
        multiplier, offset, shift = rounding(call).T
    else:
        start = start + found[:, 0]
        multiplier, offset = found[:, 1:].T
        shift = np.zeros_like(start)
    in_bytes = (
        (w[0, 0], w[0, 1], w[1, 0], w[1, 1]),
        (w[0, 2], w[2, 0], w[1, 2], w[2, 1]),
        (w[2, 1], shift, w[2, 2], np.zeros_like(start)),
    )
    words = [sum((byte & 0xFF) << 8 * i for i, byte in enumerate(four)) for four in in_bytes]
    return (np.column_stack([*words, multiplier, offset, start]) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def scratch(call: Call) -> int:
    """Bytes: two columns of four channels in 48, then a pixel of padding."""
    return 48 * -(-columns(call) // 2) + call.x.shape[2]


def constants_any(call: Call) -> tuple[Constant, ...]:
    note = "four channels: weights of two taps in two words; then a channel: start of the sum, multiplier, half, shift"
    return (Constant("table", table_any(call), note),)


def table_any(call: Call) -> Array:
    """int32 [channels / 4, words]: of each pair of taps the bytes (a0 a1 b0 b1), (a2 a3 b2 b3); then 4 x 4 numbers."""
    kh, kw, c = call.inputs[1].shape
    even = np.pad(call.constant(1), ((0, 0), (0, kw % 2), (0, 0)))
    taps = even.reshape(kh, -1, 2, c // 4, 2, 2).transpose(3, 0, 1, 4, 2, 5)  # [quads, kh, pairs, half, a or b, channel]
    words = np.ascontiguousarray(taps).view(np.uint8).reshape(c // 4, -1, 4) @ (1 << np.array([0, 8, 16, 24]))
    last = np.column_stack([folded(call, by_channel(call)), rounding(call)]).reshape(c // 4, 16)
    return (np.concatenate([words, last], axis=1) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
