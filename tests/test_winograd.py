# SPDX-License-Identifier: Apache-2.0
"""Where Winograd's transform stays exact: the widest layer that the proof lets through, and the next one that it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from puce.ir import Call, Quantization, Tensor
from puce.ops import _winograd, conv_2d


def worst(channels: int) -> Call:
    """Every weight 127 or -127, and every input as far from zero as bytes go."""
    w = np.where(np.arange(4)[:, None, None, None] % 2, -127, 127) * np.ones((4, 3, 3, channels))
    x = Tensor("x", (5, 6, channels), "int8", Quantization((0.02,), (-128,)))
    weights = Tensor.constant("w", w.astype(np.int8), Quantization((0.01,) * 4, (0,) * 4, 0))
    bias = Tensor.constant("b", np.zeros(4, np.int32), Quantization((0.0002,) * 4, (0,) * 4, 0))
    attrs = conv_2d.Attrs((1, 1), (1, 1, 1, 1), (1, 1), "none")
    y = Tensor("y", (5, 6, 4), "int8", Quantization((50.0,), (-128,)))
    return Call(attrs, (x, weights, bias), (y,))


@pytest.mark.parametrize(("channels", "exact"), [(16, True), (144, True), (160, False)])
def test_the_proof_ends_where_the_words_do(channels: int, exact: bool) -> None:
    """Truth: 48 times the largest sum, 9 * channels products of 255 * 127, against 2^31."""
    assert (48 * 9 * channels * 255 * 127 < 2**31) is exact
    assert _winograd.accepts(worst(channels)) is exact
