# SPDX-License-Identifier: Apache-2.0
"""One training step and one look ahead, as fast as the back end gives them: compiled for TensorFlow, Keras's own elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from ..zoo._keras import keras
from .batch_norm import fused_batch_norm
from .config import TrainConfig
from .objective import CLASSES, Objective

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["float32", "bfloat16"]
PREDICT_BATCH = 256
TIMED_STEPS = 6
WORTH = 0.9
"""bfloat16 is taken where its step takes less than this part of float32's: below that, rounding buys nothing."""


def prepare(config: TrainConfig) -> None:
    """Choose TensorFlow's kernels and threads; to be called before anything imports it, later it changes what it still can.

    Results are the same every time: with one thread and float32 on any processor, else on this kind of processor.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0" if config.exact else "1")
    name = keras().backend.backend()
    if name == "tensorflow":
        import tensorflow

        with contextlib.suppress(RuntimeError):
            tensorflow.config.threading.set_intra_op_parallelism_threads(config.threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.experimental.enable_op_determinism()
    elif name == "torch" and config.threads:
        importlib.import_module("torch").set_num_threads(config.threads)


@contextmanager
def in_precision(model: Any, kind: Kind) -> Iterator[None]:
    """Let the layers of a model compute in bfloat16 inside this block; variables, input and scores stay float32."""
    layers = [layer for layer in model.layers[1:] if layer is not model.layers[-1]] if kind == "bfloat16" else []
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = keras().DTypePolicy("mixed_bfloat16")
    try:
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


class Engine:
    """Trains a model by steps inside `ready(...)`. `optimizer` holds Adam's variables; the rate is given with each step."""

    def __init__(self, model: Any, config: TrainConfig, objective: Objective = CLASSES) -> None:
        k = keras()
        self.model, self.config, self.objective = model, config, objective
        self.optimizer = k.optimizers.Adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self._loss = objective.loss(config)
        self._step: Any = None
        self._forward: Any = None

    @contextmanager
    def ready(self, kind: Kind) -> Iterator[None]:
        with in_precision(self.model, kind), fused_batch_norm(self.model):
            compiled = keras().backend.backend() == "tensorflow"
            self._step, self._forward = self._on_tensorflow() if compiled else self._anywhere()
            yield

    def step(self, x: Array, y: Array, weights: Array, rate: float) -> tuple[Any, Any]:
        """Learn from x [n, h, w, c], the wanted answers y and the weight of each picture; return loss and hits of the batch."""
        self.optimizer.learning_rate.assign(rate)
        return self._step(x, y, weights)  # type: ignore[no-any-return]

    def predict(self, x: Array) -> Array:
        """The answers [n, ...] to network inputs [n, h, w, c], float32."""
        parts = [self._forward(x[i : i + PREDICT_BATCH]) for i in range(0, len(x), PREDICT_BATCH)]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])

    def _on_tensorflow(self) -> tuple[Any, Any]:
        import tensorflow

        model, optimizer, loss_of, counts = self.model, self.optimizer, self._loss, self.objective.counts

        @tensorflow.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def step(x: Any, y: Any, weights: Any) -> tuple[Any, Any]:
            with tensorflow.GradientTape() as tape:
                scores = model(x, training=True)
                loss = loss_of(y, scores, sample_weight=weights)
            gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            if not counts:
                return loss, 0
            hits = tensorflow.argmax(scores, 1) == tensorflow.argmax(y, 1)
            return loss, tensorflow.reduce_sum(tensorflow.cast(hits, "int32"))

        @tensorflow.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def forward(x: Any) -> Any:
            return model(x, training=False)

        return step, forward

    def _anywhere(self) -> tuple[Any, Any]:
        """Keras's own steps: `train_on_batch` gives the accuracy since the last reset, so it is reset each time."""
        model, metrics = self.model, ["accuracy"] if self.objective.counts else []
        model.compile(optimizer=self.optimizer, loss=self._loss, weighted_metrics=[], metrics=metrics, jit_compile=False)

        def step(x: Array, y: Array, weights: Array) -> tuple[float, float]:
            model.reset_metrics()
            logs = model.train_on_batch(x, y, sample_weight=weights, return_dict=True)
            return float(logs["loss"]), float(logs.get("accuracy", 0)) * len(x)

        return step, model.predict_on_batch


def faster_precision(engine: Engine, x: Array, y: Array) -> Kind:
    """Time a few steps in both precisions, leave model and optimizer as they were, and say which is worth taking."""
    if not processor_has_bfloat16():
        return "float32"
    owners = (engine.model, engine.optimizer)
    before = [[np.array(variable.numpy()) for variable in owner.variables] for owner in owners]
    seconds: dict[Kind, float] = {}
    for kind in ("float32", "bfloat16"):
        with engine.ready(kind):
            weights = np.ones(len(x), np.float32)
            engine.step(x, y, weights, 1e-6)  # the first is compiled
            start = perf_counter()
            for _ in range(TIMED_STEPS):
                loss, _ = engine.step(x, y, weights, 1e-6)
            float(loss)
            seconds[kind] = perf_counter() - start
    for owner, values in zip(owners, before, strict=True):
        for variable, value in zip(owner.variables, values, strict=True):
            variable.assign(value)
    return "bfloat16" if seconds["bfloat16"] < WORTH * seconds["float32"] else "float32"


@cache
def processor_has_bfloat16() -> bool:
    """Without these instructions bfloat16 is emulated, 20 times slower than float32: not even worth timing."""
    if platform.system() != "Linux":
        return False
    with contextlib.suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
        return "amx_bf16" in flags or "avx512_bf16" in flags
    return False
