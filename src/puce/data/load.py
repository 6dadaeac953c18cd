# SPDX-License-Identifier: Apache-2.0
"""From a name or a folder to a Dataset."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput, UnknownName
from .class_folder import from_files
from .dataset import Dataset
from .listing import LIST_ENDINGS
from .named import cifar10, cifar100, digits, fashion_mnist, mnist

SETS = {"cifar10": cifar10, "cifar100": cifar100, "digits": digits, "fashion_mnist": fashion_mnist, "mnist": mnist}
REMEDY = "Name one of these, or a folder with one sub-folder a class."


def load(
    name_or_place: str | Path,
    data_dir: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    group: str | None = None,
) -> Dataset:
    """Load a set by its name, a folder with one sub-folder a class, a zip of one, or a CSV list of pictures.

    `data_dir` (else PUCE_DATA) holds local copies, looked at before anything is downloaded. `size` (height, width) and
    `group` (a regular expression on file names: pictures of one group stay in one split) are for pictures in files;
    without a size they keep theirs where all have the same, and become 96x96 where not.
    Raise BadInput, with the remedy, where the set is missing or broken.
    """
    place = place_of(name_or_place)
    if place is not None:
        return from_files(place, size, group)
    return SETS[str(name_or_place).lower()](Path(data_dir).expanduser() if data_dir else None)


def place_of(name_or_place: str | Path) -> Path | None:
    """Return the folder or file, or None for a set that has a name. Raise BadInput for what is neither."""
    place = Path(name_or_place).expanduser()
    if str(name_or_place).lower() in SETS:
        return None
    if place.is_dir():
        return place
    if place.is_file():
        if place.suffix.lower() not in {".zip", *LIST_ENDINGS}:
            raise BadInput(str(place), "is no zip and no CSV list of pictures.", REMEDY)
        return place
    raise UnknownName.among("data set or folder", str(name_or_place), SETS, REMEDY)
