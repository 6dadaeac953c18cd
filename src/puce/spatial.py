# SPDX-License-Identifier: Apache-2.0
"""Windows that slide over rows and columns: the shape arithmetic that convolution and pooling share.

Padding is always explicit here, (top, bottom, left, right) in pixels; "same" and "valid" are words of file formats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .ir import Array

Pair = tuple[int, int]
Sizes = Sequence[int]  # rows, columns
Padding = tuple[int, int, int, int]
NO_PADDING: Padding = (0, 0, 0, 0)


def span(kernel: int, dilation: int) -> int:
    """Pixels from the first tap of a kernel to its last, both included."""
    return (kernel - 1) * dilation + 1


def same_padding(size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes = (1, 1)) -> Padding:
    """TensorFlow's 'same': ceil(size / stride) outputs, the odd pixel of padding at the bottom and right."""
    sides = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + span(k, d) - n, 0)
        sides += [total // 2, total - total // 2]
    return (sides[0], sides[1], sides[2], sides[3])


def output_size(size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes = (1, 1)) -> Pair:
    """Rows and columns of windows that fit."""
    top, bottom, left, right = padding
    oh = (size[0] + top + bottom - span(kernel[0], dilation[0])) // stride[0] + 1
    ow = (size[1] + left + right - span(kernel[1], dilation[1])) // stride[1] + 1
    return oh, ow


def padding_name(padding: Padding, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes = (1, 1)) -> str | None:
    """'VALID' or 'SAME' where a file format's word gives this very padding, else None."""
    if padding == NO_PADDING:
        return "VALID"
    return "SAME" if padding == same_padding(size, kernel, stride, dilation) else None


def pad(x: Array, padding: Padding, value: float) -> Array:
    """[n, h, w, c] with a constant frame."""
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def windows(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes = (1, 1)) -> Array:
    """Every window of a padded batch [n, h, w, c], as a view [n, oh, ow, c, kh, kw]."""
    spans = (span(kernel[0], dilation[0]), span(kernel[1], dilation[1]))
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
