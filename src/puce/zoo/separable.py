# SPDX-License-Identifier: Apache-2.0
"""Depthwise-separable networks: DS-CNN, MobileNet 1 and 2, EfficientNet-Lite0; any input, MobileNets of any width."""

from __future__ import annotations

from typing import Any

from ._keras import keras

Shape = tuple[int, int, int]


def _conv(x: Any, channels: int, kernel: int | tuple[int, int], strides: int, name: str, limit: float | None = 6.0) -> Any:
    """Convolution without bias, BatchNormalization, ReLU up to `limit`; 0 for none."""
    layers = keras().layers
    x = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name, limit)


def _depthwise(x: Any, kernel: int, strides: int, name: str, limit: float | None = 6.0) -> Any:
    x = keras().layers.DepthwiseConv2D(kernel, strides=strides, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name, limit)


def _normalised(x: Any, name: str, limit: float | None) -> Any:
    x = keras().layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras().layers.ReLU(limit, name=f"{name}_relu")(x) if limit != 0 else x


def _ended(name: str, image: Any, x: Any, classes: int, dropout: float) -> Any:
    layers = keras().layers
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="scores")(x)
    return keras().Model(image, x, name=name)


def ds_cnn(input_shape: Shape, classes: int, *, width: int = 64, dropout: float = 0.2) -> Any:
    """Keyword spotting of MLPerf Tiny (Zhang et al. 2017): one 10x4 convolution, four separable ones of 64 channels."""
    layers = keras().layers
    x = image = layers.Input(input_shape, name="image")

    def normalised(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))

    x = normalised(layers.Conv2D(width, (10, 4), strides=2, padding="same", name="conv_1")(x), "conv_1")
    x = layers.Dropout(dropout, name="dropout_1")(x)
    for i in range(2, 6):
        x = normalised(layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{i}")(x), f"depthwise_{i}")
        x = normalised(layers.Conv2D(width, 1, name=f"pointwise_{i}")(x), f"pointwise_{i}")
    return _ended("ds-cnn", image, x, classes, 2 * dropout)


V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each separable convolution (Howard et al. 2017, table 1)."""


def mobilenet_v1(input_shape: Shape, classes: int, *, alpha: float = 0.25, dropout: float = 0.001) -> Any:
    """MobileNet: thirteen separable convolutions, `alpha` times the paper's channels; 0.25 on 96x96 is MLPerf's."""
    x = image = keras().layers.Input(input_shape, name="image")
    x = _conv(x, int(32 * alpha), 3, 2, "conv_1")
    for i, (channels, strides) in enumerate(V1, start=1):
        x = _depthwise(x, 3, strides, f"depthwise_{i}")
        x = _conv(x, int(channels * alpha), 1, 1, f"pointwise_{i}")
    return _ended("mobilenet-v1", image, x, classes, dropout)


V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and first stride of each stage (Sandler et al. 2018, table 2)."""


def mobilenet_v2(input_shape: Shape, classes: int, *, alpha: float = 0.35, dropout: float = 0.1) -> Any:
    """MobileNetV2: seventeen inverted residuals, `alpha` times the paper's channels."""
    x = image = keras().layers.Input(input_shape, name="image")
    x = _conv(x, _by_eight(32 * alpha), 3, 2, "conv_1")
    x = _stages(x, [(3, e, _by_eight(c * alpha), n, s) for e, c, n, s in V2])
    x = _conv(x, _by_eight(1280 * alpha) if alpha > 1 else 1280, 1, 1, "conv_2")
    return _ended("mobilenet-v2", image, x, classes, dropout)


LITE0 = (
    *((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2)),
    *((5, 6, 112, 3, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1)),
)
"""Kernel, expansion, channels, repeats and first stride: EfficientNet-B0 (Tan and Le 2019, table 1), made for integers."""


def efficientnet_lite0(input_shape: Shape, classes: int, *, dropout: float = 0.2) -> Any:
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6: made to be quantised, far too large for most chips."""
    x = image = keras().layers.Input(input_shape, name="image")
    x = _stages(_conv(x, 32, 3, 2, "conv_1"), LITE0)
    return _ended("efficientnet-lite0", image, _conv(x, 1280, 1, 1, "conv_2"), classes, dropout)


def _stages(x: Any, stages: Any) -> Any:
    """Inverted residuals: expand 1x1, depthwise, project 1x1 without ReLU; a shortcut where the shapes are the same."""
    at = 0
    for kernel, expansion, channels, repeats, first_stride in stages:
        for i in range(repeats):
            at, strides, before = at + 1, first_stride if i == 0 else 1, x
            if expansion > 1:
                x = _conv(x, expansion * x.shape[-1], 1, 1, f"expand_{at}")
            x = _depthwise(x, kernel, strides, f"depthwise_{at}")
            x = _conv(x, channels, 1, 1, f"project_{at}", limit=0)
            if strides == 1 and before.shape[-1] == channels:
                x = keras().layers.Add(name=f"add_{at}")([before, x])
    return x


def _by_eight(channels: float) -> int:
    """The nearest multiple of 8, at least 8, never more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


MODELS = {
    "ds-cnn": ds_cnn,
    "mobilenet-v1": mobilenet_v1,
    "mobilenet-v2": mobilenet_v2,
    "efficientnet-lite0": efficientnet_lite0,
}
