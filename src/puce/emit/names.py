# SPDX-License-Identifier: Apache-2.0
"""C identifiers for names that users gave: legal, unique, and as near to the user's own as C allows."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS = """auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof
bool true false"""
OURS = """main x y out ram order next step compute advance layer at fed picture row answer expected memcpy memset"""
RESERVED = frozenset(f"{KEYWORDS} {OURS}".split())


def identifier(name: str, prefix: str = "n") -> str:
    """Letters, digits and underscores; no keyword; never a name that C reserves."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_").lower() or prefix
    text = re.sub(r"_{2,}", "_", text)
    return f"{prefix}_{text}" if text[0].isdigit() or text in RESERVED else text


def unique(names: Iterable[str], taken: Iterable[str] = (), prefix: str = "n") -> dict[str, str]:
    """An identifier for each name; a number is added where two would meet."""
    used, result = set(taken), {}
    for name in names:
        base = candidate = identifier(name, prefix)
        n = 2
        while candidate in used:
            candidate, n = f"{base}_{n}", n + 1
        used.add(candidate)
        result[name] = candidate
    return result
