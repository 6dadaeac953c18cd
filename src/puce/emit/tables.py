# SPDX-License-Identifier: Apache-2.0
"""Arrays as C source: exact, aligned to words, lines a person can scroll through."""

from __future__ import annotations

import numpy as np

from ..ir import C_TYPE, Array

LINE = 112  # characters of values in a line


def plain(text: str) -> str:
    """Text that may stand in a comment: ASCII, and nothing in it ends the comment."""
    return text.replace("\u202f", " ").encode("ascii", "replace").decode().replace("*/", "* /")


def numbers(values: Array) -> list[str]:
    """The literals of a flat array; millions of them take seconds, so nothing here works value by value in Python."""
    if values.dtype == np.float32:
        texts = ("%.9g\n" * values.size % tuple(values.tolist())).split()  # nine digits give every float32 back
        return [f"{t}f" if "." in t or "e" in t or "n" in t else f"{t}.0f" for t in texts]
    suffix = "u" if values.dtype == np.uint32 else ""
    texts = [f"{v}{suffix}" for v in values.tolist()]
    return ["(-2147483647 - 1)" if t == "-2147483648" else t for t in texts]


def table(name: str, values: Array, note: str) -> str:
    """`static const` array; int8 arrays too start at a word, since kernels load words from them."""
    dtype = str(values.dtype)
    ctype = {**C_TYPE, "uint16": "uint16_t", "uint32": "uint32_t"}[dtype]
    lines, line = [], ""
    for text in numbers(values.reshape(-1)):
        if len(line) + len(text) + 1 >= LINE:
            lines.append(line)
            line = ""
        line += f"{text}," if not line else f" {text},"
    lines.append(line)
    body = "\n".join(f"    {text}" for text in lines)
    head = f"static const {ctype} {name}[{values.size}] __attribute__((aligned(4))) = {{"
    return f"/* {plain(note)} */\n{head}\n{body}\n}};\n"
