# SPDX-License-Identifier: Apache-2.0
"""What a model is for, and so how its answers are judged: classes by accuracy, pictures given back by squared error.

An encoder gives values that no data set knows: they are held against those of the float model, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .data import Dataset, Preprocessing
from .evaluate import Accuracy, SquaredError, accuracy, squared_errors
from .ir import Array, Graph

Purpose = Literal["classes", "pictures", "values"]
Quality = Accuracy | SquaredError


def purpose_of(graph: Graph, dataset: Dataset) -> Purpose:
    """Tell by the output: a picture of the input's shape, one value a class, or something else."""
    y = graph.tensors[graph.outputs[0]]
    if y.shape == dataset.shape:
        return "pictures"
    return "classes" if y.size == dataset.classes else "values"


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What the answers to the test pictures should be: labels [n], or real values [n, ...]; None where nobody knows."""

    purpose: Purpose
    wanted: Array | None

    @classmethod
    def of(
        cls,
        graph: Graph,
        dataset: Dataset,
        preprocessing: Preprocessing,
        count: int | None = None,
        answers: Array | None = None,
    ) -> Yardstick:
        """For the first `count` test pictures; `answers` are those of the float model, for values of no known meaning."""
        purpose = purpose_of(graph, dataset)
        if purpose == "classes":
            return cls(purpose, dataset.y_test[:count])
        return cls(purpose, preprocessing.apply(dataset.x_test[:count]) if purpose == "pictures" else answers)

    def measure(self, answers: Array) -> Quality | None:
        """Judge real answers [n, ...] to the pictures."""
        if self.wanted is None:
            return None
        if self.purpose == "classes":
            return accuracy(answers.reshape(len(answers), -1), self.wanted)
        return SquaredError.of(squared_errors(self.wanted, answers.reshape(self.wanted.shape)))

    def first(self, n: int) -> Yardstick:
        return Yardstick(self.purpose, None if self.wanted is None else self.wanted[:n])


def title_of(purpose: Purpose) -> str:
    """The head of a column of such figures."""
    return {"classes": "accuracy", "pictures": "squared error of the picture", "values": "squared error to the float model"}[
        purpose
    ]


def as_accuracy(quality: Quality | None) -> Accuracy | None:
    return quality if isinstance(quality, Accuracy) else None


def as_error(quality: Quality | None) -> SquaredError | None:
    return quality if isinstance(quality, SquaredError) else None
