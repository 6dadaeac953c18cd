# SPDX-License-Identifier: Apache-2.0
"""The CIFAR-10 network that students put on an STM32L4R9, and its descendants: convolution pairs, pooling, dense head.

The order is theirs: Conv2D 3x3 'same' -> ReLU -> [dropout] -> BatchNormalization -> [MaxPool 2x2].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from ._keras import keras


@dataclass(frozen=True)
class Conv:
    channels: int
    dropout: float = 0.0
    pool: bool = False


@dataclass(frozen=True)
class Plan:
    """A network of this family; `head` is (units, dropout) for each hidden dense layer."""

    convolutions: tuple[Conv, ...]
    head: tuple[tuple[int, float], ...]
    flatten: bool = False


def _pairs(channels: tuple[int, ...], dropout: float, pools: tuple[int, ...]) -> tuple[Conv, ...]:
    """Pool after the convolutions numbered in `pools` (from 1), with dropout in front of each pooling."""
    return tuple(Conv(c, dropout if i in pools else 0.0, i in pools) for i, c in enumerate(channels, start=1))


_SIX = _pairs((32, 32, 64, 64, 128, 128), 0.25, (2, 4, 5, 6))
PLANS = {
    "base": Plan(_SIX, ((1024, 0.3), (512, 0.3)), flatten=True),
    "model-1": Plan(_SIX, ((1024, 0.3), (512, 0.3))),
    "model-2": Plan(_pairs((32, 32, 64, 64), 0.25, (2, 4)), ((512, 0.3),)),
    "model-2-1": Plan(_pairs((32, 32, 64, 64), 0.2, (2, 4)), ((512, 0.2),)),
    "model-2-2": Plan(_pairs((32, 32, 32, 32), 0.15, (2, 3, 4)), ((256, 0.15),)),
    "model-3": Plan(_pairs((16, 16, 32, 32), 0.1, (2, 4)), ((128, 0.1),)),
    "model-3-1": Plan(_pairs((16, 16, 16, 16), 0.05, (2, 4)), ((128, 0.06),)),
}


def build_plan(name: str, input_shape: tuple[int, int, int], classes: int) -> Any:
    layers = keras().layers
    plan = PLANS[name]
    x = image = layers.Input(input_shape, name="image")
    for i, conv in enumerate(plan.convolutions, start=1):
        x = layers.Conv2D(conv.channels, 3, padding="same", name=f"conv_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
        if conv.dropout:
            x = layers.Dropout(conv.dropout, name=f"dropout_{i}")(x)
        x = layers.BatchNormalization(name=f"bn_{i}")(x)
        if conv.pool:
            x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Flatten(name="flatten")(x) if plan.flatten else layers.GlobalAveragePooling2D(name="global_pool")(x)
    for i, (units, dropout) in enumerate(plan.head, start=1):
        x = layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
        x = layers.Dropout(dropout, name=f"dense_dropout_{i}")(x)
    x = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name=name)


def _builder(name: str) -> partial[Any]:
    builder = partial(build_plan, name)
    builder.__doc__ = f"The mission's {name}: {len(PLANS[name].convolutions)} convolutions, made for 32x32x3."
    return builder


MODELS = {name: _builder(name) for name in PLANS}
