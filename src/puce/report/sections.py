# SPDX-License-Identifier: Apache-2.0
"""Records -> sections of the report, in reading order; a section whose record is missing is not there."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable

import numpy as np

from ..evaluate import Accuracy, by_class, mcnemar
from ..run import (
    CompileRecord,
    CostRecord,
    DataRecord,
    QuantizeRecord,
    Run,
    StepName,
    TrainRecord,
    ValidateRecord,
)
from ..run.records import STEP_OF
from ..units import count, microjoules, milliseconds, percent, size
from . import plots
from .blocks import Block, Cell, Chart, Code, Gauge, Gauges, Grid, Matrix, Report, Section, Table, Text
from .heading import heading, witness_name
from .pictures import arrays, predicted, samples
from .texts import Lang, Words

MOST_CLASSES = 30  # more do not fit on a page as a matrix


def assemble(run: Run, lang: Lang) -> Report:
    """Read a run folder and lay its report out."""
    words = Words(lang)
    sections = [Section(key, words(key), blocks) for key, make in _SECTIONS if (blocks := tuple(make(run, words)))]
    return heading(run, words, tuple(sections))


def _data(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(DataRecord)
    if record is None:
        return
    h, w, c = record.shape
    yield Text(
        words(
            "pictures_of",
            classes=len(record.class_names),
            h=h,
            w=w,
            c=c,
            preprocessing=words.number(record.preprocessing),
        )
    )
    yield from (Text(note, note=True) for note in record.notes)
    if record.skipped:
        yield Text(words("skipped", n=len(record.skipped)) + ": " + "; ".join(record.skipped[:10]), note=True)
    splits = (("train", record.train), ("validation", record.validation), ("test", record.test))
    names = record.class_names if len(record.class_names) <= MOST_CLASSES else ()
    yield Table(
        (words("split"), *names, words("total")),
        tuple(
            (Cell(words(key), name=True), *(_n(n) for n in split.by_class[: len(names)]), _n(split.total))
            for key, split in splits
        ),
    )
    if pictures := samples(run, record.class_names):
        yield Grid(pictures, words("samples"))


def _training(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(TrainRecord)
    if record is None:
        return
    yield Text(
        words(
            "trained",
            model=record.model,
            parameters=count(record.parameters),
            epochs=record.epochs,
            best=record.best_epoch,
            time=words.number(milliseconds(1000 * record.seconds)),
        )
    )
    if curves := _curves(run, words):
        yield Chart("training", plots.training_curves(curves, record.best_epoch, words), words("training"))
        yield Text(words("train_note"), note=True)


def _curves(run: Run, words: Words) -> tuple[plots.Curve, ...]:
    try:
        rows = list(csv.DictReader(run.path("history.csv").read_text(encoding="utf-8").splitlines()))
        curves = tuple(
            plots.Curve(words(key), tuple(float(r[key]) for r in rows), tuple(float(r[f"val_{key}"]) for r in rows))
            for key in ("accuracy", "loss")
        )
    except (OSError, KeyError, ValueError, TypeError):
        return ()
    return curves if rows else ()


def _accuracy(run: Run, words: Words) -> Iterable[Block]:
    rows = list(_accuracies(run, words))
    if not rows:
        return
    shown = [(name, accuracy) for name, accuracy, _ in rows]
    yield Chart("accuracy", plots.accuracy_intervals(shown, words), words("accuracy"))
    yield Table(
        tuple(words(key) for key in ("what", "value", "interval", "correct", "identical")),
        tuple(
            (
                Cell(name, name=True),
                Cell(words.number(percent(a.value))),
                Cell(words.number(words("to", low=percent(a.low), high=percent(a.high)))),
                Cell(words("of", total=count(a.count)).join((count(a.correct) + " ", ""))),
                Cell(identical),
            )
            for name, a, identical in rows
        ),
    )
    yield from _paired(run, words)
    yield from _by_class(run, words)


def _accuracies(run: Run, words: Words) -> Iterable[tuple[str, Accuracy, str]]:
    train, quantized, validated = run.get(TrainRecord), run.get(QuantizeRecord), run.get(ValidateRecord)
    if train:
        yield words("float_validation"), train.validation, ""
        yield words("float_test"), train.test, ""
    elif quantized:
        yield words("float_test"), quantized.float_accuracy, ""
    if validated:
        for witness in validated.witnesses:
            same = f"{count(witness.identical)} " + words("of", total=count(witness.count))
            yield words("int8_on", witness=witness_name(witness.name, words)), witness.accuracy, same
    elif quantized:
        yield words("int8_numpy"), quantized.int8_accuracy, ""
        if quantized.litert_accuracy:
            yield words("int8_litert"), quantized.litert_accuracy, ""


def _paired(run: Run, words: Words) -> Iterable[Block]:
    floats, ints = arrays(run, "scores-float.npz"), arrays(run, "scores-int8.npz")
    if not floats or not ints or not np.array_equal(floats.get("labels"), ints.get("labels")):  # type: ignore[arg-type]
        return
    test = mcnemar(floats["scores"], ints["scores"], floats["labels"])
    verdict = words("differ") if test.differ else words("no_difference")
    p = words.number(f"{test.p_value:.3g}")
    yield Text(words("paired", a=test.only_first, b=test.only_second, p=p, verdict=verdict))


def _by_class(run: Run, words: Words) -> Iterable[Block]:
    data, record = run.get(DataRecord), run.get(QuantizeRecord) or run.get(TrainRecord)
    if data is None or record is None:
        return

    def cell(x: float | None) -> Cell:
        return Cell("–" if x is None else words.number(percent(x)))

    yield Table(
        tuple(words(key) for key in ("class", "precision", "recall", "f1", "support")),
        tuple(
            (Cell(data.class_names[r.index], name=True), cell(r.precision), cell(r.recall), cell(r.f1), _n(r.support))
            for r in by_class(record.confusion)
        ),
    )


def _confusion(run: Run, words: Words) -> Iterable[Block]:
    data, train, quantized = run.get(DataRecord), run.get(TrainRecord), run.get(QuantizeRecord)
    found = quantized or train
    if data is None or found is None or len(data.class_names) > MOST_CLASSES:
        return
    kind = "int8" if quantized else words("float_test").split(",")[0]
    yield Matrix(data.class_names, found.confusion, words("true"), words("confusion_note", kind=kind))


def _predictions(run: Run, words: Words) -> Iterable[Block]:
    data = run.get(DataRecord)
    pictures = predicted(run, data.class_names) if data else ()
    if not pictures:
        return
    first = pictures[:25]
    yield Grid(first, words("prediction_note", n=len(first)))
    if mistakes := tuple(p for p in pictures if not p.right)[:10]:
        yield Grid(mistakes, words("mistakes", n=len(pictures)))


def _quantization(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(QuantizeRecord)
    if record is None:
        return
    scale = words.number(f"{record.input.scale:.6g}")
    zero = f"{'−' if record.input.zero_point < 0 else '+'} {abs(record.input.zero_point)}"
    yield Text(words("calibrated", n=count(record.calibration_count), scale=scale, zero=zero))
    measured = [layer for layer in record.layers if layer.snr_db is not None]
    if measured:
        svg = plots.noise(
            [layer.name for layer in measured],
            [layer.snr_db for layer in measured],
            [layer.weights_snr_db for layer in measured],
            words,
        )
        yield Chart("noise", svg, words("quantization"))
        yield Text(words("snr_note"), note=True)


def _board(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CompileRecord)
    if record is None:
        return
    flash, ram = record.linked.flash_bytes, record.linked.ram_bytes
    yield Gauges(
        (
            _gauge("flash", flash.total, record.board_flash_bytes, words, weights=flash.weights, code=flash.code),
            _gauge(
                "RAM",
                ram.total,
                record.board_ram_bytes,
                words,
                activations=ram.activations,
                stack=ram.stack,
                other=ram.other,
            ),
        )
    )
    totals = {
        "promised_flash": record.promised.flash_bytes.total,
        "linked_flash": flash.total,
        "promised_ram": record.promised.ram_bytes.total,
        "linked_ram": ram.total,
    }
    yield Text(words("promised_linked", **{key: words.number(size(n)) for key, n in totals.items()}))
    if record.banks:
        yield Table(
            (words("bank"), words("used"), words("capacity"), words("share")),
            tuple(
                (
                    Cell(bank.bank, name=True),
                    Cell(words.number(size(bank.used))),
                    Cell(words.number(size(bank.capacity))),
                    Cell(words.number(_percent(bank.used / bank.capacity)), bar=min(1.0, bank.used / bank.capacity)),
                )
                for bank in record.banks
            ),
        )


def _gauge(name: str, total: int, capacity: int, words: Words, **parts: int) -> Gauge:
    share = words.number(_percent(total / capacity))
    text = words.number(f"{size(total)} {words('of', total=size(capacity))} ({share})")
    scale = max(total, capacity)
    return Gauge(
        name,
        text,
        tuple((words(key), n / scale, words.number(size(n))) for key, n in parts.items()),
        total <= capacity,
    )


def _memory(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CompileRecord)
    if record is None or not record.ram_over_time:
        return
    steps = record.ram_over_time
    peak = max(steps, key=lambda step: step.bytes_alive)
    yield Text(
        words(
            "ram_note",
            n=len(steps),
            peak=words.number(size(peak.bytes_alive)),
            node=peak.node,
            share=words.number(_percent(peak.bytes_alive / record.board_ram_bytes)),
            capacity=words.number(size(record.board_ram_bytes)),
        )
    )
    svg = plots.ram_over_time([s.node for s in steps], [s.bytes_alive for s in steps], words)
    yield Chart("ram", svg, words("memory"))
    if record.proof:
        yield Text(f"{words('schedule_proof')}: {record.proof}", note=True)


def _layers(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CostRecord)
    if record is None:
        return
    cycles = sum(layer.cycles for layer in record.layers) or 1.0
    most = max((layer.cycles for layer in record.layers), default=0.0) or 1.0
    rows = [
        (
            Cell(layer.name, name=True),
            Cell(" × ".join(str(d) for d in layer.shape)),
            _n(layer.parameters),
            _n(layer.macs),
            Cell(words.number(size(layer.flash_bytes))),
            Cell(words.number(size(layer.ram_bytes))),
            _n(round(layer.cycles)),
            Cell(words.number(_percent(layer.cycles / cycles)), bar=layer.cycles / most),
        )
        for layer in record.layers
    ]
    flash = sum(layer.flash_bytes for layer in record.layers)
    total = (
        Cell(words("total"), name=True),
        Cell(""),
        _n(record.parameters),
        _n(record.macs),
        Cell(words.number(size(flash))),
        Cell(""),
        _n(round(record.cycles.value)),
        Cell(""),
    )
    keys = ("layer", "shape", "parameters", "", "", "", "cycles", "share")
    fixed = ("", "", "", "MACs", "flash", "RAM", "", "")
    head = tuple(text or words(key) for key, text in zip(keys, fixed, strict=True))
    yield Table(head, (*rows, total), last_is_total=True)


def _cost(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CostRecord)
    if record is None:
        return
    rows: tuple[tuple[str, str, str, str], ...] = tuple(
        (words(key), show(interval.value), show(interval.low), show(interval.high))
        for key, show, interval in (
            ("latency", milliseconds, record.latency_ms),
            ("energy", microjoules, record.energy_uj),
            ("cycles", lambda x: count(round(x)), record.cycles),
        )
    )
    yield Table(
        (words("what"), words("value"), words("interval").replace("95 % ", "").replace(" à 95 %", "")),
        tuple(
            (Cell(name, name=True), Cell(words.number(value)), Cell(words.number(words("to", low=low, high=high))))
            for name, value, low, high in rows
        ),
    )
    error = words.number(f"{100 * record.model_error:.0f}\u202f%")
    yield Text(words("modelled", error=error, clock=f"{record.clock_hz / 1e6:g}"), note=True)


def _reproduce(run: Run, words: Words) -> Iterable[Block]:
    file, data, train = run.file, run.get(DataRecord), run.get(TrainRecord)
    yield Code(file.command)
    rows = [
        (words("created"), file.created),
        (words("seeds"), _pairs(file.seeds.items())),
        (words("settings"), _pairs(file.config.items())),
        (words("versions"), _pairs(file.versions.items())),
        (words("fingerprint"), data.fingerprint if data else ""),
        (words("weights_hash"), train.weights_sha256 if train else ""),
    ]
    yield Table((), tuple((Cell(name, name=True), Cell(text, name=True)) for name, text in rows if text))


def _missing(run: Run, words: Words) -> Iterable[Block]:
    absent = [step for kind, step in STEP_OF.items() if run.get(kind) is None]
    if not absent:
        return
    yield Text(words("missing_note"))
    yield Table(
        (),
        tuple((Cell(words(f"step_{step}"), name=True), Cell(command_for(run, step), name=True)) for step in absent),
    )


def command_for(run: Run, step: StepName) -> str:
    """Say what to type to get a step done in this run."""
    board, dataset, folder = run.file.config.get("board") or "BOARD", run.file.dataset, run.folder.name
    commands: dict[StepName, str] = {
        "data": f"puce train {dataset} --model {run.file.model}",
        "train": f"puce train {dataset} --model {run.file.model}",
        "quantize": f"puce quantize {folder} --data {dataset}",
        "compile": f"puce compile {folder} --board {board}",
        "cost": f"puce analyze {folder} --board {board}",
        "validate": f"puce validate {folder} {dataset} --on emulator --board {board}",
    }
    return commands[step]


def _pairs(items: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{key} {value}" for key, value in items if value is not None)


def _n(n: int) -> Cell:
    return Cell(count(n))


def _percent(x: float) -> str:
    """One decimal is enough for a share."""
    return f"{100 * x:.1f}\u202f%"


_SECTIONS: tuple[tuple[str, Callable[[Run, Words], Iterable[Block]]], ...] = (
    ("accuracy", _accuracy),
    ("board", _board),
    ("layers", _layers),
    ("memory", _memory),
    ("cost", _cost),
    ("quantization", _quantization),
    ("confusion", _confusion),
    ("predictions", _predictions),
    ("training", _training),
    ("data", _data),
    ("reproduce", _reproduce),
    ("missing", _missing),
)
