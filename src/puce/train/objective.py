# SPDX-License-Identifier: Apache-2.0
"""What a training is for: to tell classes apart, or to give pictures back. The loop is the same for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..data import Dataset
from ..evaluate import squared_errors
from ..zoo._keras import keras
from .config import TrainConfig

Array = np.ndarray[Any, np.dtype[Any]]


class Objective(Protocol):
    """`name` is part of the identity of a training; `counts` says whether there are right answers to count."""

    @property
    def name(self) -> str: ...

    @property
    def counts(self) -> bool: ...

    def loss(self, config: TrainConfig) -> Any:
        """A Keras loss: (wanted, given, sample_weight) -> the mean over the batch."""

    def wanted(self, dataset: Dataset, rows: Any, x: Array) -> Array:
        """What the network is to answer to the inputs x, which were made of the training pictures `rows`."""

    def judge(self, outputs: Array, dataset: Dataset) -> tuple[float, float | None]:
        """Loss on the validation pictures, and accuracy where there is one."""


@dataclass(frozen=True)
class Classes:
    """Cross-entropy of the true class, and how often it scores highest."""

    name: str = "classes"
    counts: bool = True

    def loss(self, config: TrainConfig) -> Any:
        return keras().losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)

    def wanted(self, dataset: Dataset, rows: Any, x: Array) -> Array:
        found: Array = np.eye(dataset.classes, dtype=np.float32)[dataset.y_train[rows]]
        return found

    def judge(self, outputs: Array, dataset: Dataset) -> tuple[float, float | None]:
        """The loss is without label smoothing."""
        labels = dataset.y_validation
        loss = float(-np.log(np.maximum(outputs[np.arange(len(labels)), labels], 1e-7)).mean())
        return loss, float(np.mean(outputs.argmax(1) == labels))


@dataclass(frozen=True)
class Pictures:
    """Mean squared error of the picture given back; an augmented picture is to come back as it was augmented."""

    name: str = "pictures"
    counts: bool = False

    def loss(self, config: TrainConfig) -> Any:
        k = keras()

        class PictureError(k.losses.Loss):  # type: ignore[misc,name-defined]
            """One figure a picture, which Keras's own is not: a picture's weight then counts once."""

            def call(self, y_true: Any, y_pred: Any) -> Any:
                return k.ops.mean(k.ops.square(y_pred - y_true), axis=(1, 2, 3))

        return PictureError()

    def wanted(self, dataset: Dataset, rows: Any, x: Array) -> Array:
        return x

    def judge(self, outputs: Array, dataset: Dataset) -> tuple[float, float | None]:
        return float(squared_errors(dataset.inputs("validation"), outputs).mean()), None


CLASSES, PICTURES = Classes(), Pictures()
