# SPDX-License-Identifier: Apache-2.0
"""A board calibrated by real measurements: what is written, what it changes, and what it may claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import puce
from puce import api
from puce.boards import Calibrated, Measurement, calibrate, load
from puce.boards.calibration import LEAST_ERROR, SCATTER, calibration
from puce.errors import BadInput

GOLDEN = Path(__file__).parent / "golden" / "residual_int8.tflite"


def ratios(*values: float) -> tuple[Measurement, ...]:
    return tuple(Measurement(f"model {i}", 10.0, 10.0 * v) for i, v in enumerate(values))


@pytest.mark.parametrize(
    ("measured", "own_error", "scale", "error"),
    [
        (ratios(1.2), 0.30, 1.2, 0.15),  # what all models share is known: half is left
        (ratios(1.2), 0.06, 1.2, SCATTER),  # but not less than what differs between models
        (ratios(1.2), 0.03, 1.2, 0.03),  # one measurement makes nothing worse
        (ratios(1.0, 1.44), 0.30, 1.2, 0.44),  # two that disagree say so
        (ratios(1.1, 1.1, 1.1), 0.30, 1.1, LEAST_ERROR),
        (ratios(1.0, 1.1, 1.21), 0.30, 1.1, 0.21),
    ],
)
def test_error_follows_from_the_measurements(
    measured: tuple[Measurement, ...], own_error: float, scale: float, error: float
) -> None:
    found = calibration(measured, own_error)
    assert (found.scale, found.relative_error) == pytest.approx((scale, error))


def test_calibrated_board_gives_the_measured_time(tmp_path: Path) -> None:
    """The verb, twice: the second measurement joins the first, of the same model it would replace it."""
    before = puce.analyze(GOLDEN, "nucleo-u575zi-q").time
    assert before is not None
    measured = 1.3 * before.latency_ms.value
    result = api.calibrate(GOLDEN, "nucleo-u575zi-q", measured, out=tmp_path / "mine.toml")
    after = puce.analyze(GOLDEN, load(result.file)).time
    assert after is not None
    assert after.latency_ms.value == pytest.approx(measured, rel=1e-3)
    assert after.cycles.value == pytest.approx(1.3 * before.cycles.value, rel=1e-3)
    assert after.latency_ms.high / after.latency_ms.value < before.latency_ms.high / before.latency_ms.value
    assert f"--board {tmp_path / 'mine.toml'}" in str(result)
    again = api.calibrate(GOLDEN, str(result.file), measured / 1.3)
    assert again.board.calibration is not None
    assert again.board.calibration.scale == pytest.approx(1.0, abs=1e-3)
    assert len(again.board.calibration.measurements) == 1


def write(tmp_path: Path, *measured: Measurement) -> Calibrated:
    path, board = tmp_path / "own.toml", load("nucleo-h743zi")
    for i, m in enumerate(measured):
        result = calibrate(load(path) if i else board, path if i else board.name, m, 0.3, path)
    return result


def test_board_file_keeps_what_it_said_and_collects_measurements(tmp_path: Path) -> None:
    result = write(tmp_path, *ratios(1.0, 1.1, 1.21))
    original = load("nucleo-h743zi")
    assert replace(result.board, calibration=None) == replace(original, name="own")
    document = result.as_json()
    assert document["file"] == str(tmp_path / "own.toml")
    assert [m["measured_ms"] for m in document["measurements"]] == pytest.approx([10, 11, 12.1])
    assert document["error"] == {"before": original.core.model_error, "after": pytest.approx(0.21)}
    assert not list(tmp_path.glob("*.part"))


def test_measurement_outside_of_the_stated_error_is_doubted(tmp_path: Path) -> None:
    assert write(tmp_path, *ratios(1.2)).note is None
    doubted = write(tmp_path, *ratios(1.2, 1.5))
    assert doubted.note is not None and doubted.note in str(doubted) and "at 480 MHz" in doubted.note


@pytest.mark.parametrize("measured", [0.0, 0.5, 5000.0])
def test_measurement_in_another_unit_is_refused(tmp_path: Path, measured: float) -> None:
    with pytest.raises(BadInput, match="that is another clock, another build or another unit"):
        write(tmp_path, Measurement("model", 10.0, measured))
    assert not list(tmp_path.iterdir())


def test_edited_scale_is_refused(tmp_path: Path) -> None:
    result = write(tmp_path, *ratios(1.1))
    result.file.write_text(result.file.read_text().replace("scale = 1.1", "scale = 0"))
    with pytest.raises(BadInput, match=r"own.toml: calibration: a scale of 0.0 says"):
        load(result.file)
