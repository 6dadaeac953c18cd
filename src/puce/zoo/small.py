# SPDX-License-Identifier: Apache-2.0
"""Small networks for small pictures: the default of the main job."""

from __future__ import annotations

from typing import Any

from ._keras import keras


def digits_cnn(input_shape: tuple[int, int, int], classes: int, *, width: int = 16, dropout: float = 0.1) -> Any:
    """Conv, depthwise-separable residual block, conv, global average pooling: 8x8 pictures in about 16 000 parameters."""
    layers = keras().layers

    def conv(x: Any, channels: int, name: str, kernel: int = 3) -> Any:
        x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    image = layers.Input(input_shape, name="image")
    x = conv(image, width, "conv_1")
    x = trunk = conv(x, 2 * width, "conv_2")
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise_3")(x)
    x = layers.BatchNormalization(momentum=0.9, name="depthwise_3_bn")(x)
    x = layers.ReLU(name="depthwise_3_relu")(x)
    x = conv(x, 2 * width, "pointwise_3", kernel=1)
    x = layers.Add(name="residual_3")([trunk, x])
    x = layers.MaxPooling2D(2, name="pool_3")(x)
    x = conv(x, 2 * width, "conv_4")
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name="digits-cnn")


MODELS = {"digits-cnn": digits_cnn}
