# SPDX-License-Identifier: Apache-2.0
"""Accuracies, intervals and paired tests against values worked out by hand or by scipy."""

from __future__ import annotations

import numpy as np
import pytest

from puce.evaluate import Accuracy, accuracy, by_class, confusion, mcnemar, predictions, top_predictions, wilson


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
