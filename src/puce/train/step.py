# SPDX-License-Identifier: Apache-2.0
"""The steps "data" and "train" of a run: what goes in, the trained network, and how good it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import zoo
from ..data import Dataset, Split
from ..errors import BadInput
from ..evaluate import accuracy, confusion
from ..run import DataRecord, PreprocessingRecord, ReconstructionRecord, Run, SelectionRecord, SplitCount, TrainRecord
from . import checkpoint
from .config import TrainConfig
from .fit import fit, predict, weights_sha256
from .network import save_model, seeded_model
from .progress import Progress
from .reconstruct import reconstruction_step

SAMPLES = 25
TEST_SAMPLES = 400
"""The report shows the first 25 of them, and mistakes among all."""


def train_step(
    run: Run, dataset: Dataset, model: str, config: TrainConfig, progress: Progress | None = None, **options: Any
) -> TrainRecord | ReconstructionRecord:
    """Train an architecture of the zoo and record it; a step that is done returns its record at once.

    Writes samples.npz, history.csv, model.keras and scores-float.npz (`scores` float32 [n, classes] and `labels` [n]
    of the test pictures, in their order). An autoencoder has no scores: see puce.train.reconstruct.
    """
    known = run.get(DataRecord)
    if known is not None and known.fingerprint != dataset.fingerprint:
        raise BadInput(str(run.folder), f"was made with other pictures of {known.name} than these.", "Start a new run.")
    if known is None or not run.done("data"):
        record_data(run, dataset)
    if model in zoo.AUTOENCODERS:
        return reconstruction_step(run, dataset, model, config, progress, **options)
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
        preprocessing=PreprocessingRecord(scale=dataset.preprocessing.scale, offset=dataset.preprocessing.offset),
        selection=_selection(dataset),
        warning=dataset.selection.warning,
        notes=dataset.notes,
        skipped=tuple(str(file) for file in dataset.skipped),
    )
    run.record("data", record, artefacts=("samples.npz",))
    return record


def _selection(dataset: Dataset) -> SelectionRecord:
    wishes = dataset.selection
    return SelectionRecord(size=wishes.size, group=wishes.group, classes=wishes.classes, held_out=wishes.held_out)


def _counted(dataset: Dataset, split: Split) -> SplitCount:
    return SplitCount(total=len(dataset.labels(split)), by_class=dataset.by_class(split))
