# SPDX-License-Identifier: Apache-2.0
"""`puce report`: a run folder to one page that explains it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .options import Json
from .output import answer

EXAMPLE = "puce report runs/2026-11-21-digits --lang fr"


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", show_default=False, help="A run folder.")],
    lang: Annotated[Literal["en", "fr"], typer.Option("--lang", help="English or French.")] = "en",
    json: Json = False,
) -> None:
    """Write report.html, one self-contained file, and report.md beside it."""
    from .. import api

    answer(lambda: api.report(run, lang=lang), json)
