# SPDX-License-Identifier: Apache-2.0
"""`puce predict`: the class of a picture, and how sure the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, ModelFile
from .output import answer

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
        float, typer.Option("--reject-below", metavar="P", min=0, max=1, help="Say 'not recognised' below this probability.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Classify pictures with the reference of the very numbers that the microcontroller computes."""
    from .. import api

    names = classes.split(",") if classes else None
    answer(lambda: api.predict(model, images, classes=names, reject_below=reject_below), json)
