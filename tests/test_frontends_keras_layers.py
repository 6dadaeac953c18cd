# SPDX-License-Identifier: Apache-2.0
"""One Keras layer after the other, in a small model each: what Keras predicts is what the graph and its C give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from puce import passes
from puce.errors import PuceError, Unsupported
from puce.frontends import load
from puce.ir import Array
from puce.zoo._keras import keras as import_keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def keras() -> Any:
    module = import_keras()
    module.utils.set_random_seed(1)
    return module


def dense_with(word: str, k: Any) -> Any:
    return k.Dense(5, activation=word)


PICTURE, SEQUENCE, VECTOR = (8, 9, 6), (10, 4), (7,)
Build = Callable[[Any], Any]
LAYERS: Mapping[str, tuple[tuple[int, ...], Build]] = {
    "ZeroPadding2D": (PICTURE, lambda k: k.ZeroPadding2D(((1, 2), (0, 3)))),
    "Cropping2D": (PICTURE, lambda k: k.Cropping2D(((1, 2), (0, 3)))),
    "UpSampling2D": (PICTURE, lambda k: k.UpSampling2D((2, 3))),
    "UpSampling2D bilinear": (PICTURE, lambda k: k.UpSampling2D(2, interpolation="bilinear")),
    "Conv2DTranspose": (PICTURE, lambda k: k.Conv2DTranspose(5, 3, strides=2, padding="same")),
    "Conv2DTranspose valid": (PICTURE, lambda k: k.Conv2DTranspose(5, (2, 3), strides=(2, 1))),
    "SeparableConv2D": (PICTURE, lambda k: k.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu")),
    "DepthwiseConv2D": (PICTURE, lambda k: k.DepthwiseConv2D((3, 2), depth_multiplier=3, padding="same")),
    "Conv2D dilated": (PICTURE, lambda k: k.Conv2D(5, 3, dilation_rate=2, padding="same")),
    "Conv2D in groups": (PICTURE, lambda k: k.Conv2D(9, 3, groups=3)),
    "Conv2D a channel": (PICTURE, lambda k: k.Conv2D(12, 3, groups=6, use_bias=False)),
    "GlobalMaxPooling2D": (PICTURE, lambda k: k.GlobalMaxPooling2D()),
    "GlobalMaxPooling2D keepdims": (PICTURE, lambda k: k.GlobalMaxPooling2D(keepdims=True)),
    "GlobalAveragePooling1D": (SEQUENCE, lambda k: k.GlobalAveragePooling1D()),
    "GlobalMaxPooling1D": (SEQUENCE, lambda k: k.GlobalMaxPooling1D()),
    "Permute": (PICTURE, lambda k: k.Permute((2, 3, 1))),
    "Reshape": (PICTURE, lambda k: k.Reshape((6, -1, 3))),
    "Rescaling": (PICTURE, lambda k: k.Rescaling(1 / 127.5, offset=-1)),
    "Normalization": (PICTURE, lambda k: k.Normalization(mean=np.arange(6.0), variance=np.arange(6.0) + 1)),
    "Normalization of one": (VECTOR, lambda k: k.Normalization(axis=None, mean=3.0, variance=2.0)),
    "LayerNormalization": (PICTURE, lambda k: k.LayerNormalization()),
    "UnitNormalization": (VECTOR, lambda k: k.UnitNormalization()),
    "Resizing": (PICTURE, lambda k: k.Resizing(5, 12)),
    "CenterCrop": (PICTURE, lambda k: k.CenterCrop(5, 6)),
    "LeakyReLU": (PICTURE, lambda k: k.LeakyReLU(0.1)),
    "PReLU": (PICTURE, lambda k: k.PReLU(shared_axes=[1, 2])),
    "PReLU of pixels": (PICTURE, lambda k: k.PReLU()),
    "ELU": (PICTURE, lambda k: k.ELU(0.7)),
    "ReLU to one": (PICTURE, lambda k: k.ReLU(max_value=1.0)),
    "ReLU that leaks": (PICTURE, lambda k: k.ReLU(max_value=1.5, negative_slope=0.2)),
    "Softmax": (PICTURE, lambda k: k.Softmax()),
    "Conv1D": (SEQUENCE, lambda k: k.Conv1D(6, 3, strides=2, padding="same", activation="relu")),
    "Conv1D causal": (SEQUENCE, lambda k: k.Conv1D(6, 3, dilation_rate=2, padding="causal")),
    "SeparableConv1D": (SEQUENCE, lambda k: k.SeparableConv1D(6, 3)),
    "DepthwiseConv1D": (SEQUENCE, lambda k: k.DepthwiseConv1D(3, depth_multiplier=2)),
    "Conv1DTranspose": (SEQUENCE, lambda k: k.Conv1DTranspose(5, 3, strides=2, padding="same")),
    "MaxPooling1D": (SEQUENCE, lambda k: k.MaxPooling1D(3, strides=2, padding="same")),
    "AveragePooling1D": (SEQUENCE, lambda k: k.AveragePooling1D(2)),
    "ZeroPadding1D": (SEQUENCE, lambda k: k.ZeroPadding1D((1, 2))),
    "Cropping1D": (SEQUENCE, lambda k: k.Cropping1D((1, 2))),
    "UpSampling1D": (SEQUENCE, lambda k: k.UpSampling1D(3)),
    "LSTM": (SEQUENCE, lambda k: k.LSTM(5)),
    "LSTM sequences": (SEQUENCE, lambda k: k.LSTM(5, return_sequences=True)),
    "Bidirectional": (SEQUENCE, lambda k: k.Bidirectional(k.LSTM(5))),
    "Bidirectional sequences": (SEQUENCE, lambda k: k.Bidirectional(k.LSTM(3, return_sequences=True), merge_mode="ave")),
    "Dense on a sequence": (SEQUENCE, lambda k: k.Dense(5, activation="tanh")),
    "TimeDistributed": (SEQUENCE, lambda k: k.TimeDistributed(k.Dense(5, activation="relu"))),
    **{
        f"activation {word}": (VECTOR, partial(dense_with, word))
        for word in (
            "sigmoid", "tanh", "swish", "silu", "hard_sigmoid", "hard_silu", "hard_swish", "elu", "selu", "leaky_relu",
            "relu6", "softmax", "exponential", "linear",
        )
    },
    "activation object": (VECTOR, lambda k: k.Dense(5, activation=k.LeakyReLU(0.05))),
}  # fmt: skip


def shaken(model: Any) -> Any:
    rng = np.random.default_rng(7)
    model.set_weights(
        [(w + rng.uniform(-0.5, 0.5, w.shape)).astype(w.dtype) if w.dtype.kind == "f" else w for w in model.get_weights()]
    )
    return model


def check_equal(model: Any, source: Any, scale: float = 1.0) -> None:
    imported = load(source)
    rng = np.random.default_rng(3)
    graph = imported.graph
    xs: list[Array] = [(scale * rng.normal(size=(3, *graph.tensors[t].shape))).astype(np.float32) for t in graph.inputs]
    wanted = model.predict(xs[0] if len(xs) == 1 else xs, verbose=0)
    for g in (graph, passes.run(graph)):
        for want, y in zip(wanted if isinstance(wanted, list) else [wanted], g.evaluate(*xs), strict=True):
            np.testing.assert_allclose(y, want, rtol=0, atol=1e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_keras_predicts(keras: Any, tmp_path: Path, name: str) -> None:
    shape, build = LAYERS[name]
    model = keras.Sequential([keras.layers.Input(shape, name="x"), build(keras.layers)])
    check_equal(shaken(model) if "Norm" not in name else model, model, 3.0)
    model.save(tmp_path / "model.keras")
    check_equal(model, tmp_path / "model.keras")


MERGES: Mapping[str, tuple[int, Build]] = {
    "Add": (4, lambda k: k.Add()), "Multiply": (3, lambda k: k.Multiply()), "Subtract": (2, lambda k: k.Subtract()),
    "Average": (3, lambda k: k.Average()), "Maximum": (3, lambda k: k.Maximum()), "Minimum": (2, lambda k: k.Minimum()),
    "Concatenate": (3, lambda k: k.Concatenate()), "Concatenate rows": (2, lambda k: k.Concatenate(axis=1)),
    "Concatenate ten": (10, lambda k: k.Concatenate()),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGES)
def test_layers_of_several_inputs(keras: Any, name: str) -> None:
    count, build = MERGES[name]
    inputs = [keras.layers.Input((5, 4, 3), name=f"x{i}") for i in range(count)]
    check_equal(model := keras.Model(inputs, build(keras.layers)(inputs)), model)


def test_squeeze_and_excitation_repeats_a_vector_over_a_picture(keras: Any) -> None:
    k = keras.layers
    x = picture = k.Input((6, 5, 4), name="picture")
    gate = k.Dense(4, activation="sigmoid")(k.GlobalAveragePooling2D(keepdims=True)(x))
    check_equal(model := shaken(keras.Model(picture, k.Multiply()([x, gate]))), model)


def test_functions_on_tensors_with_constants(keras: Any) -> None:
    k = keras.layers
    picture = k.Input((4, 4, 3), name="picture")
    x = (1.0 - picture / 127.5) * 2.0 + 0.25
    x = keras.ops.relu(k.Conv2D(3, 3, padding="same")(x) - x)
    check_equal(model := shaken(keras.Model(picture, x)), model, 100.0)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED: Mapping[str, tuple[tuple[int, ...], Build, str]] = {
    "GRU": (SEQUENCE, lambda k: k.GRU(3, name="odd"), "a GRU layer is not supported."),
    "gelu": (VECTOR, lambda k: k.Dense(3, activation="gelu", name="odd"), "the activation gelu is not supported."),
    "groups": (
        (4, 4, 18), lambda k: k.Conv2D(18, 3, groups=9, name="odd"),
        "a convolution of 18 channels in 9 groups is not computed.",
    ),
    "threshold": (VECTOR, lambda k: k.ReLU(threshold=1.0, name="odd"), "a ReLU that starts above zero is not computed."),
    "axis": (PICTURE, lambda k: k.Softmax(axis=1, name="odd"), "softmax over the axis 1 is not computed."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_computed_is_refused_by_the_name_of_the_layer(keras: Any, name: str) -> None:
    shape, build, fact = REFUSED[name]
    model = keras.Sequential([keras.layers.Input(shape), build(keras.layers)], name="net")
    with pytest.raises(Unsupported) as caught:
        load(model)
    assert caught.value.place == "odd (net, layer 2)" and caught.value.fact == fact and caught.value.remedy


# ── Keras 1 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def write_h5(path: Path, layers: list[dict[str, Any]], weights: Mapping[str, list[Array]], version: bytes | None) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
        if version:
            file.attrs["keras_version"] = version
        groups = file.create_group("model_weights")
        for layer in layers:
            name = layer["config"]["name"]
            group = groups.create_group(name)
            arrays = weights.get(name, [])
            group.attrs["weight_names"] = [f"{name}_{i}".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                group[f"{name}_{i}"] = array.astype(np.float32)
    return path


def test_a_file_of_keras_1_is_read_in_its_own_words(keras: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    kernel, bias = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4)
    matrix, offset = rng.normal(size=(4 * 4 * 3, 5)), rng.normal(size=5)
    layers = [
        {"class_name": "Convolution2D", "config": {
            "name": "conv", "batch_input_shape": [None, 8, 6, 2], "nb_filter": 4, "nb_row": 3, "nb_col": 3, "subsample": [2, 2],
            "border_mode": "same", "dim_ordering": "tf", "activation": "hard_sigmoid", "bias": True,
        }},
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dropout", "config": {"name": "drop", "p": 0.5}},
        {"class_name": "Dense", "config": {"name": "dense", "output_dim": 5, "activation": "softmax"}},
    ]  # fmt: skip
    path = write_h5(tmp_path / "old.h5", layers, {"conv": [kernel, bias], "dense": [matrix, offset]}, b"1.2.2")
    k = keras.layers
    model = keras.Sequential([
        k.Input((8, 6, 2)), k.Conv2D(4, 3, strides=2, padding="same"),
        k.Rescaling(0.2, 0.5), k.ReLU(max_value=1.0), k.Flatten(), k.Dense(5, activation="softmax"),
    ])  # fmt: skip
    model.set_weights([kernel, bias, matrix, offset])
    check_equal(model, path)


def test_a_file_of_theano_order_is_refused(tmp_path: Path) -> None:
    layers = [{"class_name": "Convolution2D", "config": {
        "name": "conv", "batch_input_shape": [None, 2, 8, 6], "border_mode": "same", "dim_ordering": "th",
    }}]  # fmt: skip
    path = write_h5(tmp_path / "old.h5", layers, {"conv": [np.zeros((3, 3, 2, 4))]}, None)
    with pytest.raises(PuceError) as caught:
        load(path)
    assert caught.value.fact == "channels come before rows and columns."
