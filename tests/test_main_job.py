# SPDX-License-Identifier: Apache-2.0
"""`puce run digits`, whole, as a user types it: its promises, and that a killed run ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "puce.cli", "run", "digits", "--board", "stm32l4r9i-disco", "--json"]


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([*COMMAND, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    result: dict[str, Any] = json.loads(out)
    return result


def records(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    steps: dict[str, Any] = json.loads((folder / result["run"] / "run.json").read_text())["steps"]
    return steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, finish(start(folder))


def test_it_keeps_its_promises(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, result = whole
    assert result["identical"] == result["count"] == 360
    assert result["fits"] and (folder / result["report"]).stat().st_size > 50_000
    assert result["accuracy"]["int8"]["value"] >= 0.97
    assert {a["value"] for name, a in result["accuracy"].items() if name != "float"} == {result["accuracy"]["int8"]["value"]}
    witnesses = [w["name"] for w in records(folder, result)["validate"]["record"]["witnesses"]]
    assert witnesses == ["NumPy reference", "LiteRT reference", "host C", "emulated Arm Cortex-M4F"]
    sizes = records(folder, result)["compile"]["record"]
    for kind in ("flash_bytes", "ram_bytes"):
        assert sizes["linked"][kind]["total"] <= sizes["promised"][kind]["total"]


def epochs_done(folder: Path) -> int:
    rows = [f.read_text().count("\n") - 1 for f in folder.glob("runs/*/history.csv")]
    return max(rows, default=0)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "in training": lambda folder: epochs_done(folder) >= 7,
    "after training": lambda folder: any(folder.glob("runs/*/model.keras")),
    "while compiling": lambda folder: any(folder.glob("runs/*/firmware/*.c")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_resumes_to_the_same_result(moment: str, whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 300
    while not MOMENTS[moment](tmp_path):
        assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    again = finish(start(tmp_path, "--resume"))
    folder, first = whole
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert {k: v for k, v in again.items() if k not in ("run", "report")} == {
        k: v for k, v in first.items() if k not in ("run", "report")
    }
    ours, theirs = records(tmp_path, again), records(folder, first)
    assert ours["train"]["record"]["weights_sha256"] == theirs["train"]["record"]["weights_sha256"]
    assert ours["cost"]["record"] == theirs["cost"]["record"]
    for name in ("model.int8.tflite", "firmware/digits.elf", "firmware/digits.c"):
        assert (tmp_path / again["run"] / name).read_bytes() == (folder / first["run"] / name).read_bytes()
