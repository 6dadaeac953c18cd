# SPDX-License-Identifier: Apache-2.0
"""Arrays as C source: exact, aligned to words, lines a person can scroll through."""

from __future__ import annotations

import numpy as np

from ..ir import C_TYPE, Array

LINE = 112  # characters of values in a line


def plain(text: str) -> str:
    """Text that may stand in a comment: ASCII, and nothing in it ends the comment."""
    return text.replace("\u202f", " ").encode("ascii", "replace").decode().replace("*/", "* /")


def number(value: float, dtype: str) -> str:
    if dtype == "float32":
        text = f"{float(np.float32(value)):.9g}"  # nine digits give every float32 back
        return f"{text}f" if any(c in text for c in ".en") else f"{text}.0f"
    return "(-2147483647 - 1)" if int(value) == -(2**31) else str(int(value))


def table(name: str, values: Array, note: str) -> str:
    """`static const` array; int8 arrays too start at a word, since kernels load words from them."""
    dtype = str(values.dtype)
    ctype = {**C_TYPE, "uint16": "uint16_t", "uint32": "uint32_t"}[dtype]
    suffix = "u" if dtype == "uint32" else ""
    lines, line = [], ""
    for value in values.reshape(-1):
        text = f"{number(value, dtype)}{suffix},"
        if len(line) + len(text) >= LINE:
            lines.append(line)
            line = ""
        line += text if not line else f" {text}"
    lines.append(line)
    body = "\n".join(f"    {text}" for text in lines)
    head = f"static const {ctype} {name}[{values.size}] __attribute__((aligned(4))) = {{"
    return f"/* {plain(note)} */\n{head}\n{body}\n}};\n"
