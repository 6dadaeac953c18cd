# SPDX-License-Identifier: Apache-2.0
"""`puce doctor`: what works on this machine, and the line that repairs what does not."""

from __future__ import annotations

from .options import Json
from .output import answer

EXAMPLE = "puce doctor"


def command(json: Json = False) -> None:
    """Try the libraries, the compiler and the emulator. Exit code 1: something is in the way of `puce run`."""
    from .. import api

    answer(api.doctor, json)
