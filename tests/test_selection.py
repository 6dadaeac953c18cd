# SPDX-License-Identifier: Apache-2.0
"""Pictures in files, chosen and cut as wished: classes merged, splits dealt anew, sizes, and `puce.toml` beside them."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from puce import api
from puce.data import Dataset, Selection, load, selection
from puce.data.selection import declaration, parse_classes
from puce.errors import BadInput

CLASSES = "benign=nevus+wart, melanoma"


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    """Three classes and one that nobody asks for, 20 pictures each, split by their author."""
    for k, name in enumerate(("melanoma", "nevus", "wart", "other")):
        for i in range(20):
            place = tmp_path / "lesions" / ("test" if i < 4 else "train") / name / f"p{i // 2}-{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(100 * k + i).integers(0, 256, (20, 24, 3), np.uint8)).save(place)
    return tmp_path / "lesions"


def names(dataset: Dataset) -> list[set[str]]:
    return [set(part) for part in dataset.names]


def test_classes_are_chosen_and_merged_in_the_order_of_the_wish(lesions: Path) -> None:
    found = load(lesions, classes=CLASSES)
    assert found.class_names == ("benign", "melanoma")
    assert found.by_class("test") == (8, 4), "the author's own split is kept"
    assert sum(found.by_class(s)[0] for s in ("train", "validation", "test")) == 40
    wrong = [n for part, s in zip(found.names, ("train", "validation", "test"), strict=True)
             for n, y in zip(part, found.labels(s), strict=True) if ("melanoma" in n) != bool(y)]  # type: ignore[arg-type]  # fmt: skip
    assert not wrong
    assert not any("other" in name for part in names(found) for name in part)


def test_a_split_is_dealt_anew_by_class(lesions: Path) -> None:
    found = load(lesions, classes=CLASSES, held_out=0.25)
    assert found.by_class("test") == (10, 5) and found.by_class("validation") == (10, 5)
    assert found.by_class("train") == (20, 10)
    train, validation, test = names(found)
    assert not train & test and not validation & (train | test) and len(train | validation | test) == 60
    assert any(name.startswith("train/") for name in test), "the given split is forgotten"
    assert any(note.startswith("Split 50/25/25 by class") for note in found.notes)


def test_a_group_stays_whole_when_the_split_is_dealt_anew(lesions: Path) -> None:
    found = load(lesions, held_out=0.2, group=r"/(\w+/p\d+)-")
    where: dict[str, set[int]] = {}
    for i, part in enumerate(names(found)):
        for name in part:
            where.setdefault(name.split("/", 1)[1].rsplit("-", 1)[0], set()).add(i)
    assert len(where) == 40 and all(len(splits) == 1 for splits in where.values())


@pytest.mark.parametrize(
    ("said", "shape"), [(16, (16, 16, 3)), ("16", (16, 16, 3)), ("12x18", (12, 18, 3)), ((8, 10), (8, 10, 3))]
)
def test_a_size_is_a_number_or_height_and_width(lesions: Path, said: Any, shape: tuple[int, int, int]) -> None:
    assert load(lesions, size=said).shape == shape


def test_the_folder_itself_may_say_it_once(lesions: Path, tmp_path: Path) -> None:
    wishes = selection(16, None, CLASSES, 0.25, 'Not a "medical" device \\ é.')
    (lesions / "puce.toml").write_text(declaration(wishes), encoding="utf-8")
    found = load(lesions)
    assert found.selection == wishes and found.shape == (16, 16, 3) and found.class_names == ("benign", "melanoma")
    assert found.fingerprint == load(lesions, size=16, classes=CLASSES, held_out=0.25).fingerprint
    assert load(lesions, size=8).shape == (8, 8, 3), "what the verb says goes first"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in lesions.rglob("*"):
            archive.write(file, file.relative_to(lesions))
    assert load(tmp_path / "set.zip").fingerprint == found.fingerprint


def test_a_declaration_survives_any_text() -> None:
    wishes = Selection((3, 5), r'a"(\d+)', "a=b+c, d", 0.3, "line\nbreak \\ \" ''' \t \x07 é ✗")
    table = tomllib.loads(declaration(wishes))
    assert selection(**table) == wishes
    assert declaration(Selection()) == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sise = 96", "has the unknown key sise."),
        ('held_out = "a"', "held_out is 'a', of the wrong type."),
        ("size = true", "size is True, of the wrong type."),
        ("size = [", "cannot be read"),
        ("held_out = 0.9", "is 0.9: the share of the test, and again of validation, is above 0 and at most 0.4."),
    ],
)
def test_a_broken_declaration_is_told(lesions: Path, text: str, sentence: str) -> None:
    (lesions / "puce.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(lesions)
    assert caught.value.fact.startswith(sentence)


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"classes": "melanoma, mole"}, "there is no class mole; there are melanoma, nevus, other, wart."),
        ({"classes": "melanoma"}, "is one class; a classifier needs two or more."),
        ({"classes": "a=nevus, b=nevus"}, "nevus is in two classes."),
        ({"classes": "nevus, , wart"}, "'' is no class, or one that is there already."),
        ({"size": "big"}, "is no size of a picture."),
        ({"size": "1x2x3"}, "is no size of a picture."),
        ({"size": 0}, "is no size of a picture."),
    ],
)
def test_a_wish_that_cannot_be_is_told(lesions: Path, wishes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(lesions, **wishes)
    assert caught.value.fact == sentence


def test_a_set_with_a_name_has_its_own_size() -> None:
    with pytest.raises(BadInput, match="this set is as its authors made it"):
        load("digits", size=16)
    assert load("digits", warning="careful").selection.warning == "careful"


def test_classes_are_parsed() -> None:
    assert parse_classes("a, b = c + d d") == {"a": ("a",), "b": ("c", "d d")}


def test_a_cleaned_copy_has_the_merged_classes_and_the_wishes_for_loading(lesions: Path, tmp_path: Path) -> None:
    (lesions / "puce.toml").write_text('size = 16\nwarning = "careful"\n', encoding="utf-8")
    api.check_data(lesions, tmp_path / "copy", classes=CLASSES, held_out=0.25)
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["benign", "left-out.tsv", "melanoma", "puce.toml"]
    again = load(tmp_path / "copy")
    assert again.class_names == ("benign", "melanoma") and again.shape == (16, 16, 3)
    assert again.by_class("test") == (10, 5) and again.selection.warning == "careful"
