# SPDX-License-Identifier: Apache-2.0
"""Real measurements -> a board file of one's own: modelled times corrected, the stated error as the measurements allow."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Any

from puce.boards.board import Board, Calibration, Measurement
from puce.boards.load import HERE, load
from puce.errors import BadInput
from puce.units import milliseconds, percent

# Between models on one board: the worst of 11 published times against this form of model (docs/benchmarks.md).
SCATTER = 0.045
LEAST_ERROR = 0.02  # a board's clock, its temperature and the choice of a picture are worth that much


@dataclass(frozen=True)
class Calibrated:
    """A board with its measurements, and the TOML file that `--board` accepts."""

    board: Board
    before: Board
    file: Path
    note: str | None = None  # where the measurement lies outside of what had been stated
    ok: bool = True

    def as_json(self) -> dict[str, Any]:
        found = self.board.calibration
        assert found is not None
        return {
            "board": self.board.name, "file": str(self.file), "scale": found.scale,
            "error": {"before": self.before.model_error, "after": found.relative_error},
            "measurements": [
                {"model": m.model, "modelled_ms": m.modelled_ms, "measured_ms": m.measured_ms} for m in found.measurements
            ],
            "note": self.note,
        }  # fmt: skip

    def __str__(self) -> str:
        found = self.board.calibration
        assert found is not None
        return "\n".join([
            *(
                f"{m.model}: {milliseconds(m.modelled_ms)} modelled, {milliseconds(m.measured_ms)} measured: "
                f"{m.measured_ms / m.modelled_ms:.3f} times"
                for m in found.measurements
            ),
            f"{self.file}: modelled cycles times {found.scale:.4f}, within {percent(found.relative_error)} "
            f"(before: {percent(self.before.model_error)})",
            *([self.note] if self.note else []),
            f"use it as: --board {self.file}",
        ])  # fmt: skip


def calibration(measurements: tuple[Measurement, ...], error: float) -> Calibration:
    """What these measurements say. `error` is the board's own relative error without them.

    The scale is the geometric mean of measured / modelled. A measurement takes away what all models on this board have in
    common, and leaves what differs from model to model. How much that is, is known of one board (SCATTER); one or two
    measurements halve the error, but not below that. From three on it is what they show: from the least ratio to the greatest.
    """
    ratios = [m.measured_ms / m.modelled_ms for m in measurements]
    spread = max(ratios) / min(ratios) - 1
    known = 0.0 if len(ratios) > 2 else min(error, max(error / 2, SCATTER))
    models = ", ".join(m.model for m in measurements)
    return Calibration(
        scale=exp(sum(map(log, ratios)) / len(ratios)),
        relative_error=max(known, spread, LEAST_ERROR),
        source=f"{len(ratios)} measurement{'s' if len(ratios) > 1 else ''} on the real board: {models}",
        measurements=measurements,
    )


def calibrate(board: Board, source: str | Path, measured: Measurement, error: float, out: Path) -> Calibrated:
    """Write `out`, the file of `board` with one more measurement; one of the same model is replaced.

    `source` is the board's name in the catalogue or its own file. `error` is the relative error of the uncorrected time.
    """
    if not 0.1 <= measured.measured_ms / measured.modelled_ms <= 10:
        fact = (
            f"{milliseconds(measured.measured_ms)} were measured and {milliseconds(measured.modelled_ms)} are modelled: "
            "that is another clock, another build or another unit."
        )
        raise BadInput(measured.model, fact, "Give the milliseconds of one inference of this firmware at the board's clock.")
    before = board.calibration.measurements if board.calibration else ()
    found = calibration((*(m for m in before if m.model != measured.model), measured), error)
    text = (Path(source) if str(source).endswith(".toml") else HERE / f"{source}.toml").read_text(encoding="utf-8")
    text = re.sub(r'^name = ".*"', f'name = "{out.stem}"', text, count=1, flags=re.MULTILINE)
    text = re.split(r"^\[calibration\]", text, flags=re.MULTILINE)[0].rstrip() + "\n\n" + section(found)
    part = out.with_suffix(".toml.part")
    part.write_text(text, encoding="utf-8")
    part.replace(out)
    written, note = load(out), None
    if abs(measured.measured_ms / measured.modelled_ms - 1) > error:
        note = (
            f"This is outside of the stated {percent(error)}. Before you trust it: is it this firmware, at "
            f"{board.clock_hz // 10**6} MHz, with the flash's cache and prefetch on?"
        )
    return Calibrated(written, replace(written, calibration=None), out, note)


def section(found: Calibration) -> str:
    """The calibration as the last tables of a board file."""
    lines = [
        "[calibration]  # by `puce calibrate`; keep it last",
        f"scale = {found.scale:.6g}",
        f"relative_error = {found.relative_error:.4g}",
        f'source = "{found.source}"',
    ]
    for m in found.measurements:
        lines += ["", "[[calibration.measurements]]", f'model = "{m.model}"']
        lines += [f"modelled_ms = {m.modelled_ms:.6g}", f"measured_ms = {m.measured_ms:.6g}"]
    return "\n".join(lines) + "\n"
