# SPDX-License-Identifier: Apache-2.0
"""A firmware of one layer, each of its kernels a function: run on the emulated core, it tells cycles and code bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np

from .. import __version__
from ..boards import Bank as BoardBank
from ..boards import Board
from ..build import Objects, compile_objects, link, toolchain
from ..build.promise import promise
from ..emit.layers import Layers
from ..emit.model import kernel_files
from ..ir import Array, Graph, Node, Tensor
from ..schedule import Bank, Buffer, Place, Schedule
from ..schedule.plan import aligned
from ..schedule.stream import firings
from .candidates import Candidate, Measured

Compiler = toolchain.Compiler
Kind = Literal["tensor", "state", "scratch"]

MOST_MACS = 2_500_000  # multiply-accumulates that are emulated: of a longer layer the first rows, the others by rule of three
FEWEST_ROWS = 8  # of a longer layer all the same: the border weighs little, and kernels that work by pairs come out even
FLASH_BYTES, RAM_BYTES = 1 << 21, 1 << 16  # beside tables and activations
GLUE = """/* What the firmware that serves models asks of one: here it only carries the layer. */
#ifndef PUCE_MODEL_H
#define PUCE_MODEL_H
#include <stdint.h>
#define PUCE_MODEL_NAME "candidates"
#define PUCE_MODEL_FINGERPRINT 0u
#define PUCE_MODEL_INPUT_BYTES 4
#define PUCE_MODEL_OUTPUT_BYTES 4
#define PUCE_MODEL_INPUT_TYPE 'b'
#define PUCE_MODEL_OUTPUT_TYPE 'b'
#define PUCE_MODEL_ROWS 1
#define PUCE_MODEL_ROW_BYTES 4
#define PUCE_MODEL_FED_BY_ROWS 0
extern uint8_t ram[];
static inline void *puce_model_input(void) { return ram; }
static inline const void *puce_model_run(void) { return ram; }
#endif
"""


@dataclass(frozen=True, eq=False)
class Bench:
    """The candidates of one layer, one beside the other in one C file. All tensors are whole, all start at the same byte."""

    candidates: tuple[Candidate, ...]

    @cached_property
    def parts(self) -> tuple[Layers, ...]:
        return tuple(alone(candidate, f"candidate_{i}") for i, candidate in enumerate(self.candidates))

    @cached_property
    def ram_bytes(self) -> int:
        return max(p.schedule.activation_bytes for p in self.parts)

    @cached_property
    def headers(self) -> dict[str, str]:
        return kernel_files({c.kernel.header for c in self.candidates} | {"puce_kernel.h"})

    @cached_property
    def code(self) -> str:
        """All but the tables."""
        parts = [f'#include "{name}"' for name in sorted(self.headers)]
        parts += ["#define PUCE_LAYER __attribute__((noinline))", f"uint8_t ram[{self.ram_bytes}] __attribute__((aligned(8)));"]
        for part in self.parts:
            (node,) = part.nodes
            name = part.ids[node.name]
            parts += [part.row_functions(), part.function(node), f"void run_{name}(int rows);"]
            parts.append(f"void run_{name}(int rows)\n{{\n    for (int y = 0; y < rows; y++) {name}(y);\n}}\n")
        return "\n".join(parts)

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(f"run_{p.ids[p.nodes[0].name]}" for p in self.parts)

    @cached_property
    def kind(self) -> str:
        """What layers that are alike have in common: the code, and how large its tables are, not what is in them."""
        shapes = [(c.name, str(c.values.dtype), c.values.shape) for x in self.candidates for c in x.constants]
        return hashlib.sha256(json.dumps([self.code, self.headers, shapes], sort_keys=True).encode()).hexdigest()

    def key(self, toolchain_: str, board: Board) -> str:
        """Of all that the figures depend on: what is compiled and by what, the prices, and the model of cycles."""
        tables = hashlib.sha256()
        for constant in (c for candidate in self.candidates for c in candidate.constants):
            tables.update(np.ascontiguousarray(constant.values).tobytes())
        core = asdict(board.core)
        facts = {
            "puce": __version__, "kind": self.kind, "tables": tables.hexdigest(), "model": _model_of_cycles(),
            "toolchain": toolchain_, "rows": [MOST_MACS, FEWEST_ROWS],
            "core": {k: core[k] for k in ("name", "zig_target", "zig_cpu", "gcc_flags", "unicorn_model")} | {
                "features": sorted(core["features"]), "prices": core["prices"]},
            "flash": asdict(board.timing),
        }  # fmt: skip
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> Path:
        for name, text in self.headers.items():
            (folder / name).write_text(text, encoding="utf-8")
        head, body = self.code.split("#define PUCE_LAYER", 1)
        tables = "\n".join(part.tables() for part in self.parts)
        (folder / "layer.c").write_text(f"{head}{tables}\n#define PUCE_LAYER{body}", encoding="utf-8")
        return folder / "layer.c"

    def board(self, board: Board) -> Board:
        """The board's core, clock and flash, with memory enough."""
        need = sum(c.table_bytes for c in self.candidates) + FLASH_BYTES
        ram = BoardBank(board.banks[0].name, 0x20000000, self.ram_bytes + RAM_BYTES, "room for one layer")
        return replace(board, flash=replace(board.flash, bytes=1 << need.bit_length(), reserved_bytes=0), banks=(ram,))

    def build(self, folder: Path, start: Mapping[str, Path], board: Board, compiler: Compiler) -> Path:
        """Compile and link; `start` holds the objects of the start-up files. The same layer gives the same bytes."""
        source, made, roomy = self.write(folder), folder / "layer.o", self.board(board)
        words = [*toolchain.command(compiler, board.core), *toolchain.compile_flags("-O3"), f"-ffile-prefix-map={folder}=."]
        words += ["-I", str(folder), "-c", str(source), "-o", str(made)]
        toolchain.run(words, self.candidates[0].node.name, "Report this with the model.")
        paths = {**start, "layer": made}
        library = toolchain.runtime_library(compiler, board.core)
        objects = Objects(paths, promise(paths, library, roomy, None, self.functions), self.functions)
        return link(objects, roomy, folder / "layer.elf", compiler=compiler).elf

    def measure(self, elf: Path, board: Board) -> tuple[Measured, ...]:
        """Run each kernel on the same seeded input, with cold caches."""
        from ..device import Emulator

        with Emulator(elf, self.board(board), count_cycles=True) as device:
            sizes = {f.name: f.size for f in device.elf.functions}
            ram = device.elf.by_name["ram"].address
            found = []
            for candidate, part, function in zip(self.candidates, self.parts, self.functions, strict=True):
                for i, name in enumerate(part.graph.inputs):
                    device.write(ram + part.schedule.buffers[name].offset, seeded(part.graph.tensors[name], i).tobytes())
                rows, every = self.rows(candidate, part)
                report = device.profile_call(function, rows)
                own = part.ids[part.nodes[0].name]
                cycles = report.by_function[own].inclusive * every / rows
                called = sorted(name for name in report.by_function if name not in (own, function))
                found.append(Measured(round(cycles), sizes[own], tuple((n, sizes[n]) for n in called if n in sizes)))
        return tuple(found)

    def rows(self, candidate: Candidate, part: Layers) -> tuple[int, int]:
        """Firings that are emulated, and all firings."""
        node = part.nodes[0]
        every = firings(part.graph, node, part.schedule.windows[node.name])
        macs = node.op.macs(candidate.call)
        fewer = max(FEWEST_ROWS, 2 * (every * MOST_MACS // max(2 * macs, 1)))
        return min(every, fewer), every


def start_objects(folder: Path, board: Board, compiler: Compiler) -> Mapping[str, Path]:
    """Compile the start-up files, once for all layers."""
    (folder / "puce_model.h").write_text(GLUE, encoding="utf-8")
    return compile_objects([], folder, board, folder, compiler=compiler).paths


def alone(candidate: Candidate, name: str) -> Layers:
    """A graph of this layer only, everything whole in one bank, ready to be written as C."""
    call, kernel = candidate.call, candidate.kernel
    inputs = tuple(replace(t, name=f"{name}_in{i}") for i, t in enumerate(call.inputs))
    outputs = tuple(replace(t, name=f"{name}_out{i}") for i, t in enumerate(call.outputs))
    data = tuple(t for t in inputs if t.data is None)
    node = Node(candidate.node.op, name, tuple(t.name for t in inputs), tuple(t.name for t in outputs), call.attrs)
    ends = tuple(t.name for t in data), tuple(t.name for t in outputs)
    graph = Graph((node,), {t.name: t for t in (*inputs, *outputs)}, *ends, "bench")
    wanted: list[tuple[str, Kind, int]] = [(t.name, "tensor", t.nbytes) for t in (*data, *outputs)]
    wanted += [("state", "state", candidate.state_bytes), ("scratch", "scratch", candidate.scratch_bytes)]
    buffers, at = dict[str, Buffer](), 0
    for buffer, kind, nbytes in wanted:
        buffers[buffer] = Buffer(buffer, kind, nbytes, 0, 0, "ram", at)
        at += aligned(nbytes)
    schedule = Schedule(
        stages=((name,),), steps=(), kernels={name: kernel},
        windows={name: (kernel.windows or node.op.windows)(call)}, buffers=buffers,
        places={t.name: Place(t.name, t.rows, t.row_bytes) for t in (*data, *outputs)},
        state={name: "state"} if candidate.state_bytes else {},
        scratch={name: "scratch"} if candidate.scratch_bytes else {},
        banks=(Bank("ram", 1 << 40),), fed_by_rows=False, lower_bound=at,
    )  # fmt: skip
    return Layers(graph, schedule, "bench", {}, "none")


def seeded(t: Tensor, seed: int) -> Array:
    """A random value of a tensor, the same on every machine."""
    rng = np.random.default_rng(seed)
    if t.dtype == "float32":
        return rng.uniform(0, 1, t.shape).astype(np.float32)
    info = np.iinfo(t.dtype)
    return rng.integers(info.min, info.max + 1, t.shape).astype(t.dtype)


@cache
def _model_of_cycles() -> str:
    """The sources of the model that prices blocks: another model, other figures."""
    folder, found = resources.files("puce") / "device", hashlib.sha256()
    for name in ("tracer.c", "tracer.py", "cycles.py", "decode.py", "addresses.py"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()


def toolchain_name(compiler: Compiler) -> str:
    """The compiler with its version."""
    if compiler == "gcc":
        return f"gcc {toolchain.run(['arm-none-eabi-gcc', '-dumpfullversion'], 'arm-none-eabi-gcc', 'Use zig.').strip()}"
    from importlib.metadata import version

    return f"zig {version('ziglang')}"
