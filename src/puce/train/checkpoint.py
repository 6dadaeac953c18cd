# SPDX-License-Identifier: Apache-2.0
"""The state of a training between two epochs, on disk: a kill -9 at any instant costs one epoch, and changes nothing.

What counts: all variables of the model (dropout's random states are among them) and of the optimizer, the best
weights so far, the moving average of the weights, the history. Shuffling and augmentation draw from (seed, epoch) and
so need no state of their own.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..run import Run
from .config import EpochRow, History

Array = np.ndarray[Any, np.dtype[Any]]
FOLDER = "checkpoints"
KEEP = 2  # the newest, and one more in case the disk lied about it


@dataclass(frozen=True, eq=False)
class State:
    """`identity` names what the training is (data, network, settings): another one must not be continued from here."""

    identity: str
    history: History
    model: tuple[Array, ...]
    optimizer: tuple[Array, ...]
    best: tuple[Array, ...]
    average: tuple[Array, ...] = ()


def save(run: Run, state: State) -> None:
    """Write the state atomically under the number of its last epoch, and delete all but the newest two."""
    meta = json.dumps({"identity": state.identity, "rows": [asdict(row) for row in state.history.rows]})
    arrays = {f"{part}/{i}": array for part in _PARTS for i, array in enumerate(getattr(state, part))}
    with run.atomic(f"{FOLDER}/epoch-{len(state.history.rows):05d}.npz") as path:
        np.savez(path, allow_pickle=False, meta=np.frombuffer(meta.encode(), np.uint8), **arrays)
    for old in _files(run)[KEEP:]:
        old.unlink()


def load(run: Run, identity: str) -> State | None:
    """Return the newest whole state, or None. Raise BadInput where it belongs to another training."""
    for path in _files(run):
        try:
            state = _read(path)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            continue  # written by a disk that lost power: the one before it serves
        if state.identity != identity:
            raise BadInput(
                str(path),
                "belongs to a training with other data, another network or other settings.",
                "Start a new run, or repeat the command of this one (`command` and `config` in its run.json).",
            )
        return state
    return None


def clear(run: Run) -> None:
    """Delete the states of a training that is over."""
    shutil.rmtree(run.path(FOLDER), ignore_errors=True)


_PARTS = ("model", "optimizer", "best", "average")


def _files(run: Run) -> list[Path]:
    return sorted(run.path(FOLDER).glob("epoch-*.npz"), reverse=True)


def _read(path: Path) -> State:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:  # NumPy forgets to close a broken one
        meta = json.loads(archive["meta"].tobytes())
        counts = {part: sum(name.startswith(f"{part}/") for name in archive.files) for part in _PARTS}
        parts = {part: tuple(archive[f"{part}/{i}"] for i in range(n)) for part, n in counts.items()}
    history = History(tuple(EpochRow(**row) for row in meta["rows"]))
    return State(meta["identity"], history, **parts)
