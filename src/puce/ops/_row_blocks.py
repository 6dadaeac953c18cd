# SPDX-License-Identifier: Apache-2.0
"""Convolutions of narrow pictures, several rows of output a firing: how many rows, and what that takes of memory."""

from __future__ import annotations

from ..ir import Call
from . import Window, _conv_pairs, _depthwise_pairs

MOST_ROWS = 8
CONV_SCRATCH = 5632  # bytes of windows that a block may take
STATE = 4096  # bytes of output that may wait
COLD = 1600  # cycles that a pair of channels waits for code where fours, a three and a two of pixels fill more than a kilobyte


def conv_accepts(call: Call) -> bool:
    """Where the rows of a window lie next to each other and two rows of output fit: the core's own proofs hold as well."""
    plain = (call.x.dtype, call.inputs[1].dtype) == ("int8", "int8")
    together = call.inputs[1].shape[1] == 1 or call.attrs.dilation[0] == 1
    return plain and together and bool(_conv_rows_that_fit(call)) and _conv_pairs.accepts(call)


def conv_rows(call: Call) -> int:
    """Rows of output a block: those that take the least time."""
    return min(_conv_rows_that_fit(call), key=lambda rows: _conv_cycles(call, rows))


def conv_scratch(call: Call) -> int:
    """Bytes: windows as int16, and what bytes stand behind them while they are widened."""
    return _conv_scratch(call, conv_rows(call))


def conv_state(call: Call) -> int:
    """Bytes of a block of output."""
    return conv_rows(call) * call.y.row_bytes


def conv_window(call: Call) -> tuple[Window, ...]:
    """The input rows of a block: only every so many firings are they read, but they are there."""
    a = call.attrs
    return (Window((conv_rows(call) - 1) * a.stride[0] + call.inputs[1].shape[1], a.stride[0], a.padding[0]),)


def _taps(call: Call) -> int:
    return -(-call.inputs[1].size // call.inputs[1].shape[0] // 4) * 4


def _conv_scratch(call: Call, rows: int) -> int:
    return (2 * rows * call.y.shape[1] + 4) * _taps(call)


def _conv_rows_that_fit(call: Call) -> list[int]:
    most = min(MOST_ROWS, call.y.shape[0])
    fits = (r for r in range(2, most + 1) if _conv_scratch(call, r) <= CONV_SCRATCH and r * call.y.row_bytes <= STATE)
    return list(fits)


def _conv_cycles(call: Call, rows: int) -> int:
    """About how many cycles a pair of channels takes in all rows: groups of pixels, and what a block costs besides."""
    taps, (height, ow, _) = _taps(call), call.y.shape

    def block(n: int) -> int:
        pixels = n * ow
        fours, tail = divmod(pixels, 4)
        if tail == 1 and fours:
            fours, tail = fours - 1, 5
        ends = {0: 0, 1: 3 * taps + 40, 2: 4 * taps + 50, 3: 6 * taps + 65, 5: 10 * taps + 115}
        return fours * (8 * taps + 75) + ends[tail] + (COLD if fours and tail == 5 else 0) + 2 * taps + 60

    return height // rows * block(rows) + (block(height % rows) if height % rows else 0)


# ── depthwise 3x3 ─────────────────────────────────────────────────────────────────────────────────────────────────

TILE = 4608  # bytes that a tile may take
PITCH = 80  # bytes of a column of it, of four channels


def depthwise_accepts(call: Call) -> bool:
    """What the kernel for one row computes, in steps of 1, where two rows of output fit."""
    plain = (call.x.dtype, call.inputs[1].dtype) == ("int8", "int8") and call.y.shape[0] > 1
    if not plain or (call.attrs.stride, call.attrs.dilation) != ((1, 1), (1, 1)):
        return False
    fits = PITCH * (call.y.shape[1] + 2) <= TILE and 2 * call.y.row_bytes <= STATE
    return fits and _depthwise_pairs.accepts(call)


def depthwise_rows(call: Call) -> int:
    """Rows of output a block, an even number: those that take the least time."""
    fits = [r for r in range(2, min(MOST_ROWS, call.y.shape[0] + 1) + 1, 2) if r * call.y.row_bytes <= STATE]
    return min(fits, key=lambda rows: _depthwise_cycles(call, rows))


def depthwise_scratch(call: Call) -> int:
    """Bytes: the tile, then a pixel of padding."""
    return PITCH * (call.y.shape[1] + 2) + call.x.shape[2]


def depthwise_state(call: Call) -> int:
    """Bytes of a block of output."""
    return depthwise_rows(call) * call.y.row_bytes


def depthwise_window(call: Call) -> tuple[Window, ...]:
    """The input rows of a block: only every so many firings are they read, but they are there."""
    return (Window(depthwise_rows(call) + 2, 1, call.attrs.padding[0]),)


def _depthwise_cycles(call: Call, rows: int) -> int:
    """About how many cycles a channel takes in all rows: pairs of rows, of which a block widens one more, and its start."""
    height, ow, _ = call.y.shape

    def block(n: int) -> int:
        pairs = (n + 1) // 2
        return pairs * (70 * (ow // 2) + 42 * (ow % 2)) + (pairs + 1) * (5 * ow + 5) + 80

    return height // rows * block(rows) + (block(height % rows) if height % rows else 0)
