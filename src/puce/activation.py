# SPDX-License-Identifier: Apache-2.0
"""Activations that an operator can apply to its own result: clamps, so they cost nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .ir import Array

Activation = Literal["none", "relu", "relu6", "relu_n1_to_1"]

ACTIVATION_RANGE: dict[Activation, tuple[float, float]] = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}
# ActivationFunctionType of the TFLite schema
TFLITE_ACTIVATION: dict[Activation, int] = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
ACTIVATION_OF_TFLITE: dict[int, Activation] = {code: name for name, code in TFLITE_ACTIVATION.items()}


def activate(x: Array, activation: Activation) -> Array:
    """Clamp a float array."""
    low, high = ACTIVATION_RANGE[activation]
    return np.clip(x, np.float32(low), np.float32(high))


def float_literal(x: float) -> str:
    """A float32 as C source, exact; infinities become the largest finite value."""
    limit = float(np.finfo(np.float32).max)
    return float(np.float32(np.clip(x, -limit, limit))).hex() + "f"


def float_range(activation: Activation) -> str:
    """The clamp of a float kernel, as two C literals."""
    return ", ".join(float_literal(v) for v in ACTIVATION_RANGE[activation])
