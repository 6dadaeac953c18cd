# SPDX-License-Identifier: Apache-2.0
"""The training loop: Adam, warm-up and cosine, early stopping with the best weights, deterministic and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
from time import perf_counter
from typing import Any

import numpy as np

from ..data import Dataset
from ..run import Run
from ..zoo._keras import keras
from . import checkpoint
from .augment import augment
from .config import EpochRow, History, TrainConfig
from .progress import Progress, Silent

Array = np.ndarray[Any, np.dtype[Any]]
PREDICT_BATCH = 256


def fit(model: Any, dataset: Dataset, config: TrainConfig, run: Run, progress: Progress | None = None) -> History:
    """Train a keras.Model in place and leave it with its best weights; write history.csv and states as it goes.

    Where the run folder holds the state of this very training, it goes on from there. The test pictures are not
    looked at. Equal (model, dataset, config) give equal weights, interrupted or not.
    """
    progress = progress or Silent()
    make_deterministic(config.threads)
    batches = -(-len(dataset.y_train) // config.batch)
    _compile(model, config, batches)
    identity = _identity(model, dataset, config)
    state = checkpoint.load(run, identity) or checkpoint.State(
        identity, History(), _values(model), _values(model.optimizer), _values(model)
    )
    _assign(model, state.model)
    _assign(model.optimizer, state.optimizer)
    progress.start(f"training {model.name}", config.epochs, len(state.history.rows), batches)
    try:
        while not _finished(state.history, config):
            row = _one_epoch(model, dataset, config, len(state.history.rows) + 1, progress)
            history = state.history.with_row(row)
            values = _values(model)
            best = values if history.best is row else state.best
            state = checkpoint.State(identity, history, values, _values(model.optimizer), best)
            checkpoint.save(run, state)
            with run.atomic("history.csv") as path:
                path.write_text(history.as_csv(), encoding="utf-8")
            progress.epoch(row)
    finally:
        progress.stop()
    _assign(model, state.best)
    return state.history


def make_deterministic(threads: int) -> None:
    """Ask the back end for the same result every time. TensorFlow takes a number of threads only before its first use;
    asked later it keeps what it has, and stays deterministic for that number."""
    name = keras().backend.backend()
    if name == "tensorflow":
        import tensorflow

        with contextlib.suppress(RuntimeError):
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        tensorflow.config.experimental.enable_op_determinism()
    elif name == "torch" and threads:
        importlib.import_module("torch").set_num_threads(threads)


def predict(model: Any, x: Array) -> Array:
    """Return the scores [n, classes] of inputs [n, h, w, c], float32."""
    parts = [model.predict_on_batch(x[i : i + PREDICT_BATCH]) for i in range(0, len(x), PREDICT_BATCH)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def weights_sha256(model: Any) -> str:
    """Hash the weights alone: a .keras file also holds the date of its saving."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(repr((weight.dtype.str, weight.shape)).encode())
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def _compile(model: Any, config: TrainConfig, batches: int) -> None:
    k = keras()
    warmup = min(config.warmup_epochs, config.epochs - 1) * batches
    schedule = k.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=config.epochs * batches - warmup,
        alpha=0.01,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    model.compile(
        optimizer=k.optimizers.Adam(schedule),
        loss=k.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # measured on processors: XLA is slower
    )
    model.optimizer.build(model.trainable_variables)


def _identity(model: Any, dataset: Dataset, config: TrainConfig) -> str:
    """Name the training: the network with its first weights, the pictures, the settings, the library underneath."""
    k = keras()
    parts = (model.to_json(), weights_sha256(model), dataset.fingerprint, k.backend.backend(), k.__version__)
    return hashlib.sha256(json.dumps([*parts, config.as_json()]).encode()).hexdigest()


def _one_epoch(model: Any, dataset: Dataset, config: TrainConfig, epoch: int, progress: Progress) -> EpochRow:
    start = perf_counter()
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(dataset.y_train))
    one_hot = np.eye(dataset.classes, dtype=np.float32)
    sums = np.zeros(2)
    for i in range(0, len(order), config.batch):
        chosen = order[i : i + config.batch]
        x = augment(dataset.preprocessing.apply(dataset.x_train[chosen]), rng, config.shift, config.flip)
        model.reset_metrics()  # so that the answer is of this batch alone, whatever the back end keeps
        logs = model.train_on_batch(x, one_hot[dataset.y_train[chosen]], return_dict=True)
        sums += len(chosen) * np.array([float(logs["loss"]), float(logs["accuracy"])])
        progress.batch()
    scores = predict(model, dataset.inputs("validation"))
    loss, accuracy = sums / len(order)
    return EpochRow(
        epoch=epoch,
        loss=float(loss),
        accuracy=float(accuracy),
        val_loss=_cross_entropy(scores, dataset.y_validation),
        val_accuracy=float(np.mean(scores.argmax(1) == dataset.y_validation)),
        learning_rate=float(model.optimizer.learning_rate),
        seconds=perf_counter() - start,
    )


def _cross_entropy(scores: Array, labels: Array) -> float:
    """Mean negative log of the true class's score, without label smoothing."""
    return float(-np.log(np.maximum(scores[np.arange(len(labels)), labels], 1e-7)).mean())


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
