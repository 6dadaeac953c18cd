# SPDX-License-Identifier: Apache-2.0
"""Every script in examples/ runs to its end in its quick form, in a process of its own, and says what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("e[0-9]_*.py"))
FROM_PUCE_DATA = {"e1_cifar10_cnn": "cifar10", "e2_mnist_cnn_or_lstm": "mnist", "e3_autoencoder": "cifar10"}
PROMISED = {
    "e1_cifar10_cnn": ("grenouille", "majority", "report.html", "essai.png: "),
    "e2_mnist_cnn_or_lstm": ("mnist-cnn", "mnist-lstm", "225 418", "139 402", "report.html"),
    "e3_autoencoder": ("autoencoder", "conv-autoencoder", "report.html"),
    "e4_skin_lesions": ("group(s) of exact duplicates", "melanoma found: area under the ROC curve", "identical", "skin.html"),
}


DIAGNOSES = ("melanoma", "nevus", "pigmented benign keratosis", "dermatofibroma", "vascular lesion", "seborrheic keratosis")


def lesions(folder: Path) -> Path:
    """Six diagnoses of 24 drawn spots: the melanoma's is dark and torn, the others' are round; one picture stands twice."""
    rng = np.random.default_rng(3)
    for name in (
        "melanoma",
        "nevus",
        "pigmented benign keratosis",
        "dermatofibroma",
        "vascular lesion",
        "seborrheic keratosis",
    ):
        (folder / name).mkdir(parents=True)
        for i in range(24):
            skin = rng.integers(-8, 9, (60, 60, 3)) + np.array([224, 180, 160])
            image = Image.fromarray(skin.clip(0, 255).astype(np.uint8))
            draw, brown = ImageDraw.Draw(image), tuple(rng.integers(60, 140, 3).tolist())
            for _ in range(6 if name == "melanoma" else 1):
                (x, y), r = rng.integers(20, 34, 2).tolist(), int(rng.integers(6, 12))
                draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(c // 3 for c in brown) if name == "melanoma" else brown)
            image.save(folder / name / f"{i}.png")
    (folder / "nevus" / "copy.png").write_bytes((folder / "melanoma" / "0.png").read_bytes())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_an_example_runs_to_its_end(script: Path, tmp_path: Path) -> None:
    arguments = [str(lesions(tmp_path / "isic"))] if script.stem == "e4_skin_lesions" else []
    needed = FROM_PUCE_DATA.get(script.stem)
    if needed and not Path(os.environ.get("PUCE_DATA", ""), f"{needed}.npz").is_file():
        pytest.skip(f"PUCE_DATA has no {needed}.npz")
    done = subprocess.run(
        [sys.executable, str(script), *arguments, "--quick", "--out", str(tmp_path / "runs")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for words in PROMISED[script.stem]:
        assert words in done.stdout.replace("\u202f", " "), f"{words!r} is not in:\n{done.stdout}"


def test_plain_skin_is_cut_from_corners(tmp_path: Path) -> None:
    script = ROOT / "examples" / "plain_skin.py"
    done = subprocess.run(
        [sys.executable, str(script), str(lesions(tmp_path / "isic")), str(tmp_path / "set")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "melanoma: 24 pictures\nplain skin: 73 pictures\n"
    for name, darkest in (("plain skin", 120), ("melanoma", 0)):
        for file in (tmp_path / "set" / name).iterdir():
            picture = np.asarray(Image.open(file))
            assert picture.shape == (96, 96, 3) and picture.min() >= darkest


def test_every_example_has_its_promise() -> None:
    assert {script.stem for script in EXAMPLES} == set(PROMISED)
    for script in EXAMPLES:
        assert "--quick" in script.read_text(encoding="utf-8")
