# SPDX-License-Identifier: Apache-2.0
"""Zips, CSV lists, groups, and the official files of MNIST and CIFAR: what is read, and what is refused."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from puce.data import load
from puce.data.official import idx, records
from puce.data.splits import connected, joined
from puce.errors import BadInput

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PUCE_DATA", raising=False)


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def class_files(prefix: str = "", each: int = 6) -> dict[str, bytes]:
    return {f"{prefix}{c}/{i}.png": png(100 * k + i) for k, c in enumerate(("chat", "île")) for i in range(each)}


@pytest.mark.parametrize("prefix", ["", "pictures/"])
def test_a_zip_of_pictures_is_a_data_set(tmp_path: Path, prefix: str) -> None:
    extra = {"__MACOSX/x.png": png(7), f"{prefix}.DS_Store": b"x"}
    data = load(zipped(tmp_path / "set.zip", class_files(prefix) | extra))
    assert (data.name, data.class_names, data.shape) == ("set", ("chat", "île"), (9, 9, 3))
    assert len(data.y_train) + len(data.y_validation) + len(data.y_test) == 12
    again = load(tmp_path / "set.zip")
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize("name", ["../outside.png", "/etc/outside.png", "a\\..\\b.png", "C:/x.png"])
def test_a_zip_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="leads out of the folder"):
        load(zipped(tmp_path / "set.zip", class_files() | {name: png(1)}))
    assert not list(tmp_path.rglob("outside.png"))


def test_a_link_in_a_zip_is_only_a_file(tmp_path: Path) -> None:
    """zipfile writes a link's target as text, and that is no picture."""
    path = zipped(tmp_path / "set.zip", class_files())
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("chat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert [s.path for s in load(path).skipped] == ["chat/link.png"]


def test_a_bomb_and_a_broken_zip_are_told(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(300_000_000))
    with pytest.raises(BadInput, match="would unpack to 1 files of 300 MB"):
        load(bomb)
    (tmp_path / "cut.zip").write_bytes(bomb.read_bytes()[:1000])
    with pytest.raises(BadInput, match="cannot be unpacked"):
        load(tmp_path / "cut.zip")
    assert not list((tmp_path / "cache").rglob("*.png"))
    (tmp_path / "notes.txt").write_text("no set")
    with pytest.raises(BadInput, match="is no zip and no CSV list"):
        load(tmp_path / "notes.txt")


def listed(folder: Path, rows: list[str], name: str = "list.csv") -> Path:
    for i in range(30):
        (folder / f"{i:02}.png").write_bytes(png(i))
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_names_files_labels_and_splits(tmp_path: Path, delimiter: str) -> None:
    sides = ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    rows = [delimiter.join(("File", "Label", "Split"))]
    rows += [delimiter.join((f"{i:02}.png", "ab"[i % 2], sides[i])) for i in range(30)]
    data = load(listed(tmp_path, rows))
    assert (len(data.y_train), len(data.y_validation), len(data.y_test)) == (20, 4, 6)
    assert data.names[2] == tuple(f"{i:02}.png" for i in range(24, 30))
    assert data.y_test.tolist() == [0, 1] * 3


@pytest.mark.parametrize("how", ["column", "pattern"])
def test_a_group_is_never_cut(tmp_path: Path, how: str) -> None:
    group = [f"p{i // 3}" for i in range(30)]
    rows = ["file,label,group"] + [f"{i:02}.png,{'ab'[i // 3 % 2]},{group[i] if how == 'column' else ''}" for i in range(30)]
    path = listed(tmp_path, rows)
    if how == "pattern":
        for i in range(30):
            (tmp_path / f"{i:02}.png").rename(tmp_path / f"{group[i]}_{i:02}.png")
        path.write_text("\n".join(["file,label"] + [f"{group[i]}_{i:02}.png,{'ab'[i // 3 % 2]}" for i in range(30)]))
    data = load(path, group=r"^(p\d+)_" if how == "pattern" else None)
    number = {name: group[int(name[-6:-4])] for side in data.names for name in side}
    sides = [{number[name] for name in side} for side in data.names]
    assert all(sides) and not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sum(map(len, data.names)) == 30
    assert any("groups stay in one split" in note for note in data.notes)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["name,label", "00.png,a"], "has no column file"),
        (["file,label", "00.png,"], "has an empty file or label"),
        (["file,label,split", "00.png,a,exam"], "has the split 'exam'"),
        (["file,label", "00.png,a", "01.png,a"], "a classifier needs two classes or more"),
        ([""], "has no column file"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path: Path, rows: list[str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        load(listed(tmp_path, rows))


def test_a_missing_file_of_a_list_is_skipped_and_named(tmp_path: Path) -> None:
    rows = ["file,label"] + [f"{i:02}.png,{'ab'[i % 2]}" for i in range(31)]
    assert [s.path for s in load(listed(tmp_path, rows)).skipped] == ["30.png"]


@pytest.mark.parametrize(("pattern", "sentence"), [("(", "is no regular expression"), ("zebra", "matches no file name")])
def test_a_pattern_that_finds_nothing_is_told(tmp_path: Path, pattern: str, sentence: str) -> None:
    rows = ["file,label"] + [f"{i:02}.png,{'ab'[i % 2]}" for i in range(30)]
    with pytest.raises(BadInput, match=sentence):
        load(listed(tmp_path, rows), group=pattern)


def test_groups_join_through_others() -> None:
    assert connected(5, [(0, 1), (3, 4), (1, 3)]).tolist() == [0, 0, 1, 0, 0]
    assert joined(["a", "b", "a", "c"], ["", "x", "x", ""]).tolist() == [0, 0, 0, 1]


def idx_bytes(array: Array) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_idx_is_read_gzipped_or_not_and_refused_when_cut(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx_bytes(array)))
    assert np.array_equal(idx(tmp_path / "a"), array) and np.array_equal(idx(tmp_path / "b.gz"), array)
    for data in (idx_bytes(array)[:-1], b"", b"\0\0\x08\x09", idx_bytes(array).replace(b"\x08", b"\x0d", 1)):
        (tmp_path / "c").write_bytes(data)
        with pytest.raises(BadInput, match="is no whole IDX file of bytes"):
            idx(tmp_path / "c")


def test_fashion_mnist_comes_from_its_four_files(tmp_path: Path) -> None:
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for side, n in (("train", 60_000), ("t10k", 10_000)):
        pictures = np.broadcast_to(rng.integers(0, 256, (1, 28, 28), np.uint8), (n, 28, 28))
        (folder / f"{side}-images-idx3-ubyte").write_bytes(idx_bytes(np.ascontiguousarray(pictures)))
        (folder / f"{side}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes((np.arange(n) % 10).astype(np.uint8)), 1))
    data = load("fashion_mnist", tmp_path)
    assert data.class_names[9] == "Ankle boot"
    assert (len(data.y_train), len(data.y_validation), len(data.y_test)) == (54_000, 6_000, 10_000)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.full(10_000, 10, np.uint8)), 1))
    with pytest.raises(BadInput, match="has labels from 10 to 10, not 0 to 9"):
        load("fashion_mnist", tmp_path)


def test_cifar100_comes_from_its_archive_with_fine_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    batches = {}
    for name, n in (("train", 50_000), ("test", 10_000)):
        rows = np.repeat(rng.integers(0, 256, (n // 1000, 3074), np.uint8), 1000, axis=0)
        rows[:, 0], rows[:, 1] = 3, np.arange(n) % 100
        batches[name] = rows
    with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, rows in batches.items():
            entry = tarfile.TarInfo(f"cifar-100-binary/{name}.bin")
            entry.size = rows.nbytes
            tar.addfile(entry, io.BytesIO(rows.tobytes()))
    data = load("cifar100", tmp_path)
    assert data.classes == 100 and data.class_names[:2] == ("apple", "aquarium_fish")
    assert data.y_test[:3].tolist() == [0, 1, 2]
    first = batches["test"][0]
    assert data.x_test[0, 4, 7].tolist() == [first[2 + c * 1024 + 4 * 32 + 7] for c in range(3)]
    assert (tmp_path / "cifar-100-binary.tar.gz").exists(), "the user's own archive stays"
    assert (tmp_path / "cache" / "puce" / "cifar100.npz").exists()
    (tmp_path / "part.bin").write_bytes(b"123")
    with pytest.raises(BadInput, match="has 3 bytes, no multiple of 3074"):
        records(tmp_path, 2)
