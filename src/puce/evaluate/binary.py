# SPDX-License-Identifier: Apache-2.0
"""Two classes, one of which is to be found: ROC curve, its area with an interval, sensitivity at a fixed specificity."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from ..units import percent
from .accuracy import Accuracy

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve: the chance that a positive picture scores above a negative one; 95 % interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.4f} (95 %: {self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True, eq=False)
class Roc:
    """From (0, 0) to (1, 1): at each threshold, the share of negatives and of positives that score at least that much."""

    thresholds: Array
    false_positive: Array
    true_positive: Array


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold gives: positive is called what scores at least that much."""

    threshold: float
    sensitivity: Accuracy
    """Of the positives, how many are found."""
    specificity: Accuracy
    """Of the negatives, how many are left in peace."""

    def as_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold, "sensitivity": self.sensitivity.as_json(),
            "specificity": self.specificity.as_json(),
        }  # fmt: skip

    def __str__(self) -> str:
        return f"at {percent(self.threshold)}: sensitivity {self.sensitivity}, specificity {self.specificity}"


def roc(scores: Array, positive: Array) -> Roc:
    """Draw the curve for scores [n] of the positive class and booleans [n]; equal scores move as one."""
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    thresholds = np.unique(scores)[::-1]
    p, n = np.sort(scores[positive]), np.sort(scores[~positive])
    above_p = (len(p) - np.searchsorted(p, thresholds, side="left")) / max(1, len(p))
    above_n = (len(n) - np.searchsorted(n, thresholds, side="left")) / max(1, len(n))
    return Roc(np.append(np.inf, thresholds), np.append(0.0, above_n), np.append(0.0, above_p))


def auc(scores: Array, positive: Array) -> Auc | None:
    """Measure the area and its interval by DeLong's method (Biometrics 44, 1988); None where a class is absent."""
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    p, n = scores[positive], scores[~positive]
    if not len(p) or not len(n):
        return None
    # For each positive the share of negatives that it beats, ties counting half; and the other way round.
    beats = (_below(n, p) + _below_or_equal(n, p)) / 2 / len(n)
    beaten = 1 - (_below(p, n) + _below_or_equal(p, n)) / 2 / len(p)
    value = float(beats.mean())
    variance = _variance(beats) / len(p) + _variance(beaten) / len(n)
    reach = NormalDist().inv_cdf(0.975) * sqrt(variance)
    return Auc(value, max(0.0, value - reach), min(1.0, value + reach))


def _below(values: Array, x: Array) -> Array:
    return np.searchsorted(np.sort(values), x, side="left")


def _below_or_equal(values: Array, x: Array) -> Array:
    return np.searchsorted(np.sort(values), x, side="right")


def _variance(x: Array) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else 0.0


def operating_point(scores: Array, positive: Array, specificity: float) -> float:
    """Return the lowest threshold whose specificity on these pictures is at least the wanted one.

    Give validation pictures: a threshold that was chosen on the test flatters the test.
    """
    curve = roc(scores, positive)
    fits = np.flatnonzero(1 - curve.false_positive >= specificity - 1e-12)
    threshold = float(curve.thresholds[fits[-1]])
    return threshold if np.isfinite(threshold) else float(np.nextafter(np.max(scores), np.inf))


def point_at(threshold: float, scores: Array, positive: Array) -> OperatingPoint | None:
    """Measure a threshold on pictures; None where a class is absent."""
    called, positive = np.asarray(scores) >= threshold, np.asarray(positive, bool)
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return None
    return OperatingPoint(
        threshold, Accuracy.of(int((called & positive).sum()), p), Accuracy.of(int((~called & ~positive).sum()), n)
    )
