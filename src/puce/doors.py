# SPDX-License-Identifier: Apache-2.0
"""The doors of the verbs: names and paths of the user become a data set, a model, a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadInput

if TYPE_CHECKING:
    from .boards import Board
    from .data import Dataset
    from .frontends import ImportedModel


def load_data(
    name: str | Path,
    data_dir: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    group: str | None = None,
) -> Dataset:
    """Load a data set: a name (digits, mnist, cifar10, ...), a folder with one sub-folder a class, a zip, a CSV list.

    `size` (height, width) and `group` are for pictures in files; pictures whose names agree in what the regular
    expression `group` matches (a patient, a burst) stay in one split.
    """
    from . import data

    return data.load(name, data_dir, size=size, group=group)


def load_model(source: Any) -> ImportedModel:
    """Load a model: .keras, .h5, .tflite, a run folder, or a live Keras model. Prints as a table of its layers."""
    from . import frontends

    if isinstance(source, str | Path) and Path(source).is_dir():
        folder = Path(source)
        files = [folder / n for n in ("model.int8.tflite", "model.keras") if (folder / n).exists()]
        if not files:
            fact = "this folder holds neither model.int8.tflite nor model.keras."
            raise BadInput(str(folder), fact, "Name a run folder, or a model file.")
        source = files[0]
    return frontends.load(source)


def board_of(board: str | Board | None) -> Board | None:
    from .boards import load

    return load(board) if isinstance(board, str) else board


def name_of(source: Any) -> str:
    """A C-like name for a model: that of its file, or of the run's folder."""
    if not isinstance(source, str | Path):
        return str(getattr(source, "name", "model"))
    path = Path(source)
    return path.name if path.is_dir() else path.name.split(".")[0]
