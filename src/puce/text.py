# SPDX-License-Identifier: Apache-2.0
"""Tables and bars in plain text, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str] | None = None, right: Collection[int] = ()
) -> str:
    """Aligned columns under a rule; `last` is a line of sums, `right` the columns that hold numbers."""
    every = [head, *rows, *([last] if last else [])]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    rule = "  ".join("─" * w for w in widths)
    return "\n".join([line(head), rule, *map(line, rows), *([rule, line(last)] if last else [])])


def bar(share: float, width: int = 30) -> str:
    """A bar of `width` cells; what is over 100 % is drawn beyond its end."""
    full = round(min(share, 1.0) * width)
    over = "▶" if share > 1 else ""
    return "█" * full + "░" * (width - full) + over
