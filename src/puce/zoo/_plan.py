# SPDX-License-Identifier: Apache-2.0
"""The mission's kind of network, as data: convolution groups with pooling, then a dense head.

The order is theirs: Conv2D 3x3 'same' -> ReLU -> [dropout] -> [BatchNormalization] -> [MaxPool 2x2].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ._keras import keras


@dataclass(frozen=True)
class Conv:
    channels: int
    dropout: float = 0.0
    pool: bool = False
    normalised: bool = True


@dataclass(frozen=True)
class Plan:
    """A network of this family; `head` is (units, dropout) for each hidden dense layer."""

    convolutions: tuple[Conv, ...]
    head: tuple[tuple[int, float], ...] = ()
    flatten: bool = False
    dense_normalised: bool = False


def pairs(channels: tuple[int, ...], dropout: float, pools: tuple[int, ...]) -> tuple[Conv, ...]:
    """Pool after the convolutions numbered in `pools` (from 1), with dropout in front of each pooling."""
    return tuple(Conv(c, dropout if i in pools else 0.0, i in pools) for i, c in enumerate(channels, start=1))


Normalised = Literal["each", "block", "none"]


def groups(*channels: tuple[int, ...], normalised: Normalised = "each", dropout: float = 0.25) -> tuple[Conv, ...]:
    """Groups of convolutions, each ending in dropout and pooling; BatchNormalization after each, or the last of a group."""
    convolutions = []
    for group in channels:
        for i, c in enumerate(group, start=1):
            last = i == len(group)
            convolutions.append(
                Conv(c, dropout if last else 0.0, last, normalised == "each" or (last and normalised == "block"))
            )
    return tuple(convolutions)


def builders(plans: Mapping[str, Plan], about: str) -> dict[str, partial[Any]]:
    """One builder for a plan, with the option `dropout`; `about` is its description, {} the number of convolutions."""
    found = {}
    for name, plan in plans.items():
        found[name] = partial(_build, name, plan, dropout=max((conv.dropout for conv in plan.convolutions), default=0.0))
        found[name].__doc__ = about.format(name, len(plan.convolutions))
    return found


def _build(name: str, plan: Plan, input_shape: tuple[int, int, int], classes: int, *, dropout: float) -> Any:
    """`dropout` is that of the convolutions; the head's keep their ratio to it."""
    layers = keras().layers
    usual = max((conv.dropout for conv in plan.convolutions), default=0.0)
    ratio = dropout / usual if usual else 0.0
    x = image = layers.Input(input_shape, name="image")
    for i, conv in enumerate(plan.convolutions, start=1):
        x = layers.Conv2D(conv.channels, 3, padding="same", name=f"conv_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
        if conv.dropout:
            x = layers.Dropout(conv.dropout * ratio, name=f"dropout_{i}")(x)
        if conv.normalised:
            x = layers.BatchNormalization(name=f"bn_{i}")(x)
        if conv.pool:
            x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Flatten(name="flatten")(x) if plan.flatten else layers.GlobalAveragePooling2D(name="global_pool")(x)
    for i, (units, part) in enumerate(plan.head, start=1):
        x = layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
        if plan.dense_normalised:
            x = layers.BatchNormalization(name=f"dense_bn_{i}")(x)
        x = layers.Dropout(min(part * ratio, 0.9), name=f"dense_dropout_{i}")(x)
    x = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name=name)
