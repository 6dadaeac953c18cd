# SPDX-License-Identifier: Apache-2.0
"""The table, the scratch and the rounding of the convolution for the DSP extension: docs/design/kernels.md draws them."""

from __future__ import annotations

import numpy as np

from ..ir import Array, Call
from ..packing import folded, in_pairs, pair_order, pairs_fit, rounding, rounds_in_four
from . import Constant
from ._one_step import one_step

PLACES = 4  # the shift of low in the kernel; that of high is 8 more
SCRATCH = 2560  # bytes of windows that a block may take: each word of weights is then read once for all of its pixels
WHOLE_ROW = 3072  # bytes that it may take where it is all of a row
NOTE = (
    "a pair of channels: weights of taps 0 2, 1 3, ...; start of both sums (low, 256 high + low); "
    "multiplier, offset of low, of high; shift of both where they are rounded twice"
)


def taps(call: Call) -> Array:
    """Weights [oc, taps] in the order of a window, filled up to a multiple of 4."""
    flat = call.constant(1).reshape(call.inputs[1].shape[0], -1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4)))


def accepts(call: Call) -> bool:
    """Whether the sums of two channels share a word exactly, and requantisation is exact."""
    return pairs_fit(call, taps(call)) and rounds_in_four(call, taps(call))


def single_step(call: Call) -> Array | None:
    """What `one_step` found, where the sums moved by it still share a word."""
    w = taps(call)
    found = one_step(call, w, PLACES)
    if found is None or not pairs_fit(call, w, found[:, 0]):
        return None
    return found


def has_signs(call: Call) -> bool:
    """Whether the kernel must round twice, as for outputs that may be negative."""
    return single_step(call) is None


def constants(call: Call) -> tuple[Constant, ...]:
    return (Constant("pairs", table(call), NOTE),)


def table(call: Call) -> Array:
    """int32 [pairs, taps / 2 + 6 or 8]: the columns that NOTE names."""
    w, found = taps(call), single_step(call)
    pairs, start = pair_order(len(w)), folded(call, w)
    first, second = pairs[:, 0], pairs[:, 1]
    if found is None:
        three = rounding(call)
        last = [three[first, :2], three[second, :2], three[first, 2:], three[second, 2:]]
    else:
        start = start + found[:, 0]
        last = [found[first, 1:], found[second, 1:] * (1, 256)]
    starts = np.stack([start[first], 256 * start[second] + start[first]], axis=1)
    return wrapped(np.concatenate([in_pairs(w), starts, *last], axis=1))


def wrapped(values: Array) -> Array:
    """int32 with the low 32 bits of each value."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def block(call: Call, small: bool = False) -> int:
    """Output pixels whose windows stand in scratch at once: all of a row, or some fours of them."""
    ow, each = call.y.shape[1], 2 * taps(call).shape[1]
    return ow if ow * each <= WHOLE_ROW and not small else min(ow, max(4, 0 if small else SCRATCH // each // 4 * 4))


def can_be_small(call: Call) -> bool:
    """Whether fewer pixels at once, and so more time, would save scratch."""
    return accepts(call) and block(call) > block(call, small=True)


def scratch(call: Call, small: bool = False) -> int:
    """Bytes: the windows as int16, then one as int8, or four where their runs do not end on a word."""
    _, _, kw, c = call.inputs[1].shape
    run = c * (kw if call.attrs.dilation[1] == 1 else 1)
    return (2 * block(call, small) + (4 if run % 4 else 1)) * int(taps(call).shape[1])
