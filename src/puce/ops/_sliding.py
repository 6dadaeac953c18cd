# SPDX-License-Identifier: Apache-2.0
"""Limits that convolutions share, and samples; whichever way round weights lie: [oc, kh, kw, c], or [kh, kw, c] by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Quantization, Tensor
from ..spatial import Padding, Pair, output_size, span


def kernel_size(inputs: Sequence[Tensor]) -> Pair:
    """Rows and columns of the weights."""
    kh, kw = inputs[1].shape[-3:-1] if len(inputs[1].shape) == 4 else inputs[1].shape[:2]
    return kh, kw


def input_has_rows_columns_channels(a: Any, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c]."
    return len(inputs[0].shape) == 3


def window_fits(a: Any, inputs: Sequence[Tensor]) -> bool:
    "The kernel must fit the padded picture at least once."
    return min(output_size(inputs[0].shape[:2], kernel_size(inputs), a.stride, a.padding, a.dilation)) >= 1


def padding_is_smaller_than_the_kernel(a: Any, inputs: Sequence[Tensor]) -> bool:
    "Padding must be smaller than the kernel, or a window would see no pixel."
    rows, columns = (span(k, d) for k, d in zip(kernel_size(inputs), a.dilation, strict=True))
    padding: Padding = a.padding
    return max(padding[:2]) < rows and max(padding[2:]) < columns


def sums_fit_32_bits(a: Any, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 65 000 taps in an int8 window, 33 000 with weights of 16 bits."
    most = 33000 if inputs[1].dtype == "int16" else 65000
    by_channel = inputs[1].shape[0 if len(inputs[1].shape) == 4 else -1]
    taps: int = inputs[1].size // by_channel
    return inputs[0].dtype == "float32" or taps <= most


def sampled_output(rng: np.random.Generator, x: Tensor, w: Tensor, taps: int) -> Quantization:
    """An output quantisation for random uses; half of them are never negative, as after a ReLU."""
    q = sampling.spread(rng, x, w, taps)
    return replace(q, zero_point=(-128,)) if rng.random() < 0.5 else q
