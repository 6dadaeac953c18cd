# SPDX-License-Identifier: Apache-2.0
"""`puce compile`: a model to C99, and with a board to firmware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import FedByRows, Json, ModelFile, Optimize, OptionalBoard
from .output import answer

EXAMPLE = "puce compile model.int8.tflite --board stm32l4r9i-disco -o firmware"


def command(
    model: ModelFile,
    board: OptionalBoard = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", show_default=False, help="Else NAME-c, here.")
    ] = None,
    fed_by_rows: FedByRows = False,
    compiler: Annotated[Literal["zig", "gcc"], typer.Option("--compiler", help="gcc is arm-none-eabi-gcc.")] = "zig",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", show_default=False, help="Of the C functions; else the file's name.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera", metavar="FORMAT:WxH", show_default=False, help="C from its bytes too: rgb565:160x120, yuyv:320x240, ..."
        ),
    ] = None,
    optimize: Optimize = "balanced",
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Also build every choice of kernels that no other beats in flash, RAM and time.")
    ] = False,
    json: Json = False,
) -> None:
    """Write C99 for a model; with --board, link its firmware and compare its sizes with what was promised.

    Exit code 1: the board is too small.
    """
    from .. import api

    answer(
        lambda: api.compile(
            model, board, out, name=name, fed_by_rows=fed_by_rows, compiler=compiler, camera=camera, optimize=optimize,
            pareto=pareto,
        ),
        json,
    )  # fmt: skip
