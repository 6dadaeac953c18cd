# SPDX-License-Identifier: Apache-2.0
"""The doors of the verbs: names and paths of the user become a data set, a model, a board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadInput

if TYPE_CHECKING:
    from .boards import Board
    from .data import Dataset, Preprocessing, Selection
    from .frontends import ImportedModel
    from .run import DataRecord


def load_data(
    name: str | Path,
    data_dir: str | Path | None = None,
    *,
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
) -> Dataset:
    """Load a data set: a name (digits, mnist, cifar10, ...), a folder with one sub-folder a class, a zip, a CSV list.

    For pictures in files: `size` is 96, "96x128" or (height, width); pictures whose names agree in what the regular
    expression `group` matches (a patient, a burst) stay in one split; `classes` chooses and merges, as in
    "melanoma, benign=nevus+dermatofibroma"; `held_out` splits anew, with this share for the test and for validation.
    A `puce.toml` in the folder says the same for good. `warning` must be read by whoever uses a network of this set.
    """
    from . import data

    return data.load(name, data_dir, size=size, group=group, classes=classes, held_out=held_out, warning=warning)


def load_data_of(model: Any, name: str | Path, data_dir: str | Path | None = None, wishes: Selection | None = None) -> Dataset:
    """Load a data set as the run that `model` names took it: its size, classes, splits, and how pixels enter.

    `wishes` go first. A model that is no run folder says nothing.
    """
    from . import data

    wishes = wishes or data.selection()
    record = _data_record(model)
    if record is not None:
        s = record.selection
        wishes = wishes.over(data.selection(s.size, s.group, s.classes, s.held_out, record.warning))
    loaded = data.load(
        name,
        data_dir,
        size=wishes.size,
        group=wishes.group,
        classes=wishes.classes,
        held_out=wishes.held_out,
        warning=wishes.warning,
    )
    pixels = pixels_of(model)
    return replace(loaded, preprocessing=pixels) if pixels else loaded


def pixels_of(model: Any) -> Preprocessing | None:
    """How bytes enter a model, as its run folder records it; None for a model that is no run folder."""
    from .data import Preprocessing

    record = _data_record(model)
    return Preprocessing(record.preprocessing.scale, record.preprocessing.offset) if record else None


def reject_of(model: Any) -> float | None:
    """The probability below which the run that a model names declares that nothing is recognised."""
    from .run import Run

    if isinstance(model, str | Path) and Path(model, "run.json").is_file():
        threshold = Run.open(model).file.config.get("reject")
        return float(threshold) if threshold else None
    return None


def _data_record(model: Any) -> DataRecord | None:
    from .run import DataRecord, Run

    if isinstance(model, str | Path) and Path(model, "run.json").is_file():
        return Run.open(model).get(DataRecord)
    return None


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
