# SPDX-License-Identifier: Apache-2.0
"""Every architecture by name: exact parameter counts, and each one imports, passes and has a memory plan."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

from puce import frontends, passes, schedule, zoo
from puce.errors import BadInput, UnknownName
from puce.zoo._keras import keras

CIFAR, MNIST, SPEECH = (32, 32, 3), (28, 28, 1), (49, 10, 1)

# The mission's figures; resnet8 is MLPerf Tiny's in Keras, resnet20 that of Keras's own CIFAR-10 example.
COUNTS = {
    "base": 1_344_042, "variant-0": 2_916_394, "variant-1": 107_306, "variant-2": 49_642, "variant-3": 160_682,
    "variant-4": 42_394, "variant-5": 552_362, "variant-6": 1_208_618, "variant-7": 313_754, "variant-8": 747_674,
    "variant-9": 608_010, "variant-10": 58_038, "variant-11": 140_394, "variant-12": 131_466, "variant-13": 191_130,
    "model-3": 22_554, "resnet8": 78_666, "resnet20": 274_442, "mnist-cnn": 225_418, "mnist-lstm": 139_402,
}  # fmt: skip

# KiB of RAM that the log gives. Cube.AI keeps float32 activations and overwrites a map where it can: its figure is the
# widest map at 32x32, and 14 to 30 KiB more for the picture and scratch.
RAM_KIB = {
    "variant-0": 148, "variant-1": 145, "variant-2": 145, "variant-3": 145, "variant-4": 81, "variant-5": 147, "variant-6": 150,
    "variant-7": 84, "variant-8": 155, "variant-9": 284, "variant-10": 182, "variant-11": 286, "variant-13": 150,
}  # fmt: skip


def shape_of(name: str) -> tuple[int, int, int]:
    return MNIST if name.startswith("mnist") else CIFAR


@pytest.mark.parametrize("name", COUNTS)
def test_a_network_has_exactly_the_parameters_of_its_source(name: str) -> None:
    assert zoo.build(name, shape_of(name), 10).count_params() == COUNTS[name]


@pytest.mark.parametrize("name", RAM_KIB)
def test_a_variant_is_as_wide_as_its_ram_figure_says(name: str) -> None:
    maps = [layer.output.shape[1:] for layer in zoo.build(name, CIFAR, 10).layers if isinstance(layer.output.shape, tuple)]
    widest = max(prod(shape) * 4 // 1024 for shape in maps if shape[:2] == (32, 32))
    assert 14 <= RAM_KIB[name] - widest <= 30


def test_where_the_mission_gives_flash_the_weights_explain_it() -> None:
    """The flash of a float32 network is its weights (BatchNormalization as scale and offset, 4 bytes each) and a run
    time of 18 KiB, the same for all: so the structures are the right ones."""
    flash_kib = {"model-2": 425.8, "model-2-1": 425.8, "model-2-2": 174.25, "model-3": 105.7, "model-3-1": 61.31}
    for name, kib in flash_kib.items():
        model = zoo.build(name, CIFAR, 10)
        folded = sum(len(w.shape) and int(w.shape[0]) for w in model.non_trainable_weights)
        assert 18.0 < kib - (model.count_params() - folded) * 4 / 1024 < 18.5, name
    order = [type(layer).__name__ for layer in zoo.build("base", CIFAR, 10).layers[1:8]]
    assert order == [
        *("Conv2D", "ReLU", "BatchNormalization"),
        *("Conv2D", "ReLU", "Dropout", "BatchNormalization"),
    ]


@pytest.mark.parametrize("name", [n for n in zoo.names() if n not in zoo.AUTOENCODERS])
def test_every_classifier_ends_in_a_distribution_over_the_classes(name: str) -> None:
    model = zoo.build(name, CIFAR, 7)
    scores = np.asarray(model(np.zeros((2, *CIFAR), np.float32)))
    assert scores.shape == (2, 7)
    assert scores.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert len({layer.name for layer in model.layers}) == len(model.layers)
    assert len(zoo.about(name)) > 20


@pytest.mark.parametrize("name", sorted(zoo.AUTOENCODERS))
def test_an_autoencoder_gives_a_picture_of_values_from_0_to_1(name: str) -> None:
    model = zoo.build(name, CIFAR, 10)
    picture = np.asarray(model(np.full((1, *CIFAR), 0.5, np.float32)))
    assert picture.shape == (1, *CIFAR)
    assert picture.min() >= 0 and picture.max() <= 1
    assert model.get_layer("code").output.shape == (None, 64)


@pytest.mark.parametrize("name", zoo.names())
def test_every_network_imports_passes_and_has_a_plan(name: str) -> None:
    model = zoo.build(name, shape_of(name), 10)
    imported = frontends.load(model)
    assert imported.parameters == model.count_params()
    graph = passes.run(imported.graph)
    assert not {node.op.name for node in graph.nodes} & {"batch_norm"}, "folded, or a depthwise convolution"
    assert schedule.plan(graph).activation_bytes > 0


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
def test_mobilenet_v1_has_the_weights_of_keras_so_that_imagenet_fits(alpha: float) -> None:
    theirs = keras().applications.MobileNet(input_shape=(96, 96, 3), alpha=alpha, weights=None, classes=10)
    same_weights(zoo.build("mobilenet-v1", (96, 96, 3), 10, alpha=alpha), theirs)


@pytest.mark.parametrize("alpha", [0.35, 1.4])
def test_mobilenet_v2_has_the_weights_of_keras_so_that_imagenet_fits(alpha: float) -> None:
    theirs = keras().applications.MobileNetV2(input_shape=(96, 96, 3), alpha=alpha, weights=None, classes=10)
    same_weights(zoo.build("mobilenet-v2", (96, 96, 3), 10, alpha=alpha), theirs)


def test_resnet50_has_the_weights_of_keras_so_that_imagenet_fits() -> None:
    assert zoo.build("resnet50", (224, 224, 3), 1000).count_params() == 25_636_712
    theirs = keras().applications.ResNet50(input_shape=(96, 96, 3), weights=None, classes=10)
    same_weights(zoo.build("resnet50", (96, 96, 3), 10), theirs)


def same_weights(ours: Any, theirs: Any) -> None:
    """Layer by layer the same weights in the same order, and with them the same scores."""
    keras().utils.set_random_seed(3)
    shapes = [prod(w.shape) for w in theirs.weights]
    assert [prod(w.shape) for w in ours.weights] == shapes
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.5, 1.5, w.shape).astype(np.float32) if w.ndim == 1 else w for w in theirs.get_weights()]
    theirs.set_weights(values)
    ours.set_weights([value.reshape(w.shape) for value, w in zip(values, ours.weights, strict=True)])
    x = rng.random((1, 96, 96, 3), dtype=np.float32)
    assert np.asarray(ours(x)) == pytest.approx(np.asarray(theirs(x)), abs=1e-5)


def test_efficientnet_lite0_and_ds_cnn_have_the_counts_of_their_papers() -> None:
    """4 652 008 trained parameters on ImageNet (Google's EfficientNet-Lite page: 4.7 M); DS-CNN as MLPerf Tiny's."""
    lite = zoo.build("efficientnet-lite0", (224, 224, 3), 1000)
    assert sum(prod(w.shape) for w in lite.trainable_weights) == 4_652_008
    assert zoo.build("ds-cnn", SPEECH, 12).count_params() == 24_908


def test_the_dropout_option_keeps_the_heads_ratio() -> None:
    def rates(**options: float) -> list[float]:
        layers = zoo.build("model-3-1", CIFAR, 10, **options).layers
        return [round(layer.rate, 3) for layer in layers if type(layer).__name__ == "Dropout"]

    assert rates() == [0.05, 0.05, 0.06]
    assert rates(dropout=0.1) == [0.1, 0.1, 0.12]
    assert rates(dropout=0.0) == [0.0, 0.0, 0.0]


def test_wrong_names_and_options_are_told() -> None:
    with pytest.raises(UnknownName, match="Did you mean digits-cnn"):
        zoo.build("digit-cnn", (8, 8, 1), 10)
    with pytest.raises(BadInput) as caught:
        zoo.build("digits-cnn", (8, 8, 1), 10, depth=3)
    assert str(caught.value) == ("digits-cnn: this architecture has no option depth.\nIts options: width=16, dropout=0.1.")
