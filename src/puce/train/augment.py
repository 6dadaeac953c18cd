# SPDX-License-Identifier: Apache-2.0
"""Small changes of training pictures, in NumPy: an order of magnitude cheaper a batch than layers of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def augment(x: Array, rng: np.random.Generator, shift: float, flip: bool) -> Array:
    """Return changed copies of float32 pictures [n, h, w, c]; what moves in from outside is `x`'s border, repeated."""
    if flip:
        mirrored = rng.random(len(x)) < 0.5
        x = np.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
    if shift:
        for axis in (1, 2):
            x = _shifted(x, rng.uniform(-shift, shift, len(x)), axis)
    return x


def _shifted(x: Array, pixels: Array, axis: int) -> Array:
    """Move each picture along one axis by its own amount, between pixels by linear interpolation."""
    length = x.shape[axis]
    where = np.arange(length)[None, :] - pixels[:, None]  # [n, length]: where each new pixel comes from
    below = np.floor(where).astype(np.intp)
    fraction = (where - below).astype(np.float32)
    shape = [len(x), 1, 1, 1]
    shape[axis] = length
    near, far = (np.take_along_axis(x, np.clip(index, 0, length - 1).reshape(shape), axis) for index in (below, below + 1))
    weight = fraction.reshape(shape)
    moved: Array = (near * (1 - weight) + far * weight).astype(np.float32)
    return moved
