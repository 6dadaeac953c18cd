# SPDX-License-Identifier: Apache-2.0
"""`puce predict`: the class of a picture, and how sure the model is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, ModelFile
from .output import answer

if TYPE_CHECKING:
    from ..api import Prediction

EXAMPLE = "puce predict model.int8.tflite photo.png --classes cat,dog"


def command(
    model: ModelFile,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", show_default=False, help="Picture files.")],
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", metavar="A,B,...", show_default=False, help="Their names, in order; a run folder knows its own."
        ),
    ] = None,
    reject_below: Annotated[
        float | None,
        typer.Option(
            "--reject-below", metavar="P", min=0, max=1, show_default=False, help="Say 'not recognised' below this probability."
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option("--draw", metavar="FILE", show_default=False, help="Draw pictures and bars into a .png, .svg or .pdf."),
    ] = None,
    json: Json = False,
) -> None:
    """Classify pictures with the reference of the very numbers that the microcontroller computes."""
    from .. import api

    names = classes.split(",") if classes else None

    def found() -> list[Prediction]:
        predictions = api.predict(model, images, classes=names, reject_below=reject_below)
        if draw is not None:
            api.draw_predictions(predictions, draw)
        return predictions

    answer(found, json)
