# SPDX-License-Identifier: Apache-2.0
"""From a camera's bytes to the int8 input of a network, in integers: the truth that the emitted C equals byte for byte.

The order is fixed: pixels to RGB (or grey), crop, bilinear resize, table. Training pictures take the same crop and resize.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import numpy as np

from ..errors import BadInput, UnknownName

Array = np.ndarray[Any, np.dtype[Any]]
Format = Literal["grey", "rgb888", "rgb565", "rgb565be", "yuyv", "uyvy"]
FORMATS: dict[str, int] = {"grey": 1, "rgb888": 3, "rgb565": 2, "rgb565be": 2, "yuyv": 2, "uyvy": 2}
"""Bytes a pixel. rgb565 has its low byte first, rgb565be its high byte, as an OV7675 sends it; yuyv and uyvy are YUV 4:2:2."""
assert set(FORMATS) == set(get_args(Format))

BITS = 22
"""Fraction bits of the resize weights: those of Pillow's 8-bit resampling, whose passes give the same bytes.

Ours are always columns, then rows; Pillow takes the rows first where the height shrinks more.
"""


@dataclass(frozen=True)
class Frame:
    """What a camera gives: `height` rows of `width` pixels, from the top."""

    format: Format
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UnknownName.among("camera format", self.format, FORMATS, "For example rgb565:160x120.")
        place = f"{self.format}:{self.width}x{self.height}"
        if not (1 <= self.height <= 4096 and 1 <= self.width <= 4096):
            raise BadInput(place, "a frame has 1 to 4096 rows and columns.", "Write FORMAT:WIDTHxHEIGHT.")
        if self.format in ("yuyv", "uyvy") and self.width % 2:
            raise BadInput(place, "two pixels of YUV 4:2:2 share their colours: the width is even.", "Give an even width.")

    @classmethod
    def parse(cls, text: str) -> Frame:
        """Read FORMAT:WIDTHxHEIGHT, such as rgb565:160x120."""
        kind, _, size = text.partition(":")
        width, _, height = size.partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise BadInput(text, "is no camera frame.", "Write FORMAT:WIDTHxHEIGHT, for example rgb565:160x120.")
        return cls(kind, int(height), int(width))  # type: ignore[arg-type]

    @property
    def row_bytes(self) -> int:
        return self.width * FORMATS[self.format]


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def centred(cls, height: int, width: int, shape: tuple[int, int]) -> Box:
        """Return the largest box in the middle that has the aspect of `shape`, rounded down to whole pixels."""
        oh, ow = shape
        h, w = min(height, max(1, width * oh // ow)), min(width, max(1, height * ow // oh))
        return cls((height - h) // 2, (width - w) // 2, h, w)


@dataclass(frozen=True, eq=False)
class Taps:
    """Bilinear weights from n pixels to m: pixel i is the sum of x[first[i] + j] * weights[i, j], over 2^22.

    Reducing, the triangle is as wide as the step (no aliasing). Every window has the same number of taps and lies inside.
    """

    first: Array
    weights: Array

    @property
    def count(self) -> int:
        return int(self.weights.shape[1])


@lru_cache(maxsize=64)
def taps(n: int, m: int) -> Taps:
    """Compute the weights: centre (i + 1/2) n/m, slope n/m or 1, normalised, rounded to 22 bits half up."""
    step = n / m
    reach = max(step, 1.0)
    rows = list[tuple[int, list[int]]]()
    for i in range(m):
        centre = (i + 0.5) * step
        low, high = max(0, int(centre - reach + 0.5)), min(n, int(centre + reach + 0.5))
        values: list[float] = [max(0.0, 1 - abs((x - centre + 0.5) / reach)) for x in range(low, high)]
        total = sum(values)
        rounded = [int(0.5 + v / total * (1 << BITS)) for v in values]
        while rounded[-1] == 0:
            rounded.pop()
        while rounded[0] == 0:
            low, rounded = low + 1, rounded[1:]
        rows.append((low, rounded))
    count = max(len(values) for _, values in rows)
    first, weights = np.zeros(m, np.uint16), np.zeros((m, count), np.int32)
    for i, (low, rounded) in enumerate(rows):
        first[i] = min(low, n - count)
        shift = low - int(first[i])
        weights[i, shift : shift + len(rounded)] = rounded
    # All sums stay below 2^31: 255 times weights that add up to 2^22, give or take half a unit each.
    assert 255 * int(weights.sum(axis=1).max()) + (1 << (BITS - 1)) < 1 << 31
    return Taps(first, weights)


def resize(pictures: Array, shape: tuple[int, int]) -> Array:
    """Resize uint8 [..., h, w, c] to [..., oh, ow, c]: columns first, then rows, each pass rounded to uint8."""
    oh, ow = shape
    columns = _pass(np.moveaxis(pictures, -2, 0), ow)
    return _pass(np.moveaxis(columns, 0, -2).swapaxes(0, -3), oh).swapaxes(0, -3)


def _pass(x: Array, m: int) -> Array:
    """Along the first axis. One tap after the other, so that a photograph of 12 million pixels needs no copy of itself."""
    n = len(x)
    if n == m:
        return x
    found = taps(n, m)
    sums = np.full((m, *x.shape[1:]), 1 << (BITS - 1), np.int32)
    for j in range(found.count):
        weights = found.weights[:, j].reshape(m, *(1,) * (x.ndim - 1))
        sums += x[found.first.astype(np.int64) + j] * weights
    return (sums >> BITS).clip(0, 255).astype(np.uint8)


def fitted(picture: Array, shape: tuple[int, int]) -> Array:
    """Crop uint8 [h, w, c] at the centre to the aspect of `shape`, and resize it: what training and prediction see."""
    h, w, _ = picture.shape
    box = Box.centred(h, w, shape)
    return resize(picture[box.top : box.top + box.height, box.left : box.left + box.width], shape)


def grey(rgb: Array) -> Array:
    """uint8 [..., 3] to [..., 1] by ITU-R 601: (19595 R + 38470 G + 7471 B + 2^15) >> 16, as Pillow does."""
    r, g, b = (rgb[..., k].astype(np.int32) for k in range(3))
    return ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16).astype(np.uint8)[..., None]


def pixels(rows: Array, frame: Frame, channels: int) -> Array:
    """Camera rows uint8 [..., h, row_bytes] to uint8 [..., h, w, channels]. A grey camera's value stands for all three."""
    bytes_ = rows.reshape(*rows.shape[:-1], frame.width, FORMATS[frame.format])
    if frame.format == "grey":
        return np.repeat(bytes_, channels, axis=-1)
    if frame.format in ("yuyv", "uyvy"):
        return _yuv(bytes_, luma=0 if frame.format == "yuyv" else 1, channels=channels)
    if frame.format == "rgb888":
        rgb = bytes_
    else:
        low, high = (0, 1) if frame.format == "rgb565" else (1, 0)
        word = bytes_[..., high].astype(np.int32) << 8 | bytes_[..., low]
        r, g, b = word >> 11, word >> 5 & 63, word & 31
        # The high bits fill the low ones: 0 stays 0 and the largest becomes 255.
        rgb = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=-1).astype(np.uint8)
    return grey(rgb) if channels == 1 else rgb


def _yuv(bytes_: Array, luma: int, channels: int) -> Array:
    """BT.601 at full range, as in JPEG, with 16 fraction bits; grey is the luma itself."""
    y = bytes_[..., luma]
    if channels == 1:
        return y[..., None]
    u = np.repeat(bytes_[..., 0::2, 1 - luma], 2, axis=-1).astype(np.int32) - 128
    v = np.repeat(bytes_[..., 1::2, 1 - luma], 2, axis=-1).astype(np.int32) - 128
    base = (y.astype(np.int32) << 16) + 0x8000
    rgb = np.stack([base + 91881 * v, base - 22554 * u - 46802 * v, base + 116130 * u], axis=-1) >> 16
    return rgb.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Camera:
    """The whole way: frame, crop, shape of the network's input (height, width, channels), and the 256 int8 values of a byte."""

    frame: Frame
    box: Box
    shape: tuple[int, int, int]
    table: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.table) == 256 and min(self.table) >= -128 and max(self.table) <= 127
        assert self.shape[2] in (1, 3)
        box = self.box
        inside = box.top >= 0 and box.left >= 0 and box.height > 0 and box.width > 0
        inside &= box.top + box.height <= self.frame.height and box.left + box.width <= self.frame.width
        if not inside:
            fact = f"the crop {box.width}x{box.height} at {box.left},{box.top} is not inside the frame."
            raise BadInput(f"{self.frame.width}x{self.frame.height}", fact, "Give a crop that is, or none.")

    @classmethod
    def centred(cls, frame: Frame, shape: tuple[int, int, int], table: tuple[int, ...]) -> Camera:
        return cls(frame, Box.centred(frame.height, frame.width, shape[:2]), shape, table)

    @cached_property
    def columns(self) -> Taps:
        return taps(self.box.width, self.shape[1])

    @cached_property
    def rows(self) -> Taps:
        return taps(self.box.height, self.shape[0])

    def apply(self, frames: Array) -> Array:
        """Turn camera frames, uint8 [n, height * row_bytes], into int8 [n, h, w, c]."""
        rows = frames.reshape(-1, self.frame.height, self.frame.row_bytes)
        b, (h, w, c) = self.box, self.shape
        raw = pixels(rows, self.frame, c)[:, b.top : b.top + b.height, b.left : b.left + b.width]
        return np.ascontiguousarray(np.array(self.table, np.int8)[resize(raw, (h, w))])
