# SPDX-License-Identifier: Apache-2.0
"""`puce quantize`: float to int8, calibrated on training pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DataFolder, Json, ModelFile, TestCount
from .output import answer

EXAMPLE = "puce quantize model.keras --data digits"


def command(
    model: ModelFile,
    data: Annotated[
        str, typer.Option("--data", "-d", metavar="DATASET", show_default=False, help="Calibrated on its training pictures.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", show_default=False, help="Else NAME.int8.tflite, here.")
    ] = None,
    count: TestCount = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Quantise to int8, write a .tflite, and compare float with int8, layer by layer."""
    from .. import api

    answer(lambda: api.quantize(model, data, out, data_dir=data_dir, count=count), json)
