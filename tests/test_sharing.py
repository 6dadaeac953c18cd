# SPDX-License-Identifier: Apache-2.0
"""Layers that share the code of a kernel: the same answers in less flash, on the host and on the emulated core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import Builder, pictures

from puce.boards import load
from puce.build import Sizes, build_firmware, build_library
from puce.device import Emulator, Host
from puce.emit import Sources, emit
from puce.emit.shared import Sharing, prototypes, separated
from puce.ir import Graph
from puce.schedule import plan

BOARD = load("nucleo-l4r5zi")


def network() -> Graph:
    """Four separable blocks with different sizes: what MobileNet is made of."""
    b = Builder(np.random.default_rng(7))
    x = b.input(16, 16, 4)
    for i, channels in enumerate((8, 8, 12, 16)):
        x = b.conv(b.depthwise(x, stride=1 + i % 2), channels, k=1, fused="relu")
    return b.graph(b.dense(b.mean(x), 5), name="blocks")


def write(graph: Graph, sharing: Sharing, folder: Path) -> tuple[Sources, list[Path]]:
    sources = emit(graph, plan(graph, features=BOARD.core.features), "blocks", sharing=sharing)
    folder.mkdir()
    for name, text in sources.files.items():
        (folder / name).write_text(text)
    return sources, [folder / c for c in sources.compiled]


def test_sharing_changes_no_answer_and_makes_the_firmware_smaller(tmp_path: Path) -> None:
    graph, sizes = network(), dict[Sharing, Sizes]()
    shown = pictures(graph, 4)
    expected = graph.evaluate(shown)[0]
    for sharing in ("none", "equal", "similar"):
        folder = tmp_path / sharing
        _, files = write(graph, sharing, folder)
        built = build_firmware(files, folder, BOARD, tmp_path / f"{sharing}.elf")
        sizes[sharing] = built.sizes
        library = build_library(files, folder, folder / "host.so", sanitize=True)
        with Emulator(built.elf, BOARD) as core, Host(library, folder / "puce_model.h") as host:
            for picture, answer in zip(shown, expected, strict=True):
                assert core.run(picture.tobytes(), "int8").outputs == answer.tobytes()
                assert host.run(picture.tobytes(), "int8").outputs == answer.tobytes()
    assert sizes["similar"].text < 0.9 * sizes["none"].text, sizes
    assert sizes["equal"].flash <= sizes["none"].flash, sizes


def test_layers_that_share_say_what_their_sizes_have_in_common(tmp_path: Path) -> None:
    sources, _ = write(network(), "similar", tmp_path / "c")
    text = sources.files["blocks.c"]
    assert "/* The code of 4 layers; what differs between them is a parameter. */" in text
    assert "if (c < 4 || c > 12 || c % 4) __builtin_unreachable();" in text
    assert text.count("find_rows_int8_t(x, 3, ") == 4
    assert "PUCE_SHARED" not in emit(network(), plan(network()), "blocks", sharing="none").files["blocks.c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("1, 2", ["1", "2"]),
        ("/*stride, left*/ 1, -1, f(2, 3), 1.5f", ["/*stride, left*/ 1", "-1", "f(2, 3)", "1.5f"]),
    ],
)
def test_arguments_are_separated_at_their_commas(text: str, expected: list[str]) -> None:
    assert separated(text) == expected


def test_prototypes_are_read_from_the_headers() -> None:
    text = "PUCE_KERNEL void k(const int8_t *const *x, int8_t *y,\n                   int c)\n{\n}\n"
    assert prototypes([text]) == {"k": (("const int8_t *const *", "x"), ("int8_t *", "y"), ("int", "c"))}
    assert prototypes(["PUCE_KERNEL void k(int (*f)(int))\n{\n"]) == {}
