# SPDX-License-Identifier: Apache-2.0
"""Whole networks from graph to answer: C on this computer and firmware on the emulated core, against the reference.

Also what the compiler promised: bytes before linking, the stack's depth, the same files for the same model.
"""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import Builder, pictures, random_graph, residual

from puce import boards
from puce.build import build_library
from puce.compiler import Compiled, compile_graph, lower
from puce.device import Emulator
from puce.divergence import first_divergence
from puce.emit import emit
from puce.emit.names import identifier, unique
from puce.ir import Array, Graph
from puce.schedule import plan

BOARD = "stm32l4r9i-disco"


def answers_of_host(graph: Graph, folder: Path, x: Array, *, fed: bool = False) -> Array:
    """Outputs of the generated C on this computer, built with the undefined-behaviour sanitizer."""
    compiled = compile_graph(graph, folder, name="net", fed_by_rows=fed)
    library = ctypes.CDLL(str(build_library([folder / "net.c"], folder, folder / "net.so", sanitize=True)))
    library.net_run.restype = ctypes.c_void_p
    y = compiled.graph.tensors[compiled.graph.outputs[0]]
    rows = [np.ascontiguousarray(p) for p in x]
    raw = [ctypes.string_at(library.net_run(ctypes.c_void_p(r.ctypes.data)), y.nbytes) for r in rows]
    return np.stack([np.frombuffer(r, y.dtype).reshape(y.shape) for r in raw])


def assert_equal(got: Array, want: Array, what: str) -> None:
    if want.dtype == np.float32:
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * float(np.abs(want).max()), err_msg=what)
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


FAST, SLOW = range(8), range(8, 308)


@pytest.mark.parametrize("seed", [*FAST, *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)])
def test_random_networks_on_this_computer(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    x = pictures(graph, 3, seed)
    (want,) = graph.evaluate(x)
    fed = bool(seed % 2)
    assert_equal(answers_of_host(graph, tmp_path, x, fed=fed), want, f"random_graph({seed}), fed by rows: {fed}\n{graph}")


@pytest.mark.parametrize("fed", [False, True])
def test_a_network_of_views_alone_has_no_layer_to_call(tmp_path: Path, fed: bool) -> None:
    b = Builder(np.random.default_rng(0), "int8")
    graph = b.graph(b.flatten(b.input(3, 4, 2)))
    x = pictures(graph, 2)
    assert_equal(answers_of_host(graph, tmp_path, x, fed=fed), x.reshape(2, -1), "a reshape")


@pytest.mark.parametrize("seed", [0, 3, *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 40))])
def test_random_networks_on_the_emulated_core(seed: int, tmp_path: Path) -> None:
    graph, board = random_graph(seed), boards.load(BOARD)
    compiled = compile_graph(graph, tmp_path, board, name="net", fed_by_rows=bool(seed % 2))
    assert compiled.elf and compiled.linked and compiled.promised
    x = pictures(graph, 2, seed)
    (want,) = graph.evaluate(x)
    with Emulator(compiled.elf, board) as device:
        for i in range(2):
            reply = device.run(x[i].tobytes(), graph.tensors["picture"].dtype)  # type: ignore[arg-type]
            assert_equal(np.frombuffer(reply.outputs, want.dtype).reshape(want[i].shape), want[i], f"random_graph({seed})")
        assert 0 < device.stack_used() <= compiled.promised.ram.stack
    assert compiled.linked.flash.total <= compiled.promised.flash.total
    assert compiled.linked.ram.total <= compiled.promised.ram.total


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_graph(residual(), tmp_path_factory.mktemp("residual"), boards.load(BOARD), name="residual")


def test_the_same_model_gives_the_same_files(firmware: Compiled, tmp_path: Path) -> None:
    again = compile_graph(residual(), tmp_path, boards.load(BOARD), name="residual")
    assert again.sources.files == firmware.sources.files
    assert firmware.elf and again.elf and again.elf.read_bytes() == firmware.elf.read_bytes()


def test_the_same_picture_gives_the_same_answer_whatever_ran_before(firmware: Compiled) -> None:
    assert firmware.elf and firmware.board
    x = pictures(firmware.graph, 3)
    with Emulator(firmware.elf, firmware.board) as device:
        first, *_, last = (device.run(x[i].tobytes(), "int8").outputs for i in (0, 1, 2, 0))
    assert first == last


def test_every_layer_is_right_row_by_row(firmware: Compiled) -> None:
    assert first_divergence(firmware, pictures(firmware.graph, 1)[0]) is None


def test_a_wrong_layer_is_named(firmware: Compiled, tmp_path: Path) -> None:
    graph = residual()
    node = graph.nodes[4]
    w = graph.tensors[node.inputs[1]]
    assert w.data is not None
    data = w.data.copy()
    data[2] = -data[2]
    other = replace(graph, tensors={**graph.tensors, w.name: replace(w, data=data)})
    wrong = compile_graph(other, tmp_path, firmware.board, name="wrong")
    said = first_divergence(replace(wrong, graph=lower(graph)), pictures(graph, 1)[0])
    assert said is not None and said.startswith(f"{node.name} is the first layer that differs: row 0, ")


def test_the_self_test_passes_on_the_host_and_says_which_value_is_wrong(tmp_path: Path) -> None:
    compiled = compile_graph(residual(), tmp_path, name="net")
    files = [tmp_path / "net.c", tmp_path / "net_self_test.c"]
    assert ctypes.CDLL(str(build_library(files, tmp_path, tmp_path / "right.so"))).net_self_test() == 0
    text = compiled.sources.files["net_self_test.c"]
    start = text.index("{", text.index("expected[")) + 1
    files[1].write_text(text[:start] + text[start:].replace(",", " + 1,", 1))
    assert ctypes.CDLL(str(build_library(files, tmp_path, tmp_path / "wrong.so"))).net_self_test() == 1


def test_gcc_compiles_it_without_a_warning(tmp_path: Path) -> None:
    compile_graph(residual(), tmp_path, name="net")
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
    for file in ("net.c", "net_self_test.c"):
        subprocess.run(["gcc", *flags, "-c", str(tmp_path / file), "-o", str(tmp_path / "x.o")], check=True)


def test_several_banks_hold_what_one_cannot(tmp_path: Path) -> None:
    board = boards.load(BOARD)
    small = replace(board, banks=(replace(board.banks[0], bytes=9000), replace(board.banks[1], bytes=4096)))
    graph = residual(size=24)
    compiled = compile_graph(graph, tmp_path, small, name="net")
    assert compiled.elf and all(used > 0 for used in compiled.schedule.bank_bytes.values())
    x = pictures(graph, 1)
    with Emulator(compiled.elf, small) as device:
        assert device.run(x[0].tobytes(), "int8").outputs == graph.evaluate(x)[0][0].tobytes()


NAMES = ["conv2d/Conv2D", "class", "2nd", "naïve", "*/ evil", "a-b", "a_b", "", "Ünïcode", "next", "A B"]


def test_identifiers_are_legal_and_distinct() -> None:
    ids = unique(NAMES)
    assert len(set(ids.values())) == len(NAMES)
    assert all(i.isidentifier() and i.isascii() for i in ids.values())
    assert identifier("while") == "n_while"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_layer_breaks_the_c(name: str, tmp_path: Path) -> None:
    graph = residual()
    first = replace(graph.nodes[0], name=name, origin=name)
    sources = emit(graph.replaced((first, *graph.nodes[1:])), plan(graph.replaced((first, *graph.nodes[1:]))), "net")
    for file, text in sources.files.items():
        (tmp_path / file).write_text(text)
    build_library([tmp_path / "net.c"], tmp_path, tmp_path / "net.so")
