# SPDX-License-Identifier: Apache-2.0
"""Does 80 % sure mean right in 80 %? Calibration curve, temperature, and the threshold below which no answer is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..units import percent
from .accuracy import Accuracy

Array = np.ndarray[Any, np.dtype[Any]]

SMALLEST = 1e-6
"""A probability of zero, as int8 gives it, stands for this much."""


@dataclass(frozen=True)
class Bin:
    """Pictures whose best probability lies from `low` to `high`: how sure the model was, and how often right."""

    low: float
    high: float
    confidence: float
    accuracy: Accuracy

    def as_json(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "confidence": self.confidence, "accuracy": self.accuracy.as_json()}


@dataclass(frozen=True)
class Reject:
    """Below `threshold` the answer is "not recognised": how many are answered, and how many of these rightly."""

    threshold: float
    answered: Accuracy
    """Its `correct` are the answered ones, of all."""
    accuracy: Accuracy | None
    """Among the answered; None where there is none."""

    def as_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold, "answered": self.answered.as_json(),
            "accuracy": self.accuracy.as_json() if self.accuracy else None,
        }  # fmt: skip

    def __str__(self) -> str:
        answered = percent(self.answered.value)
        right = f", of these right {self.accuracy}" if self.accuracy else ""
        return f"below {percent(self.threshold)} no answer: {answered} answered{right}"


def reliability(p: Array, labels: Array, bins: int = 10) -> tuple[Bin, ...]:
    """Sort pictures into equal bins of their best probability; empty bins are left out. `p` is [n, classes]."""
    best, right = p.max(axis=1), p.argmax(axis=1) == labels
    index = np.clip((best * bins).astype(np.int64), 0, bins - 1)
    found = []
    for k in range(bins):
        inside = index == k
        if inside.any():
            accuracy = Accuracy.of(int(right[inside].sum()), int(inside.sum()))
            found.append(Bin(k / bins, (k + 1) / bins, float(best[inside].mean()), accuracy))
    return tuple(found)


def expected_error(bins: tuple[Bin, ...]) -> float:
    """Average the distance of confidence and accuracy over all pictures: the expected calibration error."""
    total = sum(b.accuracy.count for b in bins)
    return sum(b.accuracy.count * abs(b.confidence - b.accuracy.value) for b in bins) / total if total else 0.0


def tempered(p: Array, t: float) -> Array:
    """Divide the logits by t: above 1 the model becomes less sure of itself. No answer changes, only its probability."""
    logits = np.log(np.maximum(p, SMALLEST)) / t
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


def temperature(p: Array, labels: Array) -> float:
    """Find the temperature under which the right answers are likeliest (Guo et al., 2017), from 1/8 to 8.

    Give validation pictures. The right class counts as 1 - 1 / (n + 2), the rest is shared by the others (Platt, 1999):
    n pictures, even if all are right, cannot show that the model never errs. The surprise has one minimum in t; a
    golden-section search on log t finds it.
    """
    n, classes = p.shape
    doubt = 1 / (n + 2)
    wanted = np.full((n, classes), doubt / max(1, classes - 1))
    wanted[np.arange(n), labels] = 1 - doubt

    def surprise(log_t: float) -> float:
        return -float((wanted * np.log(np.maximum(tempered(p, float(np.exp(log_t))), 1e-300))).sum())

    low, high, golden = -np.log(8), np.log(8), (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if surprise(a) <= surprise(b) else (a, high)
    return float(np.exp((low + high) / 2))


def reject_threshold(p: Array, labels: Array, wanted: float) -> float:
    """Return the lowest threshold from which the answered pictures are right in at least the `wanted` share.

    Give validation pictures. 0 where every answer may be believed; 1 where not even the surest are good enough.
    """
    best, right = p.max(axis=1), p.argmax(axis=1) == labels
    order = np.argsort(-best, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    sure = best[order]
    last_of_equals = np.append(sure[1:] < sure[:-1], True)
    good = np.flatnonzero((share >= wanted) & last_of_equals)
    if not len(good):
        return 1.0
    return 0.0 if good[-1] == len(order) - 1 else float(sure[good[-1]])


def reject_at(threshold: float, p: Array, labels: Array) -> Reject:
    """Measure a threshold on pictures."""
    answered = p.max(axis=1) >= threshold
    right = int(((p.argmax(axis=1) == labels) & answered).sum())
    n = int(answered.sum())
    return Reject(threshold, Accuracy.of(n, len(labels)), Accuracy.of(right, n) if n else None)
