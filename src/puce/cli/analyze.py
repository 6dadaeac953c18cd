# SPDX-License-Identifier: Apache-2.0
"""`puce analyze`: what a model takes, layer by layer, and whether a board has it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .options import FedByRows, Json, ModelFile, Optimize, OptionalBoard
from .output import answer

EXAMPLE = "puce analyze model.int8.tflite --board stm32l4r9i-disco"


def command(
    model: ModelFile,
    board: OptionalBoard = None,
    precision: Annotated[
        Literal["int8", "float32"] | None,
        typer.Option("--precision", show_default=False, help="int8: what a float model would take once quantised."),
    ] = None,
    fed_by_rows: FedByRows = False,
    optimize: Optimize = "balanced",
    why: Annotated[
        bool, typer.Option("--why", help="Each layer's kernels with cycles and bytes, and why one was chosen.")
    ] = False,
    json: Json = False,
) -> None:
    """Print shape, parameters, MACs, flash, RAM and modelled cycles of each layer. Exit code 1: it does not fit."""
    from .. import api

    answer(lambda: api.analyze(model, board, precision=precision, fed_by_rows=fed_by_rows, optimize=optimize, why=why), json)
