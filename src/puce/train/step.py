# SPDX-License-Identifier: Apache-2.0
"""The steps "data" and "train" of a run: what goes in, the trained network, and how good it is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import zoo
from ..data import Dataset, Split
from ..errors import BadInput
from ..evaluate import accuracy, confusion
from ..run import DataRecord, Run, SplitCount, TrainRecord
from ..zoo._keras import keras
from . import checkpoint
from .config import TrainConfig
from .engine import prepare
from .fit import fit, predict, weights_sha256
from .progress import Progress

SAMPLES = 25
TEST_SAMPLES = 400
"""The report shows the first 25 of them, and mistakes among all."""


def train_step(
    run: Run, dataset: Dataset, model: str, config: TrainConfig, progress: Progress | None = None, **options: Any
) -> TrainRecord:
    """Train an architecture of the zoo and record it; a step that is done returns its record at once.

    Writes samples.npz, history.csv, model.keras and scores-float.npz (`scores` float32 [n, classes] and `labels` [n]
    of the test pictures, in their order).
    """
    if model in zoo.AUTOENCODERS:
        fact = "gives pictures, not scores of classes: it has no accuracy to train for."
        raise BadInput(model, fact, "Build it with puce.zoo.build and fit it with Keras on the pictures themselves.")
    known = run.get(DataRecord)
    if known is not None and known.fingerprint != dataset.fingerprint:
        raise BadInput(str(run.folder), f"was made with other pictures of {known.name} than these.", "Start a new run.")
    if known is None or not run.done("data"):
        record_data(run, dataset)
    record = run.get(TrainRecord)
    if record is not None and run.done("train"):
        return record
    network = seeded_model(model, dataset, config, **options)
    history = fit(network, dataset, config, run, progress)
    save_model(run, network)
    scores = predict(network, dataset.inputs("test"))
    with run.atomic("scores-float.npz") as path:
        np.savez(path, scores=scores, labels=dataset.y_test)
    record = TrainRecord(
        model=model,
        parameters=network.count_params(),
        epochs=len(history.rows),
        best_epoch=history.best.epoch,
        seconds=history.seconds,
        seed=config.seed,
        validation=accuracy(predict(network, dataset.inputs("validation")), dataset.y_validation),
        test=accuracy(scores, dataset.y_test),
        confusion=confusion(scores, dataset.y_test, dataset.classes),
        weights_sha256=weights_sha256(network),
    )
    run.record("train", record, artefacts=("model.keras", "history.csv", "scores-float.npz"), inputs=("samples.npz",))
    checkpoint.clear(run)
    return record


def seeded_model(model: str, dataset: Dataset, config: TrainConfig, **options: Any) -> Any:
    """Build an architecture for a data set, its first weights drawn from the seed of the training."""
    prepare(config)
    keras().utils.set_random_seed(config.seed)
    return zoo.build(model, dataset.shape, dataset.classes, **options)


def save_model(run: Run, network: Any) -> None:
    """Write model.keras without the optimizer, which is two thirds of it and of no use to the compiler."""
    bare = keras().models.clone_model(network)
    bare.set_weights(network.get_weights())
    with run.atomic("model.keras") as path, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras 3.15 with NumPy 2 gives one for each variable
        bare.save(path)


def record_data(run: Run, dataset: Dataset) -> DataRecord:
    """Record a data set in a run, with some of its pictures in samples.npz for the report.

    `train_pictures` and `train_labels` are 25, class after class; `test_pictures` and `test_labels` are the first 400.
    """
    by_class = [np.flatnonzero(dataset.y_train == k) for k in range(dataset.classes)]
    chosen = [int(rows[i]) for i in range(SAMPLES) for rows in by_class if i < len(rows)][:SAMPLES]
    with run.atomic("samples.npz") as path:
        np.savez_compressed(
            path,
            train_pictures=dataset.x_train[chosen],
            train_labels=dataset.y_train[chosen],
            test_pictures=dataset.x_test[:TEST_SAMPLES],
            test_labels=dataset.y_test[:TEST_SAMPLES],
        )
    record = DataRecord(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        class_names=dataset.class_names,
        shape=dataset.shape,
        train=_counted(dataset, "train"),
        validation=_counted(dataset, "validation"),
        test=_counted(dataset, "test"),
        preprocessing=str(dataset.preprocessing),
        notes=dataset.notes,
        skipped=tuple(str(file) for file in dataset.skipped),
    )
    run.record("data", record, artefacts=("samples.npz",))
    return record


def _counted(dataset: Dataset, split: Split) -> SplitCount:
    return SplitCount(total=len(dataset.labels(split)), by_class=dataset.by_class(split))
