# SPDX-License-Identifier: Apache-2.0
"""`puce evaluate`: how good a model is, by every way to compute it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DataFolder, DatasetName, Json, ModelFile, TestCount
from .output import answer

EXAMPLE = "puce evaluate model.int8.tflite digits"


def command(
    model: ModelFile,
    dataset: DatasetName,
    in_c: Annotated[bool, typer.Option("--c/--no-c", help="Run the C on this computer too.")] = True,
    count: TestCount = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="CLASS", show_default=False, help="The class to be found; of two, the second."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", show_default=False, help="Write a page: tables, heat map, worst errors."),
    ] = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Accuracy with its interval, by class, confusion matrix, calibration; float, int8 and C in paired tests."""
    from .. import api

    answer(
        lambda: api.evaluate(model, dataset, in_c=in_c, count=count, positive=positive, data_dir=data_dir, html=html),
        json,
    )
