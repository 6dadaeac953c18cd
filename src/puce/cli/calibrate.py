# SPDX-License-Identifier: Apache-2.0
"""`puce calibrate`: one real measurement makes the modelled times of a board better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BoardName, FedByRows, Json, ModelFile
from .output import answer

EXAMPLE = "puce calibrate model.int8.tflite --board nucleo-u575zi-q --measured-ms 87.4"


def command(
    model: ModelFile,
    board: BoardName,
    measured_ms: Annotated[
        float,
        typer.Option(
            "--measured-ms", metavar="MS", show_default=False, help="One inference on the real board, in milliseconds."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", show_default=False, help="The board file; else BOARD-calibrated.toml here."
        ),
    ] = None,
    fed_by_rows: FedByRows = False,
    json: Json = False,
) -> None:
    """Write a board file whose times are corrected by a measurement. Name that file as --board, also to add another."""
    from .. import api

    answer(lambda: api.calibrate(model, board, measured_ms, out=out, fed_by_rows=fed_by_rows), json)
