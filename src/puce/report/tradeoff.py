# SPDX-License-Identifier: Apache-2.0
"""The chart of a comparison: accuracy with its interval against what it costs, the Pareto front drawn as a staircase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluate import Accuracy
from .plots import BLUE, INK, ORANGE, figure, inline


@dataclass(frozen=True)
class Candidate:
    """One run in one panel: a short name, its accuracy, its cost in the panel's unit, and whether it is on the front."""

    name: str
    accuracy: Accuracy
    cost: float
    front: bool


def tradeoff(panels: Sequence[tuple[str, Sequence[Candidate]]], label: str) -> str:
    """Draw one panel a cost (title with unit, candidates); better is up and to the left."""
    with figure(8.6, 3.4, len(panels)) as (_, axes, out):
        every = list(axes) if len(panels) > 1 else [axes]
        for axis, (title, candidates) in zip(every, panels, strict=True):
            costs = [c.cost for c in candidates if c.cost > 0]
            wide = bool(costs) and max(costs) > 8 * min(costs)
            middle = ((min(costs) * max(costs)) ** 0.5 if wide else (min(costs) + max(costs)) / 2) if costs else 0.0
            for c in candidates:
                colour = ORANGE if c.front else BLUE
                bounds = [100 * c.accuracy.low, 100 * c.accuracy.high]
                axis.plot([c.cost, c.cost], bounds, color=colour, linewidth=1.6, alpha=0.55)
                axis.plot(c.cost, 100 * c.accuracy.value, "o", color=colour, markersize=6)
                place = (c.cost, 100 * c.accuracy.value)
                left = c.cost > middle
                style = {"fontsize": 8, "color": INK, "ha": "right" if left else "left"}
                axis.annotate(c.name, place, xytext=(-6 if left else 6, 5), textcoords="offset points", **style)
            best = _staircase(candidates)
            if len(best) > 1:
                axis.step(*zip(*best, strict=True), where="post", color=ORANGE, linewidth=0.9, linestyle="--", alpha=0.8)
            if wide:
                axis.set_xscale("log")
            axis.margins(x=0.22, y=0.12)
            axis.set_xlabel(title)
        every[0].set_ylabel("accuracy (%)")
    return inline(out[0], "tradeoff", label)


def _staircase(candidates: Sequence[Candidate]) -> list[tuple[float, float]]:
    """The points that nobody beats in this panel, from cheap to dear."""
    steps: list[tuple[float, float]] = []
    for c in sorted(candidates, key=lambda c: (c.cost, -c.accuracy.value)):
        if not steps or 100 * c.accuracy.value > steps[-1][1]:
            steps.append((c.cost, 100 * c.accuracy.value))
    return steps
