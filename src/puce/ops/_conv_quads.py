# SPDX-License-Identifier: Apache-2.0
"""The tables of convolutions and dense for cores without the DSP extension: four channels in a word, or side by side."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import wrap_int32
from ..ir import Array, Call
from ..packing import rounding, rounds_in_four
from . import Constant

ROUNDING = "a channel: bias, multiplier, half of the last place and the zero point moved up, shift"


def accepts(call: Call) -> bool:
    """Whether requantisation is exact; a word of fewer than three channels would cost more than they do one by one."""
    w = call.constant(1)
    return len(w) >= 3 and rounds_in_four(call, w.reshape(len(w), -1))


def constants(call: Call) -> tuple[Constant, ...]:
    note = "[oc / 4][kh][kw][c] words: weights of four channels in bytes, 128 more than they are in the lower three"
    rows = np.column_stack([call.constant(2), rounding(call)])
    filled = np.pad(rows, ((0, -len(rows) % 4), (0, 0))).astype(np.int32)
    return Constant("quads", table(call), note), Constant("rounding", filled, ROUNDING)


def depthwise_accepts(call: Call) -> bool:
    """One output channel an input channel, four at least, and requantisation is exact."""
    w = call.constant(1)  # [kh, kw, c]
    return w.shape[2] == call.x.shape[2] >= 4 and rounds_in_four(call, w.reshape(-1, w.shape[2]).T)


def depthwise_constants(call: Call) -> tuple[Constant, ...]:
    rows = np.column_stack([call.constant(2), rounding(call)]).astype(np.int32)
    return Constant("weights", call.constant(1), "[kh][kw][c]"), Constant("rounding", rows, ROUNDING)


def table(call: Call) -> Array:
    """int32 [oc / 4, kh, kw, c]."""
    return in_quads(call.constant(1))


def in_quads(weights: Array) -> Array:
    """int32 [outputs / 4, ...] from [outputs, ...]: a + 256 b + 65536 c + 2^24 d, channels filled up to 4 with zeros.

    a, b and c are 128 more than the weights, so that a shift by 8 borrows nothing.
    """
    w = weights.astype(np.int64)
    quads = np.pad(w, ((0, -len(w) % 4), *((0, 0),) * (w.ndim - 1))).reshape(len(w[::4]), 4, -1)
    biased = quads + np.array([128, 128, 128, 0])[:, None]
    words: Array = (biased << np.array([0, 8, 16, 24])[:, None]).sum(axis=1)
    return wrap_int32(words).astype(np.int32).reshape(-1, *w.shape[1:])
