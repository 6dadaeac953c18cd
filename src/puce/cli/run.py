# SPDX-License-Identifier: Apache-2.0
"""`puce run`: the main job, from pictures to a report on a verified classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BoardName, DatasetName, Json, Resume, RunsFolder, Seed
from .output import answer

EXAMPLE = "puce run digits --board stm32l4r9i-disco"


def command(
    dataset: DatasetName,
    board: BoardName,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", show_default=False, help="The network; else one that suits the set."),
    ] = None,
    out: RunsFolder = Path("runs"),
    resume: Resume = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Do everything: train, quantise, compile, validate on the emulated core, report."""
    from .. import api

    answer(lambda: api.run(dataset, board, model=model, out=out, resume=resume, seed=seed), json)
