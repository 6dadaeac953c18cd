# SPDX-License-Identifier: Apache-2.0
"""From a name or a folder to a Dataset."""

from __future__ import annotations

from pathlib import Path

from ..errors import UnknownName
from .class_folder import from_folder
from .dataset import Dataset
from .named import cifar10, digits, mnist

SETS = {"cifar10": cifar10, "digits": digits, "mnist": mnist}


def load(name_or_folder: str | Path, data_dir: str | Path | None = None, *, size: tuple[int, int] | None = None) -> Dataset:
    """Load a set by its name, or a folder with one sub-folder a class.

    `data_dir` (else PUCE_DATA) holds local copies, looked at before anything is downloaded. `size` (height, width) is
    for class folders alone: without it pictures keep their size where all have the same, and become 96x96 where not.
    Raise BadInput, with the remedy, where the set is missing or broken.
    """
    folder = Path(name_or_folder).expanduser()
    name = str(name_or_folder).lower()
    if name in SETS:
        return SETS[name](Path(data_dir).expanduser() if data_dir else None)
    if folder.is_dir():
        return from_folder(folder, size)
    raise UnknownName.among(
        "data set or folder", str(name_or_folder), SETS, "Name one of these, or a folder with one sub-folder a class."
    )
