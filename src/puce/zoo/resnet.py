# SPDX-License-Identifier: Apache-2.0
"""Residual networks for 32x32 pictures: He et al. (CVPR 2016) with 1x1 convolutions as shortcuts, as MLPerf Tiny has them."""

from __future__ import annotations

from functools import partial
from typing import Any

from ._keras import keras

Shape = tuple[int, int, int]


def resnet(name: str, blocks: int, input_shape: Shape, classes: int, *, width: int = 16) -> Any:
    """Three stages of `width`, twice and four times as many channels, each of `blocks` pairs of convolutions."""
    layers = keras().layers
    decay = keras().regularizers.L2(1e-4)

    def conv(x: Any, channels: int, kernel: int, strides: int, at: str) -> Any:
        start = {"kernel_initializer": "he_normal", "kernel_regularizer": decay}
        return layers.Conv2D(channels, kernel, strides=strides, padding="same", name=at, **start)(x)

    x = image = layers.Input(input_shape, name="image")
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(conv(x, width, 3, 1, "conv")))
    for stage in range(3):
        for block in range(blocks):
            at, channels = f"{stage + 1}_{block + 1}", width << stage
            strides = 2 if stage and not block else 1
            y = layers.BatchNormalization(name=f"bn_{at}a")(conv(x, channels, 3, strides, f"conv_{at}a"))
            y = conv(layers.ReLU(name=f"relu_{at}a")(y), channels, 3, 1, f"conv_{at}b")
            y = layers.BatchNormalization(name=f"bn_{at}b")(y)
            short = conv(x, channels, 1, strides, f"shortcut_{at}") if strides > 1 else x
            x = layers.ReLU(name=f"relu_{at}b")(layers.Add(name=f"add_{at}")([short, y]))
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dense(classes, activation="softmax", kernel_initializer="he_normal", name="scores")(x)
    return keras().Model(image, x, name=name)


MODELS = {"resnet8": partial(resnet, "resnet8", 1), "resnet20": partial(resnet, "resnet20", 3)}
MODELS["resnet8"].__doc__ = "MLPerf Tiny's picture classifier: seven convolutions in three residual blocks, 78 666 parameters."
MODELS["resnet20"].__doc__ = "The smallest ResNet of its paper for CIFAR-10: 19 convolutions in nine residual blocks."
