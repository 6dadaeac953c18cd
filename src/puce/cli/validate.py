# SPDX-License-Identifier: Apache-2.0
"""`puce validate`: the compiled model against its reference, on every picture."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import DataFolder, DatasetName, Json, ModelFile, OptionalBoard
from .output import answer

EXAMPLE = "puce validate model.int8.tflite digits --on emulator --board stm32l4r9i-disco"


def command(
    model: ModelFile,
    dataset: DatasetName,
    on: Annotated[
        str, typer.Option("--on", metavar="DEVICE", help="emulator, host, or qemu where it is installed.")
    ] = "emulator",
    board: OptionalBoard = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", metavar="N", min=1, show_default=False, help="The first N test pictures; else all."),
    ] = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Run the test pictures through the compiled C and compare every output, bit for bit. Exit code 1: they differ."""
    from .. import api

    answer(lambda: api.validate(model, dataset, on=on, board=board, count=count, data_dir=data_dir), json)
