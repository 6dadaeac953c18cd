# SPDX-License-Identifier: Apache-2.0
"""`puce run`: the main job, from pictures to a report on a verified classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    Alpha,
    Balance,
    BoardName,
    Classes,
    DataFolder,
    DatasetName,
    Epochs,
    Group,
    HeldOut,
    Json,
    Optimize,
    Reject,
    Resume,
    RunsFolder,
    Seed,
    Size,
    Warning_,
    Weights,
)
from .output import answer

EXAMPLE = "puce run digits --board stm32l4r9i-disco"


def command(
    dataset: DatasetName,
    board: BoardName,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", show_default=False, help="The network; else one for digits.")
    ] = None,
    out: RunsFolder = Path("runs"),
    resume: Resume = False,
    seed: Seed = 1,
    epochs: Epochs = None,
    data_dir: DataFolder = None,
    size: Size = None,
    group: Group = None,
    classes: Classes = None,
    held_out: HeldOut = None,
    warning: Warning_ = "",
    reject: Reject = None,
    weights: Weights = None,
    alpha: Alpha = None,
    balance: Balance = None,
    optimize: Optimize = "balanced",
    json: Json = False,
) -> None:
    """Do everything: train, quantise, compile, validate on the emulated core, report.

    Exit code 1: the firmware does not fit, or an output differs.
    """
    from .. import api

    answer(
        lambda: api.run(
            dataset,
            board,
            model=model,
            out=out,
            resume=resume,
            seed=seed,
            epochs=epochs,
            data_dir=data_dir,
            size=size,
            group=group,
            classes=classes,
            held_out=held_out,
            warning=warning,
            reject=reject,
            weights=weights,
            alpha=alpha,
            balance=balance,
            optimize=optimize,
        ),
        json,
    )
