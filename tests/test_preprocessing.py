# SPDX-License-Identifier: Apache-2.0
"""From camera bytes to the int8 input: the emitted C on this computer equals the Python, and the Python equals Pillow."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from puce.build import build_library
from puce.data import Preprocessing, load
from puce.data.preprocessing import Box, Camera, Format, Frame, fitted, grey, pixels, resize, taps
from puce.emit.preprocess import camera_files, ram_bytes
from puce.errors import BadInput, UnknownName

Array = np.ndarray[Any, np.dtype[Any]]
TABLE = tuple(u - 128 for u in range(256))
ODD = tuple(int(v) for v in np.random.default_rng(5).integers(-128, 128, 256))
PICTURES = 400

CASES = [
    (Frame(kind, *size), shape, TABLE if i % 2 else ODD)
    for kind in get_args(Format)
    for i, (size, shape) in enumerate(
        [((30, 40), (12, 12, 3)), ((24, 32), (24, 32, 1)), ((9, 14), (20, 17, 3)), ((40, 22), (8, 31, 1)), ((1, 2), (3, 3, 3))]
    )
]


def frames_of(frame: Frame, n: int, seed: int) -> Array:
    """Random bytes, and the extremes, which overflow first."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (n, frame.height * frame.row_bytes), np.uint8)
    frames[0], frames[1] = 0, 255
    frames[2] = rng.integers(0, 2, frames.shape[1]) * 255
    return frames


@pytest.mark.parametrize(("frame", "shape", "table"), CASES, ids=lambda v: v.format if isinstance(v, Frame) else None)
def test_the_c_equals_the_python(frame: Frame, shape: tuple[int, int, int], table: tuple[int, ...], tmp_path: Path) -> None:
    camera = Camera.centred(frame, shape, table)
    for name, text in camera_files(camera, "cam").items():
        (tmp_path / name).write_text(text)
    sources = [tmp_path / "cam_camera.c", tmp_path / "cam_camera_self_test.c"]
    library = ctypes.CDLL(str(build_library(sources, tmp_path, tmp_path / "cam.so", sanitize=True)))
    assert library.cam_camera_self_test() == 0
    frames = frames_of(frame, PICTURES, seed=frame.width)
    expected = camera.apply(frames)
    found = np.empty_like(expected)
    for bytes_, out in zip(frames, found, strict=True):
        library.cam_from_camera(bytes_.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
    assert expected.shape == (PICTURES, *shape)
    assert np.array_equal(found, expected), f"{int((found != expected).sum())} bytes differ"
    assert len(np.unique(expected)) > 20, "a constant picture proves nothing"


def test_the_header_tells_the_ram_and_the_same_declaration_gives_the_same_file() -> None:
    camera = Camera.centred(Frame("rgb565", 120, 160), (96, 96, 3), TABLE)
    first, second = camera_files(camera, "lens"), camera_files(camera, "lens")
    assert first == second
    assert set(first) == {
        "lens_camera.c", "lens_camera.h", "lens_camera_self_test.c", "preprocess.h", "puce_kernel.h",
    }  # fmt: skip
    assert ram_bytes(camera) == 120 * 3 + 3 * 96 * 3 + 8
    wrong = first["lens_camera_self_test.c"]
    assert (
        wrong
        != camera_files(Camera.centred(Frame("rgb565be", 120, 160), (96, 96, 3), TABLE), "lens")["lens_camera_self_test.c"]
    )
    assert "float" not in first["lens_camera.c"] and "double" not in first["lens_camera.c"]


@pytest.mark.parametrize("seed", range(60))
def test_resize_is_pillow_s_bilinear(seed: int) -> None:
    """Pass by pass: Pillow by itself takes the rows first where the height shrinks more."""
    rng = np.random.default_rng(seed)
    h, w, oh, ow = (int(v) for v in rng.integers(1, 90, 4))
    channels = (1, 3)[seed % 2]
    picture = rng.integers(0, 256, (h, w, channels), np.uint8)
    image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    columns = image.resize((ow, h), Image.Resampling.BILINEAR)
    theirs = np.asarray(columns.resize((ow, oh), Image.Resampling.BILINEAR)).reshape(oh, ow, channels)
    assert np.array_equal(resize(picture, (oh, ow)), theirs), (h, w, oh, ow)
    batch = np.stack([picture, picture[::-1]])
    assert np.array_equal(resize(batch, (oh, ow))[0], theirs)


@pytest.mark.parametrize(("n", "m"), [(240, 96), (120, 96), (180, 48), (28, 96)])
def test_a_square_is_one_call_of_pillow(n: int, m: int) -> None:
    picture = np.random.default_rng(n).integers(0, 256, (n, n, 3), np.uint8)
    theirs = np.asarray(Image.fromarray(picture).resize((m, m), Image.Resampling.BILINEAR))
    assert np.array_equal(resize(picture, (m, m)), theirs)


def test_grey_is_pillow_s() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    assert np.array_equal(grey(rgb)[:, :, 0], np.asarray(Image.fromarray(rgb).convert("L")))


def test_colours_of_known_words() -> None:
    def one(kind: Format, *data: int, channels: int = 3) -> list[list[int]]:
        found: list[list[int]] = pixels(np.array([[data]], np.uint8), Frame(kind, 1, 2), channels)[0, 0].tolist()
        return found

    assert one("rgb565", 0x00, 0xF8, 0xE0, 0x07) == [[255, 0, 0], [0, 255, 0]]
    assert one("rgb565be", 0xF8, 0x00, 0x00, 0x1F) == [[255, 0, 0], [0, 0, 255]]
    assert one("yuyv", 128, 128, 77, 128) == [[128] * 3, [77] * 3]
    assert one("uyvy", 128, 128, 128, 77, channels=1) == [[128], [77]]
    # Red in JPEG's full-range BT.601: Y 76, Cb 85, Cr 255.
    assert one("yuyv", 76, 85, 76, 255) == [[254, 0, 0], [254, 0, 0]]
    assert one("grey", 9, 200) == [[9] * 3, [200] * 3]


def test_weights_add_up_and_stay_inside() -> None:
    for n in (1, 2, 7, 96, 240):
        for m in (1, 3, 32, 96, 240):
            found = taps(n, m)
            assert abs(found.weights.sum(axis=1) - (1 << 22)).max() <= found.count
            assert (found.first.astype(int) + found.count <= n).all()
            assert (np.diff(found.first.astype(int)) >= 0).all(), "rows are asked for from the top"
    assert taps(5, 5).count == 1


def test_the_crop_is_the_largest_of_its_aspect_in_the_middle() -> None:
    assert Box.centred(120, 160, (96, 96)) == Box(0, 20, 120, 120)
    assert Box.centred(160, 120, (96, 96)) == Box(20, 0, 120, 120)
    assert Box.centred(120, 160, (48, 64)) == Box(0, 0, 120, 160)
    assert Box.centred(3, 1, (50, 100)) == Box(1, 0, 1, 1)
    picture = np.zeros((20, 40, 1), np.uint8)
    picture[:, 10:30] = 255
    assert (fitted(picture, (8, 8)) == 255).all()


def test_pictures_of_a_folder_take_the_same_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    originals = {}
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4):
            picture = rng.integers(0, 256, (30 + i, 50, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
            originals[f"{name}/{i}.png"] = picture
    data = load(tmp_path, size=(16, 16))
    for i in range(len(data.x_train)):
        original = originals[data.name_of("train", i)]
        frame = Frame("rgb888", *original.shape[:2])
        camera = Camera.centred(frame, data.shape, TABLE)
        assert np.array_equal(camera.apply(original.reshape(1, -1))[0], data.x_train[i].astype(int) - 128)
    assert Preprocessing().int8_input == (1 / 255, -128)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [("rgb565", BadInput, "is no camera frame"), ("rgb566:8x8", UnknownName, "Did you mean rgb565"),
     ("yuyv:7x8", BadInput, "the width is even"), ("grey:0x8", BadInput, "1 to 4096")],
)  # fmt: skip
def test_a_frame_that_is_none_is_told(text: str, kind: type[BadInput], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        Frame.parse(text)


def test_a_crop_outside_the_frame_is_told() -> None:
    with pytest.raises(BadInput, match="is not inside the frame"):
        Camera(Frame.parse("grey:8x8"), Box(4, 0, 5, 8), (4, 4, 1), TABLE)
