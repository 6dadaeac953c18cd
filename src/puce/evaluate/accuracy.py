# SPDX-License-Identifier: Apache-2.0
"""Right answers counted: accuracy with its interval, confusion, figures by class, and two models on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from ..units import percent

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Accuracy:
    """Correct answers out of `count`, as a fraction, with its 95 % Wilson interval [low, high]."""

    value: float
    low: float
    high: float
    correct: int
    count: int

    @classmethod
    def of(cls, correct: int, count: int) -> Accuracy:
        low, high = wilson(correct, count)
        return cls(correct / count, low, high, correct, count)

    def as_json(self) -> dict[str, float]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "correct": self.correct,
            "count": self.count,
        }

    def __str__(self) -> str:
        interval = f"95 %: {percent(self.low)} to {percent(self.high)}"
        return f"{percent(self.value)} ({self.correct} of {self.count}; {interval})"


@dataclass(frozen=True)
class ClassScore:
    """One row of the table by class. A quotient whose divisor is 0 (a class never predicted) is None."""

    index: int
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same pictures: what only one of them gets right, and the chance of a split so uneven."""

    only_first: int
    only_second: int
    p_value: float

    @property
    def differ(self) -> bool:
        return self.p_value < 0.05


@dataclass(frozen=True)
class TopPredictions:
    """The k best classes of each picture, best first: `labels` [n, k] and their `scores` [n, k]."""

    labels: Array
    scores: Array


def wilson(correct: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson, JASA 22, 1927): honest at 0 and 100 %, unlike +-1.96 sigma."""
    assert 0 <= correct <= count and count > 0, (correct, count)
    assert 0 < confidence < 1, confidence
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = correct / count
    centre = p + z * z / (2 * count)
    spread = z * sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # The interval holds p in exact arithmetic; rounding at 0 and 1 may miss it by one unit in the last place.
    return max(0.0, min(p, (centre - spread) / scale)), min(1.0, max(p, (centre + spread) / scale))


def predictions(scores_or_labels: Array) -> Array:
    """Reduce scores [n, classes] of any type to labels [n]; a tie goes to the lowest class, as in the C code."""
    array = np.asarray(scores_or_labels)
    assert array.ndim in (1, 2), array.shape
    return array.argmax(axis=1) if array.ndim == 2 else array


def accuracy(scores_or_labels: Array, labels: Array) -> Accuracy:
    """Measure scores [n, classes] or predicted labels [n] against the true labels [n]."""
    predicted = predictions(scores_or_labels)
    assert predicted.shape == np.shape(labels), (predicted.shape, np.shape(labels))
    return Accuracy.of(int(np.count_nonzero(predicted == labels)), len(predicted))


def majority(training_labels: Array, labels: Array) -> Accuracy:
    """Measure the answer that is always the largest class of the training pictures: what any model must beat."""
    largest = int(np.bincount(np.asarray(training_labels, np.int64)).argmax())
    return Accuracy.of(int(np.count_nonzero(np.asarray(labels) == largest)), len(labels))


def probabilities(scores: Array) -> Array:
    """Return scores [n, classes] as they are where each row is a distribution already, else their softmax."""
    p = np.asarray(scores, np.float64)
    if len(p) == 0 or (p.min() >= 0 and np.abs(p.sum(axis=1) - 1).max() < 0.05):  # int8 softmax rounds to 1/256
        return p
    e = np.exp(p - p.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


def confusion(scores_or_labels: Array, labels: Array, classes: int) -> tuple[tuple[int, ...], ...]:
    """Count the pairs [true, predicted] into a matrix [classes, classes] of plain integers."""
    predicted = predictions(scores_or_labels)
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(labels, np.intp), predicted.astype(np.intp)), 1)
    return tuple(tuple(row) for row in matrix.tolist())


def by_class(matrix: Sequence[Sequence[int]]) -> tuple[ClassScore, ...]:
    """Read precision, recall and F1 of each class off a confusion matrix [true, predicted]."""
    return tuple(_class_score(k, np.asarray(matrix)) for k in range(len(matrix)))


def _class_score(k: int, matrix: Array) -> ClassScore:
    hits, predicted, support = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
    return ClassScore(
        index=k,
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (predicted + support) if predicted + support else None,
        support=support,
    )


def mcnemar(first: Array, second: Array, labels: Array) -> PairedTest:
    """Compare two models on the same pictures by McNemar's exact two-sided test.

    `first` and `second` are scores or labels. Pictures that both get right, or both wrong, say nothing about which
    is better; the others would fall to either side like a fair coin if the models were equally good.
    """
    right_a, right_b = predictions(first) == labels, predictions(second) == labels
    only_a, only_b = int(np.count_nonzero(right_a & ~right_b)), int(np.count_nonzero(right_b & ~right_a))
    return PairedTest(only_a, only_b, _coin_tail(min(only_a, only_b), only_a + only_b))


def _coin_tail(k: int, n: int) -> float:
    """Chance that n tosses of a fair coin split at least as unevenly as k to n - k."""
    if 2 * k >= n:
        return 1.0
    term = total = comb(n, 0)
    for i in range(1, k + 1):
        term = term * (n - i + 1) // i
        total += term
    return float(min(1.0, 2 * total / 2**n))


def top_predictions(scores: Array, k: int = 5) -> TopPredictions:
    """Sort scores [n, classes] and keep the k best of each row; ties keep the lower class first."""
    order = np.argsort(-np.asarray(scores, np.float64), axis=1, kind="stable")[:, :k]
    return TopPredictions(order, np.take_along_axis(np.asarray(scores), order, axis=1))
