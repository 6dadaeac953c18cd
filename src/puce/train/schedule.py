# SPDX-License-Identifier: Apache-2.0
"""The learning rate of every step, as a pure function of the settings and of the epochs so far: resuming needs no state."""

from __future__ import annotations

from math import cos, pi

from .config import EpochRow, History, TrainConfig

LAST = 0.01
"""Cosine and ramp end at this part of their peak."""
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_FLOOR, PLATEAU_LEAST = 0.5, 5, 1e-7, 1e-4
"""The mission's lab course: ReduceLROnPlateau(0.5, patience 5, floor 1e-7); Keras asks for a gain of 1e-4."""


def learning_rate(config: TrainConfig, history: History, batch: int, batches: int) -> float:
    """The rate of step `batch` (from 0) of the epoch that follows `history`, an epoch having `batches` steps.

    1. fixed: config.learning_rate.
    2. cosine: from 0 in a straight line over `warmup_epochs`, then down a half cosine to a hundredth, step by step.
    3. ramp, the mission's: by epoch a tenth of the peak, rising by a fifth of it each epoch up to the peak, then falling by
       the same factor each epoch to a hundredth of the peak in the last. With 0.01: 0.001 0.003 ... 0.009 0.01 ... 0.0001.
    4. plateau: halved after five epochs without a better validation loss, never below 1e-7.
    """
    epoch = len(history.rows)
    if config.schedule == "cosine":
        return _cosine(config, epoch * batches + batch, batches)
    if config.schedule == "ramp":
        return _ramp(config.learning_rate, epoch, config.epochs)
    if config.schedule == "plateau":
        return _plateau(config.learning_rate, history.rows)
    return config.learning_rate


def _cosine(config: TrainConfig, step: int, batches: int) -> float:
    warmup = min(config.warmup_epochs, config.epochs - 1) * batches
    if step < warmup:
        return config.learning_rate * step / warmup
    done = (step - warmup) / (config.epochs * batches - warmup)
    return config.learning_rate * (LAST + (1 - LAST) * 0.5 * (1 + cos(pi * done)))


RISING = 5
"""Epochs of the ramp below its peak: 0.1, 0.3, 0.5, 0.7 and 0.9 of it."""


def _ramp(peak: float, epoch: int, epochs: int) -> float:
    if epoch < RISING:
        return peak * (0.1 + 0.2 * epoch)
    falling = max(epochs - 1 - RISING, 1)
    return float(peak * LAST ** ((epoch - RISING) / falling))


def _plateau(rate: float, rows: tuple[EpochRow, ...]) -> float:
    best, waited = float("inf"), 0
    for row in rows:
        if row.val_loss < best - PLATEAU_LEAST:
            best, waited = row.val_loss, 0
            continue
        waited += 1
        if waited >= PLATEAU_PATIENCE:
            rate, waited = max(rate * PLATEAU_FACTOR, PLATEAU_FLOOR), 0
    return rate
