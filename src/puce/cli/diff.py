# SPDX-License-Identifier: Apache-2.0
"""`puce diff`: two models layer by layer, and where they part."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import DataFolder, Json, ModelFile
from .output import answer

EXAMPLE = "puce diff model.keras model.int8.tflite --data digits"


def command(
    first: ModelFile,
    second: ModelFile,
    data: Annotated[
        str, typer.Option("--data", "-d", metavar="DATASET", show_default=False, help="Its test pictures go through both.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", min=1, help="The first N test pictures.")] = 50,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Run two models on the same pictures and compare them layer by layer. Exit code 1: they part somewhere."""
    from .. import api

    answer(lambda: api.diff(first, second, data, count=count, data_dir=data_dir), json)
