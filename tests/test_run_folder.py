# SPDX-License-Identifier: Apache-2.0
"""The run folder: records survive the round trip, writes are atomic, damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_run import RECORDS, sample_run

from puce.errors import BadInput, UnknownName
from puce.run import (
    STEPS,
    DataRecord,
    PreprocessingRecord,
    Run,
    SelectionRecord,
    StepName,
    TrainRecord,
    ValidateRecord,
    Witness,
    records,
)


def test_every_record_survives_the_round_trip(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    again = Run.open(run.folder)
    assert again.file == run.file
    assert {records.STEP_OF[type(r)] for r in RECORDS} == set(STEPS), "the sample has a record of each kind"
    for record in RECORDS:
        assert again.get(type(record)) == record
        assert again.done(records.STEP_OF[type(record)])


def test_run_json_has_the_names_that_the_design_fixes(tmp_path: Path) -> None:
    document = json.loads((sample_run(tmp_path).folder / "run.json").read_text())
    steps = document["steps"]
    assert set(steps) == {"data", "train", "quantize", "compile", "cost", "validate"}
    assert {"total", "weights", "code"} == set(steps["compile"]["record"]["linked"]["flash_bytes"])
    assert {"value", "low", "high"} == set(steps["cost"]["record"]["latency_ms"])
    assert {"name", "op", "shape", "parameters", "macs", "flash_bytes", "ram_bytes", "cycles"} == set(
        steps["cost"]["record"]["layers"][0]
    )
    assert steps["train"]["record"]["test"].keys() == {"value", "low", "high", "correct", "count"}


def test_runs_of_the_same_second_do_not_collide(tmp_path: Path) -> None:
    folders = [Run.create(tmp_path, "digits", "digits-cnn", {}).folder for _ in range(3)]
    assert len(set(folders)) == 3
    assert [f.name[11:] for f in folders] == ["digits-digits-cnn", "digits-digits-cnn-2", "digits-digits-cnn-3"]
    latest = Run.latest(tmp_path, "digits", "digits-cnn")
    assert latest is not None and latest.folder == folders[2]
    assert Run.latest(tmp_path, "digits", "digits") is None


def test_a_data_set_that_is_a_path_stays_inside_the_root(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "../My Pictures/é", "digits-cnn", {})
    assert run.folder.parent == tmp_path
    with pytest.raises(BadInput, match="leaves the run folder"):
        run.path("../elsewhere")


@pytest.mark.parametrize("step", ["data", "train"])
def test_a_step_is_done_until_one_of_its_files_changes(tmp_path: Path, step: StepName) -> None:
    run = sample_run(tmp_path)
    path = run.path({"data": "samples.npz", "train": "scores-float.npz"}[step])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert not Run.open(run.folder).done(step)
    path.write_bytes(whole)
    assert run.done(step)
    path.unlink()
    assert not run.done(step)


def test_a_step_without_a_record_is_not_done(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "digits", "digits-cnn", {})
    assert not any(run.done(step) for step in STEPS)
    assert run.get(TrainRecord) is None
    with pytest.raises(UnknownName):
        run.done("trian")  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "digits", "digits-cnn", {})
    with run.atomic("firmware/model.c") as path:
        path.write_text("old")
    with pytest.raises(ZeroDivisionError), run.atomic("firmware/model.c") as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert run.path("firmware/model.c").read_text() == "old"
    assert [p.name for p in run.path("firmware").iterdir()] == ["model.c"]


def test_recording_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sample_run(tmp_path)
    before = (run.folder / "run.json").read_bytes()
    record = run.get(DataRecord)
    assert record is not None

    def no_power(self: Path, target: Path) -> None:
        raise OSError("the plug was pulled")

    monkeypatch.setattr(Path, "replace", no_power)
    with pytest.raises(OSError, match="plug"):
        run.record("data", record)
    assert (run.folder / "run.json").read_bytes() == before
    assert [p.name for p in run.folder.glob(".*")] == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"schema_version": 1}', b"[" * 5000])
def test_a_corrupt_run_json_is_bad_input(tmp_path: Path, damage: bytes) -> None:
    run = sample_run(tmp_path)
    (run.folder / "run.json").write_bytes(damage)
    with pytest.raises(BadInput) as caught:
        Run.open(run.folder)
    assert caught.value.place == str(run.folder / "run.json")
    assert caught.value.remedy == "Restore the file, or start a new run with `puce run`."


def test_every_truncation_of_run_json_is_bad_input(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    whole = (run.folder / "run.json").read_bytes().rstrip()
    for length in range(0, len(whole), 97):
        (run.folder / "run.json").write_bytes(whole[:length])
        with pytest.raises(BadInput):
            Run.open(run.folder)


def test_a_run_of_a_newer_puce_says_so(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    document = json.loads((run.folder / "run.json").read_text()) | {"schema_version": 99, "new_key": 1}
    (run.folder / "run.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="has schema 99; this puce reads up to 2"):
        Run.open(run.folder)


def test_a_folder_without_run_json_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        Run.open(tmp_path)
    assert str(caught.value) == (f"{tmp_path / 'run.json'}: there is no such file.\nName a folder that `puce run` made.")


def test_records_refuse_misspelt_keys_and_nan() -> None:
    validated = next(r for r in RECORDS if isinstance(r, ValidateRecord))
    witness = validated.witnesses[0].model_dump()
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Witness(**witness | {"identcal": 3})
    with pytest.raises(ValueError, match="finite number"):
        ValidateRecord(witnesses=validated.witnesses, proof="", seconds=float("nan"))


def test_a_run_of_schema_1_is_read_and_its_preprocessing_is_a_record(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    document = json.loads((run.folder / "run.json").read_text()) | {"schema_version": 1}
    record = document["steps"]["data"]["record"]
    for sentence, scale, offset in (("x = u × 0.00392157 + 0", 1 / 255, 0.0), ("x = u × 0.00784314 + -1", 2 / 255, -1.0)):
        record["preprocessing"] = sentence
        for key in ("selection", "warning"):
            record.pop(key, None)
        (run.folder / "run.json").write_text(json.dumps(document))
        found = Run.open(run.folder)
        data = found.get(DataRecord)
        assert data is not None and found.file.schema_version == 2
        assert data.preprocessing == PreprocessingRecord(scale=scale, offset=offset) and str(data.preprocessing) == sentence
        assert data.selection == SelectionRecord() and data.warning == "" and found.done("data")
    record["preprocessing"] = "as it was"
    (run.folder / "run.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=r"is not a run of schema 2: steps\.data\.record\.preprocessing"):
        Run.open(run.folder)
