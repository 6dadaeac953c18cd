# SPDX-License-Identifier: Apache-2.0
"""ResNet50 (He et al., CVPR 2016) layer by layer as Keras has it, so that its ImageNet weights fit. No chip holds it."""

from __future__ import annotations

from typing import Any

from ._keras import keras

Shape = tuple[int, int, int]
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # inner channels, blocks
EPSILON = 1.001e-5  # of Keras's own


def resnet50(input_shape: Shape, classes: int, *, dropout: float = 0.0) -> Any:
    """Sixteen residual blocks of 1x1, 3x3 and 1x1 convolutions: the reference of transfer learning, 23.6 million weights."""
    layers = keras().layers

    def normed(x: Any, channels: int, kernel: int, strides: int, at: str) -> Any:
        same = {"padding": "same"} if kernel == 3 else {}
        x = layers.Conv2D(channels, kernel, strides=strides, name=f"conv_{at}", **same)(x)
        return layers.BatchNormalization(epsilon=EPSILON, name=f"bn_{at}")(x)

    x = image = layers.Input(input_shape, name="image")
    x = normed(layers.ZeroPadding2D(3, name="pad_1")(x), 64, 7, 2, "1")
    x = layers.ZeroPadding2D(1, name="pad_2")(layers.ReLU(name="relu_1")(x))
    x = layers.MaxPooling2D(3, strides=2, name="pool")(x)
    for stage, (channels, blocks) in enumerate(STAGES):
        for block in range(blocks):
            at, strides = f"{stage + 2}_{block + 1}", 2 if stage and not block else 1
            short = normed(x, 4 * channels, 1, strides, f"{at}s") if not block else x
            y = layers.ReLU(name=f"relu_{at}a")(normed(x, channels, 1, strides, f"{at}a"))
            y = layers.ReLU(name=f"relu_{at}b")(normed(y, channels, 3, 1, f"{at}b"))
            y = normed(y, 4 * channels, 1, 1, f"{at}c")
            x = layers.ReLU(name=f"relu_{at}c")(layers.Add(name=f"add_{at}")([short, y]))
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return keras().Model(image, layers.Dense(classes, activation="softmax", name="scores")(x), name="resnet50")


MODELS = {"resnet50": resnet50}
