# SPDX-License-Identifier: Apache-2.0
"""`puce predict`: the class of a picture, and how sure the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, ModelFile
from .output import answer

EXAMPLE = "puce predict model.int8.tflite photo.png"


def command(
    model: ModelFile,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", show_default=False, help="PNG, JPEG, BMP, GIF or WebP.")],
    json: Json = False,
) -> None:
    """Classify pictures with the reference of the very numbers that the microcontroller computes."""
    from .. import api

    answer(lambda: api.predict(model, images), json)
