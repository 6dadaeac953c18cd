# SPDX-License-Identifier: Apache-2.0
"""Autoencoders from the pictures to the emulated core: trained, resumed, judged beside PCA, their encoder bit for bit."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import puce
from puce import zoo
from puce.data import Dataset, load
from puce.errors import BadInput
from puce.evaluate import Components, SquaredError, components, nearer, squared_errors
from puce.frontends import load as load_model
from puce.reconstruction import bottleneck
from puce.report import write
from puce.run import ReconstructionRecord, Run, TrainRecord
from puce.train import EpochRow, History, Silent, TrainConfig, seeded_model, settle, train_step, weights_sha256
from puce.train.fit import predict
from puce.train.reconstruct import start_from_components
from puce.zoo._keras import keras

CODE = 12
SHORT = TrainConfig(epochs=3, batch=32, learning_rate=0.002, warmup_epochs=1, shift=0.0, label_smoothing=0.0, average=0.9)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    whole = load("digits")
    return replace(
        whole, x_train=whole.x_train[:400], y_train=whole.y_train[:400], x_test=whole.x_test[:120], y_test=whole.y_test[:120]
    )


@pytest.fixture(scope="module")
def run(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    made = Run.create(folder, "digits", "conv-autoencoder", SHORT.as_json(), command="puce train digits")
    train_step(made, digits, "conv-autoencoder", SHORT, code=CODE, hidden=64)
    return made


def record_of(run: Run) -> ReconstructionRecord:
    record = run.get(ReconstructionRecord)
    assert record is not None
    return record


def test_components_leave_what_scikit_learn_leaves(digits: Dataset) -> None:
    from sklearn.decomposition import PCA

    x, test = digits.inputs("train").reshape(400, -1), digits.inputs("test").reshape(120, -1)
    theirs = PCA(CODE, svd_solver="full").fit(x)
    wanted = np.square(theirs.inverse_transform(theirs.transform(test)) - test).mean()
    ours = components(digits.x_train, CODE, digits.preprocessing.apply)
    assert squared_errors(test, ours.give_back(test)).mean() == pytest.approx(wanted, rel=2e-3)
    assert ours.spread == pytest.approx(np.sqrt(theirs.explained_variance_ * 399 / 400), rel=5e-3)
    assert ours.directions.T @ ours.directions == pytest.approx(np.eye(CODE), abs=1e-4)


def test_more_components_than_values_are_all_there_are(digits: Dataset) -> None:
    found = components(digits.x_train[:9], 50, digits.preprocessing.apply)
    assert found.directions.shape == (64, 9)


def test_a_squared_error_has_the_interval_of_its_mean() -> None:
    e = SquaredError.of(np.array([1.0, 2.0, 3.0, 4.0]))
    assert e.value == 2.5 and e.count == 4
    assert e.high - e.value == pytest.approx(1.959964 * np.std([1, 2, 3, 4], ddof=1) / 2)
    assert SquaredError.of(np.array([0.0, 0.0, 0.0, 9.0])).low == 0.0, "no error is below nothing"


def test_nearer_counts_pictures_and_tells_chance_from_gain() -> None:
    rng = np.random.default_rng(1)
    bound = rng.random(200) + 1
    found = nearer(bound - 0.1, bound)
    assert found.first == 200 and found.shown and found.p_value < 1e-50
    assert found.difference.value == pytest.approx(0.1)
    noise = nearer(bound + rng.normal(0, 0.01, 200), bound)
    assert not noise.shown and noise.p_value > 0.01


def test_the_best_epoch_without_accuracies_has_the_least_validation_error() -> None:
    rows = tuple(EpochRow(e, 1.0, None, loss, None, 0.001, 0.1) for e, loss in ((1, 0.5), (2, 0.2), (3, 0.3)))
    assert History(rows).best.epoch == 2
    assert History(rows).as_csv().splitlines()[0] == "epoch,loss,val_loss,learning_rate,seconds"


def test_the_lab_course_recipe_is_the_default(digits: Dataset) -> None:
    config = settle("autoencoder", digits, {}).config
    assert (config.epochs, config.learning_rate, config.schedule, config.shift) == (20, 0.001, "fixed", 0.0)
    large = replace(digits, x_train=np.zeros((10_000, 8, 8, 1), np.uint8), y_train=np.zeros(10_000, np.int64))
    assert settle("autoencoder", large, {}).config.batch == 256
    assert settle("conv-autoencoder", digits, {"code": 5, "epochs": 2}).options == {"code": 5}


def test_the_convolutions_start_where_the_components_stand(digits: Dataset) -> None:
    network = seeded_model("conv-autoencoder", digits, SHORT, code=CODE)
    bound = components(digits.x_train, CODE, digits.preprocessing.apply)
    assert start_from_components(network, bound)
    x = digits.inputs("test")
    assert predict(network, x) == pytest.approx(np.clip(bound.give_back(x), 0, 1), abs=2e-5)
    codes = predict(zoo.encoder_of(network), digits.inputs("train"))
    assert codes.std(axis=0) == pytest.approx(np.ones(CODE), abs=0.02), "all values of the code are of one size"
    assert not start_from_components(seeded_model("autoencoder", digits, SHORT, code=CODE), bound)


def test_training_leaves_a_whole_step(run: Run, digits: Dataset) -> None:
    record = record_of(run)
    assert run.done("train") and run.get(TrainRecord) is None and Run.open(run.folder).get(ReconstructionRecord) == record
    assert (record.code, record.epochs, record.test.count, record.from_components) == (CODE, 3, 120, True)
    rows = list(csv.DictReader(run.path("history.csv").read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "loss", "val_loss", "learning_rate", "seconds"]
    saved, encoder = (keras().models.load_model(run.path(name)) for name in ("model.keras", "encoder.keras"))
    assert weights_sha256(saved) == record.weights_sha256
    x = digits.inputs("test")
    errors = squared_errors(x, predict(saved, x))
    assert errors.mean() == pytest.approx(record.test.value, rel=1e-5)
    code = keras().Model(saved.input, saved.get_layer("code").output)
    assert predict(encoder, x) == pytest.approx(predict(code, x), abs=1e-6)
    assert encoder.count_params() == record.encoder_parameters < record.parameters
    with np.load(run.path("reconstructions.npz")) as kept:
        assert kept["errors"] == pytest.approx(errors, rel=1e-4)
        assert kept["given_back"].shape == (120, 8, 8, 1) and kept["given_back"].dtype == np.uint8
    assert train_step(run, digits, "conv-autoencoder", SHORT, code=CODE, hidden=64) == record


def test_it_is_nearer_than_as_many_components(run: Run) -> None:
    record = record_of(run)
    assert record.test.value < 0.95 * record.components.value
    assert record.against.shown and record.against.first > 100


class Broken(Silent):
    """Breaks off after two epochs, as a killed process would, if less rudely."""

    def epoch(self, row: EpochRow) -> None:
        if row.epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "options"), [("conv-autoencoder", {"code": CODE, "hidden": 64}), ("autoencoder", {"code": 8})]
)
def test_a_training_that_broke_off_ends_with_the_same_weights(
    name: str, options: dict[str, Any], digits: Dataset, tmp_path: Path
) -> None:
    config = replace(SHORT, flip=True, shift=0.5)
    straight, broken = (Run.create(tmp_path / end, "digits", name, {}) for end in "ab")
    wanted = train_step(straight, digits, name, config, **options)
    with pytest.raises(KeyboardInterrupt):
        train_step(broken, digits, name, config, Broken(), **options)
    assert broken.get(ReconstructionRecord) is None
    found = train_step(Run.open(broken.folder), digits, name, config, **options)
    assert isinstance(found, ReconstructionRecord) and found.weights_sha256 == wanted.weights_sha256
    assert found.test == wanted.test


def test_evaluate_sets_float_int8_c_and_the_bound_side_by_side(run: Run, digits: Dataset) -> None:
    quantized = puce.quantize(run.path("model.keras"), digits, run.path("model.int8.tflite"))
    assert quantized.float_accuracy is None and quantized.float_error is not None and quantized.int8_error is not None
    assert quantized.int8_error.value == pytest.approx(quantized.float_error.value, rel=0.1)
    found = puce.evaluate(run.folder, digits)
    document = found.as_json()
    run.path("model.int8.tflite").unlink()
    assert document["code"] == CODE
    assert [w["name"] for w in document["ways"]] == ["float", "int8", "C on this computer"]
    by_name = {w["name"]: w["error"]["value"] for w in document["ways"]}
    assert by_name["float"] == pytest.approx(record_of(run).test.value, rel=1e-4)
    assert by_name["C on this computer"] == by_name["int8"] == quantized.int8_error.value
    assert document["components"]["value"] == pytest.approx(record_of(run).components.value, rel=1e-6)
    assert document["paired"][0]["shown"] and document["paired"][0]["nearer"] == record_of(run).against.first
    assert "nearer on average" in str(found)


def test_without_a_run_the_components_are_found_anew(run: Run, digits: Dataset) -> None:
    document = puce.evaluate(run.path("model.keras"), digits, in_c=False).as_json()
    assert document["components"]["value"] == pytest.approx(record_of(run).components.value, rel=1e-4)
    assert any("pixel encoding found" in note for note in document["notes"])


def test_the_bottleneck_is_where_least_passes(run: Run) -> None:
    assert bottleneck(load_model(run.path("model.keras")).graph) == CODE


def test_the_encoder_runs_on_the_emulated_core_bit_for_bit(run: Run, digits: Dataset) -> None:
    verdict = puce.validate(run.path("encoder.keras"), digits, on="emulator", board="stm32l4r9i-disco", count=100)
    document = verdict.as_json()
    assert verdict.ok and document["count"] == document["identical"] == 100
    assert document["accuracy"] is None and document["interval"] is None
    assert 0 < document["error"]["value"] < 0.01, "int8 against the float model, on values of deviation 1"
    assert document["cycles"] > 0
    assert "squared error to the float model" in str(verdict)


def test_a_model_that_gives_pictures_back_is_validated_by_its_error(run: Run, digits: Dataset) -> None:
    document = puce.validate(run.path("model.keras"), digits, on="host", count=20).as_json()
    assert document["identical"] == 20 and document["accuracy"] is None
    errors = squared_errors(
        digits.inputs("test")[:20], Components.load(run.path("components.npz")).give_back(digits.inputs("test")[:20])
    )
    assert document["error"]["value"] < errors.mean()


def test_what_needs_accuracies_refuses_it(run: Run, digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the main job has no accuracy to go by"):
        puce.run(digits, "stm32l4r9i-disco", model="autoencoder", out=tmp_path)
    with pytest.raises(BadInput, match="a sweep has no accuracy to go by"):
        puce.api.sweep(digits, "conv-autoencoder", "code=4,8", out=tmp_path)
    with pytest.raises(BadInput, match="gives 12 values, the set digits has 10 classes: there is no accuracy"):
        puce.evaluate(run.path("encoder.keras"), digits, in_c=False)
    assert not list(tmp_path.iterdir())


ENGLISH = ("Pictures given back", "PCA, 12 components", "Nearer than PCA")
FRENCH = ("Images restituées", "ACP, 12 composantes", "Plus proche que l'ACP")


@pytest.mark.parametrize(("lang", "words"), [("en", ENGLISH), ("fr", FRENCH)])
def test_the_report_shows_pictures_beside_those_of_the_components(run: Run, lang: str, words: tuple[str, ...]) -> None:
    text = write(run, lang).read_text(encoding="utf-8")  # type: ignore[arg-type]
    for word in words:
        assert word.replace("'", "&#39;") in text
    assert text.count("<img ") >= 3 * 3 * 10
    assert "encoder.keras" in text, "the steps that follow are those of the encoder"
    assert {p.name for p in run.path("plots").iterdir()} >= {"reconstruction.svg", "training.svg"}
