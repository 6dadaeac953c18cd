# SPDX-License-Identifier: Apache-2.0
"""`puce train`: a network by name, on a data set, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DataFolder, DatasetName, Epochs, Json, OptionalBoard, Resume, RunsFolder, Seed
from .output import answer

EXAMPLE = "puce train digits --model digits-cnn --epochs 20"


def command(
    dataset: DatasetName,
    model: Annotated[str, typer.Option("--model", "-m", metavar="NAME", show_default=False, help="The network.")],
    out: RunsFolder = Path("runs"),
    resume: Resume = False,
    seed: Seed = 1,
    epochs: Epochs = None,
    board: OptionalBoard = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Train a network. With --board, exit with code 1 before any training where it cannot fit."""
    from .. import api

    answer(
        lambda: api.train(dataset, model, out=out, resume=resume, seed=seed, epochs=epochs, board=board, data_dir=data_dir),
        json,
    )
