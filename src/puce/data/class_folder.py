# SPDX-License-Identifier: Apache-2.0
"""A folder with one sub-folder a class becomes a Dataset; a file that is no picture is named and skipped, never fatal."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .dataset import Dataset, Skipped
from .splits import stratified

Array = np.ndarray[Any, np.dtype[Any]]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
"""White list: Pillow also opens formats whose files can expand without bound (FITS, PDF, EPS)."""
PIXEL_LIMIT = 50_000_000
MIXED_SIZE = (96, 96)
"""Height and width where the pictures have several sizes and none was asked for: the usual input on such boards."""
SIDES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Found:
    """A picture that opened: its file, its label, its size, whether it has colours, and the SHA-256 of its pixels."""

    path: Path
    label: int
    size: tuple[int, int]
    colour: bool
    pixels_sha256: str


def from_folder(folder: Path, size: tuple[int, int] | None = None) -> Dataset:
    """Load a class folder, or one with `train` and `test` (and `val`) folders above the classes.

    1. Hidden folders (.ipynb_checkpoints) are no classes; a file that is no picture is skipped and listed.
    2. All grey -> one channel, else three. Mixed sizes are cropped at the centre to the wanted shape, then reduced.
    3. Without a test folder: 80/10/10 by class; exact duplicates stay in one split.
    """
    sides = {SIDES[f.name.lower()]: f for f in _visible_folders(folder) if f.name.lower() in SIDES}
    roots = sides if "train" in sides and "test" in sides else {"all": folder}
    classes = sorted({f.name for root in roots.values() for f in _visible_folders(root)})
    if len(classes) < 2:
        raise BadInput(
            str(folder),
            f"has {len(classes)} folder{'' if len(classes) == 1 else 's'} of pictures; a classifier needs two classes or more.",
            "Make one sub-folder a class, with its pictures in it.",
        )
    skipped: list[Skipped] = []
    found = {side: _look(root, folder, classes, skipped) for side, root in roots.items()}
    _every_class_has_pictures(folder, classes, found, skipped)
    everything = [picture for pictures in found.values() for picture in pictures]
    sizes = Counter(picture.size for picture in everything)
    shape = size or (next(iter(sizes)) if len(sizes) == 1 else MIXED_SIZE)
    colour = any(picture.colour for picture in everything)
    notes = [f"Class folder {folder.name}; pictures {shape[0]}x{shape[1]}, {'colour' if colour else 'grey'}."]
    if set(sizes) != {shape}:
        notes.append(f"{len(sizes)} size(s) of pictures, brought to {shape[0]}x{shape[1]} by a centre crop.")
    split, more = _split(found)
    x = {side: np.stack([_pixels(p.path, shape, colour) for p in pictures]) for side, pictures in split.items()}
    y = {side: np.array([p.label for p in pictures], np.int64) for side, pictures in split.items()}
    return Dataset(
        folder.name,
        tuple(classes),
        *(x["train"], y["train"]),
        *(x["validation"], y["validation"]),
        *(x["test"], y["test"]),
        notes=(*notes, *more),
        skipped=tuple(skipped),
    )


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "__")))


def _look(root: Path, top: Path, classes: list[str], skipped: list[Skipped]) -> list[Found]:
    """Open every file of every class; the content decides what is a picture, not the name."""
    found = []
    for label, name in enumerate(classes):
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else []:
            if not path.is_file() or any(part.startswith(".") for part in path.relative_to(root).parts):
                continue
            try:
                image = _open(path)
            except ValueError as error:
                skipped.append(Skipped(path.relative_to(top).as_posix(), str(error)))
                continue
            digest = hashlib.sha256(repr((image.size, image.mode)).encode() + image.tobytes()).hexdigest()
            found.append(Found(path, label, (image.height, image.width), image.mode == "RGB", digest))
    return found


def _open(path: Path) -> Any:
    """Decode a file whole, upright, as L or RGB. Raise ValueError, with the reason, where it cannot be used."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own pixel warning: our limit is lower and final
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise ValueError(f"{image.width}x{image.height} pixels, more than {PIXEL_LIMIT // 1_000_000} million")
                image.load()
                upright = ImageOps.exif_transpose(image)
                return upright.convert("L" if upright.mode in ("1", "L", "LA", "I;16") else "RGB")
    except UnidentifiedImageError as error:
        raise ValueError(f"not a picture in {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"more than {PIXEL_LIMIT // 1_000_000} million pixels") from error
    except (OSError, SyntaxError, EOFError, MemoryError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"broken picture ({error})") from error


def _pixels(path: Path, shape: tuple[int, int], colour: bool) -> Array:
    """Decode again rather than hold every full-size picture: memory is that of the result."""
    from PIL import Image, ImageOps

    image = _open(path).convert("RGB" if colour else "L")
    h, w = shape
    if image.size != (w, h):
        image = ImageOps.fit(image, (w, h), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(h, w, 3 if colour else 1)


def _every_class_has_pictures(folder: Path, classes: list[str], found: dict[str, list[Found]], skipped: list[Skipped]) -> None:
    """Three pictures a class are the least that three splits can share; each given side needs one."""
    least = 3 if "all" in found else 1
    for side, pictures in found.items():
        counted = Counter(p.label for p in pictures)
        for label, name in enumerate(classes):
            if counted[label] < least:
                raise BadInput(
                    str(folder / ("" if side == "all" else side) / name),
                    f"has {counted[label]} usable pictures, {least} at least are needed ({len(skipped)} files skipped).",
                    "Add pictures, or take the folder away; `puce data check` names the files that cannot be used.",
                )


def _split(found: dict[str, list[Found]]) -> tuple[dict[str, list[Found]], list[str]]:
    """Keep the splits that the folder has, and make those it lacks; duplicates are told in the notes."""
    notes = []
    if "all" in found:
        pictures = found["all"]
        n = len(pictures)
        parts = _deal(pictures, (max(1, ceil(0.1 * n)), max(1, ceil(0.1 * n))))
        result = dict(zip(("test", "validation", "train"), parts, strict=True))
        notes.append("Split 80/10/10 by class with a fixed seed; exact duplicates stay in one split.")
    else:
        result = dict(found)
        leaks = {p.pixels_sha256 for p in found["train"]} & {p.pixels_sha256 for p in found["test"]}
        if leaks:
            notes.append(f"{len(leaks)} test picture(s) are also in the training folder: accuracy is flattered.")
        if "validation" not in result:
            parts = _deal(result["train"], (max(1, ceil(0.1 * len(result["train"]))),))
            result |= dict(zip(("validation", "train"), parts, strict=True))
        notes.append("The folder's own test set; validation is a tenth of training.")
    return result, notes


def _deal(pictures: list[Found], counts: tuple[int, ...]) -> list[list[Found]]:
    groups = np.unique([p.pixels_sha256 for p in pictures], return_inverse=True)[1]
    parts = stratified(np.array([p.label for p in pictures]), counts, groups=groups)
    return [[pictures[i] for i in part] for part in parts]
