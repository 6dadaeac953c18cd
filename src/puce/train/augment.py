# SPDX-License-Identifier: Apache-2.0
"""Small changes of training pictures, in NumPy: an order of magnitude cheaper a batch than layers of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import TrainConfig

Array = np.ndarray[Any, np.dtype[Any]]


def augment(x: Array, rng: np.random.Generator, config: TrainConfig) -> Array:
    """Return changed copies of float32 pictures [n, h, w, c], as far as the settings ask: flip, crop, shift, colour, cutout.

    What moves in from outside is mirrored at the border (crop) or `x`'s border repeated (shift).
    """
    if config.flip:
        mirrored = rng.random(len(x)) < 0.5
        x = np.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
    if config.crop:
        x = _cropped(x, rng, config.crop)
    if config.shift:
        for axis in (1, 2):
            x = _shifted(x, rng.uniform(-config.shift, config.shift, len(x)), axis)
    if config.colour:
        x = _coloured(x, rng, config.colour)
    if config.cutout:
        x = _cut_out(x, rng, config.cutout)
    return x


def mix(x: Array, y: Array, rng: np.random.Generator, alpha: float) -> tuple[Array, Array]:
    """Blend each picture and its label row [n, classes] with another of the batch (Zhang et al., mixup, ICLR 2018).

    One share for the batch, drawn from Beta(alpha, alpha).
    """
    share, other = np.float32(rng.beta(alpha, alpha)), rng.permutation(len(x))
    return x * share + x[other] * (1 - share), y * share + y[other] * (1 - share)


def _cropped(x: Array, rng: np.random.Generator, pixels: int) -> Array:
    """Move each picture by whole pixels, up to `pixels` in each direction."""
    n, h, w, _ = x.shape
    wide = np.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
    moved = np.empty_like(x)
    for i, (top, left) in enumerate(rng.integers(0, 2 * pixels + 1, (n, 2)).tolist()):
        moved[i] = wide[i, top : top + h, left : left + w]
    return moved


def _coloured(x: Array, rng: np.random.Generator, strength: float) -> Array:
    """Change brightness and contrast of each picture, and the balance of its channels, by up to `strength`."""
    n, _, _, c = x.shape
    low, high = float(x.min()), float(x.max())
    gain = rng.uniform(1 - strength, 1 + strength, (n, 1, 1, 1)) * rng.uniform(1 - strength / 2, 1 + strength / 2, (n, 1, 1, c))
    middle = x.mean(axis=(1, 2), keepdims=True)
    offset = rng.uniform(-strength / 2, strength / 2, (n, 1, 1, 1)) * (high - low)
    changed = (x - middle) * gain.astype(np.float32) + (middle + offset.astype(np.float32))
    clipped: Array = np.clip(changed, low, high, out=changed)
    return clipped


def _cut_out(x: Array, rng: np.random.Generator, side: int) -> Array:
    """Paint a square of each picture with its mean colour (DeVries and Taylor 2017); its centre is any pixel."""
    n, h, w, _ = x.shape
    x, means = x.copy(), x.mean(axis=(1, 2))
    for i, (row, column) in enumerate(rng.integers(0, (h, w), (n, 2)).tolist()):
        top, left = row - side // 2, column - side // 2
        x[i, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = means[i]
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
