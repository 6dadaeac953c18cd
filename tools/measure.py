# SPDX-License-Identifier: Apache-2.0
"""Measure the golden models: C text, flash, RAM and modelled cycles of each, as one JSON document.

Run by `make golden` (writes tests/golden/expected.json) and by `make diff` (main against the working tree).
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
BOARDS = ("stm32l4r9i-disco", "raspberry-pi-pico")


def measure(model: Path, board_name: str, keep: Path | None = None) -> dict[str, Any]:
    """Compile one model for one board; `keep` is a folder that gets the C."""
    from puce import frontends
    from puce.analysis import profile
    from puce.boards import load
    from puce.compiler import compile_graph

    board = load(board_name)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_graph(frontends.load(model).graph, Path(folder), board, name=model.stem)
        assert compiled.linked is not None
        cycles, _, _, _ = profile(compiled, board)
        text = "".join(f"{name}\n{content}" for name, content in sorted(compiled.sources.files.items()))
        if keep is not None:
            target = keep / f"{model.stem}-{board_name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return {
            "c_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "activation_bytes": compiled.linked.ram.activations,
            "ram_bytes": compiled.linked.ram.total,
            "flash_bytes": compiled.linked.flash.total,
            "cycles": cycles,
        }


def measure_all(keep: Path | None = None) -> dict[str, Any]:
    """Every golden model on every board, and the compiler that it was built with."""
    models = sorted(GOLDEN.glob("*.tflite"))
    results = {f"{m.stem} on {b}": measure(m, b, keep) for m in models for b in BOARDS}
    return {"ziglang": version("ziglang"), "results": results}


if __name__ == "__main__":
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    json.dump(measure_all(kept), sys.stdout, indent=1)
    print()
