# SPDX-License-Identifier: Apache-2.0
"""Winograd's F(4x2, 3x3) in whole numbers: when it is exact for a convolution, and its tables and memory."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import wrap_int32
from ..ir import Array, Call
from ..packing import bounds, folded, pair_order, rounding, rounds_in_four
from . import Constant, Window

ROWS = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]])
"""24 times the matrix G of F(4, 3) of Lavin and Gray (arXiv 1509.09308), for the filter's rows: no fractions."""

COLUMNS = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, -2]])
"""Twice their G of F(2, 3), for its columns: with ROWS, 48 times the sums. The last product has the other sign, so that
the second output, like the first, is a product at the end plus the second, plus or minus the third."""

INPUT_ROWS = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                       [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])  # fmt: skip
INPUT_COLUMNS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
"""Their B transposed: what the kernel does to a tile of 6x4 inputs, down its columns and along its rows."""

TIMES = 48


def transformed(call: Call) -> Array:
    """int64 [oc, 24, c]: 48 times the weights in Winograd's domain, position by position."""
    w = call.constant(1).astype(np.int64)
    u: Array = np.einsum("iy,oyxc,jx->oijc", ROWS, w, COLUMNS).reshape(len(w), len(ROWS) * len(COLUMNS), -1)
    return u


def has_no_sign(call: Call) -> bool:
    """Whether every negative result ends at -128, so that ties of negative sums, which go down, need no care."""
    return call.y.q.z == -128


def is_exact(call: Call) -> bool:
    """Whether no halfword and no word overflows, for any picture; of a stride-1 3x3 int8 convolution.

    Weights and inputs: their transforms must be int16. Products are summed modulo 2^32, and so may wrap on the way: it is
    enough that 48 times a finished sum is an int32. A third of that, a product with 3^-1 modulo 2^32, is 16 times the sum.
    """
    weights = call.constant(1).reshape(len(call.constant(1)), -1)
    u, (low, high) = transformed(call), bounds(call, weights)
    inputs = 128 * np.abs(INPUT_ROWS).sum(axis=1).max() * np.abs(INPUT_COLUMNS).sum(axis=1).max()
    halves = u.min() >= -(2**15) and u.max() < 2**15 and inputs < 2**15
    words = TIMES * low.min() >= -(2**31) and TIMES * high.max() < 2**31
    return bool(halves and words and rounds_in_four(call, weights) and rounding(call)[:, 2].max() <= 19)


def accepts(call: Call) -> bool:
    oc, kh, kw, _ = call.inputs[1].shape
    a = call.attrs
    plain = (call.x.dtype, call.inputs[1].dtype, kh, kw, a.stride, a.dilation) == ("int8", "int8", 3, 3, (1, 1), (1, 1))
    return plain and oc > 1 and is_exact(call)


def window(call: Call) -> tuple[Window, ...]:
    """Six rows make four: but for every fourth row nothing is read, but the rows are there."""
    return (Window(6, 1, call.attrs.padding[0]),)


def sixteenfold(call: Call) -> Array:
    """int64 [channels, 3]: multiplier, rounding, shift of 16 times a sum.

    Where signs matter the kernel shifts the sum first, and rounds it as other kernels do. Where they do not,
    (high word of 16 sum * multiplier + rounding) >> shift is the same: what is cut off below the first rounding is cut
    off again by the second, so both can be added at once and the shifts be one.
    """
    multiplier, half, right = rounding(call).T
    return np.stack([multiplier, 8 * half + 4, right + 3], axis=1) if has_no_sign(call) else rounding(call)


def table(call: Call) -> Array:
    """int32 [pairs of channels, 24 * c / 2 * 2 + 8]: for each position and two input channels a word (int16, int16) of
    either output channel; then, of both: where 48 times the sum starts, multiplier, rounding, shift.

    Input channels go 0 2, 1 3 as SXTB16 unpacks them, filled up to a multiple of 4 with zeros.
    """
    u = transformed(call)
    oc, positions, c = u.shape
    halves = np.pad(u, ((0, 0), (0, 0), (0, -c % 4))).reshape(oc, positions, -1, 2, 2) & 0xFFFF  # [..., c // 2 % 2, c % 2]
    words = (halves[..., 0, :] | halves[..., 1, :] << 16).reshape(oc, positions, -1)
    pairs = pair_order(oc)
    side_by_side = np.stack([words[pairs[:, 0]], words[pairs[:, 1]]], axis=-1).reshape(len(pairs), -1)
    start = TIMES * folded(call, call.constant(1).reshape(oc, -1))
    last = np.column_stack([start, sixteenfold(call)])
    return wrap_int32(np.concatenate([side_by_side, last[pairs[:, 0]], last[pairs[:, 1]]], axis=1)).astype(np.int32)


def constants(call: Call) -> tuple[Constant, ...]:
    note = "a pair of channels: transformed weights [24][c / 2][2]; of both: start of the sum, multiplier, rounding, shift"
    return (Constant("winograd", table(call), note),)


def state(call: Call) -> int:
    """Bytes of the last three of four rows of output."""
    return 3 * call.y.row_bytes


def scratch(call: Call) -> int:
    """Bytes of transformed inputs and products of a row of tiles, in groups of 4.

    Where the products will be there are before, for the input's transform: a column of four channels, twelve words, for
    each pixel of the groups, and a row of zero points; if pixels are no whole words, all six rows, filled up.
    """
    _, w, c = call.x.shape
    groups, quads = (call.y.shape[1] + 7) // 8, (c + 3) // 4
    rows = 6 if c % 4 else 1
    return 4 * (groups * quads * 192 + max(groups * 192, (8 * groups + 2) * 12 + rows * w * quads))
