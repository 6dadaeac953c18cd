# SPDX-License-Identifier: Apache-2.0
"""The shortcut test: how far a trivial classifier gets that sees no object, only mean colours or the make of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluate import Accuracy
from ..units import percent
from .facts import Facts
from .splits import joined

Array = np.ndarray[Any, np.dtype[Any]]

FOLDS = 5
MOST = 10_000
"""Pictures that are looked at: more change the figure by less than its interval."""
RIDGE = 1.0
SMALLEST_SIDE = 48
"""In a picture of 28x28, means over 8x8 fields still show what is drawn: there the colours are no shortcut."""
COLOUR_SKILL, FILE_SKILL = 0.75, 0.30
"""Share of the majority answer's errors that a trivial classifier must avoid before it is called a shortcut.

A network that has learned something is usually beyond 0.75; how a file was made should say nothing of its class at all.
"""
NEAR_NETWORK = 2.0
"""A classifier is near a network whose error is at least half of its own."""


@dataclass(frozen=True)
class Shortcut:
    """What one kind of trivial feature tells of the class. `spoils`: so much that a network may have learned just this."""

    sees: str
    accuracy: Accuracy
    baseline: float
    """The share of the largest class: what answering always the same would get."""
    skill: float
    """Share of the baseline's errors that are avoided, at the lower end of the interval."""
    spoils: bool
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return {
            "sees": self.sees, "accuracy": self.accuracy.as_json(), "baseline": self.baseline, "skill": self.skill,
            "spoils": self.spoils, "verdict": self.verdict,
        }  # fmt: skip


def shortcuts(facts: Facts, network: Accuracy | None = None) -> tuple[Shortcut, ...]:
    """Cross-validate a ridge classifier on 8x8 mean colours, and one on properties of the files.

    Copies of a picture stay in one fold. `network` is the accuracy of a trained network on this set, where it is known:
    the colours are then judged against it as well. The size of a file in bytes is not among its properties: it tells how much
    detail there is to see, and that is content.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(facts.pictures))[:MOST])
    pictures, labels = [facts.pictures[i] for i in chosen], facts.labels[chosen]
    if len(pictures) < 2 * FOLDS or len(set(labels.tolist())) < 2:
        return ()
    groups = joined([p.sha256 for p in pictures], [p.group for p in pictures])
    folds = np.random.default_rng(1).integers(0, FOLDS, groups.max() + 1)[groups]
    baseline = float(np.bincount(labels).max() / len(labels))
    found = []
    colours = np.stack([p.means for p in pictures]).reshape(len(pictures), -1)
    accuracy = _cross_validated(_spread(colours.astype(np.float64)), labels, folds)
    found.append(_judged_colours(accuracy, baseline, network, min(min(p.size) for p in pictures)))
    files = np.stack([_file_numbers(p.size, p.mode, p.format, p.coarseness) for p in pictures])
    if (files != files[0]).any():
        accuracy = _cross_validated(_spread(files), labels, folds)
        found.append(_judged_files(accuracy, baseline))
    return tuple(found)


def _file_numbers(size: tuple[int, int], mode: str, kind: str, coarseness: float) -> Array:
    h, w = size
    flags = [mode == m for m in ("L", "P", "RGBA", "CMYK")] + [kind == k for k in ("JPEG", "PNG", "WEBP")]
    return np.array([np.log(h), np.log(w), np.log(h * w) ** 2, h == w, h > w, np.log1p(coarseness), *flags], np.float64)


def _spread(x: Array) -> Array:
    """Each column with mean 0 and deviation 1; a last one of ones."""
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    return np.hstack([x, np.ones((len(x), 1))])


def _cross_validated(x: Array, labels: Array, folds: Array) -> Accuracy:
    """Ridge regression on the classes' indicators; every picture is judged by the four fifths it is not in."""
    wanted = 2.0 * np.eye(int(labels.max()) + 1)[labels] - 1
    right = 0
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        if not inside.any() or not outside.any():
            right += int(outside.any()) * int((labels[outside] == np.bincount(labels).argmax()).sum())
            continue
        a = x[inside]
        weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(x.shape[1]), a.T @ wanted[inside])
        right += int(((x[outside] @ weights).argmax(axis=1) == labels[outside]).sum())
    return Accuracy.of(right, len(labels))


def _skill(accuracy: Accuracy, baseline: float) -> float:
    return (accuracy.low - baseline) / (1 - baseline) if baseline < 1 else 0.0


def _judged_colours(accuracy: Accuracy, baseline: float, network: Accuracy | None, smallest: int) -> Shortcut:
    skill, small = _skill(accuracy, baseline), smallest < SMALLEST_SIDE
    near = network is not None and 1 - accuracy.value <= NEAR_NETWORK * (1 - network.value)
    spoils = not small and (skill >= COLOUR_SKILL or near)
    seen = f"A linear classifier that sees 8x8 mean colours alone gets {percent(accuracy.value)}"
    if network is not None:
        seen += f", the network {percent(network.value)}"
    if spoils:
        verdict = f"{seen}: the classes differ by background, light or camera, and a network may have learned just that."
    elif small:
        verdict = f"{seen}; in pictures as small as these the means still show the object."
    else:
        verdict = f"{seen} (always the largest class: {percent(baseline)}): colours alone do not give the classes away."
    return Shortcut("8x8 mean colours", accuracy, baseline, skill, spoils, verdict)


def _judged_files(accuracy: Accuracy, baseline: float) -> Shortcut:
    skill = _skill(accuracy, baseline)
    seen = f"A linear classifier that sees only size, format, colour mode and JPEG quality gets {percent(accuracy.value)}"
    if skill >= FILE_SKILL:
        verdict = f"{seen}: the classes come from different cameras or sites, and a network may have learned just that."
    else:
        verdict = f"{seen} (always the largest class: {percent(baseline)}): the files do not give the classes away."
    return Shortcut("properties of the file", accuracy, baseline, skill, skill >= FILE_SKILL, verdict)
