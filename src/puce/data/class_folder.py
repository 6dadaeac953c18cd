# SPDX-License-Identifier: Apache-2.0
"""Pictures in folders, zips and lists become a Dataset; a file that is no picture is named and skipped, never fatal."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..progress import track
from .choose import selected
from .dataset import SPLITS, Dataset, Skipped, Split
from .listing import Listed, Listing
from .picture import open_picture
from .preprocessing import fitted
from .selection import NO_WISHES, Selection
from .splits import joined, stratified

Array = np.ndarray[Any, np.dtype[Any]]

MIXED_SIZE = (96, 96)
"""Height and width where the pictures have several sizes and none was asked for: the usual input on such boards."""
HELD_OUT = 0.1
"""Of all pictures for the test, and as many for validation."""


@dataclass(frozen=True)
class Found:
    """A picture that opened: how it is listed, its size, whether it has colours, and the SHA-256 of its pixels."""

    listed: Listed
    size: tuple[int, int]
    colour: bool
    pixels_sha256: str


def from_files(place: Path, wishes: Selection = NO_WISHES) -> Dataset:
    """Load a class folder, a zip of one, or a CSV list (file, label, and perhaps split and group).

    1. Hidden folders (.ipynb_checkpoints) are no classes; a file that is no picture is skipped and listed.
    2. All grey -> one channel, else three. Mixed sizes are cropped at the centre to the wanted shape, then reduced.
    3. Splits that are given are kept. Without a test side, or with `held_out`: 80/10/10 (or as wished) by class; exact
       duplicates, and pictures of one group (as by patient or burst), stay in one split.
    """
    listed = selected(place, wishes)
    found, skipped = _look(listed)
    _every_class_has_pictures(listed, found, skipped)
    sizes = Counter(picture.size for picture in found)
    shape = wishes.size or (next(iter(sizes)) if len(sizes) == 1 else MIXED_SIZE)
    colour = any(picture.colour for picture in found)
    kind = "Class folder" if place.is_dir() else "Pictures of"
    notes = [f"Classes: {wishes.classes}."] if wishes.classes else []
    notes += [f"{kind} {place.name}; pictures {shape[0]}x{shape[1]}, {'colour' if colour else 'grey'}."]
    if set(sizes) != {shape}:
        notes.append(
            f"{len(sizes)} size(s) of pictures, brought to {shape[0]}x{shape[1]} by a centre crop and bilinear resize."
        )
    split, more = _split(found, wishes.held_out or HELD_OUT)
    x = {side: np.stack([_pixels(p.listed.path, shape, colour) for p in pictures]) for side, pictures in split.items()}
    y = {side: np.array([p.listed.label for p in pictures], np.int64) for side, pictures in split.items()}
    return Dataset(
        listed.name,
        listed.classes,
        *(x["train"], y["train"]),
        *(x["validation"], y["validation"]),
        *(x["test"], y["test"]),
        notes=(*notes, *more),
        skipped=tuple(skipped),
        names=tuple(tuple(p.listed.name for p in split[side]) for side in SPLITS),
        selection=wishes,
    )


def pixels_sha256(image: Any) -> str:
    """Of a decoded picture: two files with the same pixels are one picture, whatever their format."""
    return hashlib.sha256(repr((image.size, image.mode)).encode() + image.tobytes()).hexdigest()


def _look(listed: Listing) -> tuple[list[Found], list[Skipped]]:
    """Open every file; the content decides what is a picture, not the name."""
    found, skipped = [], []
    for file in track(listed.files, "opening pictures"):
        try:
            opened = open_picture(file.path)
        except ValueError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        found.append(Found(file, opened.size, opened.image.mode == "RGB", pixels_sha256(opened.image)))
    return found, skipped


def _pixels(path: Path, shape: tuple[int, int], colour: bool) -> Array:
    """Decode again rather than hold every full-size picture: memory is that of the result."""
    image = np.asarray(open_picture(path).image.convert("RGB" if colour else "L"), np.uint8)
    return fitted(image.reshape(*image.shape[:2], 3 if colour else 1), shape)


def _every_class_has_pictures(listed: Listing, found: list[Found], skipped: list[Skipped]) -> None:
    """Three pictures a class are the least that three splits can share; each given side needs one."""
    sides = {p.listed.side for p in found} or {None}
    for side in sorted(sides, key=str):
        least = 1 if "test" in sides else 3
        counted = Counter(p.listed.label for p in found if p.listed.side == side)
        for label in range(len(listed.classes)):
            if counted[label] < least:
                raise BadInput(
                    listed.class_place(label, side),
                    f"has {counted[label]} usable pictures, {least} at least are needed ({len(skipped)} files skipped).",
                    "Add pictures, or take the folder away; `puce data check` names the files that cannot be used.",
                )


def _split(found: list[Found], share: float) -> tuple[dict[Split, list[Found]], list[str]]:
    """Keep the splits that are given, and make those that lack; duplicates are told in the notes."""
    notes, parts = list[str](), defaultdict[Split, list[Found]](list)
    for picture in found:
        parts[picture.listed.side or "train"].append(picture)
    grouped = any(p.listed.group for p in found)
    together = "exact duplicates and groups" if grouped else "exact duplicates"
    n = len(found)
    if "test" not in parts:
        wanted: tuple[Split, ...] = ("test",) if "validation" in parts else ("test", "validation")
        held = max(1, ceil(share * n))
        parts |= dict(zip((*wanted, "train"), _deal(parts["train"], (held,) * len(wanted)), strict=True))
        shares = "/".join(f"{100 * part:.0f}" for part in (1 - share * len(wanted), *[share] * len(wanted)))
        notes.append(f"Split {shares} by class with a fixed seed; {together} stay in one split.")
    else:
        leaks = {p.pixels_sha256 for p in parts["train"]} & {p.pixels_sha256 for p in parts["test"]}
        if leaks:
            notes.append(f"{len(leaks)} test picture(s) are also in the training folder: accuracy is flattered.")
        if "validation" not in parts:
            dealt = _deal(parts["train"], (max(1, ceil(HELD_OUT * len(parts["train"]))),))
            parts |= dict(zip(("validation", "train"), dealt, strict=True))
        notes.append("The folder's own test set; validation is a tenth of training.")
    return parts, notes + _absent(parts)


def _absent(parts: dict[Split, list[Found]]) -> list[str]:
    """Whole groups are dealt: a class with few of them may miss a split, and its figures then say nothing."""
    everyone = {p.listed.label for p in parts["train"]}
    missing = {side: everyone - {p.listed.label for p in pictures} for side, pictures in parts.items()}
    return [
        f"{len(labels)} class(es) have no picture in {side}: their groups are too large."
        for side, labels in missing.items()
        if labels
    ]


def _deal(pictures: list[Found], counts: tuple[int, ...]) -> list[list[Found]]:
    groups = joined([p.pixels_sha256 for p in pictures], [p.listed.group for p in pictures])
    dealt = stratified(np.array([p.listed.label for p in pictures]), counts, groups=groups)
    return [[pictures[i] for i in part] for part in dealt]
