# SPDX-License-Identifier: Apache-2.0
"""One .tflite file against LiteRT's reference kernels: compiled to C, run on this computer and on an emulated core."""

from __future__ import annotations

import ctypes
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import numpy as np

from puce import boards
from puce.build import build_firmware, build_library
from puce.compiler import Compiled, compile_graph, roomy
from puce.device import Emulator
from puce.errors import PuceError
from puce.frontends.tflite import load
from puce.ir import Array, Graph

PICTURES = 8
SEED = 20
TOLERANCE = 1e-5  # of the largest output, for float32
BOARD = "stm32l4r9i-disco"  # a Cortex-M4; its memory is made roomy

Outcome = Literal["identical", "differs", "refused", "no oracle", "crash", "too slow"]


@dataclass(frozen=True)
class Verdict:
    """What became of one file; `reason` is the refusal's sentence, or where the outputs part."""

    outcome: Outcome
    reason: str = ""
    emulated: bool = False
    kinds: tuple[str, ...] = ()  # types of the graph's activations
    operators: int = 0
    seconds: float = 0.0

    @property
    def compiled(self) -> bool:
        return self.outcome in ("identical", "differs", "no oracle")


def random_pictures(graph: Graph, count: int = PICTURES, seed: int = SEED) -> list[list[Array]]:
    """`count` random uses of a graph: one array, [*shape], for each of its inputs; integers over their whole range."""
    rng = np.random.default_rng(seed)

    def one(name: str) -> Array:
        t = graph.tensors[name]
        if t.dtype == "float32":
            return rng.normal(size=t.shape).astype(np.float32)
        low, high = (0, 1) if t.dtype == "int32" else (np.iinfo(t.dtype).min, np.iinfo(t.dtype).max)
        return rng.integers(low, high + 1, t.shape).astype(t.dtype)

    return [[one(name) for name in graph.inputs] for _ in range(count)]


def litert(model: bytes, pictures: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """What LiteRT's reference kernels answer, picture by picture, in the file's own shapes."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inside, outside = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for picture in pictures:
        interpreter.reset_all_variables()
        for detail, x in zip(inside, picture, strict=True):
            interpreter.set_tensor(detail["index"], x.reshape(detail["shape"]).astype(detail["dtype"]))
        interpreter.invoke()
        answers.append([np.array(interpreter.get_tensor(d["index"])) for d in outside])
    return answers


def accessors(name: str, side: str, count: int) -> list[str]:
    return [f"{name}_{side}{f'_{k}' if k else ''}" for k in range(count)]


def on_this_computer(compiled: Compiled, pictures: Sequence[Sequence[Array]]) -> Iterator[list[Array]]:
    """The generated C as a shared library."""
    graph, name, folder = compiled.graph, compiled.sources.name, compiled.folder
    sources = [folder / c for c in compiled.sources.compiled]
    library = ctypes.CDLL(str(build_library(sources, folder, folder / "model.so", optimize="-O1")))
    run = getattr(library, f"{name}_run")
    others = [getattr(library, f) for f in accessors(name, "output", len(graph.outputs))[1:]]
    for function in (run, *others):
        function.restype = ctypes.c_void_p
    for picture in pictures:
        words = [np.ascontiguousarray(x) for x in picture]
        places = [run(*(ctypes.c_void_p(x.ctypes.data) for x in words)), *(f() for f in others)]
        yield outputs_at(graph, places, ctypes.string_at)


def on_the_emulated_core(compiled: Compiled, pictures: Sequence[Sequence[Array]]) -> Iterator[list[Array]]:
    """The same C as a firmware, its functions called one by one."""
    graph, name, folder = compiled.graph, compiled.sources.name, compiled.folder
    ins = accessors(name, "input", len(graph.inputs))
    outs = accessors(name, "output", len(graph.outputs))[1:]
    assert compiled.board is not None
    sources = [folder / c for c in compiled.sources.compiled]
    functions = [f"{name}_run", *ins, *outs]
    firmware = build_firmware(sources, folder, compiled.board, folder / "kept.elf", keep=functions)
    with Emulator(firmware.elf, compiled.board) as device:
        for picture in pictures:
            places = [device.call(f) for f in ins]
            for place, x in zip(places, picture, strict=True):
                device.write(place, x.tobytes())
            first = device.call(f"{name}_run", *places)
            yield outputs_at(graph, [first, *(device.call(f) for f in outs)], device.read)


def outputs_at(graph: Graph, places: Sequence[int], read: Callable[[int, int], bytes]) -> list[Array]:
    tensors = [graph.tensors[t] for t in graph.outputs]
    return [np.frombuffer(read(p, t.nbytes), t.dtype).reshape(t.shape) for p, t in zip(places, tensors, strict=True)]


def difference(got: Array, want: Array) -> str:
    """Where two outputs part; empty where they do not."""
    want = want.reshape(got.shape)
    if got.dtype != np.float32:
        wrong = int((got != want).sum())
        return f"{wrong} of {got.size} differ, by {np.abs(got.astype(int) - want.astype(int)).max()}" if wrong else ""
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return "not the same values are finite"
    finite = np.isfinite(want)
    scale = float(np.abs(want[finite]).max(initial=0)) or 1.0
    error = float(np.abs(got[finite] - want[finite]).max(initial=0)) / scale
    return f"{error:.1e} of the largest output" if error > TOLERANCE else ""


def check(path: Path, emulated: bool = False, pictures: int = PICTURES) -> Verdict:
    """Import, compile and compare one file. Whatever is no PuceError comes out as it is."""
    try:
        graph = load(path).graph
        kinds = tuple(sorted({t.dtype for t in graph.tensors.values() if t.data is None}))
        with tempfile.TemporaryDirectory() as folder:
            return compare(path, graph, Path(folder), emulated, pictures, kinds)
    except PuceError as error:
        return Verdict("refused", f"{error.place}: {error.fact}")


def compare(path: Path, graph: Graph, folder: Path, emulated: bool, pictures: int, kinds: tuple[str, ...]) -> Verdict:
    compiled = compile_graph(graph, folder / "host", name="model")
    count = len(compiled.graph.nodes)
    asked = random_pictures(graph, pictures)
    try:
        wanted = litert(path.read_bytes(), asked)
    except (RuntimeError, ValueError) as error:
        next(on_this_computer(compiled, asked[:1]))
        return Verdict("no oracle", f"LiteRT: {str(error).splitlines()[0]}", False, kinds, count)
    witnesses = [("host", on_this_computer(compiled, asked))]
    if emulated:
        twin = compile_graph(graph, folder / "core", roomy(boards.load(BOARD)), name="model")
        witnesses.append(("emulated core", on_the_emulated_core(twin, asked)))
    for name, answers in witnesses:
        for i, (got, want) in enumerate(zip(answers, wanted, strict=True)):
            for k, (g, w) in enumerate(zip(got, want, strict=True)):
                if words := difference(g, w):
                    return Verdict("differs", f"{name}, picture {i}, output {k}: {words}", emulated, kinds, count)
    return Verdict("identical", "", emulated, kinds, count)


# ── many files, a process each ────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Job:
    path: Path
    process: Any
    pipe: Connection
    started: float = field(default_factory=time.monotonic)


def in_processes(
    paths: Sequence[Path], work: Callable[[Path], Verdict], *, workers: int = 2, seconds: float = 180.0
) -> Iterator[tuple[Path, Verdict]]:
    """Do `work` on each path in a process of its own: a crash or a hang is a verdict on that file, and ends nothing."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(reversed(paths)), list[Job]()
    while waiting or running:
        while waiting and len(running) < workers:
            path = waiting.pop()
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_in_process, args=(work, path, there))
            process.start()
            there.close()
            running.append(Job(path, process, here))
        wait([job.pipe for job in running], timeout=1.0)
        for job in list(running):
            late = time.monotonic() - job.started > seconds
            if not job.pipe.poll() and not late:
                continue
            running.remove(job)
            yield job.path, _verdict(job, seconds)


def _in_process(work: Callable[[Path], Verdict], path: Path, pipe: Connection) -> None:
    try:
        pipe.send(work(path))
    except BaseException as error:  # the parent counts it: nothing may escape unseen
        pipe.send(Verdict("crash", f"{type(error).__name__}: {error}"[:400]))


def _verdict(job: Job, seconds: float) -> Verdict:
    spent = time.monotonic() - job.started
    try:
        if not job.pipe.poll():
            job.process.kill()
            return Verdict("too slow", f"no answer within {seconds:.0f} s", seconds=spent)
        found: Verdict = job.pipe.recv()
        return Verdict(found.outcome, found.reason, found.emulated, found.kinds, found.operators, spent)
    except EOFError:
        job.process.join()
        return Verdict("crash", f"the process ended with {job.process.exitcode}", seconds=spent)
    finally:
        job.process.join()
        job.pipe.close()
