# SPDX-License-Identifier: Apache-2.0
"""Pictures for the page: small PNG files inside data addresses, and what was predicted for each."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluate import top_predictions
from ..run import Run

Array = np.ndarray[Any, np.dtype[Any]]
GRID = 25
SMALL = 96


@dataclass(frozen=True)
class Picture:
    """A picture and its caption; `right` is None where nothing was predicted, `score` is that of the best class."""

    source: str
    caption: str
    right: bool | None = None
    score: float = 0.0


def arrays(run: Run, name: str) -> dict[str, Array]:
    """Read an .npz artefact; an absent or broken one is empty, for the report leaves out what it has not."""
    path = run.path(name)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}


def samples(run: Run, class_names: tuple[str, ...]) -> tuple[Picture, ...]:
    found = arrays(run, "samples.npz")
    if not {"train_pictures", "train_labels"} <= set(found):
        return ()
    pairs = zip(found["train_pictures"][:GRID], found["train_labels"][:GRID].tolist(), strict=True)
    return tuple(Picture(data_address(picture), class_names[label]) for picture, label in pairs)


def predicted(run: Run, class_names: tuple[str, ...]) -> tuple[Picture, ...]:
    """Return test pictures, in order, with the best class of the int8 network, or of the float one before there is that."""
    found = arrays(run, "samples.npz")
    scored = arrays(run, "scores-int8.npz") or arrays(run, "scores-float.npz")
    if not {"test_pictures", "test_labels"} <= set(found) or "scores" not in scored:
        return ()
    n = min(len(found["test_pictures"]), len(scored["scores"]))
    top = top_predictions(scored["scores"][:n], k=1)
    return tuple(
        prediction(picture, label, best, score, class_names)
        for picture, label, best, score in zip(
            found["test_pictures"][:n],
            found["test_labels"][:n].tolist(),
            top.labels[:, 0].tolist(),
            top.scores[:, 0].tolist(),
            strict=True,
        )
    )


def prediction(picture: Array, label: int, best: int, score: float, class_names: tuple[str, ...]) -> Picture:
    """A test picture of class `label` and what was said of it: `best`, with this score."""
    truth = "" if best == label else f" ({class_names[label]})"
    return Picture(data_address(picture), f"{class_names[best]}{truth} · {100 * score:.0f}\u202f%", best == label, score)


def data_address(picture: Array) -> str:
    """Encode uint8 [h, w, 1 or 3] as a PNG inside a data: address."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def small(picture: Array) -> Array:
    """A page of full-size pictures would weigh megabytes."""
    from PIL import Image

    if max(picture.shape[:2]) <= SMALL:
        return picture
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((SMALL, SMALL))
    small = np.asarray(image)
    return small.reshape(*small.shape[:2], -1)
