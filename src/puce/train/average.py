# SPDX-License-Identifier: Apache-2.0
"""A moving average of all weights over the steps: its network is steadier than any one of them, and costs nothing to run."""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import TrainConfig

Array = np.ndarray[Any, np.dtype[Any]]
EVERY = 8
"""Steps between two samples: nearly the same average for an eighth of the copies."""


class Average:
    """average = decay * average + (1 - decay) * weights, sampled every 8 steps with decay to the 8th; decay 0 does nothing.

    While young it follows faster, (1 + t) / (10 + t) after t samples (as in TensorFlow's ExponentialMovingAverage), or it
    would remember the first random weights for an epoch.
    """

    def __init__(self, decay: float, values: tuple[Array, ...]) -> None:
        self.decay, self.values = decay, values

    @classmethod
    def start(cls, model: Any, config: TrainConfig) -> Average:
        return cls(config.average, tuple(model.get_weights()) if config.average else ())

    def add(self, model: Any, step: int) -> None:
        """Take the weights after training step `step`, counted from 1, into the average where it is their turn."""
        if not self.decay or step % EVERY:
            return
        samples = step // EVERY
        keep = np.float32(min(self.decay**EVERY, (1 + samples) / (10 + samples)))
        self.values = tuple(old * keep + new * (1 - keep) for old, new in zip(self.values, model.get_weights(), strict=True))

    def of(self, model: Any, values: tuple[Array, ...]) -> tuple[Array, ...]:
        """`values` of all variables of the model with the averaged weights in their places; random states are no weights."""
        if not self.decay:
            return values
        averaged = {id(variable): value for variable, value in zip(model.weights, self.values, strict=True)}
        return tuple(averaged.get(id(v), old) for v, old in zip(model.variables, values, strict=True))
