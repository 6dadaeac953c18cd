# SPDX-License-Identifier: Apache-2.0
"""`puce boards`: the catalogue, and which of it a model fits."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json
from .output import answer

EXAMPLE = "puce boards --fits model.int8.tflite"


def command(
    fits: Annotated[
        str | None,
        typer.Option("--fits", metavar="MODEL", show_default=False, help="Say of each board whether this model fits it."),
    ] = None,
    json: Json = False,
) -> None:
    """List the boards; with --fits, which of them a model fits, and with what room."""
    from .. import api

    answer(lambda: api.boards(fits=fits), json)
