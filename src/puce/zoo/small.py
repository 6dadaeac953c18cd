# SPDX-License-Identifier: Apache-2.0
"""Small networks: the default of the main job, and baselines that a better network has to beat."""

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


def tiny_linear(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Logistic regression on the pixels: what a network has to beat to be worth its bytes."""
    layers = keras().layers
    image = layers.Input(input_shape, name="image")
    x = layers.Dense(classes, activation="softmax", name="scores")(layers.Flatten(name="flatten")(image))
    return keras().Model(image, x, name="tiny-linear")


def tiny_mlp(input_shape: tuple[int, int, int], classes: int, *, units: int = 32, dropout: float = 0.1) -> Any:
    """One hidden dense layer on the pixels."""
    layers = keras().layers
    image = layers.Input(input_shape, name="image")
    x = layers.Dense(units, activation="relu", name="dense_1")(layers.Flatten(name="flatten")(image))
    x = layers.Dense(classes, activation="softmax", name="scores")(layers.Dropout(dropout, name="dropout")(x))
    return keras().Model(image, x, name="tiny-mlp")


def tiny_cnn(input_shape: tuple[int, int, int], classes: int, *, width: int = 8, dropout: float = 0.05) -> Any:
    """Three strided convolutions and global average pooling: about 6 000 parameters, a few milliseconds anywhere."""
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")
    for i in range(1, 4):
        x = layers.Conv2D(width << (i - 1), 3, strides=2, padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = layers.BatchNormalization(name=f"conv_{i}_bn")(x)
        x = layers.ReLU(name=f"conv_{i}_relu")(x)
    x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="global_pool")(x))
    x = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name="tiny-cnn")


MODELS = {"digits-cnn": digits_cnn, "tiny-cnn": tiny_cnn, "tiny-linear": tiny_linear, "tiny-mlp": tiny_mlp}
