# SPDX-License-Identifier: Apache-2.0
"""Pictures of one's own, each beside the bars of its probabilities, as one file to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..run import atomic
from .plots import BLUE, ORANGE, drawing

MOST_BARS = 10
SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, eq=False)
class Answer:
    """`picture` is uint8 [h, w, 1 or 3]; `bars` are (class, probability from 0 to 1), the best first."""

    title: str
    picture: np.ndarray[Any, np.dtype[Any]]
    bars: tuple[tuple[str, float], ...]
    rejected: bool


def draw_answers(answers: Sequence[Answer], path: Path, threshold: float = 0.0) -> Path:
    """Write one row a picture; the suffix of `path` says the format. A rejected answer has no coloured bar.

    The dotted line is the threshold below which no answer is believed.
    """
    if path.suffix.lower() not in SUFFIXES:
        fact = f"{path.suffix or 'no suffix'} is no format of a picture here."
        raise BadInput(str(path), fact, f"Use {', '.join(SUFFIXES)}.")
    if not answers:
        raise BadInput(str(path), "there is no picture to draw.", "Name one or more picture files.")
    lines = max(min(len(a.bars), MOST_BARS) for a in answers)
    tall = max(1.9, 0.26 * lines + 0.75)
    with drawing() as Figure:
        figure = Figure(figsize=(7.2, tall * len(answers)), layout="constrained")
        grid = figure.subplots(len(answers), 2, squeeze=False, width_ratios=(tall, 7.2 - tall))
        for (left, right), answer in zip(grid, answers, strict=True):
            _picture(left, answer)
            _bars(right, answer, threshold)
        with atomic(path) as part:
            figure.savefig(part, dpi=160, facecolor="white")
    return path


def _picture(axis: Any, answer: Answer) -> None:
    shown = answer.picture[:, :, 0] if answer.picture.shape[2] == 1 else answer.picture
    small = max(shown.shape[:2]) <= 64
    axis.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased")
    axis.set_axis_off()


def _bars(axis: Any, answer: Answer, threshold: float) -> None:
    bars = answer.bars[:MOST_BARS]
    grey = "#b9c0c7"
    colours = [grey if answer.rejected or i else BLUE for i in range(len(bars))]
    axis.barh(range(len(bars)), [100 * p for _, p in bars], height=0.68, color=colours)
    for i, (_, p) in enumerate(bars):
        axis.text(100 * p + 1.2, i, f"{100 * p:.1f} %", va="center", fontsize=8)
    axis.set_yticks(range(len(bars)), [name for name, _ in bars])
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.set_xlim(0, 114)
    axis.set_xticks([])
    axis.grid(visible=False)
    axis.spines["bottom"].set_visible(False)
    axis.set_title(answer.title, loc="left", fontsize=10)
    if threshold:
        axis.axvline(100 * threshold, color=ORANGE, linewidth=1, linestyle=":")
