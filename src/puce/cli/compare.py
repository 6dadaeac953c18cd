# SPDX-License-Identifier: Apache-2.0
"""`puce compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json
from .output import answer

EXAMPLE = "puce compare runs/2026-11-21-digits-digits-cnn runs/2026-11-21-digits-digits-cnn-2 -o runs.html"


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", show_default=False, help="Run folders.")],
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", metavar="FILE", show_default=False, help="Write .html, .md or .csv; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Table of runs with intervals and costs, paired tests on the same pictures, the Pareto front."""
    from .. import api

    answer(lambda: api.compare(runs, out or ()), json)
