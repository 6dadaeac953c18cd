# SPDX-License-Identifier: Apache-2.0
"""The parts of training by themselves: schedules to the digit, augmentation, average, fused BatchNormalization, settings."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puce import zoo
from puce.data import Dataset, load
from puce.errors import BadInput, UnknownName
from puce.evaluate import Accuracy
from puce.run import Run, TrainRecord
from puce.train import EpochRow, History, TrainConfig, fit, recommended, seeded_model, settle, sweep, weights_sha256
from puce.train.augment import augment, mix
from puce.train.average import Average
from puce.train.batch_norm import fused_batch_norm
from puce.train.engine import Engine, faster_precision, in_precision, prepare, processor_has_bfloat16
from puce.train.schedule import learning_rate
from puce.zoo._keras import keras

PLAIN = TrainConfig(shift=0.0)


def history_of(*val_losses: float) -> History:
    return History(tuple(EpochRow(i, 1.0, 0.5, loss, 0.5, 0.001, 0.1) for i, loss in enumerate(val_losses, start=1)))


def rates(config: TrainConfig, epochs: int) -> list[float]:
    return [learning_rate(config, history_of(*[1.0] * done), 0, 10) for done in range(epochs)]


def test_the_ramp_is_the_missions() -> None:
    """0.001 rising by 0.002 an epoch to 0.01, then decaying to 0.0001 in the last epoch."""
    found = rates(TrainConfig(schedule="ramp", learning_rate=0.01, epochs=30), 30)
    assert found[:6] == pytest.approx([0.001, 0.003, 0.005, 0.007, 0.009, 0.01])
    assert found[-1] == pytest.approx(0.0001)
    falls = [later / before for before, later in pairwise(found[5:])]
    assert falls == pytest.approx([0.01 ** (1 / 24)] * 24)


def test_cosine_rises_in_a_line_and_falls_to_a_hundredth() -> None:
    config = TrainConfig(schedule="cosine", learning_rate=0.02, epochs=10, warmup_epochs=2)
    at = [learning_rate(config, history_of(*[1.0] * (step // 10)), step % 10, 10) for step in range(100)]
    assert at[:21] == pytest.approx([0.02 * step / 20 for step in range(21)])
    assert at[60] == pytest.approx(0.02 * (0.01 + 0.99 * 0.5)), "half way down"
    assert at[-1] == pytest.approx(0.02 * 0.01, rel=0.05)


def test_fixed_is_fixed_and_plateau_halves_after_five_epochs_without_gain() -> None:
    assert rates(TrainConfig(schedule="fixed", learning_rate=0.001), 9) == [0.001] * 9
    config = TrainConfig(schedule="plateau", learning_rate=0.001)
    assert learning_rate(config, history_of(1.0, 0.9, 0.9, 0.9, 0.9, 0.9), 0, 10) == 0.001
    assert learning_rate(config, history_of(1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.89995), 0, 10) == 0.0005, "less than 1e-4"
    assert learning_rate(config, history_of(1.0, *[1.0] * 10), 0, 10) == 0.00025
    assert learning_rate(config, history_of(*[1.0] * 200), 0, 10) == 1e-7


def test_shifting_moves_pictures_and_nothing_else() -> None:
    x = np.zeros((64, 8, 8, 1), np.float32)
    x[:, 3:5, 3:5] = 1
    moved = augment(x, np.random.default_rng(0), replace(PLAIN, shift=1.0))
    assert moved.sum(axis=(1, 2, 3)) == pytest.approx(np.full(64, 4.0), abs=1e-4), "mass stays while inside"
    centre = (moved * np.arange(8)[None, :, None, None]).sum(axis=(1, 2, 3)) / 4 - 3.5
    assert centre.min() < -0.8 and centre.max() > 0.8 and np.abs(centre).max() <= 1.0001
    assert np.array_equal(augment(x, np.random.default_rng(0), PLAIN), x)


def test_each_augmentation_does_what_its_name_says() -> None:
    rng = np.random.default_rng(0)
    ramp = np.tile(np.arange(8, dtype=np.float32)[None, None, :, None], (64, 8, 1, 3)) / 8
    flipped = augment(ramp, rng, replace(PLAIN, flip=True))
    assert 15 < sum(bool(p[0, 0, 0] == 7 / 8) for p in flipped) < 49
    cropped = augment(ramp, rng, replace(PLAIN, crop=2))
    assert {float(p[0, 3, 0]) * 8 for p in cropped} == {1, 2, 3, 4, 5}, "moved by -2 to 2"
    cut = augment(ramp, rng, replace(PLAIN, cutout=4))
    changed = (cut != ramp).any(axis=-1).sum(axis=(1, 2))
    assert changed.min() >= 4 and changed.max() <= 16 and cut[0].mean() == pytest.approx(ramp[0].mean(), abs=0.1)
    coloured = augment(ramp, rng, replace(PLAIN, colour=0.2))
    assert coloured.min() >= 0 and coloured.max() <= 7 / 8
    assert len({round(float(p.mean()), 4) for p in coloured}) > 50
    mixed, labels = mix(ramp[:4], np.eye(4, dtype=np.float32), rng, 0.4)
    assert labels.sum(axis=1) == pytest.approx(np.ones(4)) and labels.max() < 1 and mixed.dtype == np.float32


def test_augmentation_repeats_with_its_seed() -> None:
    x = np.random.default_rng(1).random((16, 8, 8, 3), dtype=np.float32)
    everything = TrainConfig(shift=1.0, flip=True, crop=2, cutout=3, colour=0.2)
    first, again, other = (augment(x, np.random.default_rng(seed), everything) for seed in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.float32 and first.shape == x.shape


def test_the_average_follows_the_weights_and_leaves_random_states_alone() -> None:
    model = zoo.build("tiny-mlp", (8, 8, 1), 10)
    config = TrainConfig(average=0.5)
    average = Average.start(model, config)
    model.set_weights([np.full_like(w, 1.0) for w in model.get_weights()])
    before = [value.copy() for value in average.values]
    average.add(model, 7)
    assert np.array_equal(average.values[0], before[0]), "not its turn"
    average.add(model, 8)
    keep = min(0.5**8, 2 / 11)
    assert average.values[0] == pytest.approx(before[0] * keep + (1 - keep), abs=1e-6)
    values = tuple(np.array(v.numpy()) for v in model.variables)
    judged = average.of(model, values)
    states = [i for i, v in enumerate(model.variables) if v.dtype != "float32"]
    assert states and all(np.array_equal(judged[i], values[i]) for i in states)
    assert np.array_equal(judged[0], average.values[0])
    assert Average(0.0, ()).of(model, values) is values


def _through_batch_norm(fused: bool, kind: str = "float32") -> tuple[list[Any], type]:
    """Loss, gradients of input, gamma and beta, inference, and moving moments after one training step."""
    import tensorflow as tf

    image = keras().Input((8, 8, 5))
    model = keras().Model(image, keras().layers.BatchNormalization(momentum=0.9, name="bn")(image))
    layer = model.get_layer("bn")
    layer.gamma.assign(np.linspace(0.5, 2, 5))
    layer.beta.assign(np.linspace(-1, 1, 5))
    x = tf.constant(np.random.default_rng(0).normal(2, 3, (16, 8, 8, 5)).astype(np.float32))
    t = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    with fused_batch_norm(model) if fused else nullcontext():
        kind_inside = type(layer)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(model(x, training=True)) * t)
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        inference = model(x, training=False)
    assert type(layer) is keras().layers.BatchNormalization, "a plain layer again, and saved as one"
    return [np.asarray(v) for v in (loss, *gradients, inference, *model.get_weights())], kind_inside


def test_fused_batch_normalization_equals_keras_in_values_gradients_and_moments() -> None:
    plain, _ = _through_batch_norm(False)
    fused, kind = _through_batch_norm(True)
    if keras().backend.backend() == "tensorflow":
        assert kind.__name__ == "FusedBatchNormalization"
    for expected, found in zip(plain, fused, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_bfloat16_trains_and_leaves_float32_behind(tmp_path: Path) -> None:
    data = few_digits(96)
    config = TrainConfig(epochs=2, warmup_epochs=0, threads=1)
    model = seeded_model("digits-cnn", data, config)
    with in_precision(model, "bfloat16"):
        assert model.get_layer("conv_1").compute_dtype == "bfloat16"
        assert model.get_layer("scores").compute_dtype == "float32"
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {w.dtype for w in model.get_weights()} == {np.dtype(np.float32)}
    if processor_has_bfloat16():
        history = fit(model, data, replace(config, precision="bfloat16"), Run.create(tmp_path, "d", "m", {}))
        assert len(history.rows) == 2 and np.isfinite(history.rows[-1].loss)


def test_timing_precisions_changes_no_weight() -> None:
    data = few_digits(64)
    config = TrainConfig(precision="auto")
    prepare(config)
    model = seeded_model("tiny-cnn", data, config)
    engine, before = Engine(model, config), weights_sha256(model)
    y = np.eye(10, dtype=np.float32)[data.y_train[:32]]
    assert faster_precision(engine, data.inputs("train")[:32], y) in {"float32", "bfloat16"}
    assert weights_sha256(model) == before
    assert int(np.asarray(engine.optimizer.iterations.numpy())) == 0


def test_everything_at_once_trains_twice_the_same(tmp_path: Path) -> None:
    data = few_digits(128)
    config = TrainConfig(
        epochs=2, warmup_epochs=0, schedule="ramp", crop=1, cutout=2, mixup=0.3, average=0.9, balance=True, batch=16
    )
    hashes = set()
    for name in ("one", "two"):
        model = seeded_model("tiny-cnn", data, config)
        fit(model, data, config, Run.create(tmp_path, "digits", name, {}))
        hashes.add(weights_sha256(model))
    assert len(hashes) == 1


def few_digits(train: int) -> Dataset:
    whole = load("digits")
    return replace(
        whole,
        x_train=whole.x_train[:train],
        y_train=whole.y_train[:train],
        x_validation=whole.x_validation[:40],
        y_validation=whole.y_validation[:40],
    )


def test_wishes_are_merged_into_what_suits_the_data() -> None:
    data = few_digits(64)
    assert settle("digits-cnn", data, {}).config == TrainConfig()
    wanted = {"learning_rate": "0.01", "schedule": "ramp", "augment": "crop=3,flip", "dropout": "0.2", "epochs": None}
    settings = settle("digits-cnn", data, wanted)
    config = settings.config
    assert (config.learning_rate, config.schedule, config.epochs) == (0.01, "ramp", 60)
    assert (config.crop, config.flip, config.shift, config.cutout) == (3, True, 0.0, 0)
    assert settings.options == {"dropout": 0.2}
    assert settings.as_json()["dropout"] == 0.2
    assert settle("digits-cnn", data, {"augment": "none"}).config.shift == 0.0
    many = np.zeros((10_000, 8, 8, 3), np.uint8)
    large = replace(
        data, x_train=many, y_train=np.zeros(10_000, np.int64), x_validation=many[:1], y_validation=data.y_validation[:1],
        x_test=many[:1], y_test=data.y_test[:1],
    )  # fmt: skip
    assert recommended(large).batch == 128 and recommended(large).flip


def test_wrong_wishes_are_told() -> None:
    data = few_digits(64)
    with pytest.raises(BadInput) as caught:
        settle("tiny-linear", data, {"dropout": 0.2})
    assert str(caught.value).startswith(
        "dropout: is no setting of a training, and no option of tiny-linear (its options: none)."
    )
    with pytest.raises(BadInput) as caught:
        settle("tiny-mlp", data, {"augment": "flip,twist"})
    assert str(caught.value) == (
        "--augment twist: is no augmentation.\n"
        "Choose among shift, flip, crop, cutout, colour, mixup, or none; crop=4 says how much."
    )
    with pytest.raises(BadInput, match="batch: is 'many', not a whole number"):
        settle("tiny-mlp", data, {"batch": "many"})
    with pytest.raises(UnknownName, match="Did you mean ramp"):
        TrainConfig(schedule="ramps")  # type: ignore[arg-type]


def test_a_sweep_chooses_on_validation_and_gives_intervals() -> None:
    def train(name: str, value: str, seed: int) -> tuple[Path, TrainRecord]:
        right = {"0.1": 80, "0.2": 90}[value] + seed
        record = TrainRecord(
            model="m", parameters=1, epochs=1, best_epoch=1, seconds=1.0, seed=seed,
            validation=Accuracy.of(right, 100), test=Accuracy.of(right - 5, 100), confusion=((1,),), weights_sha256="0" * 64,
        )  # fmt: skip
        return Path(f"{name}-{value}-{seed}"), record

    result = sweep("dropout=0.1,0.2", 3, train)
    assert result.best.value == "0.2" and result.best.mean == pytest.approx(0.92)
    assert (result.rows[0].low, result.rows[0].high) == pytest.approx(
        (0.82 - 4.303 * 0.01 / 3**0.5, 0.82 + 4.303 * 0.01 / 3**0.5)
    )
    assert "<- best" in str(result) and "Not told apart" not in str(result)
    assert result.as_json()["best"] == "0.2"
    one = sweep("dropout=0.1,0.2", 1, train)
    assert one.rows[0].low == pytest.approx(Accuracy.of(81, 100).low)
    with pytest.raises(BadInput, match="names no setting with at least two values"):
        sweep("dropout", 1, train)
