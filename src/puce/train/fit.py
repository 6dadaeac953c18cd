# SPDX-License-Identifier: Apache-2.0
"""The training loop: Adam, a schedule, early stopping with the best weights; deterministic and resumable."""

from __future__ import annotations

import hashlib
import json
from time import perf_counter
from typing import Any

import numpy as np

from ..data import Dataset
from ..run import Run
from ..zoo._keras import keras
from . import checkpoint
from .augment import augment, mix
from .average import Average
from .config import EpochRow, History, TrainConfig
from .engine import PREDICT_BATCH, Engine, Kind, faster_precision, prepare
from .objective import CLASSES, Objective
from .progress import Progress, Silent
from .schedule import learning_rate

Array = np.ndarray[Any, np.dtype[Any]]
PRECISION_FILE = "checkpoints/precision"


def fit(
    model: Any,
    dataset: Dataset,
    config: TrainConfig,
    run: Run,
    progress: Progress | None = None,
    objective: Objective = CLASSES,
) -> History:
    """Train a keras.Model in place and leave it with its best weights; write history.csv and states as it goes.

    Where the run folder holds the state of this very training, it goes on from there. The test pictures are not
    looked at. Equal (model, dataset, config) give equal weights, interrupted or not.
    """
    progress = progress or Silent()
    prepare(config)
    batches = -(-len(dataset.y_train) // config.batch)
    engine, identity = Engine(model, config, objective), _identity(model, dataset, config, objective)
    state = checkpoint.load(run, identity) or checkpoint.State(
        identity, History(), _values(model), _values(engine.optimizer), _values(model), Average.start(model, config).values
    )
    _assign(model, state.model)
    _assign(engine.optimizer, state.optimizer)
    kind = _precision(engine, dataset, config, run)
    progress.start(f"training {model.name} in {kind}", config.epochs, len(state.history.rows), batches)
    try:
        with engine.ready(kind):
            while not _finished(state.history, config):
                average = Average(config.average, state.average)
                row, judged = _one_epoch(engine, dataset, config, state.history, average, progress)
                history = state.history.with_row(row)
                best = judged if history.best is row else state.best
                state = checkpoint.State(identity, history, _values(model), _values(engine.optimizer), best, average.values)
                checkpoint.save(run, state)
                with run.atomic("history.csv") as path:
                    path.write_text(history.as_csv(), encoding="utf-8")
                progress.epoch(row)
    finally:
        progress.stop()
    _assign(model, state.best)
    return state.history


def _precision(engine: Engine, dataset: Dataset, config: TrainConfig, run: Run) -> Kind:
    """What the settings say; the answer of "auto" is kept beside the states, as resuming must not time again."""
    if config.precision != "auto":
        return config.precision
    kept = run.path(PRECISION_FILE)
    if kept.exists() and kept.read_text(encoding="utf-8") == "bfloat16":
        return "bfloat16"
    if kept.exists():
        return "float32"
    few = slice(0, config.batch)
    x = dataset.preprocessing.apply(dataset.x_train[few])
    found = faster_precision(engine, x, engine.objective.wanted(dataset, few, x))
    with run.atomic(PRECISION_FILE) as path:
        path.write_text(found, encoding="utf-8")
    return found


def predict(model: Any, x: Array) -> Array:
    """Return the answers [n, ...] to inputs [n, h, w, c], float32."""
    parts = [model.predict_on_batch(x[i : i + PREDICT_BATCH]) for i in range(0, len(x), PREDICT_BATCH)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def weights_sha256(model: Any) -> str:
    """Hash the weights alone: a .keras file also holds the date of its saving."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(repr((weight.dtype.str, weight.shape)).encode())
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def _identity(model: Any, dataset: Dataset, config: TrainConfig, objective: Objective) -> str:
    """Name the training: the network with its first weights, the pictures, what for, the settings, the library underneath."""
    k = keras()
    parts = (model.to_json(), weights_sha256(model), dataset.fingerprint, k.backend.backend(), k.__version__)
    purpose = () if objective is CLASSES else (objective.name,)  # states from before there was a choice go on
    return hashlib.sha256(json.dumps([*parts, *purpose, config.as_json()]).encode()).hexdigest()


def _one_epoch(
    engine: Engine, dataset: Dataset, config: TrainConfig, history: History, average: Average, progress: Progress
) -> tuple[EpochRow, tuple[Array, ...]]:
    """Train for one epoch; return its row, and the variables that its validation figures are of."""
    start, epoch = perf_counter(), len(history.rows) + 1
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(dataset.y_train))
    by_label = _class_weights(dataset, config)
    batches, results, rate = -(-len(order) // config.batch), [], 0.0
    for i in range(batches):
        chosen = order[i * config.batch : (i + 1) * config.batch]
        x = augment(dataset.preprocessing.apply(dataset.x_train[chosen]), rng, config)
        y = engine.objective.wanted(dataset, chosen, x)
        if config.mixup:
            x, y = mix(x, y, rng, config.mixup)
        rate = learning_rate(config, history, i, batches)
        loss, hits = engine.step(x, y, by_label[dataset.y_train[chosen]], rate)
        results.append((float(loss) * len(chosen), float(hits)))
        average.add(engine.model, (epoch - 1) * batches + i + 1)
        progress.batch()
    values = _values(engine.model)
    judged = average.of(engine.model, values)
    _assign(engine.model, judged)
    scores = engine.predict(dataset.inputs("validation"))
    _assign(engine.model, values)
    loss, accuracy = np.sum(results, axis=0) / len(order)
    val_loss, val_accuracy = engine.objective.judge(scores, dataset)
    row = EpochRow(
        epoch=epoch,
        loss=float(loss),
        accuracy=float(accuracy) if engine.objective.counts else None,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=rate,
        seconds=perf_counter() - start,
    )
    return row, judged


def _class_weights(dataset: Dataset, config: TrainConfig) -> Array:
    """One weight a class: 1, or the size its pictures would have if all classes were equal, over the size they have."""
    if not config.balance:
        return np.ones(dataset.classes, np.float32)
    sizes = np.maximum(np.array(dataset.by_class("train")), 1)
    found: Array = (sizes.sum() / (dataset.classes * sizes)).astype(np.float32)
    return found


def _finished(history: History, config: TrainConfig) -> bool:
    done = len(history.rows)
    return done >= config.epochs or (done > 0 and done - history.best.epoch >= config.patience)


def _values(owner: Any) -> tuple[Array, ...]:
    """Copy all variables of a model or an optimizer out of the back end."""
    return tuple(np.array(v.numpy()) for v in _variables(owner))


def _assign(owner: Any, values: tuple[Array, ...]) -> None:
    for variable, value in zip(_variables(owner), values, strict=True):
        variable.assign(value)


def _variables(owner: Any) -> list[Any]:
    """List a model's weights and random states, or an optimizer's variables; not the metrics, and not the optimizer's
    twice: Keras counts a compiled model's optimizer and metrics nowhere among `Model.variables`."""
    return list(owner.variables)
