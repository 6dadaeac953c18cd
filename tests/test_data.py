# SPDX-License-Identifier: Apache-2.0
"""Sets by name, class folders, splits and downloads."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from puce.data import Preprocessing, load, named
from puce.data.download import Source, download
from puce.data.splits import stratified
from puce.errors import BadInput, UnknownName


def test_digits_are_whole_and_split_by_class() -> None:
    data = load("digits")
    assert data.shape == (8, 8, 1)
    assert [len(data.labels(s)) for s in ("train", "validation", "test")] == [1257, 180, 360]
    assert all(abs(k - 18) <= 1 for k in data.by_class("validation"))
    assert all(abs(k - 36) <= 1 for k in data.by_class("test"))
    pictures = np.concatenate([data.x_train, data.x_validation, data.x_test])
    assert len({p.tobytes() for p in pictures}) == 1797, "each picture is in exactly one split"
    assert (int(pictures.min()), int(pictures.max()), len(np.unique(pictures))) == (0, 255, 17)


def test_loading_twice_gives_the_same_fingerprint_and_a_changed_pixel_another() -> None:
    first, second = load("digits"), load("digits")
    assert first.fingerprint == second.fingerprint
    changed = second.x_test.copy()
    changed[0, 0, 0, 0] ^= 1
    third = replace(second, x_test=changed)
    assert third.fingerprint != first.fingerprint


def test_preprocessing_makes_the_int8_input_exact() -> None:
    preprocessing = Preprocessing()
    exact = preprocessing.int8_input
    assert exact == (1 / 255, -128)
    u = np.arange(256, dtype=np.uint8)
    q = np.rint(preprocessing.apply(u) / np.float32(exact[0])) + exact[1]
    assert np.array_equal(q, u.astype(int) - 128)
    assert Preprocessing(2 / 255, -1.0).int8_input is None  # the zero point would be -0.5


def test_stratified_parts_are_disjoint_whole_and_in_proportion() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    parts = stratified(labels, (100, 50))
    assert [len(p) for p in parts] == [100, 50, 850]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(1000))
    assert np.bincount(labels[parts[0]]).tolist() == [70, 20, 10]
    assert np.array_equal(parts[0], stratified(labels, (100, 50))[0])
    assert not np.array_equal(parts[0], stratified(labels, (100, 50), seed=21)[0])


def test_stratified_keeps_groups_together() -> None:
    labels = np.zeros(300, np.int64)
    groups = np.arange(300) // 3
    parts = stratified(labels, (60,), groups=groups)
    assert not set(groups[parts[0]]) & set(groups[parts[1]])
    assert sum(len(p) for p in parts) == 300


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName) as caught:
        load("digit")
    assert str(caught.value) == (
        "digit: no data set or folder has this name. Did you mean digits? "
        "Known: cifar10, cifar100, digits, fashion_mnist, mnist.\n"
        "Name one of these, or a folder with one sub-folder a class."
    )


def _save(path: Path, seed: int, size: tuple[int, int] = (10, 12), grey: bool = False) -> None:
    from PIL import Image

    shape = size if grey else (*size, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


def _class_folder(root: Path, each: int = 10) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(each):
            _save(root / name / f"{i}.png", 100 * label + i)
    return root


def test_class_folder_skips_and_names_what_is_no_picture(tmp_path: Path) -> None:
    folder = _class_folder(tmp_path)
    (folder / ".ipynb_checkpoints").mkdir()
    _save(folder / ".ipynb_checkpoints" / "x.png", 1)
    (folder / "cat" / "notes.txt").write_text("no picture")
    (folder / "cat" / "broken.png").write_bytes((folder / "cat" / "0.png").read_bytes()[:60])
    (folder / "dog" / "page.pdf").write_bytes(b"%PDF-1.4\n")
    data = load(folder)
    assert data.class_names == ("cat", "dog")
    assert data.shape == (10, 12, 3)
    assert len(data.y_train) + len(data.y_validation) + len(data.y_test) == 20
    assert {s.path for s in data.skipped} == {"cat/notes.txt", "cat/broken.png", "dog/page.pdf"}
    assert min(data.by_class("train") + data.by_class("test")) > 0


def test_class_folder_reads_the_pixels_that_are_there(tmp_path: Path) -> None:
    from PIL import Image

    for name, value in (("black", 0), ("white", 255)):
        for i in range(5):
            picture = np.full((4, 4), value, np.uint8)
            picture[0, 0] = 100 + i
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    data = load(tmp_path)
    assert data.shape == (4, 4, 1), "all grey: one channel"
    for x, y in ((data.x_train, data.y_train), (data.x_validation, data.y_validation), (data.x_test, data.y_test)):
        assert np.array_equal(x[:, 1:, 1:].max(axis=(1, 2, 3)), 255 * y)


def test_class_folder_of_mixed_sizes_becomes_one_size_and_says_so(tmp_path: Path) -> None:
    folder = _class_folder(tmp_path)
    _save(folder / "cat" / "large.png", 5, (200, 100))
    data = load(folder)
    assert data.shape == (96, 96, 3)
    assert any("2 size(s) of pictures, brought to 96x96" in note for note in data.notes)
    assert load(folder, size=(16, 20)).shape == (16, 20, 3)


def test_exact_duplicates_never_fall_into_two_splits(tmp_path: Path) -> None:
    folder = _class_folder(tmp_path, each=12)
    for i in range(12):
        (folder / "cat" / f"copy-{i}.png").write_bytes((folder / "cat" / f"{i}.png").read_bytes())
    data = load(folder)
    contents = [{p.tobytes() for p in x} for x in (data.x_train, data.x_validation, data.x_test)]
    assert not (contents[0] & contents[1] or contents[0] & contents[2] or contents[1] & contents[2])


def test_train_and_test_folders_are_kept_and_their_leak_is_told(tmp_path: Path) -> None:
    _class_folder(tmp_path / "Train")
    for label, name in enumerate(("cat", "dog")):
        for i in range(3):
            _save(tmp_path / "Test" / name / f"{i}.png", 100 * label + (i if i == 0 else 50 + i))
    data = load(tmp_path)
    assert (len(data.y_train), len(data.y_validation), len(data.y_test)) == (18, 2, 6)
    assert any(note.startswith("2 test picture(s) are also in the training folder") for note in data.notes)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("puce.data.picture.PIXEL_LIMIT", 150)
    folder = _class_folder(tmp_path)
    _save(folder / "dog" / "bomb.png", 9, (16, 16))
    assert [s.path for s in load(folder).skipped] == ["dog/bomb.png"]


def test_an_empty_class_is_an_error_with_its_place(tmp_path: Path) -> None:
    folder = _class_folder(tmp_path)
    (folder / "mouse").mkdir()
    with pytest.raises(BadInput, match="has 0 usable pictures, 3 at least are needed") as caught:
        load(folder)
    assert caught.value.place == str(folder / "mouse")
    (tmp_path / "lonely" / "cat").mkdir(parents=True)
    with pytest.raises(BadInput, match="has 1 folder of pictures; a classifier needs two classes"):
        load(tmp_path / "lonely")


def test_a_truncated_local_copy_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadInput, match="is not a whole data set") as caught:
        load("mnist", tmp_path)
    assert caught.value.place == str(tmp_path / "mnist.npz")
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(3), y_train=np.zeros(3), x_test=np.zeros(3), y_test=np.zeros(3))
    with pytest.raises(BadInput, match="not uint8"):
        load("mnist", tmp_path)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: the real ones are not asked by tests."""
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", folder
        httpd.shutdown()
        thread.join()


def test_a_download_with_a_wrong_checksum_leaves_nothing(tmp_path: Path, server: tuple[str, Path]) -> None:
    url, folder = server
    (folder / "set.npz").write_bytes(b"not the set")
    target = tmp_path / "cache" / "set.npz"
    with pytest.raises(BadInput, match="it is not the file"):
        download(Source(f"{url}/set.npz", "0" * 64, 11), target, "set", None)
    assert list(target.parent.iterdir()) == []
    right = Source(f"{url}/set.npz", hashlib.sha256(b"not the set").hexdigest(), 11)
    assert download(right, target, "set", None).read_bytes() == b"not the set"


def test_no_network_names_the_places_looked_at_and_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PUCE_DATA", raising=False)
    monkeypatch.setattr(named, "MNIST", Source("http://127.0.0.1:9/mnist.npz", "0" * 64, 1))
    with pytest.raises(BadInput) as caught:
        load("mnist", tmp_path)
    assert f"is not in {tmp_path}, {tmp_path / 'cache' / 'puce'}, and could not be downloaded" in caught.value.fact
    assert "PUCE_DATA or --data-dir" in caught.value.remedy


def test_the_cifar_archive_becomes_pictures_channels_last(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PUCE_DATA", raising=False)
    rng = np.random.default_rng(0)
    batches = {f"data_batch_{i}": _cifar_batch(rng) for i in range(1, 6)} | {"test_batch": _cifar_batch(rng)}
    with tarfile.open(folder / "c.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, batch in batches.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = batch.nbytes
            tar.addfile(entry, io.BytesIO(batch.tobytes()))
    archive = (folder / "c.tar.gz").read_bytes()
    monkeypatch.setattr(named, "CIFAR10", Source(f"{url}/c.tar.gz", hashlib.sha256(archive).hexdigest(), len(archive)))
    data = load("cifar10")
    assert data.x_test.shape == (10_000, 32, 32, 3)
    first = batches["test_batch"][0]
    assert data.y_test[0] == first[0]
    assert data.x_test[0, 2, 5].tolist() == [first[1 + c * 1024 + 2 * 32 + 5] for c in range(3)]
    assert data.notes[0].startswith("CIFAR-10 from a local copy whose pictures are neither")
    assert sorted(p.name for p in (tmp_path / "cache" / "puce").iterdir()) == ["cifar10.npz"]


def _cifar_batch(rng: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    batch = np.repeat(rng.integers(0, 256, (10, 3073), np.uint8), 1000, axis=0)
    batch[:, 0] = np.arange(10_000) % 10
    return batch


@pytest.mark.skipif(
    not (Path(os.environ.get("PUCE_DATA", "/nowhere")) / "cifar10.npz").is_file(), reason="PUCE_DATA has no cifar10.npz"
)
def test_a_local_cifar10_says_which_pictures_it_holds() -> None:
    data = load("cifar10")
    assert data.notes[0].startswith(("JPEG CIFAR-10, quality 75", "CIFAR-10 (Krizhevsky 2009)"))
    assert data.by_class("test") == (1000,) * 10
    assert data.by_class("validation") == (500,) * 10


def test_digits_are_those_of_scikit_learn() -> None:
    bunch = pytest.importorskip("sklearn.datasets", reason="scikit-learn is the witness").load_digits()
    data = load("digits")
    ours = np.concatenate([data.pictures(s).reshape(-1, 64) for s in ("train", "validation", "test")])
    theirs = np.rint(bunch.data * (255 / 16)).astype(np.uint8)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))
