# SPDX-License-Identifier: Apache-2.0
"""An evaluation on one page: every way in one table, paired tests, confusion as a heat map, answers and worst errors."""

from __future__ import annotations

from pathlib import Path

from . import __version__
from .data import Dataset
from .evaluate import Accuracy, by_class, probabilities, top_predictions
from .evaluation import Evaluation
from .ir import Array
from .report.belief import calibration_chart
from .report.blocks import Block, Cell, Chart, Figure, Grid, Matrix, Report, Section, Table, Text
from .report.pictures import GRID, Picture, prediction, small
from .report.texts import Words
from .report.write import as_html
from .run import atomic
from .units import count, percent

MOST_CLASSES = 30  # more do not fit on a page as a matrix


def write_evaluation(e: Evaluation, dataset: Dataset, path: Path) -> Path:
    """Write the page, one self-contained HTML file; `e` is of the first pictures of the data set's test split."""
    with atomic(path) as part:
        part.write_text(as_html(_page(e, dataset)), encoding="utf-8")
    return path


def _page(e: Evaluation, dataset: Dataset) -> Report:
    words = Words("en")
    scores = probabilities(next(w.scores for w in e.ways if w.name == e.judged))
    figures = [
        Figure(percent(w.accuracy.value), f"accuracy, {w.name}", _interval(w.accuracy)) for w in (*e.ways,)
    ] + [Figure(percent(e.baseline.value), "always the largest class", "what any network must beat")]  # fmt: skip
    sections = [
        Section("accuracy", "Accuracy", tuple(_accuracy(e))),
        Section("predictions", "Predictions", tuple(_answers(e, dataset, scores, words))),
        Section("classes", "By class", (_classes(e),)),
        Section("belief", words("belief"), tuple(_belief(e, words))),
        Section("about", "About", tuple(Text(note) for note in (*e.notes, *dataset.notes))),
    ]
    if len(e.class_names) <= MOST_CLASSES:
        note = f"{e.judged}, test pictures; rows are true classes."
        matrix = Matrix(e.class_names, e.matrix, words("true"), note)
        sections.insert(3, Section("confusion", words("confusion"), (matrix,)))
    return Report(
        lang="en", label="puce evaluate", title=f"{e.model} on {e.dataset}",
        subtitle=f"{count(e.baseline.count)} test pictures · puce {__version__}", verdict="", tone="plain", proof="",
        proof_chain="", proof_tone="plain", figures=tuple(figures), sections=tuple(s for s in sections if s.blocks),
    )  # fmt: skip


def _interval(a: Accuracy) -> str:
    return f"{percent(a.low)} to {percent(a.high)}"


def _accuracy(e: Evaluation) -> list[Block]:
    ways = [*((w.name, w.accuracy) for w in e.ways), ("always the largest class", e.baseline)]
    rows = tuple(
        (Cell(name, name=True), Cell(percent(a.value)), Cell(_interval(a)), Cell(f"{count(a.correct)} of {count(a.count)}"))
        for name, a in ways
    )
    blocks: list[Block] = [Table(("what", "accuracy", "95 % interval", "correct"), rows)]
    if e.pairs:
        head = ("same pictures", "same class", "only the first right", "only the second", "McNemar p", "verdict")
        paired = tuple(
            (
                Cell(f"{p.first} / {p.second}", name=True),
                Cell.of(p.same),
                Cell.of(p.test.only_first),
                Cell.of(p.test.only_second),
                Cell(f"{p.test.p_value:.3g}"),
                Cell("they differ" if p.test.differ else "no difference shown"),
            )
            for p in e.pairs
        )
        blocks.append(Table(head, paired))
    return blocks


def _answers(e: Evaluation, dataset: Dataset, scores: Array, words: Words) -> list[Block]:
    top = top_predictions(scores, k=1)
    labels, best, sure = dataset.y_test[: len(scores)], top.labels[:, 0], top.scores[:, 0]

    def grid(chosen: list[int]) -> tuple[Picture, ...]:
        return tuple(
            prediction(small(dataset.x_test[i]), int(labels[i]), int(best[i]), float(sure[i]), e.class_names) for i in chosen
        )

    shown = min(GRID, len(scores))
    blocks: list[Block] = [Grid(grid(list(range(shown))), words("prediction_note", n=shown))]
    wrong = sorted((i for i in range(len(scores)) if best[i] != labels[i]), key=lambda i: -float(sure[i]))[:GRID]
    if wrong:
        caption = f"Worst errors among all {count(len(scores))}: wrong, and surest of it ({e.judged})."
        blocks.append(Grid(grid(wrong), caption))
    return blocks


def _classes(e: Evaluation) -> Table:
    def cell(x: float | None) -> Cell:
        return Cell("–" if x is None else percent(x))

    rows = tuple(
        (Cell(e.class_names[r.index], name=True), cell(r.precision), cell(r.recall), cell(r.f1), Cell.of(r.support))
        for r in by_class(e.matrix)
    )
    return Table(("class", "precision", "recall", "F1", "pictures"), rows)


def _belief(e: Evaluation, words: Words) -> list[Block]:
    c = e.calibration
    blocks: list[Block] = [
        Chart("calibration", calibration_chart(c.bins, None, words), words("belief")),
        Text(words("calibration_note"), note=True),
        Text(f"Calibration error {percent(c.error)}; with temperature {c.temperature:.3g} {percent(c.tempered_error)}."),
        Text(f"To be right in 95 %: {c.reject}."),
    ]
    if e.detection:
        blocks.append(Text(f"{e.detection.positive}: area under the ROC curve {e.detection.auc}; {e.detection.point}."))
    return blocks
