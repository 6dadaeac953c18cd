# SPDX-License-Identifier: Apache-2.0
"""What was measured once, on disk: one small JSON file a layer, written whole, and ignored where it is damaged."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .candidates import Measured

FORMAT = 1
MOST = 1 << 62  # no figure of ours is larger


def folder() -> Path:
    """PUCE_CACHE, else `puce` in the user's cache folder."""
    if own := os.environ.get("PUCE_CACHE"):
        return Path(own) / "kernels"
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".cache") / "puce" / "kernels"


def load(key: str, count: int) -> tuple[Measured, ...] | None:
    """The figures of `count` kernels that stand under a key; None where there are none that can be believed."""
    try:
        document = json.loads(_path(key).read_text(encoding="utf-8"))
        if (document["format"], document["key"]) != (FORMAT, key):
            return None
        found = tuple(_measured(entry) for entry in document["kernels"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if len(found) == count else None


def _measured(entry: Any) -> Measured:
    routines = tuple((str(name), _number(nbytes)) for name, nbytes in sorted(entry["routines"].items()))
    return Measured(_number(entry["cycles"]), _number(entry["code_bytes"]), routines)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST:
        raise ValueError(value)
    return value


def store(key: str, kernels: Sequence[Measured]) -> None:
    """Keep the figures; a folder that cannot be written is no reason to stop: they are measured again next time."""
    entries = [{"cycles": m.cycles, "code_bytes": m.code_bytes, "routines": dict(m.routines)} for m in kernels]
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
            part.write(json.dumps({"format": FORMAT, "key": key, "kernels": entries}))
        Path(part.name).replace(path)
    except OSError:
        return


def _path(key: str) -> Path:
    return folder() / key[:2] / f"{key}.json"
