# SPDX-License-Identifier: Apache-2.0
"""Random whole networks, proved and bit-identical: the reference, C on this computer, firmware on the emulated core.

A failure prints the seed: `pytest tests/test_random_graphs.py -k 'computer and 123'` repeats it.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from networks import pictures, random_network

from puce import boards
from puce.build import build_library
from puce.compiler import compile_graph
from puce.device import Emulator
from puce.ir import C_TYPE, Array, Graph, Tensor
from puce.schedule import prove

FAST, SLOW = range(12), range(12, 320)
BOARDS = ("nucleo-l4r5zi", "raspberry-pi-pico", "nucleo-u575zi-q", "nucleo-h743zi")
COUNT = 2

# A process of its own: a trap of the sanitizer ends it, and the test can still say which network it was.
CALLER = """
import ctypes, pathlib, sys
folder, inputs, sizes = pathlib.Path(sys.argv[1]), int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
net = ctypes.CDLL(str(folder / "net.so"))
contents = [(folder / f"in_{i}").read_bytes() for i in range(inputs)]
words = [(ctypes.c_uint64 * (len(c) // 8 + 1)).from_buffer_copy(c.ljust(8 * (len(c) // 8 + 1))) for c in contents]
for i, size in enumerate(sizes):
    function = net[f"net_output_{i}" if i else "net_run"]
    function.restype = ctypes.c_void_p
    where = function(*(() if i else words))
    (folder / f"out_{i}").write_bytes(ctypes.string_at(where, size))
"""


@dataclass(frozen=True)
class Case:
    """A network, `COUNT` pictures for each of its inputs, and what the reference makes of them."""

    seed: int
    graph: Graph
    shown: tuple[Array, ...]
    expected: tuple[Array, ...]
    allowed: float  # float32 sums in another order part by a share of the loudest activation that grows with their length
    fed_by_rows: bool

    @classmethod
    def of(cls, seed: int) -> Case:
        graph = random_network(seed)
        shown = tuple(pictures(graph, COUNT, seed, i) for i in range(len(graph.inputs)))
        every = graph.evaluate_all(*shown)
        loudest = max(float(np.abs(v).max()) for v in every.values())
        longest = max(n.op.macs(graph.call(n)) / graph.call(n).y.size for n in graph.nodes)
        expected = tuple(every[name] for name in graph.outputs)
        allowed = loudest * (2e-6 + 2e-7 * longest**0.5)
        return cls(seed, graph, shown, expected, allowed, seed % 3 == 1 and len(graph.inputs) == 1)

    def check(self, got: bytes, output: int, picture: int, where: str) -> None:
        """int8 must be equal; float32 sums may be in another order than NumPy's."""
        want = self.expected[output][picture]
        values = np.frombuffer(got, want.dtype).reshape(want.shape)
        said = f"random_network({self.seed}), fed by rows: {self.fed_by_rows}, output {output} {where}\n{self.graph}"
        if want.dtype == np.float32:
            np.testing.assert_allclose(values, want, rtol=0, atol=self.allowed, err_msg=said)
        else:
            np.testing.assert_array_equal(values, want, err_msg=said)


def slow(seeds: range) -> list[object]:
    return [pytest.param(seed, marks=pytest.mark.slow) for seed in seeds]


@pytest.mark.parametrize("seed", [*FAST, *slow(SLOW)])
def test_on_this_computer(seed: int, tmp_path: Path) -> None:
    """Every output, under the undefined-behaviour sanitizer; the schedule is proved again here."""
    case = Case.of(seed)
    compiled = compile_graph(case.graph, tmp_path, name="net", fed_by_rows=case.fed_by_rows)
    assert prove(compiled.graph, compiled.schedule) == compiled.proof
    build_library([tmp_path / "net.c"], tmp_path, tmp_path / "net.so", sanitize=True)
    outputs = [compiled.graph.tensors[name] for name in compiled.graph.outputs]
    for i in range(COUNT):
        for j, x in enumerate(case.shown):
            (tmp_path / f"in_{j}").write_bytes(x[i].tobytes())
        sizes = [str(t.nbytes) for t in outputs]
        words = [sys.executable, "-c", CALLER, str(tmp_path), str(len(case.shown)), *sizes]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"random_network({seed}) died ({done.returncode}): {done.stderr[-500:]}\n{case.graph}"
        for j in range(len(outputs)):
            case.check((tmp_path / f"out_{j}").read_bytes(), j, i, "on this computer")


@pytest.mark.parametrize("seed", [*FAST[:3], *slow(SLOW[::9])])
def test_on_the_emulated_core(seed: int, tmp_path: Path) -> None:
    """The first output, for as many inputs as there are; a tenth of the seeds, the cores taken in turn."""
    case, board = Case.of(seed), boards.load(BOARDS[seed % len(BOARDS)])
    compiled = compile_graph(case.graph, tmp_path, board, name="net", fed_by_rows=case.fed_by_rows)
    assert compiled.elf and compiled.linked and compiled.promised
    inputs = [compiled.graph.tensors[name] for name in compiled.graph.inputs]
    with Emulator(compiled.elf, board) as device:
        for i in range(COUNT):
            if len(inputs) == 1:
                kind: object = inputs[0].dtype
                got = device.run(case.shown[0][i].tobytes(), kind).outputs  # type: ignore[arg-type]
            else:
                got = _run_with_several_inputs(device, compiled.graph, [x[i] for x in case.shown])
            case.check(got, 0, i, f"on {board.name}")
        assert 0 < device.stack_used() <= compiled.promised.ram.stack, f"random_network({seed})"
    assert compiled.linked.flash.total <= compiled.promised.flash.total, f"random_network({seed})"
    assert compiled.linked.ram.total <= compiled.promised.ram.total, f"random_network({seed})"


def _run_with_several_inputs(device: Emulator, graph: Graph, shown: list[Array]) -> bytes:
    """What a program does that fills the inputs where they lie."""
    places = [device.call("net_input" + (f"_{i}" if i else "")) for i in range(len(shown))]
    for place, picture in zip(places, shown, strict=True):
        device.write(place, picture.tobytes())
    y: Tensor = graph.tensors[graph.outputs[0]]
    return device.read(device.call("net_run", *places), y.nbytes)


def test_the_networks_hold_what_networks_hold() -> None:
    """The generator is worth nothing where it never makes what could go wrong."""
    graphs = [random_network(seed) for seed in range(320)]
    found = Counter(node.op.name for g in graphs for node in g.nodes)
    every = "conv_2d depthwise_conv_2d dense add concatenation max_pool_2d average_pool_2d mean pad relu softmax reshape"
    assert all(found[name] >= 30 for name in every.split()), found
    first = [g.tensors[g.inputs[0]] for g in graphs]
    assert {t.dtype for t in first} == {"int8", "float32"} and all(t.dtype in C_TYPE for t in first)
    assert sum(len(g.inputs) > 1 for g in graphs) >= 30 and sum(len(g.outputs) > 1 for g in graphs) >= 30
    assert sum(t.shape[:2] == (1, 1) for t in first) >= 5, "pictures of one pixel"
    attrs = [n.attrs for g in graphs for n in g.nodes if n.op.name in ("conv_2d", "depthwise_conv_2d")]
    assert sum(a.dilation != (1, 1) for a in attrs) >= 30
    assert sum(a.stride[0] != a.stride[1] for a in attrs) >= 30
