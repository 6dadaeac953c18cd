# SPDX-License-Identifier: Apache-2.0
"""`puce data check`: each kind of trouble is found in a set made to have it, and in no clean one; the copy is clean."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from puce import api
from puce.data import Check, check, listing, load
from puce.errors import BadInput
from puce.evaluate import Accuracy
from puce.run import DataRecord, Run

Array = np.ndarray[Any, np.dtype[Any]]


def scene(seed: int, shape: tuple[int, int] = (64, 80)) -> Array:
    """A picture with structure at several scales, its colours independent of any class."""
    rng, (h, w) = np.random.default_rng(seed), shape
    picture = np.zeros((h, w, 3))
    for cells in (4, 9, 20):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        picture += np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC), np.float64)
    return (picture / 3).astype(np.uint8)


def save(path: Path, picture: Array, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def clean_set(root: Path, each: int = 12) -> Path:
    for k, name in enumerate(("cat", "dog")):
        for i in range(each):
            save(root / name / f"{i:02}.png", scene(1000 * k + i))
    return root


def found(place: Path, **options: Any) -> Check:
    return check(listing(place, options.pop("group", None)), **options)


def finding(result: Check, kind: str) -> Any:
    matches = [f for f in result.findings if f.kind == kind]
    assert len(matches) == 1, [f.kind for f in result.findings]
    return matches[0]


def bomb(path: Path, side: int = 20_000) -> None:
    """A PNG of side x side black pixels in one bit each: small on disk, 400 million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((side // 8 + 1) * side), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def test_a_clean_set_is_ok(tmp_path: Path) -> None:
    result = found(clean_set(tmp_path / "set"))
    assert result.ok and not result.exact and not result.near
    assert "Nothing here spoils a training." in str(result)


def test_every_unusable_file_is_named_and_training_goes_on(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set", each=15)
    (folder / "cat" / "text.jpg").write_text("no picture at all")
    whole = io.BytesIO()
    Image.fromarray(scene(7)).save(whole, "JPEG")
    (folder / "cat" / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    Image.fromarray(scene(8)).convert("CMYK").save(folder / "dog" / "print.jpg")
    bomb(folder / "dog" / "bomb.png")
    save(folder / ".ipynb_checkpoints" / "x.png", scene(9))
    save(folder / "dog" / ".ipynb_checkpoints" / "y.png", scene(10))
    result = found(folder)
    reasons = {s.path: s.reason for s in result.facts.unusable}
    assert set(reasons) == {"cat/text.jpg", "cat/cut.jpg", "dog/print.jpg", "dog/bomb.png"}
    assert reasons["cat/text.jpg"].startswith("not a picture in JPEG")
    assert reasons["cat/cut.jpg"].startswith("broken picture (image file is truncated")
    assert reasons["dog/print.jpg"] == "CMYK, colours of print that no screen defines: save it as RGB"
    assert "million" in reasons["dog/bomb.png"]
    assert result.facts.hidden == (".ipynb_checkpoints/", "dog/.ipynb_checkpoints/")
    assert finding(result, "hidden").items == result.facts.hidden
    data = load(folder)
    assert data.class_names == ("cat", "dog")
    assert sum(len(data.labels(s)) for s in ("train", "validation", "test")) == 30
    result_of_training = api.train(str(folder), "tiny-linear", epochs=1, out=tmp_path / "runs")
    record = Run.open(result_of_training.run).get(DataRecord)
    assert record is not None and (record.train.total, record.validation.total, record.test.total) == (24, 3, 3)
    assert {line.split(":")[0] for line in record.skipped} == set(reasons)


def test_copies_are_told_by_class_and_split(tmp_path: Path) -> None:
    clean_set(tmp_path / "Train")
    for k, name in enumerate(("cat", "dog")):
        for i in range(10):
            save(tmp_path / "Test" / name / f"t{i}.png", scene(5000 + 100 * k + i))
    save(tmp_path / "Train" / "cat" / "again.bmp", scene(3))  # cat/03 in another format: the pixels count
    save(tmp_path / "Train" / "dog" / "wrong.png", scene(4))  # cat/04 under dog
    save(tmp_path / "Test" / "dog" / "leak.png", scene(1005))  # train's dog/05
    result = found(tmp_path)
    document = result.as_json()["duplicates"]
    assert {k: document[k] for k in ("groups", "across_classes", "across_splits")} == {
        "groups": 3,
        "across_classes": 1,
        "across_splits": 1,
    }
    assert finding(result, "double_labelled").items == ("Train/cat/04.png = Train/dog/wrong.png",)
    assert set(finding(result, "leak").items[0].split(" = ")) == {"Test/dog/leak.png", "Train/dog/05.png"}
    assert not result.ok
    json.dumps(result.as_json(), allow_nan=False)


def test_near_duplicates_survive_size_quality_and_light(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set")
    original = Image.fromarray(scene(2))
    original.save(folder / "cat" / "jpeg.jpg", quality=60)
    original.resize((40, 32), Image.Resampling.BILINEAR).save(folder / "cat" / "half.png")
    Image.fromarray((scene(2) * 0.85 + 10).astype(np.uint8)).save(folder / "cat" / "darker.png")
    result = found(folder)
    assert not result.exact
    (group,) = result.near
    assert set(group.names) == {"cat/02.png", "cat/jpeg.jpg", "cat/half.png", "cat/darker.png"}


def test_another_hue_and_flat_pictures_are_no_copies(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set")
    save(folder / "cat" / "hue.png", scene(2)[:, :, [2, 0, 1]])
    for i in range(3):
        save(folder / "dog" / f"flat{i}.png", np.full((64, 80, 3), 100 + i, np.uint8))
    result = found(folder)
    assert not result.near and not result.exact


def test_classes_that_differ_by_background_are_a_shortcut(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set", each=40)
    for path in sorted((folder / "dog").iterdir()):
        picture = np.asarray(Image.open(path)).copy()
        picture[:10] = picture[:10] // 8 + 200  # the second camera's sky
        save(path, picture)
    spoilt = finding(found(folder), "shortcut")
    assert spoilt.spoils and "differ by background, light or camera" in spoilt.fact


def test_a_network_that_is_no_better_than_the_colours_is_doubted(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set", each=40)
    colours = found(folder).shortcuts[0]
    assert not colours.spoils and colours.accuracy.value < 0.75
    doubted = found(folder, network=Accuracy.of(50, 80)).shortcuts[0]
    assert doubted.spoils and "the network 62.50" in doubted.verdict
    assert not found(folder, network=Accuracy.of(79, 80)).shortcuts[0].spoils


def test_files_of_two_makes_are_a_shortcut(tmp_path: Path) -> None:
    for k, name in enumerate(("cat", "dog")):
        for i in range(20):
            save(tmp_path / name / f"{i}.jpg", scene(100 * k + i), quality=95 if k else 60)
    result = found(tmp_path)
    assert [s.spoils for s in result.shortcuts] == [False, True]
    assert result.shortcuts[1].verdict.startswith(
        "A linear classifier that sees only size, format, colour mode and JPEG quality"
    )


def test_imbalance_few_pictures_odd_shapes_and_modes(tmp_path: Path) -> None:
    folder = clean_set(tmp_path / "set", each=100)
    for i in range(91):
        (folder / "dog" / f"{i:02}.png").unlink()
    save(folder / "cat" / "wide.png", scene(1, (40, 200)))
    save(folder / "cat" / "small.png", scene(2, (15, 18)))
    Image.fromarray(scene(3)).convert("L").save(folder / "cat" / "grey.png")
    result = found(folder)
    assert finding(result, "imbalance").spoils
    assert finding(result, "few").items == ("dog: 9",)
    assert finding(result, "odd_sizes").items == ("cat/wide.png: 40x200",)
    assert finding(result, "small").items == ("cat/small.png: 15x18",)
    assert finding(result, "modes").items == ("cat/grey.png: L",)


def test_the_cleaned_copy_is_clean_and_the_original_untouched(tmp_path: Path) -> None:
    source, target = clean_set(tmp_path / "set"), tmp_path / "clean"
    save(source / "cat" / "again.png", scene(3))
    save(source / "dog" / "wrong.png", scene(4))
    (source / "dog" / "text.jpg").write_text("no picture")
    before = {p: p.read_bytes() for p in source.rglob("*") if p.is_file()}
    result = api.check_data(source, target)
    assert {p: p.read_bytes() for p in source.rglob("*") if p.is_file()} == before
    again = found(target)
    assert again.ok and not again.exact and not again.facts.unusable
    assert len(again.facts.pictures) == 23  # of 24: cat/04 went, for dog/wrong says otherwise
    assert {s.path for s in result.left_out} == {"cat/04.png", "cat/again.png", "dog/text.jpg", "dog/wrong.png"}
    rows = (target / "left-out.tsv").read_text().splitlines()
    assert rows[0] == "file\treason" and "cat/again.png\tthe same picture as cat/03.png" in rows
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clean", "set"]


@pytest.mark.parametrize("target", ["set/inside", "set", "other"])
def test_a_copy_never_lands_on_something(tmp_path: Path, target: str) -> None:
    clean_set(tmp_path / "set", each=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("mine")
    with pytest.raises(BadInput, match=r"is there already|lies in the original"):
        api.check_data(tmp_path / "set", tmp_path / target)
    assert (tmp_path / "other" / "precious").read_text() == "mine"


def test_a_group_that_a_given_split_cuts_is_a_leak(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / f"{i}.png", scene(i))
    rows = [f"{i}.png,{'ab'[i % 2]},{'test' if i < 20 else 'train'},p{i // 4}" for i in range(40)]
    rows[20] = "20.png,a,train,p0"
    (tmp_path / "list.csv").write_text("\n".join(["file,label,split,group", *rows]))
    assert finding(found(tmp_path / "list.csv"), "group_leak").items == ("p0",)


def test_a_set_in_memory_is_checked_too() -> None:
    result = api.check_data("digits")
    assert len(result.facts.pictures) == 1797
    assert "too small or too alike" in finding(result, "near_duplicates").fact
    with pytest.raises(BadInput, match="is no folder of files"):
        api.check_data("digits", "somewhere")


def test_isic_has_the_known_copies(shared_data: Path, tmp_path: Path) -> None:
    archive = shared_data / "skin" / "isic9.tar"
    if not archive.is_file():
        pytest.skip("shared/data/skin/isic9.tar is not there")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "set", filter="data")
    result = api.check_data(next(p.parent for p in (tmp_path / "set").rglob("Train")), tmp_path / "clean")
    document = result.as_json()["duplicates"]
    assert (document["groups"], document["across_classes"], document["across_splits"]) == (159, 155, 18)
    assert not found(tmp_path / "clean").exact
