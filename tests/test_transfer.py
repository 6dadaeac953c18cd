# SPDX-License-Identifier: Apache-2.0
"""Transfer learning: the backbone comes over whole or not at all, and the head is the best that its features allow."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puce import api, zoo
from puce.data import Dataset, Preprocessing
from puce.errors import BadInput, Unsupported
from puce.evaluation import Evaluation
from puce.run import DataRecord, Run
from puce.train import TrainConfig, settle
from puce.train.step import seeded_model
from puce.train.transfer import KERAS_NAMES, _copy, _imagenet, logistic, start_from
from puce.zoo._keras import keras

SHAPE = (32, 32, 3)


def spots(n: int, seed: int) -> tuple[Any, Any]:
    """Pictures with a reddish or a bluish spot, among noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    x = rng.integers(0, 120, (n, *SHAPE))
    for i, y in enumerate(labels):
        x[i, 8:24, 8:24, 2 * y] += 120
    return x.astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset("spots", ("red", "blue"), *spots(120, 1), *spots(40, 2), *spots(40, 3), Preprocessing(2 / 255, -1.0))


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    """A folder with one classifier of five classes as .h5 and as .keras."""
    folder = tmp_path_factory.mktemp("donor")
    keras().utils.set_random_seed(7)
    network = zoo.build("mobilenet-v1", SHAPE, 5)
    norms = [layer for layer in network.layers if "bn" in layer.name]
    for layer in norms:
        layer.momentum = 0.0
    network(data.inputs("train"), training=True)  # as if it had been trained: the moments are those of pictures
    for layer in norms:
        layer.momentum = 0.99
    with warnings.catch_warnings(action="ignore"):  # Keras with NumPy 2; and that .h5 is old
        network.save(folder / "model.keras")
        network.save(folder / "model.h5")
    return folder


@pytest.mark.parametrize("file", ["model.h5", "model.keras", "."])
def test_the_backbone_comes_over_and_the_head_is_new(donor: Path, data: Dataset, file: str) -> None:
    source = keras().models.load_model(donor / "model.keras")
    networks = []
    for seed in (1, 2):
        networks.append(seeded_model("mobilenet-v1", data, TrainConfig(weights=str(donor / file), seed=seed)))
    network = networks[0]
    for ours, theirs in zip(network.layers[:-1], source.layers[:-1], strict=True):
        assert all((a == b).all() for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)), ours.name
    w, b = network.layers[-1].get_weights()
    assert w.shape == (256, 2) and np.isfinite(w).all() and np.abs(w).max() > 0 and np.isfinite(b).all()
    assert (w == networks[1].layers[-1].get_weights()[0]).all(), "the head does not depend on the seed"
    scores = np.asarray(network(data.inputs("train"), training=False))
    loss = -np.log(scores[np.arange(len(scores)), data.y_train]).mean()
    assert loss < np.log(2) - 0.05, "it knows more of the training pictures than that there are two classes"


def test_weights_of_another_width_or_network_are_told(donor: Path, data: Dataset) -> None:
    for model, options in (("mobilenet-v1", {"alpha": 0.5}), ("mobilenet-v2", {}), ("tiny-cnn", {})):
        network = zoo.build(model, SHAPE, 2, **options)
        with pytest.raises(BadInput) as caught:
            start_from(network, data, TrainConfig(weights=str(donor / "model.h5")))
        assert caught.value.place == str(donor / "model.h5") and f"{model} has " in caught.value.fact
    shorter = keras().Model((n := zoo.build("mobilenet-v1", SHAPE, 2)).input, n.get_layer("pointwise_3_relu").output)
    shorter = keras().Model(shorter.input, keras().layers.Dense(2)(keras().layers.Flatten()(shorter.output)), name="short")
    with pytest.raises(BadInput, match="has 55 layers with weights, short 15"):
        start_from(shorter, data, TrainConfig(weights=str(donor / "model.h5")))


@pytest.mark.parametrize("content", [None, b"", b"no model", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_a_file_without_weights_is_told(tmp_path: Path, data: Dataset, content: bytes | None, ending: str) -> None:
    file = tmp_path / f"model.{ending}"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        start_from(zoo.build("tiny-cnn", SHAPE, 2), data, TrainConfig(weights=str(file)))
    assert caught.value.place == str(file)


@pytest.mark.parametrize(("model", "alpha"), [("mobilenet-v1", 0.25), ("mobilenet-v1", 1.0), ("mobilenet-v2", 0.35)])
def test_the_networks_of_keras_have_our_structure(model: str, alpha: float) -> None:
    """Without its ImageNet weights, which would be a download: names, order and shapes are the same."""
    shape = (96, 96, 3)
    _copy(network := zoo.build(model, shape, 2, alpha=alpha), _imagenet(network, alpha, weights=None))
    assert model in KERAS_NAMES


def test_imagenet_is_refused_where_keras_has_none_or_there_is_no_line(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported, match="Choose among mobilenet-v1, mobilenet-v2, or give a file"):
        start_from(zoo.build("tiny-cnn", SHAPE, 2), data, TrainConfig(weights="imagenet"))

    def no_line(**_: Any) -> None:
        raise Exception("URL fetch failure\non https://...")

    monkeypatch.setattr(keras().applications, "MobileNet", no_line)
    with pytest.raises(BadInput) as caught:
        start_from(zoo.build("mobilenet-v1", SHAPE, 2), data, TrainConfig(weights="imagenet"), alpha=0.25)
    assert caught.value.fact == "cannot be had (URL fetch failure)."
    assert "--weights FILE.h5" in caught.value.remedy


def test_the_head_is_where_the_loss_has_its_minimum() -> None:
    rng = np.random.default_rng(5)
    x, labels = rng.normal(size=(200, 6)), rng.integers(0, 3, 200)
    x[:, 0] += labels
    wanted, share = np.eye(3)[labels], rng.uniform(0.5, 1.5, 200) / 200
    w, b = logistic(x, wanted, share, 0.03)
    scores = np.exp(x @ w + b)
    scores /= scores.sum(axis=1, keepdims=True)
    slope = x.T @ ((scores - wanted) * share[:, None]) + 0.03 * w
    assert np.abs(slope).max() < 1e-6 and np.abs(((scores - wanted) * share[:, None]).sum(axis=0)).max() < 1e-6


def test_fine_tuning_has_a_small_rate_and_the_pixels_of_imagenet(data: Dataset) -> None:
    config = settle("mobilenet-v1", data, {"weights": "x.h5"}).config
    assert config.pixels == "-1..1" and config.preprocessing == Preprocessing(2 / 255, -1.0)
    assert config.learning_rate < settle("mobilenet-v1", data, {}).config.learning_rate
    assert settle("mobilenet-v1", data, {"weights": "x.h5", "pixels": "0..1"}).config.preprocessing == Preprocessing()


@pytest.mark.parametrize(("epochs", "momentum"), [(100, 0.9), (150, 0.99)])
def test_moments_follow_faster_where_the_training_is_short(donor: Path, data: Dataset, epochs: int, momentum: float) -> None:
    """120 pictures in batches of 32 are four steps an epoch; 500 steps are enough for Keras's own."""
    network = seeded_model("mobilenet-v1", data, TrainConfig(weights=str(donor / "model.h5"), epochs=epochs))
    assert {layer.momentum for layer in network.layers if "bn" in layer.name} == {momentum}


def test_a_run_remembers_how_pixels_enter(donor: Path, data: Dataset, tmp_path: Path) -> None:
    weights = str(donor / "model.h5")
    result = api.train(data, "mobilenet-v1", out=tmp_path, epochs=1, weights=weights, warning="careful", batch=60)
    run = Run.open(result.run)
    record = run.get(DataRecord)
    assert record is not None and (record.preprocessing.scale, record.preprocessing.offset) == (2 / 255, -1.0)
    assert str(record.preprocessing) == "x = u × 0.00784314 + -1" and run.file.config["weights"] == weights
    evaluation = api.evaluate(result.run, replace(data, preprocessing=Preprocessing()), in_c=False)
    assert isinstance(evaluation, Evaluation) and evaluation.accuracy == result.accuracy["float"]
