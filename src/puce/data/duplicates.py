# SPDX-License-Identifier: Apache-2.0
"""Pictures that are there more than once: exactly, by their pixels, or nearly, by a perceptual hash that is then verified."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .facts import Fact, Facts
from .splits import connected, joined

Array = np.ndarray[Any, np.dtype[Any]]

DISTANCE = 6
"""Bits of 64 in which the hashes of two near duplicates may differ."""
LEAST_CORRELATION = 0.985
LARGEST_COLOUR_STEP = 20.0
"""Root mean square over 8x8 mean colours, after their own means: a red and a blue car of one shape are two pictures."""
LEAST_CONTRAST = 3.0
"""Standard deviation of the greys below which a picture is flat, and its hash is noise."""
SMALLEST_SIDE = 24
"""Smaller pictures resemble each other by nature: two handwritten ones of 8x8 are no copy."""
BLOCK = 2048
VERIFIED_AT_ONCE = 20_000
MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Group:
    """Pictures that are one picture: names, and the classes and sides they are filed under."""

    names: tuple[str, ...]
    classes: tuple[str, ...]
    sides: tuple[str, ...]

    @property
    def across_classes(self) -> bool:
        return len(self.classes) > 1

    @property
    def across_sides(self) -> bool:
        return len(self.sides) > 1

    def as_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "classes": list(self.classes), "splits": list(self.sides)}

    def __str__(self) -> str:
        return " = ".join(self.names)


def exact(facts: Facts) -> tuple[Group, ...]:
    """Group pictures whose decoded pixels have the same SHA-256."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for picture in facts.pictures:
        found[picture.sha256].append(picture)
    return tuple(_group(facts, members) for members in found.values() if len(members) > 1)


def near(facts: Facts) -> tuple[tuple[Group, ...], bool]:
    """Group pictures that look the same and are not; the second value is false where they are too small or alike to judge.

    1. Candidates: perceptual hashes at most 6 bits of 64 apart, all pairs compared.
    2. Verified: the greys correlate by 0.985 or more and the mean colours agree; flat pictures are left out.
    """
    pictures = facts.pictures
    if not pictures or min(min(p.size) for p in pictures) < SMALLEST_SIDE:
        return (), False
    greys = np.stack([p.grey for p in pictures]).reshape(len(pictures), -1).astype(np.float32)
    greys -= greys.mean(axis=1, keepdims=True)
    contrast = greys.std(axis=1)
    greys /= np.maximum(contrast, 1e-6)[:, None] * np.sqrt(greys.shape[1])
    colours = np.stack([p.means for p in pictures]).reshape(len(pictures), -1).astype(np.float32)
    colours -= colours.mean(axis=1, keepdims=True)  # another exposure is the same picture, another hue is not
    pairs = list[tuple[int, int]]()
    for a, b in _candidates(facts.hashes):
        alike = (contrast[a] > LEAST_CONTRAST) & (contrast[b] > LEAST_CONTRAST)
        alike &= np.einsum("ij,ij->i", greys[a], greys[b]) >= LEAST_CORRELATION
        alike &= np.sqrt(((colours[a] - colours[b]) ** 2).mean(axis=1)) <= LARGEST_COLOUR_STEP
        pairs += zip(a[alike].tolist(), b[alike].tolist(), strict=True)
        if len(pairs) > MOST_PAIRS:
            return (), False
    same = joined([p.sha256 for p in pictures])
    groups = connected(len(pictures), pairs)
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups.tolist()):
        members[group].append(i)
    several = (m for m in members.values() if len({int(same[i]) for i in m}) > 1)
    return tuple(_group(facts, [pictures[i] for i in m]) for m in several), True


def _group(facts: Facts, members: list[Fact]) -> Group:
    classes = sorted({facts.classes[p.label] for p in members})
    return Group(tuple(p.name for p in members), tuple(classes), tuple(sorted({p.side for p in members if p.side})))


def _candidates(hashes: Array) -> Iterator[tuple[Array, Array]]:
    """Every pair i < j of hashes that are close, block by block."""
    least = hashes.shape[1] - 2 * DISTANCE
    for start in range(0, len(hashes), BLOCK):
        close = hashes[start : start + BLOCK] @ hashes[start:].T >= least
        a, b = np.nonzero(close)
        a, b = a[b > a] + start, b[b > a] + start
        for i in range(0, len(a), VERIFIED_AT_ONCE):
            yield a[i : i + VERIFIED_AT_ONCE], b[i : i + VERIFIED_AT_ONCE]
