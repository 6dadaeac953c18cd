# SPDX-License-Identifier: Apache-2.0
"""`puce train`: a network by name, on a data set, into a run folder; or one setting at several values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    Alpha,
    Balance,
    Classes,
    DataFolder,
    DatasetName,
    Epochs,
    Group,
    HeldOut,
    Json,
    OptionalBoard,
    Reject,
    Resume,
    RunsFolder,
    Seed,
    Size,
    Warning_,
    Weights,
)
from .output import answer

EXAMPLE = "puce train digits --model digits-cnn --epochs 20"

SETTINGS = "Settings (what is not said suits the data)"


def _setting(flag: str, help_: str, metavar: str = "X") -> Any:
    return typer.Option(flag, metavar=metavar, show_default=False, help=help_, rich_help_panel=SETTINGS)


def command(
    dataset: DatasetName,
    model: Annotated[str, typer.Option("--model", "-m", metavar="NAME", show_default=False, help="The network.")],
    out: RunsFolder = Path("runs"),
    resume: Resume = False,
    seed: Seed = 1,
    epochs: Epochs = None,
    board: OptionalBoard = None,
    data_dir: DataFolder = None,
    size: Size = None,
    group: Group = None,
    classes: Classes = None,
    held_out: HeldOut = None,
    warning: Warning_ = "",
    reject: Reject = None,
    weights: Weights = None,
    alpha: Alpha = None,
    pixels: Annotated[
        str | None, _setting("--pixels", "What bytes become: 0..1, -1..1 (with --weights), 0..255.", "RANGE")
    ] = None,
    lr: Annotated[float | None, _setting("--lr", "Learning rate: the peak of cosine and ramp.")] = None,
    schedule: Annotated[str | None, _setting("--schedule", "cosine, fixed, ramp or plateau.", "WORD")] = None,
    warmup: Annotated[int | None, _setting("--warmup", "Epochs in which cosine rises from 0.", "N")] = None,
    batch: Annotated[int | None, _setting("--batch", "Pictures a step.", "N")] = None,
    label_smoothing: Annotated[float | None, _setting("--label-smoothing", "0.1 spreads a tenth over all classes.")] = None,
    augment: Annotated[
        str | None, _setting("--augment", "Words of shift, flip, crop, cutout, colour, mixup: flip,crop=4; or none.", "LIST")
    ] = None,
    dropout: Annotated[float | None, _setting("--dropout", "Of the network's convolutions.")] = None,
    average: Annotated[float | None, _setting("--average", "Keep a moving average of the weights: 0.999.")] = None,
    balance: Balance = None,
    patience: Annotated[int | None, _setting("--patience", "Stop after N epochs without a better result.", "N")] = None,
    precision: Annotated[str | None, _setting("--precision", "float32, bfloat16 or auto.", "WORD")] = None,
    threads: Annotated[
        int | None, _setting("--threads", "1 for the same weights on any processor, 0 for all cores.", "N")
    ] = None,
    sweep: Annotated[
        str | None, _setting("--sweep", "Train with each of several values: dropout=0.05,0.1,0.2", "NAME=A,B,C")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Seeds for each value of a sweep.")] = 1,
    json: Json = False,
) -> None:
    """Train a network. With --board, exit with code 1 before any training where it cannot fit."""
    from .. import api

    settings: dict[str, Any] = {
        "learning_rate": lr, "schedule": schedule, "warmup_epochs": warmup, "batch": batch,
        "label_smoothing": label_smoothing, "augment": augment,
        "dropout": dropout, "average": average, "balance": balance, "patience": patience, "precision": precision,
        "threads": threads, "weights": weights, "alpha": alpha, "pixels": pixels,
        "size": size, "group": group, "classes": classes, "held_out": held_out, "warning": warning,
    }  # fmt: skip
    if sweep:
        answer(
            lambda: api.sweep(dataset, model, sweep, seeds=seeds, out=out, epochs=epochs, data_dir=data_dir, **settings),
            json,
        )
        return
    answer(
        lambda: api.train(
            dataset,
            model,
            out=out,
            resume=resume,
            seed=seed,
            epochs=epochs,
            board=board,
            data_dir=data_dir,
            reject=reject,
            **settings,
        ),
        json,
    )
