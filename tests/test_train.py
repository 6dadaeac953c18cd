# SPDX-License-Identifier: Apache-2.0
"""Training on a few digits: it learns, it repeats, and a kill -9 changes nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from puce.data import Dataset, load
from puce.errors import BadInput
from puce.evaluate import accuracy
from puce.run import DataRecord, Run, TrainRecord
from puce.train import EpochRow, History, Silent, TrainConfig, checkpoint, fit, seeded_model, train_step, weights_sha256
from puce.zoo._keras import keras

FEW = TrainConfig(epochs=1, batch=32)


def few_digits(train: int = 200) -> Dataset:
    whole = load("digits")
    return replace(
        whole,
        x_train=whole.x_train[:train],
        y_train=whole.y_train[:train],
        x_validation=whole.x_validation[:50],
        y_validation=whole.y_validation[:50],
        x_test=whole.x_test[:60],
        y_test=whole.y_test[:60],
    )


def test_a_wrong_setting_is_told() -> None:
    with pytest.raises(BadInput, match="epochs: is 0, below 1"):
        TrainConfig(epochs=0)


def test_best_epoch_is_the_highest_accuracy_then_the_lowest_loss() -> None:
    rows = [(1, 0.9, 0.5), (2, 0.95, 0.4), (3, 0.95, 0.3), (4, 0.95, 0.3), (5, 0.9, 0.1)]
    history = History(tuple(EpochRow(e, 1.0, 0.5, loss, acc, 0.001, 0.1) for e, acc, loss in rows))
    assert history.best.epoch == 3


def test_one_epoch_writes_the_whole_step(tmp_path: Path) -> None:
    data = few_digits()
    run = Run.create(tmp_path, "digits", "digits-cnn", FEW.as_json())
    record = train_step(run, data, "digits-cnn", FEW)
    assert (record.epochs, record.best_epoch, record.parameters, record.test.count) == (1, 1, 16_186, 60)
    assert run.done("data") and run.done("train")
    described = run.get(DataRecord)
    assert described is not None and described.fingerprint == data.fingerprint
    rows = list(csv.DictReader(run.path("history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1"]
    saved = keras().models.load_model(run.path("model.keras"))
    assert weights_sha256(saved) == record.weights_sha256
    scores = np.asarray(saved.predict_on_batch(data.inputs("test")))
    with np.load(run.path("scores-float.npz")) as archive:
        assert archive["scores"] == pytest.approx(scores, abs=1e-5)
    assert accuracy(scores, data.y_test) == record.test
    assert not run.path("checkpoints").exists()
    before = run.path("model.keras").stat().st_mtime_ns
    assert train_step(run, data, "digits-cnn", FEW) == record
    assert run.path("model.keras").stat().st_mtime_ns == before, "a step that is done is not done again"
    with pytest.raises(BadInput, match="was made with other pictures of digits than these"):
        train_step(run, few_digits(199), "digits-cnn", FEW)


def test_training_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    data = few_digits(600)
    config = replace(FEW, epochs=6, learning_rate=0.01, warmup_epochs=1)
    run = Run.create(tmp_path, "digits", "digits-cnn", {})
    model = seeded_model("digits-cnn", data, config)
    history = fit(model, data, config, run)
    assert (history.best.val_accuracy or 0) > 0.6
    assert history.rows[-1].loss < history.rows[0].loss
    scores = np.asarray(model.predict_on_batch(data.inputs("validation")))
    assert accuracy(scores, data.y_validation).value == pytest.approx(history.best.val_accuracy)
    assert len(list(run.path("checkpoints").iterdir())) == 2


def test_it_stops_when_validation_no_longer_improves(tmp_path: Path) -> None:
    data = few_digits(32)
    config = replace(FEW, epochs=30, patience=1, learning_rate=1.0, warmup_epochs=0)
    history = fit(seeded_model("digits-cnn", data, config), data, config, Run.create(tmp_path, "d", "m", {}))
    assert len(history.rows) == history.best.epoch + 1 < 30


def test_a_state_of_another_training_is_not_continued(tmp_path: Path) -> None:
    data = few_digits(64)
    run = Run.create(tmp_path, "d", "m", {})
    fit(seeded_model("digits-cnn", data, FEW), data, FEW, run)
    other = replace(FEW, seed=2)
    with pytest.raises(BadInput, match="belongs to a training with other data, another network or other settings"):
        fit(seeded_model("digits-cnn", data, other), data, other, run)


def test_a_broken_state_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "d", "m", {})
    row = EpochRow(1, 1.0, 0.5, 1.0, 0.5, 0.001, 0.1)
    one = checkpoint.State("id", History((row,)), (np.ones(3),), (), (np.ones(3),))
    checkpoint.save(run, one)
    checkpoint.save(run, replace(one, history=one.history.with_row(replace(row, epoch=2))))
    newest = run.path("checkpoints/epoch-00002.npz")
    newest.write_bytes(newest.read_bytes()[:200])
    state = checkpoint.load(run, "id")
    assert state is not None and len(state.history.rows) == 1
    assert np.array_equal(state.model[0], np.ones(3))


class Killed(Silent):
    """Ends this very process the hard way in the middle of an epoch."""

    def __init__(self, after_batches: int) -> None:
        self.left = after_batches

    def batch(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _train_in_own_process(folder: Path, kill_after: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, str(folder), str(kill_after)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_two_trainings_and_a_killed_one_end_with_the_same_weights(tmp_path: Path) -> None:
    """Three processes: one undisturbed, one killed in its third epoch, one that goes on from there."""
    undisturbed = Run.create(tmp_path, "digits", "undisturbed", {}).folder
    killed = Run.create(tmp_path, "digits", "killed", {}).folder
    first = _train_in_own_process(undisturbed, 0)
    assert first.returncode == 0, first.stderr
    assert first.stderr == "", "nothing of TensorFlow's chatter"
    assert _train_in_own_process(killed, 10).returncode == -signal.SIGKILL
    assert Run.open(killed).get(TrainRecord) is None
    assert len((killed / "history.csv").read_text().splitlines()) == 1 + 2
    resumed = _train_in_own_process(killed, 0)
    assert resumed.returncode == 0, resumed.stderr
    expected, found = json.loads(first.stdout), json.loads(resumed.stdout)
    assert found["weights"] == expected["weights"]
    assert found["losses"] == expected["losses"]
    assert found["batches"] < expected["batches"], "it went on, it did not start again"


class Counting(Silent):
    batches = 0

    def batch(self) -> None:
        self.batches += 1


def main(folder: str, kill_after: int) -> None:
    progress = Killed(kill_after) if kill_after else Counting()
    run = Run.open(folder)
    record = train_step(run, few_digits(120), "digits-cnn", replace(FEW, epochs=5, warmup_epochs=1), progress)
    rows = list(csv.DictReader(run.path("history.csv").read_text().splitlines()))
    losses = [(row["loss"], row["val_loss"]) for row in rows]
    batches = getattr(progress, "batches", None)
    print(json.dumps({"weights": record.weights_sha256, "losses": losses, "batches": batches}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
