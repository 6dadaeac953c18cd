# SPDX-License-Identifier: Apache-2.0
"""Measure puce on the models that its peers publish figures of, and write docs/benchmarks.md.

Run by `make bench`. Nothing on that page is typed by hand but the peers' figures, which stand in tools/peers.py.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers

ROOT = Path(__file__).parent.parent
BOARD = "nucleo-l4r5zi"
OBJECTIVES = ("speed", "balanced", "ram", "flash")
NARROW = "\u202f"


@dataclass(frozen=True)
class Case:
    """A model: `task` is its key; `source` a file of the folder of models, or a network of the zoo with random weights."""

    task: str
    title: str
    source: str
    shape: tuple[int, int, int] | None = None
    precision: str = "int8"
    fed_by_rows: bool = False

    @property
    def key(self) -> str:
        return f"{self.task} fed by rows" if self.fed_by_rows else f"{self.task} {self.precision}" if self.shape else self.task


TINY = (
    Case("IC", "ResNet8, CIFAR-10", "pretrainedResnet_quant.tflite"),
    Case("VWW", "MobileNetV1 0.25, 96x96x3", "vww_96_int8.tflite"),
    Case("KWS", "DS-CNN, 49x10x1", "kws_ref_model.tflite"),
    Case("AD", "dense autoencoder, 640", "ad01_int8.tflite"),
)
ROWS = (Case("VWW", "MobileNetV1 0.25, its picture fed row by row", "vww_96_int8.tflite", fed_by_rows=True),)
ZOO = tuple(
    Case(task, title, name, shape, precision)
    for task, title, name, shape in (
        ("model-3", "the mission's model-3, 32x32x3", "model-3", (32, 32, 3)),
        ("base", "the mission's base network, 32x32x3", "base", (32, 32, 3)),
        ("MNIST CNN", "two convolutions and a dense head, 28x28x1", "mnist-cnn", (28, 28, 1)),
        ("MNIST LSTM", "LSTM 128, LSTM 64, dense head, 28 steps of 28", "mnist-lstm", (28, 28, 1)),
    )
    for precision in ("int8", "float32")
)


@dataclass(frozen=True)
class Figures:
    """One firmware: bytes are counted in the linked file, cycles are modelled. `ram`: the plan, input and output inside."""

    cycles: int
    low_ms: float
    ms: float
    high_ms: float
    waits: int
    macs: int
    input_bytes: int
    ram: int
    stack: int
    code: int
    weights: int
    firmware: int
    fits: bool
    identical: bool | None  # to the reference, for one random picture; of float32 nobody asks
    kernels: frozenset[str]

    @property
    def cycles_per_mac(self) -> float:
        return self.cycles / self.macs


Results = Mapping[tuple[str, str], Figures]


def models_folder() -> Path:
    """The folder that PUCE_TEST_DATA names, or shared/data beside the repository: as the tests find it."""
    folder = Path(os.environ.get("PUCE_TEST_DATA", ROOT.parent / "shared" / "data")) / "mlperf_tiny"
    if not folder.is_dir():
        sys.exit(f"{folder}: the models of MLPerf Tiny are not here. Name the folder above them in PUCE_TEST_DATA.")
    return folder


def graph_of(case: Case) -> Any:
    """The graph of a case; int8 of a network of the zoo is calibrated on noise, which is enough for bytes and cycles."""
    import numpy as np

    from puce import frontends, passes, zoo
    from puce.quantize import calibrate, to_int8

    if case.shape is None:
        return frontends.load(models_folder() / case.source).graph
    import keras

    keras.utils.set_random_seed(1)
    graph = passes.run(frontends.load(zoo.build(case.source, case.shape, 10)).graph)
    noise = np.random.default_rng(0).uniform(0, 1, (8, *case.shape)).astype(np.float32)
    return graph if case.precision == "float32" else to_int8(graph, calibrate(graph, noise))


def measure(case: Case, objective: str) -> Figures:
    """Compile a case for the board and run one inference on its emulated core."""
    from puce import compiler
    from puce.analysis import profile, self_picture
    from puce.boards import latency_ms, load
    from puce.device import Emulator
    from puce.errors import DoesNotFit
    from puce.units import Estimate

    board, graph, wishes = load(BOARD), graph_of(case), {"optimize": objective} if has_objectives() else {}
    with tempfile.TemporaryDirectory() as folder:
        build: Callable[..., Any] = compiler.compile_graph
        fits = True
        try:
            compiled = build(graph, Path(folder), board, fed_by_rows=case.fed_by_rows, **wishes)
        except DoesNotFit:
            fits = False
            compiled = build(graph, Path(folder), compiler.roomy(board), fed_by_rows=case.fed_by_rows, **wishes)
        cycles, error, waits, _ = profile(compiled, board)
        with Emulator(compiled.elf, compiled.board) as device:
            kind: Any = case.precision
            answer = device.run(self_picture(compiled.graph).tobytes(), kind)
    expected = graph.evaluate(self_picture(compiled.graph)[None])[0].tobytes() if case.precision == "int8" else None
    time, linked = latency_ms(Estimate.within(cycles, error), board), compiled.linked
    return Figures(
        cycles, time.low, time.value, time.high, waits, sum(n.op.macs(graph.call(n)) for n in graph.nodes),
        sum(graph.tensors[t].nbytes for t in graph.inputs), linked.ram.activations, linked.ram.stack, linked.flash.code,
        linked.flash.weights, linked.flash.total, fits,
        None if expected is None else answer.outputs == expected, frozenset(k.name for k in compiled.schedule.kernels.values()),
    )  # fmt: skip


def has_objectives() -> bool:
    from puce.compiler import compile_graph

    return "optimize" in inspect.signature(compile_graph).parameters


def measure_all(cases: Sequence[Case], objectives: Sequence[str]) -> dict[tuple[str, str], Figures]:
    found = {}
    for case in cases:
        for objective in objectives if case.shape is None else [o for o in objectives if o != "flash"]:
            found[case.key, objective] = f = measure(case, objective)
            print(f"{case.key} -O {objective}: {f.ms:.1f} ms, RAM {f.ram}, firmware {f.firmware}", file=sys.stderr, flush=True)
    return found


def number(n: float) -> str:
    return f"{n:,.0f}".replace(",", NARROW)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def firmware_table(cases: Sequence[Case], results: Results) -> str:
    head = [
        "model", "-O", "ms (modelled)", "Mcycles", "waiting for flash", "cycles/MAC", "RAM", "stack", "code", "weights",
        "whole firmware",
    ]  # fmt: skip
    rows = []
    for case in cases:
        for (key, objective), f in results.items():
            if key == case.key:
                name = f"{case.key}: {case.title}" + ("" if f.fits else "; **does not fit 2 MiB**")
                rows.append([
                    name, objective, f"{f.ms:.1f} ({f.low_ms:.1f} to {f.high_ms:.1f})", f"{f.cycles / 1e6:.2f}",
                    f"{100 * f.waits / f.cycles:.0f} %", f"{f.cycles_per_mac:.2f}", number(f.ram), number(f.stack),
                    number(f.code), number(f.weights), number(f.firmware),
                ])  # fmt: skip
    return table(head, rows)


def beside_peers(results: Results, objectives: Sequence[str]) -> Iterator[str]:
    """Their tables with our row above."""
    tasks = [c.task for c in TINY]
    macs = {t: results[t, objectives[0]].macs for t in tasks}
    fast, small = objectives[0], "ram" if "ram" in objectives else objectives[-1]
    normal = "balanced" if "balanced" in objectives else objectives[0]
    ours = [f"{results[t, fast].ms:.1f} / {results[t, fast].cycles_per_mac:.2f}" for t in tasks]
    theirs = [
        [p.engine, *(f"{ms} / {ms * 120e3 / macs[t]:.2f}" if ms else "" for t, ms in zip(tasks, p.ms, strict=True)), p.source]
        for p in peers.TIMES
    ]
    yield f"### Time: ms, cycles a multiply-accumulate (ours at `-O {fast}`, modelled; theirs measured)\n"
    yield table(["engine", *tasks, "source"], [["**puce**", *ours, "this page"], *theirs])
    yield "\n### RAM for activations, input and output inside, bytes\n"
    rows = [
        [f"**puce** `-O {o}`", *(number(results[t, o].ram) for t in tasks), "this page"] for o in dict.fromkeys((small, normal))
    ]
    yield table(["engine", *tasks, "source"], rows + [_bytes_row(p) for p in peers.RAM])
    yield "\n### Flash, bytes\n"
    rows = [
        [f"**puce**, {what}, `-O {normal}`", *(number(getattr(results[t, normal], part)) for t in tasks), "this page"]
        for what, part in (("weights", "weights"), ("whole firmware", "firmware"))
    ]
    yield table(["engine", *tasks, "source"], rows + [_bytes_row(p) for p in peers.FLASH])


def _bytes_row(p: peers.Bytes) -> list[str]:
    return [p.engine, *(number(n) for n in p.bytes), p.source]


@dataclass(frozen=True)
class Goal:
    """What was asked for; `figure` computes what was reached, `aim` is the better figure that was hoped for."""

    what: str
    task: str
    limit: float
    figure: Callable[[Results], float | None]
    aim: float | None = None
    unit: str = "bytes"


def goals() -> Iterator[Goal]:
    tasks = [c.task for c in TINY]

    def of(key: str, objective: str, part: str) -> Callable[[Results], float | None]:
        return lambda r: getattr(r[key, objective], part) if (key, objective) in r else None

    def lost(key: str) -> Callable[[Results], float | None]:
        def percent(r: Results) -> float | None:
            plain = [f.cycles for (k, _), f in r.items() if k == key and not any("winograd" in n for n in f.kernels)]
            return 100 * (r[key, "ram"].cycles / min(plain) - 1) if (key, "ram") in r and plain else None

        return percent

    for task, limit, aim in zip(tasks, (110, 60, 38, 4.0), (100, 55, 36, 3.6), strict=True):
        yield Goal("latency at `-O speed`", task, limit, of(task, "speed", "ms"), aim, "ms")
    for task, limit in zip(tasks, (20_000, 46_000, 9_000, 1_024), strict=True):
        yield Goal("RAM at `-O ram`", task, limit, of(task, "ram", "ram"))
    yield Goal("RAM at `-O ram`", ROWS[0].key, 24_000, of(ROWS[0].key, "ram", "ram"))
    for task, limit in zip(tasks, (26_000, 50_000, 12_000, 1_280), strict=True):
        yield Goal("RAM at `-O balanced`", task, limit, of(task, "balanced", "ram"))
    for task, limit in zip(tasks, (105_000, 56_000, 40_000, 280_000), strict=True):
        yield Goal("whole firmware at `-O balanced`", task, limit, of(task, "balanced", "firmware"))
    for task, limit in zip(tasks, (10, 10, 10, 0), strict=True):
        yield Goal("time lost at `-O ram` against the fastest without Winograd", task, limit, lost(task), unit="%")
    lstm = "MNIST LSTM int8"
    yield Goal("cycles a multiply-accumulate at `-O speed`", lstm, 2.5, of(lstm, "speed", "cycles_per_mac"), unit="")
    yield Goal(
        "RAM beside its input at `-O ram`", lstm, 4096,
        lambda r: r[lstm, "ram"].ram - r[lstm, "ram"].input_bytes if (lstm, "ram") in r else None,
    )  # fmt: skip


def goals_table(results: Results) -> str:
    """Every goal with its verdict; below, what was tried for those that are missed."""
    rows, missed = [], []
    for g in goals():
        value = g.figure(results)
        if value is None:
            continue
        shown, limit = (number(value), number(g.limit)) if g.unit == "bytes" else (f"{value:.2f}", f"{g.limit:g}")
        aim = f" (aim {g.aim:g})" if g.aim else ""
        verdict = "**missed**" if value > g.limit else "reached" if g.aim is None or value > g.aim else "reached, the aim too"
        rows.append([g.what, g.task, f"{limit}{aim} {g.unit}".strip(), f"{shown} {g.unit}".strip(), verdict])
        if value > g.limit:
            missed.append(
                f"- {g.what}, {g.task}: {peers.MISSED.get((g.what, g.task), 'what was tried is not written down yet.')}"
            )
    return "\n".join([table(["what", "model", "at most", "now", ""], rows), "", *missed])


def identical(results: Results) -> str:
    """One sentence on the answers of all int8 firmwares to one random picture."""
    asked = [f.identical for f in results.values() if f.identical is not None]
    words = f"One random picture was shown to every int8 firmware: {sum(asked)} of {len(asked)} answers were those of puce's"
    return f"{words} reference,\nbit for bit; that LiteRT's reference kernels give the same is tested in `tests/conformance`."


def versions() -> str:
    from importlib.metadata import version

    import puce

    return f"puce {puce.__version__}, ziglang {version('ziglang')}, unicorn {version('unicorn')}"


def page(results: Results, objectives: Sequence[str]) -> str:
    from puce.boards import load

    board = load(BOARD)
    parts = [
        peers.HEAD.format(board=board.title, mhz=board.clock_hz // 10**6, versions=versions(), identical=identical(results)),
        "## The four models of MLPerf Tiny\n",
        firmware_table((*TINY, *ROWS), results),
        "\n## Beside the peers\n",
        *beside_peers(results, objectives),
        "\n## Goals\n",
        goals_table(results),
        "\n## Networks of the mission and of the course\n",
        peers.ZOO_NOTE,
        firmware_table(ZOO, results),
        "",
        peers.ERROR.format(error=100 * board.model_error, source=board.core.model_error_source),
        table(["engine", "model", "measured, ms", "our model, ms", "ratio"], [
            [c.engine, c.task, f"{c.measured_ms:g}", f"{c.modelled_ms:g}", f"{c.modelled_ms / c.measured_ms:.2f}"]
            for c in peers.CALIBRATION
        ]),
        peers.AFTER_CALIBRATION,
        table(["board", "core", "error of the model", "flash waits are", "source"], list(errors())),
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def errors() -> Iterator[list[str]]:
    from puce.boards import load, names

    for board in map(load, names()):
        yield [
            board.name, board.core.title, f"{100 * board.model_error:.0f} %",
            f"{board.timing.provenance} (+{100 * board.timing.relative_error:.0f} % of them)", board.core.model_error_source,
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="MLPerf Tiny alone; the page is printed, not written")
    chosen = parser.parse_args()
    objectives = OBJECTIVES if has_objectives() else ("default",)
    results = measure_all((*TINY, *ROWS, *(() if chosen.quick else ZOO)), objectives)
    text = page(results, objectives)
    if chosen.quick:
        print(text)
        return
    part = chosen.out.with_suffix(".md.part")
    part.write_text(text, encoding="utf-8")
    part.replace(chosen.out)


if __name__ == "__main__":
    main()
