# SPDX-License-Identifier: Apache-2.0
"""`puce ops`: what the compiler can compute."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .options import Json
from .output import answer, say

EXAMPLE = "puce ops conv_2d"


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False, help="One operator: its page.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All operators as one Markdown page.")] = False,
    json: Json = False,
) -> None:
    """List the operators with their names in Keras, TFLite and ONNX; with NAME, one operator's limits and kernels."""
    from .. import api

    if markdown and not json:
        say(api.ops(name).markdown().rstrip("\n"), sys.stdout)
    else:
        answer(lambda: api.ops(name), json)
