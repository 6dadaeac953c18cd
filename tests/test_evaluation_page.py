# SPDX-License-Identifier: Apache-2.0
"""What is drawn of an evaluation and of one's own pictures: whole, on one page, and true to the figures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import puce
from puce.data import Dataset, load
from puce.errors import BadInput
from puce.ir import Tensor
from puce.passes.channels import sliced
from puce.results import Prediction
from puce.validation import Verdict


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def model(digits: Dataset) -> object:
    """A linear classifier, fitted by least squares: right often, not always."""
    from puce.zoo._keras import keras

    k = keras()
    x = digits.inputs("train").reshape(len(digits.y_train), -1)
    solved, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], 12 * np.eye(10)[digits.y_train], rcond=None)
    image = k.layers.Input((8, 8, 1), name="image")
    y = k.layers.Dense(10, activation="softmax", name="scores")(k.layers.Flatten(name="flat")(image))
    made = k.Model(image, y)
    made.layers[-1].set_weights([solved[:-1], solved[-1]])
    return made


def test_the_page_holds_every_figure_and_the_worst_errors(digits: Dataset, model: object, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = puce.evaluate(model, digits, in_c=False, html=page)
    text = page.read_text(encoding="utf-8")
    document = found.as_json()
    assert document["page"] == str(page) and f"page: {page}" in str(found)
    wrong = document["accuracy"]["count"] - document["accuracy"]["correct"]
    assert wrong > 0 and "always the largest class" in text
    assert text.count('class="right"') + text.count('class="wrong"') == 25 + min(25, wrong)
    captions = re.findall(r'class="wrong"><img [^>]*>\d \(\d\) · (\d+)', text.split("not chosen")[1])
    sure = [int(s) for s in captions]
    assert len(sure) == min(25, wrong) and sure == sorted(sure, reverse=True), "the surest mistakes come first"
    assert text.count('<td class="strong"') + text.count("<td class=") > 100, "the matrix is there"
    assert not re.search(r'(src|href)="https?://', text)


def pictures(folder: Path, digits: Dataset, n: int = 2) -> list[Path]:
    paths = [folder / f"mine_{i}.png" for i in range(n)]
    for i, path in enumerate(paths):
        Image.fromarray(digits.x_test[i, :, :, 0]).save(path)
    return paths


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_own_pictures_are_drawn_beside_their_bars(digits: Dataset, model: object, suffix: str, tmp_path: Path) -> None:
    found = puce.predict(model, pictures(tmp_path, digits), reject_below=0.3)
    assert np.array_equal(found[0].picture, digits.x_test[0]), "what is drawn is what the network saw"
    out = puce.api.draw_predictions(found, tmp_path / f"answers{suffix}")
    if suffix == ".png":
        with Image.open(out) as drawn:
            assert drawn.width > 800 and drawn.height > 500
            assert len(drawn.convert("RGB").getcolors(100_000) or ()) > 20
    else:
        text = out.read_text(encoding="utf-8")
        assert f"mine_0.png: {found[0].classes[0]}" in text and f"{100 * found[0].probabilities[0]:.1f} %" in text


def test_a_rejected_answer_is_named_so(digits: Dataset, model: object, tmp_path: Path) -> None:
    found = puce.predict(model, pictures(tmp_path, digits, 1), reject_below=1.0)
    out = puce.api.draw_predictions(found, tmp_path / "answers.svg")
    assert "mine_0.png: not recognised" in out.read_text(encoding="utf-8")


def test_a_format_that_is_none_is_told(tmp_path: Path) -> None:
    answer = Prediction("x.png", ("a", "b"), (0.9, 0.1), 0.0, np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(BadInput, match=r"\.txt is no format of a picture"):
        puce.api.draw_predictions([answer], tmp_path / "x.txt")
    with pytest.raises(BadInput, match="there is no picture to draw"):
        puce.api.draw_predictions([], tmp_path / "x.png")


def test_a_channel_of_next_to_nothing_is_computed_as_the_reference_does(digits: Dataset) -> None:
    """Weights of 1e-17 beside others of 1: their multiplier needs more shift than 64 bits have."""
    assert _faint(digits).ok


def test_a_value_for_all_channels_stays_when_some_go() -> None:
    bound = Tensor.constant("bound", np.array([0.5], np.float32))
    assert sliced(bound, iter([(-1, np.array([True, False, True]))])).shape == (1,)


def _faint(digits: Dataset) -> Verdict:
    from puce.zoo._keras import keras

    k = keras()
    k.utils.set_random_seed(3)
    image = k.layers.Input((8, 8, 1), name="image")
    x = k.layers.Dense(16, name="hidden")(k.layers.Flatten(name="flat")(image))
    made = k.Model(image, k.layers.Dense(10, name="scores")(x))
    layer = made.get_layer("scores")  # constant channels inside would be removed
    w, b = layer.get_weights()
    w[:, :4], b[:4] = 1e-17 * w[:, :4], 1e-18
    layer.set_weights([w, b])
    return puce.validate(made, digits, on="host", count=20)
