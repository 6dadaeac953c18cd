# SPDX-License-Identifier: Apache-2.0
"""Seeded damage to real .tflite files, and what becomes of each damaged file: refused with a remedy, or compiled."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from puce.compiler import compile_graph
from puce.errors import PuceError
from puce.frontends.tflite import load
from puce.passes.verify import verify

SECONDS = 20  # for one file, on a busy machine: the slowest that we know takes 2
MEMORY_BYTES = 3 << 30  # more than a file may ask for than there was before
COMPILED_MACS = 300_000  # accepted files up to this size, and
COMPILED_VALUES = 300_000  # with no more values in their tensors, are compiled too
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFF00)


@dataclass(frozen=True)
class Fate:
    """What became of one mutation: `bad` says how it broke the promise, empty where it kept it."""

    number: int
    refused: bool
    bad: str = ""


def sources(models: Path) -> list[Path]:
    """The real files that are small enough to be damaged by the thousand."""
    found = sorted(p for p in models.glob("*/*.tflite") if p.stat().st_size < 200_000)
    assert found, f"{models} holds no models"
    return found


def mutation(files: Sequence[Path], seed: int, number: int) -> bytes:
    """Damaged file `number` of a seed: cut short, bytes and words changed, blocks moved, or two files spliced."""
    rng = np.random.default_rng([seed, number])
    data = bytearray(files[int(rng.integers(len(files)))].read_bytes())
    for _ in range(int(rng.integers(1, 5))):
        kinds: tuple[Callable[[], None], ...] = (
            lambda: cut(rng, data), lambda: bytes_changed(rng, data), lambda: word(rng, data), lambda: moved(rng, data),
            lambda: word(rng, data), lambda: spliced(rng, data, files),
        )  # fmt: skip
        if len(data) > 8:
            kinds[int(rng.choice(len(kinds), p=(0.1, 0.3, 0.25, 0.05, 0.25, 0.05)))]()
    if rng.random() < 0.9:
        data[4:8] = b"TFL3"
    return bytes(data)


def somewhere(rng: np.random.Generator, data: bytearray) -> int:
    """A place in the file; often near an end, where the tables lie, rather than in the weights."""
    near = int(min(len(data) - 1, rng.exponential(600)))
    return (near, len(data) - 1 - near, int(rng.integers(len(data))))[int(rng.integers(3))]


def cut(rng: np.random.Generator, data: bytearray) -> None:
    del data[somewhere(rng, data) :]


def bytes_changed(rng: np.random.Generator, data: bytearray) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[somewhere(rng, data)] = int(rng.integers(256))


def word(rng: np.random.Generator, data: bytearray) -> None:
    at = somewhere(rng, data) // 4 * 4
    value = int(rng.choice(EXTREMES)) if rng.random() < 0.6 else int(rng.integers(0, 2 * len(data)))
    data[at : at + 4] = value.to_bytes(4, "little")


def moved(rng: np.random.Generator, data: bytearray) -> None:
    a, b, n = somewhere(rng, data), somewhere(rng, data), int(rng.integers(1, 64))
    data[a : a + n] = data[b : b + n]


def spliced(rng: np.random.Generator, data: bytearray, files: Sequence[Path]) -> None:
    other = files[int(rng.integers(len(files)))].read_bytes()
    at = somewhere(rng, data)
    data[at:] = other[at:]


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def fate(number: int, data: bytes) -> Fate:
    """Import one damaged file, and compile it where it is accepted and small. Nothing may be written but into a folder."""
    try:
        with time_limit(SECONDS):
            graph = load(data).graph
            verify(graph, f"reading number {number}")
            macs = sum(n.op.macs(graph.call(n)) for n in graph.nodes)
            if macs <= COMPILED_MACS and sum(t.size for t in graph.tensors.values()) <= COMPILED_VALUES:
                with tempfile.TemporaryDirectory() as folder:
                    compile_graph(graph, Path(folder))
        return Fate(number, False)
    except PuceError as error:
        return Fate(number, True, "" if error.remedy and error.fact else "no remedy")
    except BaseException as error:  # whatever it is, it was promised not to happen
        return Fate(number, False, f"{type(error).__name__}: {error}"[:300])


def survey(models: Path, seed: int, numbers: Sequence[int]) -> list[Fate]:
    """The fates of many mutations, in a process with a limit on its memory; where it dies, the last one died."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_survey, args=(sources(models), seed, numbers, there))
    process.start()
    there.close()
    fates: list[Fate] = []
    try:
        while True:
            fates.append(here.recv())
    except EOFError:
        process.join()
    if len(fates) < len(numbers):
        fates.append(Fate(numbers[len(fates)], False, f"the process died: {process.exitcode}"))
    return fates


def _survey(files: Sequence[Path], seed: int, numbers: Sequence[int], pipe: Connection) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    for number in numbers:
        pipe.send(fate(number, mutation(files, seed, number)))
    pipe.close()
