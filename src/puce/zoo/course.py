# SPDX-License-Identifier: Apache-2.0
"""The networks of the lab course: a CNN for CIFAR-10, a CNN and an LSTM for MNIST, and two autoencoders."""

from __future__ import annotations

from math import prod
from typing import Any

from ._keras import keras

Shape = tuple[int, int, int]


def lab_cnn(input_shape: Shape, classes: int, *, dropout: float = 0.25, head_dropout: float = 0.5) -> Any:
    """Three blocks (32, 64, 128) of two convolutions, the second without padding, then dense 512 and 256."""
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")
    for i, channels in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv_{i}a")(x)
        x = layers.BatchNormalization(name=f"bn_{i}")(x)
        x = layers.Conv2D(channels, 3, activation="relu", name=f"conv_{i}b")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", name="dense_1")(x)
    x = layers.BatchNormalization(name="dense_bn_1")(x)
    x = layers.Dropout(head_dropout, name="dense_dropout_1")(x)
    x = layers.Dense(256, activation="relu", name="dense_2")(x)
    x = layers.Dropout(head_dropout, name="dense_dropout_2")(x)
    return _classifier("lab-cnn", image, x, classes)


def mnist_cnn(input_shape: Shape, classes: int, *, dropout: float = 0.25) -> Any:
    """Two convolutions (32, 64) without padding, each normalised and pooled, then dense 128: 225 418 parameters on MNIST."""
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")
    for i, channels in enumerate((32, 64), start=1):
        x = layers.Conv2D(channels, 3, activation="relu", name=f"conv_{i}")(x)
        x = layers.BatchNormalization(name=f"bn_{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(128, activation="relu", name="dense_1")(x)
    return _classifier("mnist-cnn", image, x, classes)


def mnist_lstm(input_shape: Shape, classes: int, *, dropout: float = 0.1) -> Any:
    """LSTM 128 and 64 over the rows of a picture as steps of time, then dense 128: 139 402 parameters on MNIST."""
    layers = keras().layers
    h, w, c = input_shape
    x = image = layers.Input(input_shape, name="image")
    x = layers.Reshape((h, w * c), name="rows")(x)
    x = layers.LSTM(128, return_sequences=True, name="lstm_1")(x)
    x = layers.LSTM(64, name="lstm_2")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(128, activation="relu", name="dense_1")(x)
    return _classifier("mnist-lstm", image, x, classes)


def _classifier(name: str, image: Any, x: Any, classes: int) -> Any:
    x = keras().layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name=name)


def autoencoder(input_shape: Shape, classes: int, *, code: int = 64) -> Any:
    """Dense 1024-512-code-512-1024 and back to the picture, values 0 to 1; the layer "code" is what it keeps of it."""
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(x)
    for name, units in (("encode_1", 1024), ("encode_2", 512), ("code", code), ("decode_1", 512), ("decode_2", 1024)):
        x = layers.Dense(units, activation="relu", name=name)(x)
    x = layers.Dense(prod(input_shape), activation="sigmoid", name="pixels")(x)
    x = layers.Reshape(input_shape, name="picture")(x)
    return keras().Model(image, x, name="autoencoder")


def conv_autoencoder(input_shape: Shape, classes: int, *, code: int = 64, width: int = 16, hidden: int = 1024) -> Any:
    """Convolutions to a code of 64 values and a hidden layer back, each beside a linear path; sides are multiples of 8.

    The linear paths (`linear_code`, `linear_picture`) may be set to principal components and fixed; the others then start
    with nothing to say (their last layers are zero) and learn what a linear code cannot. A dense decoder, because it
    took half the time of transposed convolutions to the same error; only the encoder goes on a chip.
    """
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")
    for i, channels in enumerate((width, 2 * width, 4 * width), start=1):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu", name=f"encode_{i}")(x)
    x = layers.Flatten(name="features")(x)
    x = layers.Dense(code, kernel_initializer="zeros", name="conv_code")(x)
    linear = layers.Dense(code, name="linear_code")(layers.Flatten(name="values")(image))
    kept = layers.Add(name="code")([linear, x])
    x = layers.Dense(hidden, activation="relu", name="decode")(kept)
    x = layers.Dense(prod(input_shape), kernel_initializer="zeros", name="detail")(x)
    x = layers.Add(name="sum")([layers.Dense(prod(input_shape), name="linear_picture")(kept), x])
    x = layers.ReLU(max_value=1.0, name="pixels")(x)
    return keras().Model(image, layers.Reshape(input_shape, name="picture")(x), name="conv-autoencoder")


MODELS = {"lab-cnn": lab_cnn, "mnist-cnn": mnist_cnn, "mnist-lstm": mnist_lstm}
AUTOENCODERS = {"autoencoder": autoencoder, "conv-autoencoder": conv_autoencoder}
