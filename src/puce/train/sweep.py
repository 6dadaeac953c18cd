# SPDX-License-Identifier: Apache-2.0
"""One setting at several values, each with several seeds: which value is better, and whether the seeds let one say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ..errors import BadInput
from ..run import TrainRecord
from ..units import percent
from ..zoo import only_classifiers

# Student's t, two-sided 95 %, for 1, 2, 3, ... degrees of freedom.
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class SweepRow:
    """One value: accuracies by seed. `low` and `high` bound the mean validation accuracy: Student's interval over the
    seeds, or Wilson's over the pictures where there is one seed."""

    value: str
    runs: tuple[Path, ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]
    low: float
    high: float

    @property
    def mean(self) -> float:
        return mean(self.validation)


@dataclass(frozen=True)
class SweepResult:
    """The table of a sweep. The best value is chosen on validation pictures; the test accuracy beside it chose nothing."""

    parameter: str
    rows: tuple[SweepRow, ...]
    ok: bool = True

    @property
    def best(self) -> SweepRow:
        return max(self.rows, key=lambda row: row.mean)

    def as_json(self) -> dict[str, Any]:
        rows = [
            {
                "value": row.value, "validation": {"value": row.mean, "low": row.low, "high": row.high},
                "by_seed": list(row.validation), "test": mean(row.test), "runs": [str(run) for run in row.runs],
            }
            for row in self.rows
        ]  # fmt: skip
        return {"parameter": self.parameter, "best": self.best.value, "rows": rows}

    def __str__(self) -> str:
        lines = [f"{self.parameter:<16} {'validation':>10}  95 % of the mean     test"]
        for row in self.rows:
            interval = f"{percent(row.low)} to {percent(row.high)}"
            mark = "  <- best" if row is self.best else ""
            lines.append(f"{row.value:<16} {percent(row.mean):>10}  {interval:<18} {percent(mean(row.test))}{mark}")
        others = [row for row in self.rows if row is not self.best and row.high >= self.best.low]
        if others:
            lines.append(f"Not told apart from the best by these seeds: {', '.join(row.value for row in others)}.")
        return "\n".join(lines)


def parse(text: str) -> tuple[str, tuple[str, ...]]:
    """Split "dropout=0.05,0.1,0.2" into the name and its values."""
    name, _, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(",") if value.strip())
    if not name or len(found) < 2:
        raise BadInput(f"--sweep {text}", "names no setting with at least two values.", "Say it so: dropout=0.05,0.1,0.2")
    return name.strip(), found


def sweep(text: str, seeds: int, train: Callable[[str, str, int], tuple[Path, TrainRecord]], model: str = "") -> SweepResult:
    """Call `train(name, value, seed)` for each value and the seeds 1 to `seeds`, and gather what it returns."""
    only_classifiers(model, "a sweep")
    name, values = parse(text)
    rows = []
    for value in values:
        done = [train(name, value, seed) for seed in range(1, seeds + 1)]
        validation = tuple(record.validation.value for _, record in done)
        low, high = _interval(validation) if seeds > 1 else (done[0][1].validation.low, done[0][1].validation.high)
        test = tuple(record.test.value for _, record in done)
        rows.append(SweepRow(value, tuple(folder for folder, _ in done), validation, test, low, high))
    return SweepResult(name, tuple(rows))


def _interval(values: tuple[float, ...]) -> tuple[float, float]:
    freedom = len(values) - 1
    spread = (T95[freedom - 1] if freedom <= len(T95) else 2.0) * stdev(values) / sqrt(len(values))
    return max(0.0, mean(values) - spread), min(1.0, mean(values) + spread)
