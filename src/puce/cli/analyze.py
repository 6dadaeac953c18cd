# SPDX-License-Identifier: Apache-2.0
"""`puce analyze`: what a model takes, layer by layer, and whether a board has it."""

from __future__ import annotations

from .options import Json, ModelFile, OptionalBoard
from .output import answer

EXAMPLE = "puce analyze model.int8.tflite --board stm32l4r9i-disco"


def command(model: ModelFile, board: OptionalBoard = None, json: Json = False) -> None:
    """Print shape, parameters, MACs, flash, RAM and modelled cycles of each layer. Exit code 1: it does not fit."""
    from .. import api

    answer(lambda: api.analyze(model, board), json)
