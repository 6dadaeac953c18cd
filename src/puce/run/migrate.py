# SPDX-License-Identifier: Apache-2.0
"""A run.json of an earlier schema, brought to this one step by step before it is checked."""

from __future__ import annotations

import re
from typing import Any

_SENTENCE = re.compile(r"x = u × (\S+) \+ (\S+)")
"""How schema 1 told the way of a pixel; its scale had six digits, and was one of these."""
_SCALES = (1 / 255, 2 / 255, 1.0)


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document in the newest schema; what cannot be understood is left for the check to name.

    1 -> 2: `preprocessing` of the data step was a sentence, and is a record.
    """
    if document.get("schema_version") != 1:
        return document
    steps = document.get("steps")
    step = steps.get("data") if isinstance(steps, dict) else None
    record = step.get("record") if isinstance(step, dict) else None
    found = _SENTENCE.fullmatch(str(record.get("preprocessing"))) if isinstance(record, dict) else None
    if steps is None or step is None or record is None or found is None:
        return document | {"schema_version": 2}
    told = float(found[1])
    scale = next((s for s in _SCALES if abs(s - told) < 1e-5 * s), told)
    record = record | {"preprocessing": {"scale": scale, "offset": float(found[2])}}
    return document | {"schema_version": 2, "steps": steps | {"data": step | {"record": record}}}
