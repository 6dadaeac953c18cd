# SPDX-License-Identifier: Apache-2.0
"""What the checks need to know of each picture, in a few hundred numbers: digest, perceptual hash, colours, file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import pi
from typing import Any

import numpy as np

from ..progress import track
from .class_folder import pixels_sha256
from .dataset import SPLITS, Dataset, Skipped, Split
from .listing import Listing
from .picture import Opened, open_picture

Array = np.ndarray[Any, np.dtype[Any]]

SIDE, LOW = 32, 8
"""The hash sees a picture of 32x32 greys, and keeps its 8x8 lowest frequencies."""
MEANS = 8
WORKERS = 4  # Pillow decodes outside the interpreter's lock


@dataclass(frozen=True, eq=False)
class Fact:
    """One picture. `grey` is [32, 32] and `means` [8, 8, 3], both uint8."""

    name: str
    label: int
    side: Split | None
    group: str
    size: tuple[int, int]
    mode: str
    format: str
    coarseness: float
    sha256: str
    grey: Array
    means: Array


@dataclass(frozen=True, eq=False)
class Facts:
    """All pictures of a set that could be read, and what could not."""

    name: str
    classes: tuple[str, ...]
    pictures: tuple[Fact, ...]
    unusable: tuple[Skipped, ...]
    hidden: tuple[str, ...]

    @cached_property
    def labels(self) -> Array:
        return np.array([p.label for p in self.pictures], np.int64)

    @cached_property
    def hashes(self) -> Array:
        """Perceptual hashes as signs, float32 [n, 64] of -1 and 1: a scalar product of two is 64 - 2 x their distance.

        The discrete cosine transform of the greys, its lowest 8x8 frequencies, each compared with their median: what
        survives another size, another JPEG quality and another brightness (the "pHash" of Zauner, 2010).
        """
        if not self.pictures:
            return np.zeros((0, LOW * LOW), np.float32)
        k, n = np.arange(LOW)[:, None], np.arange(SIDE)
        cosines = np.cos(pi * k * (2 * n + 1) / (2 * SIDE)).astype(np.float32)
        greys = np.stack([p.grey for p in self.pictures]).astype(np.float32)
        spectrum = (cosines @ greys @ cosines.T).reshape(-1, LOW * LOW)
        median = np.median(spectrum[:, 1:], axis=1, keepdims=True)  # the first is the brightness
        return np.where(spectrum > median, 1, -1).astype(np.float32)


def facts_of_files(listed: Listing) -> Facts:
    """Open every listed file once; memory is a few kilobytes a picture."""

    def look(index: int) -> Fact | Skipped:
        file = listed.files[index]
        try:
            opened = open_picture(file.path)
        except ValueError as error:
            return Skipped(file.name, str(error))
        return _fact(file.name, file.label, file.side, file.group, opened)

    with ThreadPoolExecutor(WORKERS) as pool:
        total = len(listed.files)
        seen = list(track(pool.map(look, range(total)), "opening pictures", total))
    return Facts(
        listed.name,
        listed.classes,
        tuple(s for s in seen if isinstance(s, Fact)),
        tuple(s for s in seen if isinstance(s, Skipped)),
        listed.hidden,
    )


def facts_of_dataset(dataset: Dataset) -> Facts:
    """The same of a set that is in memory: its pictures are called by split and index, as test/17."""
    from PIL import Image

    pictures = []
    for split in SPLITS:
        pairs = zip(dataset.pictures(split), dataset.labels(split).tolist(), strict=True)
        for i, (picture, label) in enumerate(track(pairs, f"looking at {split}", len(dataset.labels(split)))):
            image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
            pictures.append(_fact(f"{split}/{i}", label, split, "", Opened(image, image.mode, "", 0.0)))
    return Facts(dataset.name, dataset.class_names, tuple(pictures), dataset.skipped, ())


def _fact(name: str, label: int, side: Split | None, group: str, opened: Opened) -> Fact:
    from PIL import Image

    image, box = opened.image, Image.Resampling.BOX
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), box), np.uint8)
    means = np.asarray(image.convert("RGB").resize((MEANS, MEANS), box), np.uint8)
    digest = pixels_sha256(image)
    return Fact(name, label, side, group, opened.size, opened.mode, opened.format, opened.coarseness, digest, grey, means)
