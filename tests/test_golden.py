# SPDX-License-Identifier: Apache-2.0
"""The golden models take what they took: a change of C text or bytes is meant, and written down by `make golden`."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from measure import GOLDEN, measure

EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())


def test_every_golden_model_is_written_down() -> None:
    written = {name.split(" on ")[0] for name in EXPECTED["results"]}
    assert written == {model.stem for model in GOLDEN.glob("*.tflite")}


@pytest.mark.parametrize("name", EXPECTED["results"])
def test_nothing_changed(name: str) -> None:
    """C and RAM are the same everywhere; flash and cycles only with the compiler that they were written down with."""
    model, board = name.split(" on ")
    found, expected = measure(GOLDEN / f"{model}.tflite", board), dict(EXPECTED["results"][name])
    if version("ziglang") != EXPECTED["ziglang"]:
        for key in ("flash_bytes", "cycles", "ram_bytes"):
            found.pop(key), expected.pop(key)
    assert found == expected, "if this is meant: make golden, and say in the commit what changed and why"
