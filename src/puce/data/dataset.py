# SPDX-License-Identifier: Apache-2.0
"""The record of a data set: three splits of pictures, and the one way from a raw picture to the network's input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..units import count
from .selection import NO_WISHES, Selection

Array = np.ndarray[Any, np.dtype[Any]]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Preprocessing:
    """x = u * scale + offset: from a raw uint8 picture to the float input of the network."""

    scale: float = 1 / 255
    offset: float = 0.0

    def apply(self, pictures: Array) -> Array:
        """Turn uint8 pictures of any shape into float32."""
        return pictures.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)

    @property
    def int8_input(self) -> tuple[float, int] | None:
        """Return (scale, zero_point) with which q = u - 128 is exact, or None where no whole zero point gives that."""
        zero_point = -128 - self.offset / self.scale
        return (self.scale, round(zero_point)) if abs(zero_point - round(zero_point)) < 1e-6 else None

    def __str__(self) -> str:
        return f"x = u × {self.scale:.6g} + {self.offset:.6g}"


@dataclass(frozen=True)
class Skipped:
    """A file of a class folder that could not be used."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures uint8 [n, h, w, c], channels last, and labels int64 [n], in three splits.

    The validation pictures always come from the training side. The test pictures are for the last measurement: no
    choice (stopping, calibration, threshold) may look at them.
    """

    name: str
    class_names: tuple[str, ...]
    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array
    preprocessing: Preprocessing = Preprocessing()
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()
    """Of the pictures' files, by split (train, validation, test); empty where the pictures come from one file."""
    selection: Selection = NO_WISHES
    """What was wished of the files: the same wishes give the same set."""

    def __post_init__(self) -> None:
        for split in SPLITS:
            pictures, labels = self.pictures(split), self.labels(split)
            assert pictures.dtype == np.uint8 and pictures.ndim == 4, (split, pictures.dtype, pictures.shape)
            assert pictures.shape[1:] == self.shape, (split, pictures.shape)
            assert labels.dtype == np.int64 and labels.shape == pictures.shape[:1], (split, labels.dtype, labels.shape)

    @property
    def shape(self) -> tuple[int, int, int]:
        """One picture: height, width, channels."""
        h, w, c = self.x_train.shape[1:]
        return h, w, c

    @property
    def classes(self) -> int:
        return len(self.class_names)

    def pictures(self, split: Split) -> Array:
        array: Array = getattr(self, f"x_{split}")
        return array

    def labels(self, split: Split) -> Array:
        array: Array = getattr(self, f"y_{split}")
        return array

    def name_of(self, split: Split, index: int) -> str:
        """Return the file of a picture, or its place, as test/17."""
        return self.names[SPLITS.index(split)][index] if self.names else f"{split}/{index}"

    def inputs(self, split: Split) -> Array:
        """Return the pictures of a split as the float32 input of the network."""
        return self.preprocessing.apply(self.pictures(split))

    def by_class(self, split: Split) -> tuple[int, ...]:
        """Count the pictures of each class."""
        return tuple(np.bincount(self.labels(split), minlength=self.classes).tolist())

    def first(self, train: int, held_out: int) -> Dataset:
        """The first pictures of each split, `held_out` for validation and as many for the test: for a quick try."""
        counts = {"train": train, "validation": held_out, "test": held_out}
        arrays = {f"{xy}_{s}": getattr(self, f"{xy}_{s}")[: counts[s]] for xy in "xy" for s in SPLITS}
        names = tuple(part[: counts[s]] for s, part in zip(SPLITS, self.names, strict=True)) if self.names else ()
        note = f"Only the first pictures: {train} for training, {held_out} each for validation and test."
        return replace(self, names=names, notes=(*self.notes, note), **arrays)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that can change a result: pictures, labels, order, classes, preprocessing."""
        digest = hashlib.sha256(repr((self.class_names, self.preprocessing)).encode())
        for split in SPLITS:
            for array in (self.pictures(split), self.labels(split)):
                digest.update(repr((split, array.dtype.str, array.shape)).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __str__(self) -> str:
        h, w, c = self.shape
        sizes = ", ".join(f"{count(len(self.labels(s)))} {s}" for s in SPLITS)
        return f"{self.name}: {self.classes} classes, {h}x{w}x{c}, {sizes}"
