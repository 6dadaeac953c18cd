# SPDX-License-Identifier: Apache-2.0
"""`puce validate`: the compiled model against its reference, on every picture."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .options import DataFolder, DatasetName, FedByRows, Json, ModelFile, Optimize, OptionalBoard, TestCount
from .output import answer

EXAMPLE = "puce validate model.int8.tflite digits --on emulator --board stm32l4r9i-disco"


def command(
    model: ModelFile,
    dataset: DatasetName,
    on: Annotated[Literal["emulator", "host", "qemu"], typer.Option("--on", help="Where the C runs.")] = "emulator",
    board: OptionalBoard = None,
    count: TestCount = None,
    precision: Annotated[
        Literal["int8", "float32"], typer.Option("--precision", help="int8 quantises a float model first.")
    ] = "int8",
    fed_by_rows: FedByRows = False,
    optimize: Optimize = "balanced",
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Run the test pictures through the compiled C and compare every output, bit for bit. Exit code 1: they differ."""
    from .. import api

    answer(
        lambda: api.validate(
            model, dataset, on=on, board=board, count=count, precision=precision, fed_by_rows=fed_by_rows,
            data_dir=data_dir, optimize=optimize,
        ),
        json,
    )  # fmt: skip
