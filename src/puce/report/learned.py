# SPDX-License-Identifier: Apache-2.0
"""Sections about what was learned: data, training, accuracy, confusion, predictions, quantisation."""

from __future__ import annotations

import csv
from collections.abc import Iterable

import numpy as np

from ..evaluate import Accuracy, by_class, mcnemar
from ..run import DataRecord, QuantizeRecord, ReconstructionRecord, Run, TrainRecord, ValidateRecord
from ..units import count, milliseconds, percent
from . import plots
from .blocks import Block, Cell, Chart, Grid, Matrix, Table, Text
from .heading import witness_name
from .pictures import arrays, predicted, samples
from .texts import Words

MOST_CLASSES = 30  # more do not fit on a page as a matrix


def data(run: Run, words: Words) -> Iterable[Block]:
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
            preprocessing=words.number(str(record.preprocessing)),
        )
    )
    yield from (Text(note, note=True) for note in record.notes)
    if record.skipped:
        yield Text(words("skipped", n=len(record.skipped), files="; ".join(record.skipped[:10])), note=True)
    splits = (("train", record.train), ("validation", record.validation), ("test", record.test))
    names = record.class_names if len(record.class_names) <= MOST_CLASSES else ()
    yield Table(
        (words("split"), *names, words("total")),
        tuple(
            (Cell(words(key), name=True), *(Cell.of(n) for n in split.by_class[: len(names)]), Cell.of(split.total))
            for key, split in splits
        ),
    )
    if pictures := samples(run, record.class_names):
        yield Grid(pictures, words("samples"))


def training(run: Run, words: Words) -> Iterable[Block]:
    back = run.get(ReconstructionRecord)
    record = run.get(TrainRecord) or back
    if record is None:
        return
    yield Text(
        words(
            "trained",
            model=record.model,
            parameters=count(record.parameters),
            epochs=record.epochs,
            best=record.best_epoch,
            time=words.number(_duration(record.seconds)),
        )
    )
    bound = (words("components", code=back.code), back.components.value) if back else None
    if curves := _curves(run, words, ("loss",) if back else ("accuracy", "loss")):
        yield Chart("training", plots.training_curves(curves, record.best_epoch, words, bound), words("training"))
        yield Text(words("train_error_note" if back else "train_note"), note=True)


def _duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return milliseconds(1000 * seconds)
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _curves(run: Run, words: Words, quantities: tuple[str, ...]) -> tuple[plots.Curve, ...]:
    try:
        rows = list(csv.DictReader(run.path("history.csv").read_text(encoding="utf-8").splitlines()))
        curves = tuple(
            plots.Curve(words(key), tuple(float(r[key]) for r in rows), tuple(float(r[f"val_{key}"]) for r in rows))
            for key in quantities
        )
    except (OSError, KeyError, ValueError, TypeError):
        return ()
    return curves if rows else ()


def accuracy(run: Run, words: Words) -> Iterable[Block]:
    rows = list(_accuracies(run, words))
    if not rows:
        return
    shown = [(name, accuracy) for name, accuracy, _ in rows]
    rows += _baseline(run, words)  # not in the chart, whose scale is that of the others
    yield Chart("accuracy", plots.accuracy_intervals(shown, words), words("accuracy"))
    yield Table(
        tuple(words(key) for key in ("what", "value", "interval", "correct", "identical")),
        tuple(
            (
                Cell(name, name=True),
                Cell(words.number(percent(a.value))),
                Cell(words.number(words("to", low=percent(a.low), high=percent(a.high)))),
                Cell(f"{count(a.correct)} {words('of', total=count(a.count))}"),
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


def _baseline(run: Run, words: Words) -> Iterable[tuple[str, Accuracy, str]]:
    """What any network must beat."""
    data = run.get(DataRecord)
    if data is not None and data.test.total:
        largest = max(range(len(data.class_names)), key=lambda k: data.train.by_class[k])
        name = words("majority", name=data.class_names[largest])
        yield name, Accuracy.of(data.test.by_class[largest], data.test.total), ""


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
            (Cell(data.class_names[r.index], name=True), cell(r.precision), cell(r.recall), cell(r.f1), Cell.of(r.support))
            for r in by_class(record.confusion)
        ),
    )


def confusion(run: Run, words: Words) -> Iterable[Block]:
    data, train, quantized = run.get(DataRecord), run.get(TrainRecord), run.get(QuantizeRecord)
    found = quantized or train
    if data is None or found is None or len(data.class_names) > MOST_CLASSES:
        return
    kind = "int8" if quantized else words("float_test").split(",")[0]
    yield Matrix(data.class_names, found.confusion, words("true"), words("confusion_note", kind=kind))


def predictions(run: Run, words: Words) -> Iterable[Block]:
    data = run.get(DataRecord)
    pictures = predicted(run, data.class_names) if data else ()
    if not pictures:
        return
    first = pictures[:25]
    yield Grid(first, words("prediction_note", n=len(first)))
    mistakes = sorted((p for p in pictures if not p.right), key=lambda p: -p.score)[:10]
    if mistakes:
        yield Grid(tuple(mistakes), words("mistakes", n=len(pictures)))


def quantization(run: Run, words: Words) -> Iterable[Block]:
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
