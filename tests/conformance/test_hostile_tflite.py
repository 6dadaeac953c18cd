# SPDX-License-Identifier: Apache-2.0
"""Damaged .tflite files and those that LiteRT itself refuses: a message, or a legal graph; never a traceback or a hang."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from litert_oracle import on_this_computer, random_pictures
from mutations import SECONDS, survey

from puce.compiler import compile_graph
from puce.errors import PuceError
from puce.frontends.tflite import load

SEED = 20261121
FEW = 4


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_mutated_files(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Imported, and compiled where they are small, with every folder that could be written to under watch."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    fates = survey(shared_data / "models", SEED, range(count))
    found = Counter("refused" if f.refused else "accepted" for f in fates)
    print(f"seed {SEED}: {len(fates)} damaged .tflite files, {found['refused']} refused, {found['accepted']} accepted")
    assert not [(f.number, f.bad) for f in fates if f.bad], f"seed {SEED}"
    assert len(fates) == count and min(found.values()) >= count // 50
    assert not [*here.iterdir(), *temporary.iterdir()], "an import wrote a file"


def refused_by_litert(shared_data: Path) -> list[Path]:
    return sorted(
        p for p in (shared_data / "models" / "refused_by_litert").iterdir() if p.suffix in (".bin", ".lite", ".tflite")
    )


@pytest.mark.parametrize("count", [FEW, pytest.param(None, marks=pytest.mark.slow)])
def test_files_that_litert_refuses(shared_data: Path, tmp_path: Path, count: int | None) -> None:
    """Through the command line: exit code 2 with a message, or C that computes what the NumPy reference does."""
    codes: Counter[int] = Counter()
    files = refused_by_litert(shared_data)
    for i, file in enumerate(files[:: len(files) // FEW] if count else files):
        folder = tmp_path / str(i)
        folder.mkdir()
        model = shutil.copy(file, folder / "model.tflite")
        command = [sys.executable, "-m", "puce.cli", "compile", str(model), "-o", "out"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=3 * SECONDS)
        codes[done.returncode] += 1
        assert done.returncode in (0, 2), f"{file.name}: {done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, f"{file.name}: {done.stderr}"
        written = sorted(p.name for p in folder.iterdir())
        if done.returncode == 2:
            assert "model.tflite" in done.stderr and written == ["model.tflite"], f"{file.name}: {written} {done.stderr}"
        else:
            assert written == ["model.tflite", "out"]
            same_as_the_reference(Path(model))
    print(f"{sum(codes.values())} files that LiteRT refuses: {codes[2]} refused, {codes[0]} compiled")


def same_as_the_reference(model: Path) -> None:
    graph = load(model).graph
    asked = random_pictures(graph, 2)
    with tempfile.TemporaryDirectory() as folder:
        answers = list(on_this_computer(compile_graph(graph, Path(folder), name="model"), asked))
    wanted = graph.evaluate(*(np.stack(column) for column in zip(*asked, strict=True)))
    for k, y in enumerate(wanted):
        np.testing.assert_allclose(np.stack([a[k] for a in answers]), y, rtol=1e-5, atol=1e-5 * float(np.abs(y).max(initial=0)))


def test_what_survey_counts_as_kept() -> None:
    """A PuceError, and nothing else, is a refusal."""
    with pytest.raises(PuceError):
        load(b"TFL3")
