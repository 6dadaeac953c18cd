# SPDX-License-Identifier: Apache-2.0
"""What a run says of its model besides the numbers, as lines of the C header: a warning, class names, when to reject."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from math import ceil

from ..errors import BadInput
from ..ir import C_TYPE, Graph
from ..units import percent
from .tables import plain

WIDTH = 112


@dataclass(frozen=True)
class Declared:
    """`warning` is for whoever uses the model, `classes` are its names in order; below `reject` no class is believed."""

    warning: str = ""
    classes: tuple[str, ...] = ()
    reject: float | None = None


def comment(text: str) -> str:
    """Any text as one line that may stand in a C comment: ASCII, accents taken off, no end and no begin of a comment."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain(bare).replace("/*", "/ *").replace("\\", "/").split())


def warning_lines(declared: Declared) -> list[str]:
    """The warning as lines inside the header's first comment; none where nothing is declared."""
    if not declared.warning:
        return []
    return [f"   {line}" for line in textwrap.wrap(f"WARNING: {comment(declared.warning)}", WIDTH)]


def decision(declared: Declared, graph: Graph, name: str) -> list[str]:
    """The function that names a class or none; empty without a reject threshold.

    It is `static inline`: a firmware that does not call it has not one byte of it. Raise BadInput where the network
    does not end in probabilities.
    """
    if declared.reject is None:
        return []
    y = graph.tensors[graph.outputs[0]]
    if graph.nodes[-1].op.name != "softmax":
        fact = "the network does not end in softmax: its outputs are no probabilities to compare with a threshold."
        raise BadInput(f"reject {declared.reject}", fact, "End it in softmax, or compile without a threshold.")
    least = f"{declared.reject!r}f" if y.dtype == "float32" else str(ceil(declared.reject / y.q.s + y.q.z - 1e-6))
    names = f"{name.upper()}_REJECT_BELOW"
    below = comment(percent(declared.reject))
    known = ", ".join(f"{i} {comment(c)}" for i, c in enumerate(declared.classes))
    return [
        f"\n/* What to believe: the number of a class, or -1 where its probability is below {below}.",
        *textwrap.wrap(f"Classes: {known}. */", WIDTH, initial_indent="   ", subsequent_indent="   "),
        f"#define {names} {least}",
        f"static inline int {name}_decide(const {C_TYPE[y.dtype]} *scores)",
        "{",
        "    int best = 0;",
        f"    for (int i = 1; i < {y.size}; i++) {{",
        "        if (scores[i] > scores[best]) best = i;",
        "    }",
        f"    return scores[best] >= {names} ? best : -1;",
        "}",
    ]
