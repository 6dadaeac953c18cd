# SPDX-License-Identifier: Apache-2.0
"""Every kernel of every operator, called as generated code calls it, against the operator's own NumPy reference.

Truths: NumPy reference, C on this computer under the undefined-behaviour sanitizer, C on the emulated core. No operator
has a test of its own here: what is tested is what the registry holds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from puce import boards
from puce.build import build_firmware, build_library
from puce.device import Emulator
from puce.emit import Sources, emit
from puce.errors import Unsupported
from puce.ir import Array, Call, Graph, Node
from puce.ops import REGISTRY, Kernel, Op
from puce.schedule import plan

CASES = {0: 4, 3: 2}  # of each kernel by seed: the fast tests; the slow ones take 12
PICTURES = 2
KERNELS = [(op, kernel) for op in REGISTRY.values() for kernel in op.kernels]
IDS = [kernel.name for _, kernel in KERNELS]


def uses(op: Op, kernel: Kernel, seed: int, wanted: int = 0) -> Iterator[Call]:
    """Random uses of an operator that this kernel accepts."""
    wanted = wanted or CASES.get(seed, 12)
    found, rng = 0, np.random.default_rng(seed)
    for tried, call in enumerate(op.samples(rng)):
        assert tried < 5000, f"{kernel.name} accepts too few of the operator's samples"
        if kernel.accepts(call):
            yield call
            found += 1
            if found == wanted:
                return


def one_node(op: Op, call: Call) -> Graph:
    named = [replace(t, name=f"in{i}") for i, t in enumerate(call.inputs)]
    ends = [replace(t, name=f"out{i}") for i, t in enumerate(call.outputs)]
    inputs = tuple(t.name for t in named if t.data is None)
    outputs = tuple(t.name for t in ends)
    node = Node(op, "layer", tuple(t.name for t in named), outputs, call.attrs)
    return Graph((node,), {t.name: t for t in (*named, *ends)}, inputs, outputs, "case")


def compiled(op: Op, kernel: Kernel, call: Call, name: str, folder: Path) -> tuple[Graph, Sources]:
    graph = one_node(op, call)
    sources = emit(graph, plan(graph, choose=lambda node, call: kernel), name)
    for file, text in sources.files.items():
        if file != "puce_model.h":
            (folder / file).write_text(text)
    return graph, sources


def pictures(graph: Graph, seed: int) -> list[Array]:
    """Random inputs, each [PICTURES, *shape]; the extreme values of the type among them."""
    rng, result = np.random.default_rng(seed), []
    for name in graph.inputs:
        t = graph.tensors[name]
        if t.dtype == "float32":
            result.append(rng.normal(size=(PICTURES, *t.shape)).astype(np.float32))
        else:
            info = np.iinfo(t.dtype)
            x = rng.integers(info.min, info.max + 1, (PICTURES, *t.shape)).astype(t.dtype)
            x[0].reshape(-1)[0], x[0].reshape(-1)[-1] = info.min, info.max
            result.append(x)
    return result


def assert_same(got: Array, want: Array, what: str) -> None:
    if want.dtype == np.float32:
        limit = 1e-5 * float(np.abs(want[np.isfinite(want)]).max(initial=1.0))
        np.testing.assert_allclose(got, want, rtol=0, atol=limit, err_msg=what)
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("op", "kernel"), KERNELS, ids=IDS)
def test_c_on_this_computer_equals_the_reference(op: Op, kernel: Kernel, seed: int, tmp_path: Path) -> None:
    cases = [(call, *compiled(op, kernel, call, f"case{i}", tmp_path)) for i, call in enumerate(uses(op, kernel, seed))]
    files = [tmp_path / f"case{i}.c" for i in range(len(cases))]
    library = ctypes.CDLL(str(build_library(files, tmp_path, tmp_path / "cases.so", sanitize=True)))
    for i, (call, graph, _) in enumerate(cases):
        run = getattr(library, f"case{i}_run")
        run.restype = ctypes.c_void_p
        ins = pictures(graph, seed)
        wanted = graph.evaluate(*ins)
        for j in range(PICTURES):
            rows = [np.ascontiguousarray(x[j]) for x in ins]
            address = run(*(ctypes.c_void_p(r.ctypes.data) for r in rows))
            for k, want in enumerate(wanted):
                if k:
                    output = getattr(library, f"case{i}_output_{k}")
                    output.restype = ctypes.c_void_p
                    address = output()
                got = np.frombuffer(ctypes.string_at(address, want[j].nbytes), want.dtype).reshape(want[j].shape)
                words = f"{kernel.name}, seed {seed}, case {i}, picture {j}, output {k}: {call.attrs} on {call.x.shape}"
                assert_same(got, want[j], words)


def accessors(name: str, side: str, count: int) -> list[str]:
    """The functions that tell where the inputs or outputs lie; an output() without number does not exist."""
    return [f"{name}_{side}{f'_{k}' if k else ''}" for k in range(count)]


GLUE = """#include "case0.h"
#define PUCE_MODEL_NAME "cases"
#define PUCE_MODEL_FINGERPRINT 0u
#define PUCE_MODEL_INPUT_BYTES 4
#define PUCE_MODEL_OUTPUT_BYTES 4
#define PUCE_MODEL_INPUT_TYPE 'b'
#define PUCE_MODEL_OUTPUT_TYPE 'b'
#define PUCE_MODEL_ROWS 1
#define PUCE_MODEL_ROW_BYTES 4
#define PUCE_MODEL_FED_BY_ROWS 0
extern void *const everything[];
static inline void *puce_model_input(void) { return everything[0]; }
static inline const void *puce_model_run(void) { return everything[1]; }
"""


@pytest.mark.parametrize("core", ["cortex-m4", pytest.param("cortex-m0plus", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("op", "kernel"), KERNELS, ids=IDS)
def test_c_on_the_emulated_core_equals_the_reference(op: Op, kernel: Kernel, core: str, tmp_path: Path) -> None:
    board = boards.load({"cortex-m4": "stm32l4r9i-disco", "cortex-m0plus": "raspberry-pi-pico"}[core])
    if not kernel.needs <= board.core.features:
        with pytest.raises(Unsupported):  # and the planner would never choose it there
            call = next(uses(op, kernel, 0, 1))
            plan(one_node(replace(op, kernels=(kernel,)), call), features=board.core.features)
        return
    seed = 3
    cases = [(call, *compiled(op, kernel, call, f"case{i}", tmp_path)) for i, call in enumerate(uses(op, kernel, seed))]
    names = [f"case{i}" for i in range(len(cases))]
    # the table keeps the linker from dropping what main does not call
    lines = [f'#include "{n}.h"' for n in names]
    cells = [
        f"(void *)(size_t){function}"
        for n, (_, g, _) in zip(names, cases, strict=True)
        for function in (f"{n}_run", *accessors(n, "input", len(g.inputs)), *accessors(n, "output", len(g.outputs))[1:])
    ]
    (tmp_path / "everything.c").write_text(
        "#include <stddef.h>\n"
        + "\n".join(lines)
        + f"\nextern void *const everything[];\nvoid *const everything[] = {{{', '.join(cells)}}};\n"
    )
    (tmp_path / "puce_model.h").write_text(GLUE)
    files = [*(tmp_path / f"{n}.c" for n in names), tmp_path / "everything.c"]
    # nothing calls the cases, so the stack that the build computes is not theirs
    firmware = build_firmware(files, tmp_path, board, tmp_path / "cases.elf", stack_bytes=4096)
    with Emulator(firmware.elf, board) as device:
        for name, (call, graph, _) in zip(names, cases, strict=True):
            ins = pictures(graph, seed)
            wanted = graph.evaluate(*ins)
            for j in range(PICTURES):
                places = [device.call(function) for function in accessors(name, "input", len(ins))]
                for place, x in zip(places, ins, strict=True):
                    device.write(place, x[j].tobytes())
                first = device.call(f"{name}_run", *places)
                others = [device.call(function) for function in accessors(name, "output", len(wanted))[1:]]
                for k, (address, want) in enumerate(zip([first, *others], wanted, strict=True)):
                    got = np.frombuffer(device.read(address, want[j].nbytes), want.dtype).reshape(want[j].shape)
                    words = f"{kernel.name} on {core}, seed {seed}, {name}, picture {j}, output {k}"
                    assert_same(got, want[j], f"{words}: {call.attrs} on {call.x.shape}")
