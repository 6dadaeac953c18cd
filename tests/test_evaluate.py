# SPDX-License-Identifier: Apache-2.0
"""Accuracies, intervals and paired tests against values worked out by hand or by scipy."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from puce.evaluate import (
    Accuracy,
    accuracy,
    auc,
    by_class,
    confusion,
    expected_error,
    majority,
    mcnemar,
    operating_point,
    point_at,
    predictions,
    probabilities,
    reject_at,
    reject_threshold,
    reliability,
    roc,
    temperature,
    tempered,
    top_predictions,
    wilson,
)


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(71, 100, 0.6146, 0.7899), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (355, 360, 0.9679, 0.9941)],
)
def test_wilson_is_the_score_interval(correct: int, count: int, low: float, high: float) -> None:
    assert wilson(correct, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_equals_scipy() -> None:
    binomtest = pytest.importorskip("scipy.stats").binomtest

    for correct, count in ((1, 7), (50, 99), (9_990, 10_000)):
        interval = binomtest(correct, count).proportion_ci(0.95, method="wilson")
        assert wilson(correct, count) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_wilson_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth, n = 0.9, 200
    held = [low <= truth <= high for low, high in (wilson(int(k), n) for k in rng.binomial(n, truth, 4000))]
    assert 0.935 < np.mean(held) < 0.965


def test_accuracy_of_scores_and_of_labels_is_the_same() -> None:
    labels = np.array([0, 1, 2, 1])
    scores = np.array([[9, 1, 0], [0, 5, 5], [1, 2, 3], [7, 1, 1]], np.int8)
    assert predictions(scores).tolist() == [0, 1, 2, 0]
    assert accuracy(scores, labels) == accuracy(np.array([0, 1, 2, 0]), labels) == Accuracy.of(3, 4)
    assert str(Accuracy.of(71, 100)).startswith("71.00")


def test_confusion_counts_true_then_predicted() -> None:
    matrix = confusion(np.array([1, 1, 0, 1]), np.array([0, 1, 0, 2]), 3)
    assert matrix == ((1, 1, 0), (0, 1, 0), (0, 1, 0))
    assert sum(matrix[k][k] for k in range(3)) == 2
    rows = by_class(matrix)
    assert (rows[0].precision, rows[0].recall, rows[0].support) == (1.0, 0.5, 2)
    assert rows[1].precision == pytest.approx(1 / 3)
    assert rows[0].f1 == pytest.approx(2 / 3)
    assert (rows[2].precision, rows[2].recall, rows[2].f1) == (None, 0.0, 0.0)


def test_by_class_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(3)
    labels, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    rows = by_class(confusion(predicted, labels, 5))
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted)
    assert [r.precision for r in rows] == pytest.approx(precision.tolist())
    assert [r.recall for r in rows] == pytest.approx(recall.tolist())
    assert [r.f1 for r in rows] == pytest.approx(f1.tolist())
    assert [r.support for r in rows] == support.tolist()


def test_mcnemar_is_the_exact_sign_test_of_the_disagreements() -> None:
    binomtest = pytest.importorskip("scipy.stats").binomtest

    rng = np.random.default_rng(7)
    labels = np.zeros(500, np.int64)
    first, second = (rng.random(500) < 0.2).astype(int), (rng.random(500) < 0.28).astype(int)
    test = mcnemar(first, second, labels)
    assert test.only_first == int(np.sum((first == 0) & (second == 1)))
    expected = binomtest(test.only_first, test.only_first + test.only_second, 0.5).pvalue
    assert test.p_value == pytest.approx(expected, rel=1e-12)
    assert test.differ == (expected < 0.05)


def test_mcnemar_of_a_model_with_itself_finds_no_difference() -> None:
    same = np.arange(10)
    test = mcnemar(same, same, np.zeros(10, np.int64))
    assert (test.only_first, test.only_second, test.p_value, test.differ) == (0, 0, 1.0, False)


def test_mcnemar_of_many_disagreements_does_not_overflow() -> None:
    labels = np.zeros(20_000, np.int64)
    test = mcnemar(np.ones(20_000, int), np.zeros(20_000, int), labels)
    assert test.p_value == 0.0 or test.p_value < 1e-300


def test_top_predictions_are_sorted_and_stable() -> None:
    top = top_predictions(np.array([[0.1, 0.4, 0.4, 0.1]]), k=3)
    assert top.labels.tolist() == [[1, 2, 0]]
    assert top.scores.tolist() == [[0.4, 0.4, 0.1]]


def test_the_area_is_the_chance_to_rank_rightly() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.9])
    positive = np.array([False, False, True, True, True])
    found = auc(scores, positive)
    assert found is not None
    pairs = [(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.low <= found.value <= found.high
    assert auc(scores, np.ones(5, bool)) is None


def test_the_interval_of_the_area_covers_it() -> None:
    """200 draws of two normals one deviation apart: the true area is Phi(1 / sqrt 2); 95 % of intervals should hold it."""
    rng, truth = np.random.default_rng(0), NormalDist().cdf(1 / 2**0.5)
    positive = np.arange(120) < 40
    held = 0
    for _ in range(200):
        found = auc(rng.normal(size=120) + positive, positive)
        assert found is not None
        held += found.low <= truth <= found.high
    assert 180 <= held <= 198


def test_roc_goes_from_corner_to_corner_and_its_area_is_the_auc() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(300) < 0.4
    scores = np.round(rng.normal(size=300) + positive, 1)  # with ties
    curve, area = roc(scores, positive), auc(scores, positive)
    assert (curve.false_positive[0], curve.true_positive[0]) == (0, 0)
    assert (curve.false_positive[-1], curve.true_positive[-1]) == (1, 1)
    trapezes = np.diff(curve.false_positive) * (curve.true_positive[1:] + curve.true_positive[:-1]) / 2
    assert area is not None and area.value == pytest.approx(trapezes.sum())


@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.9, 1.0])
def test_an_operating_point_keeps_its_specificity_and_is_the_most_sensitive(wanted: float) -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(200) < 0.5
    scores = rng.normal(size=200) + positive
    threshold = operating_point(scores, positive, wanted)
    point = point_at(threshold, scores, positive)
    assert point is not None and point.specificity.value >= wanted
    lower = [s for s in scores if s < threshold]
    if lower:
        next_point = point_at(max(lower), scores, positive)
        assert next_point is not None and next_point.specificity.value < wanted


def softmax(logits: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray[Any, np.dtype[Any]] = e / e.sum(axis=1, keepdims=True)
    return result


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_temperature_undoes_what_was_multiplied(factor: float) -> None:
    rng = np.random.default_rng(3)
    honest = softmax(rng.normal(size=(20_000, 4)) * 1.5)
    labels = (honest.cumsum(axis=1) > rng.random(len(honest))[:, None]).argmax(axis=1)
    biased = tempered(honest, 1 / factor)
    t = temperature(biased, labels)
    assert t == pytest.approx(factor, rel=0.06)
    before, after = (expected_error(reliability(p, labels)) for p in (biased, tempered(biased, t)))
    assert after < 0.015 and (factor == 1.0 or before > 4 * after)
    assert np.array_equal(tempered(biased, t).argmax(axis=1), biased.argmax(axis=1))


def test_temperature_of_a_faultless_model_is_finite() -> None:
    p = np.full((180, 10), 0.01)
    p[np.arange(180), np.arange(180) % 10] = 0.91
    assert 0.2 < temperature(p, np.arange(180) % 10) < 1


def test_reliability_counts_every_picture_once() -> None:
    p = softmax(np.random.default_rng(4).normal(size=(500, 3)) * 2)
    labels = np.zeros(500, np.int64)
    bins = reliability(p, labels)
    assert sum(b.accuracy.count for b in bins) == 500
    assert sum(b.accuracy.correct for b in bins) == int((p.argmax(axis=1) == 0).sum())
    assert all(b.low <= b.confidence <= b.high for b in bins)


def test_reject_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    best = np.array([0.99, 0.95, 0.9, 0.8, 0.8, 0.6])
    p = np.stack([best, 1 - best], axis=1)
    labels = np.array([0, 0, 0, 1, 0, 1])
    assert reject_threshold(p, labels, 1.0) == 0.9
    assert reject_threshold(p, labels, 0.8) == 0.8  # 4 of 5; the two at 0.8 stand or fall together
    assert reject_threshold(p, labels, 0.5) == 0.0
    assert reject_threshold(p, 1 - labels, 0.9) == 1.0
    found = reject_at(0.8, p, labels)
    assert (found.answered.correct, found.answered.count) == (5, 6)
    assert found.accuracy is not None and (found.accuracy.correct, found.accuracy.count) == (4, 5)
    assert reject_at(1.0, p, labels).accuracy is None


def test_majority_is_the_largest_training_class() -> None:
    assert majority(np.array([0, 1, 1]), np.array([0, 1, 0, 0])) == Accuracy.of(1, 4)


def test_probabilities_leave_distributions_alone_and_squash_the_rest() -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert np.array_equal(probabilities(p), p)
    assert np.allclose(probabilities(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])
