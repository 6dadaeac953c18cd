# SPDX-License-Identifier: Apache-2.0
"""How good a model is on a data set, by every way to compute it that is at hand: `puce evaluate`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from . import passes
from .build import build_library
from .compiler import Compiled, compile_graph
from .data import Dataset, Preprocessing
from .device import Host
from .errors import BadInput, UnknownName
from .evaluate import (
    Accuracy,
    Auc,
    Bin,
    OperatingPoint,
    PairedTest,
    Reject,
    accuracy,
    auc,
    by_class,
    confusion,
    expected_error,
    majority,
    mcnemar,
    operating_point,
    point_at,
    probabilities,
    reject_at,
    reject_threshold,
    reliability,
    temperature,
    tempered,
)
from .ir import Array, Graph
from .progress import track
from .quantized import check_fits_data, decode, encode, evaluate_float, find_preprocessing, quantized_preprocessing
from .text import table
from .units import count, percent
from .yardstick import purpose_of

MOST_CLASSES = 20  # more do not fit in a terminal as a matrix
BELIEVED = 0.95
SPECIFICITY = 0.9


@dataclass(frozen=True, eq=False)
class Way:
    """One way to compute the answers to the test pictures: scores [n, classes]."""

    name: str
    accuracy: Accuracy
    scores: Array

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "accuracy": self.accuracy.as_json()}


@dataclass(frozen=True)
class Pair:
    """Two ways on the same pictures."""

    first: str
    second: str
    test: PairedTest
    same: int
    """Pictures to which both give the same class."""

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first, "second": self.second, "only_first": self.test.only_first,
            "only_second": self.test.only_second, "p_value": self.test.p_value, "differ": self.test.differ, "same": self.same,
        }  # fmt: skip


@dataclass(frozen=True)
class Detection:
    """Two classes, one to be found: the threshold is chosen on validation pictures and measured on the test."""

    positive: str
    auc: Auc | None
    point: OperatingPoint | None
    declared: OperatingPoint | None = None
    """At the threshold that the run declares, where it declares one."""

    def as_json(self) -> dict[str, Any]:
        return {
            "positive": self.positive, "auc": self.auc.as_json() if self.auc else None,
            "point": self.point.as_json() if self.point else None,
            "declared": self.declared.as_json() if self.declared else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities can be believed; temperature and threshold come from the validation pictures."""

    bins: tuple[Bin, ...]
    error: float
    temperature: float
    tempered_error: float
    reject: Reject

    def as_json(self) -> dict[str, Any]:
        return {
            "bins": [b.as_json() for b in self.bins], "error": self.error, "temperature": self.temperature,
            "tempered_error": self.tempered_error, "reject": self.reject.as_json(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answer of `puce evaluate`; figures by class, calibration and detection are those of the way named `judged`."""

    model: str
    dataset: str
    class_names: tuple[str, ...]
    ways: tuple[Way, ...]
    pairs: tuple[Pair, ...]
    baseline: Accuracy
    judged: str
    matrix: tuple[tuple[int, ...], ...]
    calibration: Calibration
    detection: Detection | None
    notes: tuple[str, ...] = ()
    page: Path | None = None
    ok: bool = True
    declared: Reject | None = None
    """At the reject threshold that the run declares, where it declares one."""

    @property
    def accuracy(self) -> Accuracy:
        return next(w.accuracy for w in self.ways if w.name == self.judged)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model, "dataset": self.dataset, "accuracy": self.accuracy.as_json(),
            "baseline": self.baseline.as_json(), "judged": self.judged, "ways": [w.as_json() for w in self.ways],
            "paired": [p.as_json() for p in self.pairs],
            "classes": [
                {
                    "name": self.class_names[c.index], "precision": c.precision, "recall": c.recall, "f1": c.f1,
                    "support": c.support,
                }
                for c in by_class(self.matrix)
            ],
            "confusion": [list(row) for row in self.matrix], "calibration": self.calibration.as_json(),
            "declared": self.declared.as_json() if self.declared else None,
            "detection": self.detection.as_json() if self.detection else None, "notes": list(self.notes),
            "page": str(self.page) if self.page else None,
        }  # fmt: skip

    def __str__(self) -> str:
        width = max(len(w.name) for w in self.ways)
        lines = [f"{self.model} on {self.dataset}, {count(self.baseline.count)} test pictures", ""]
        lines += [f"{w.name:<{width}}  {w.accuracy}" for w in self.ways]
        lines += [f"{'majority':<{width}}  {self.baseline}: always the largest class", ""]
        if self.pairs:
            head = ("same pictures", "same class", "only first right", "only second", "McNemar p", "")
            rows = [
                (f"{p.first} / {p.second}", count(p.same), count(p.test.only_first), count(p.test.only_second),
                 f"{p.test.p_value:.3g}", "they differ" if p.test.differ else "no difference shown")
                for p in self.pairs
            ]  # fmt: skip
            lines += [table(head, rows, right={1, 2, 3, 4}), ""]
        lines += [f"By class ({self.judged}):", self._classes(), ""]
        if len(self.class_names) <= MOST_CLASSES:
            lines += ["True class below, predicted class beside:", self._matrix(), ""]
        c = self.calibration
        lines += [
            f"calibration error {percent(c.error)}; with temperature {c.temperature:.3g} {percent(c.tempered_error)}",
            f"to be right in {percent(BELIEVED)}: {c.reject}",
        ]
        if self.declared:
            lines.append(f"as this run declares: {self.declared}")
        if self.detection:
            d = self.detection
            lines += [f"{d.positive} found: area under the ROC curve {d.auc}", f"  {d.point}"]
            lines += [f"  {d.declared}"] if d.declared else []
        return "\n".join([*lines, *self.notes, *([f"page: {self.page}"] if self.page else [])])

    def _classes(self) -> str:
        rows = [
            (
                self.class_names[c.index],
                *("–" if x is None else percent(x) for x in (c.precision, c.recall, c.f1)),
                count(c.support),
            )
            for c in by_class(self.matrix)
        ]
        return table(("class", "precision", "recall", "F1", "pictures"), rows, right={1, 2, 3, 4})

    def _matrix(self) -> str:
        short = [name[:10] for name in self.class_names]
        rows = [(name, *(count(n) if n else "·" for n in row)) for name, row in zip(self.class_names, self.matrix, strict=True)]
        return table(("", *short), rows, right=set(range(1, len(short) + 1)))


def evaluate_graphs(
    graphs: Sequence[tuple[str, Graph, Preprocessing | None]],
    dataset: Dataset,
    *,
    model: str,
    in_c: bool = True,
    count: int | None = None,
    positive: str | None = None,
    threshold: float | None = None,
) -> Evaluation:
    """Measure graphs (name, graph, how pixels enter it where that is known), and the last one in C on this computer.

    What is learned about probabilities is learned on validation pictures and measured on the test. `threshold` is the
    probability below which a run declares that nothing is recognised.
    """
    notes, ways = list[str](), list[Way]()
    labels = dataset.y_test[:count]
    answer: Callable[[Array], Array] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for name, imported, known in graphs:
            check_fits_data(imported, dataset, imported.name)
            check_classes(imported, dataset)
            graph = passes.run(imported)
            preprocessing = known or preprocessing_of(graph, dataset, notes)
            answer = reference_answers(graph, preprocessing, name)
            ways.append(_way(name, answer(dataset.x_test[:count]), labels))
        judged = ways[-1].name
        if in_c:
            compiled = compile_graph(graph, Path(folder), None, name="model")
            answer = c_answers(graph, preprocessing, compiled)
            ways.append(_way("C on this computer", answer(dataset.x_test[:count]), labels))
        assert answer is not None
        validation = probabilities(answer(dataset.x_validation[:count]))
    scores = probabilities(next(w.scores for w in ways if w.name == judged))
    return Evaluation(
        model=model, dataset=dataset.name, class_names=dataset.class_names, ways=tuple(ways), pairs=_pairs(ways, labels),
        baseline=majority(dataset.y_train, labels), judged=judged, matrix=confusion(scores, labels, dataset.classes),
        calibration=_calibration(validation, dataset.y_validation[:count], scores, labels),
        detection=_detection(dataset, validation, dataset.y_validation[:count], scores, labels, positive, threshold),
        notes=tuple(notes), declared=reject_at(threshold, scores, labels) if threshold else None,
    )  # fmt: skip


def check_classes(graph: Graph, dataset: Dataset) -> None:
    """Raise BadInput where the outputs are not one for each class."""
    if purpose_of(graph, dataset) != "classes":
        size = graph.tensors[graph.outputs[0]].size
        fact = f"gives {size} values, the set {dataset.name} has {dataset.classes} classes: there is no accuracy."
        remedy = "`puce validate` holds the values of an encoder against the float model's, and C against both."
        raise BadInput(graph.name, fact, remedy)


def preprocessing_of(graph: Graph, dataset: Dataset, notes: list[str]) -> Preprocessing:
    """How pixels enter a model: as its int8 input says, or found by trying, with a note."""
    x = graph.tensors[graph.inputs[0]]
    if x.dtype != "float32":
        return quantized_preprocessing(x)
    found, note = find_preprocessing(graph, dataset)
    notes.append(note)
    return found


def _way(name: str, scores: Array, labels: Array) -> Way:
    return Way(name, accuracy(scores, labels), scores)


def reference_answers(graph: Graph, preprocessing: Preprocessing, title: str) -> Callable[[Array], Array]:
    """Raw pictures to real answers [n, values], by the NumPy reference."""
    x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]

    def answer(pictures: Array) -> Array:
        return decode(evaluate_float(graph, encode(pictures, preprocessing, x), title), y).reshape(len(pictures), -1)

    return answer


def c_answers(graph: Graph, preprocessing: Preprocessing, compiled: Compiled) -> Callable[[Array], Array]:
    """Raw pictures to real answers [n, values], by the compiled C on this computer."""
    x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    folder, kind = compiled.folder, cast(Literal["int8", "uint8", "float32"], x.dtype)
    sources = [folder / c for c in compiled.sources.compiled]
    library = build_library(sources, folder, folder / f"{compiled.sources.name}.so")

    def answer(pictures: Array) -> Array:
        inputs = encode(pictures, preprocessing, x)
        with Host(library, folder / "puce_model.h") as device:
            replies = [device.run(i.tobytes(), kind).outputs for i in track(inputs, "C on this computer")]
        raw = np.stack([np.frombuffer(reply, y.dtype) for reply in replies])
        return decode(raw, y).reshape(len(pictures), -1)

    return answer


def _pairs(ways: list[Way], labels: Array) -> tuple[Pair, ...]:
    """Each way with the next: float with int8, int8 with its C."""
    return tuple(
        Pair(a.name, b.name, mcnemar(a.scores, b.scores, labels), int((a.scores.argmax(1) == b.scores.argmax(1)).sum()))
        for a, b in pairwise(ways)
    )


def _calibration(validation: Array, known: Array, scores: Array, labels: Array) -> Calibration:
    t, bins = temperature(validation, known), reliability(scores, labels)
    cooled = expected_error(reliability(tempered(scores, t), labels))
    reject = reject_at(reject_threshold(validation, known, BELIEVED), scores, labels)
    return Calibration(bins, expected_error(bins), t, cooled, reject)


def _detection(
    dataset: Dataset,
    validation: Array,
    known: Array,
    scores: Array,
    labels: Array,
    positive: str | None,
    declared: float | None,
) -> Detection | None:
    if positive is not None and positive not in dataset.class_names:
        raise UnknownName.among("class", positive, dataset.class_names, "Name the class that is to be found.")
    if dataset.classes != 2 and positive is None:
        return None
    k = dataset.class_names.index(positive) if positive else 1
    threshold = operating_point(validation[:, k], known == k, SPECIFICITY)
    found, where = scores[:, k], labels == k
    return Detection(
        dataset.class_names[k], auc(found, where), point_at(threshold, found, where),
        point_at(declared, found, where) if declared else None,
    )  # fmt: skip
