# SPDX-License-Identifier: Apache-2.0
"""From a name or a folder to a Dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import BadInput, UnknownName
from .class_folder import from_files
from .dataset import Dataset
from .listing import LIST_ENDINGS
from .named import cifar10, cifar100, digits, fashion_mnist, mnist
from .selection import declared, selection

SETS = {"cifar10": cifar10, "cifar100": cifar100, "digits": digits, "fashion_mnist": fashion_mnist, "mnist": mnist}
REMEDY = "Name one of these, or a folder with one sub-folder a class."


def load(
    name_or_place: str | Path,
    data_dir: str | Path | None = None,
    *,
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
) -> Dataset:
    """Load a set by its name, a folder with one sub-folder a class, a zip of one, or a CSV list of pictures.

    `data_dir` (else PUCE_DATA) holds local copies, looked at before anything is downloaded. The other wishes are for
    pictures in files, and go before those of a `puce.toml` among them: `size` (96, "96x128" or height and width; without
    one they keep theirs where all have the same, and become 96x96 where not), `group` (a regular expression on file
    names: pictures of one group stay in one split), `classes` ("melanoma, benign=nevus+dermatofibroma" chooses and
    merges), `held_out` (split anew, with this share for the test and again for validation). `warning` is carried into
    the run, its report and its C.
    Raise BadInput, with the remedy, where the set is missing or broken.
    """
    wishes = selection(size, group, classes, held_out, warning)
    place = place_of(name_or_place)
    if place is not None:
        return from_files(place, wishes.over(declared(place)))
    if wishes.of_files:
        fact = "size, group, classes and held-out are for pictures in files; this set is as its authors made it."
        raise BadInput(str(name_or_place), fact, "Leave them out, or name a folder.")
    loaded = SETS[str(name_or_place).lower()](Path(data_dir).expanduser() if data_dir else None)
    return replace(loaded, selection=wishes)


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
