# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: a table, paired tests on the same pictures, the Pareto front; as text, Markdown, CSV and HTML."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from .errors import BadInput
from .evaluate import Accuracy, PairedTest, mcnemar
from .report.blocks import Block, Cell, Chart, Report, Section, Table, Text
from .report.markdown import as_markdown
from .report.pictures import arrays
from .report.tradeoff import Candidate, tradeoff
from .report.write import as_html
from .run import CompileRecord, CostRecord, DataRecord, QuantizeRecord, Run, TrainRecord, atomic
from .text import table
from .units import count, microjoules, milliseconds, percent, size

COSTS = ("flash_bytes", "ram_bytes", "latency_ms")


@dataclass(frozen=True)
class Row:
    """One run. What its steps have not found out is None; latency and energy are modelled."""

    run: str
    model: str
    dataset: str
    board: str | None
    precision: str
    """Of the accuracy: int8 where the run has it, else float."""
    accuracy: Accuracy
    float_accuracy: Accuracy
    parameters: int
    macs: int | None
    flash_bytes: int | None
    ram_bytes: int | None
    latency_ms: float | None
    energy_uj: float | None
    training_s: float
    front: bool
    """No other run of the same test pictures is at least as good in everything and better in something."""

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "model": self.model, "dataset": self.dataset, "board": self.board, "precision": self.precision,
            "accuracy": self.accuracy.as_json(), "float_accuracy": self.float_accuracy.as_json(),
            "parameters": self.parameters, "macs": self.macs, "flash_bytes": self.flash_bytes, "ram_bytes": self.ram_bytes,
            "latency_ms": self.latency_ms, "energy_uj": self.energy_uj, "training_s": self.training_s, "front": self.front,
        }  # fmt: skip


@dataclass(frozen=True)
class Against:
    """A run against the most accurate one, on the same test pictures."""

    run: str
    best: str
    test: PairedTest

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "best": self.best, "only_run": self.test.only_first, "only_best": self.test.only_second,
            "p_value": self.test.p_value, "differ": self.test.differ,
        }  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 60:
        return milliseconds(1000 * seconds)
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("accuracy", lambda r: percent(r.accuracy.value)),
    ("95 %", lambda r: f"{percent(r.accuracy.low)} to {percent(r.accuracy.high)}"),
    ("type", lambda r: r.precision),
    ("parameters", lambda r: count(r.parameters)),
    ("MACs", lambda r: "" if r.macs is None else count(r.macs)),
    ("flash", lambda r: "" if r.flash_bytes is None else size(r.flash_bytes)),
    ("RAM", lambda r: "" if r.ram_bytes is None else size(r.ram_bytes)),
    ("latency", lambda r: "" if r.latency_ms is None else milliseconds(r.latency_ms)),
    ("energy", lambda r: "" if r.energy_uj is None else microjoules(r.energy_uj)),
    ("training", lambda r: _duration(r.training_s)),
    ("front", lambda r: "●" if r.front else ""),
)


_QUALITY = {"accuracy", "95 %", "type", "training", "front"}
_PRICE = {"parameters", "MACs", "flash", "RAM", "latency", "energy"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answer of `puce compare`; `files` are the pages that were written."""

    rows: tuple[Row, ...]
    paired: tuple[Against, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...] = ()
    ok: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "runs": [r.as_json() for r in self.rows], "paired": [a.as_json() for a in self.paired],
            "notes": list(self.notes), "files": [str(f) for f in self.files],
        }  # fmt: skip

    def __str__(self) -> str:
        used = self._columns()
        rows = [(r.run, *(show(r) for _, show in used)) for r in self.rows]
        lines = [table(("run", *(head for head, _ in used)), rows, right=set(range(1, len(used)))), ""]
        lines += [self._sentence(a) for a in self.paired]
        return "\n".join([*lines, *self.notes, *(f"written: {f}" for f in self.files)])

    def _columns(self) -> list[tuple[str, Callable[[Row], str]]]:
        """Those that at least one run has something for."""
        return [(head, show) for head, show in COLUMNS if any(show(r) for r in self.rows)]

    @staticmethod
    def _sentence(a: Against) -> str:
        t = a.test
        verdict = "the difference is real" if t.differ else "no difference can be shown"
        counts = f"{count(t.only_first)} right only here, {count(t.only_second)} only there"
        return f"{a.run} against {a.best}: {counts}; McNemar's exact test, p = {t.p_value:.3g}: {verdict}."

    def csv(self) -> str:
        """One line a run: plain numbers, bytes and milliseconds; the intervals in columns of their own."""
        names = ("run", "model", "dataset", "board", "precision")
        measures = (
            "parameters", "macs", "flash_bytes", "ram_bytes", "latency_ms", "energy_uj", "training_s",
        )  # fmt: skip
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, "accuracy", "accuracy_low", "accuracy_high", "float_accuracy", *measures, "front"])
        for r in self.rows:
            accuracies = [r.accuracy.value, r.accuracy.low, r.accuracy.high, r.float_accuracy.value]
            rest = [getattr(r, m) for m in measures]
            writer.writerow([*(getattr(r, n) for n in names), *accuracies, *rest, int(r.front)])
        return text.getvalue()

    def report(self) -> Report:
        used = self._columns()
        blocks: list[Block] = []
        for part in (_QUALITY, _PRICE):  # one table of all columns is wider than a page
            shown = [(head, show) for head, show in used if head in part]
            cells = tuple((Cell(r.run, name=True), *(Cell(show(r)) for _, show in shown)) for r in self.rows)
            blocks.append(Table(("run", *(head for head, _ in shown)), cells))
        blocks += [
            Text("● marks the Pareto front: nothing is better in everything. Latency and energy are modelled.", note=True)
        ]
        panels = list(self._panels())
        if panels:
            blocks.append(Chart("tradeoff", tradeoff(panels, "accuracy against cost"), "accuracy against cost"))
        tests = (*(self._sentence(a) for a in self.paired), *self.notes)
        sections = [Section("runs", "Runs", tuple(blocks))]
        sections += [Section("tests", "Is the difference real?", tuple(Text(t) for t in tests))] if tests else []
        best = max(self.rows, key=lambda r: r.accuracy.value)
        datasets = ", ".join(sorted({r.dataset for r in self.rows}))
        return Report(
            lang="en", label="puce compare", title=f"{len(self.rows)} runs on {datasets}", subtitle=f"puce {__version__}",
            verdict=f"Most accurate: {best.run}, {percent(best.accuracy.value)} in {best.precision}.", tone="plain",
            proof="", proof_chain="", proof_tone="plain", figures=(), sections=tuple(sections),
        )  # fmt: skip

    def _labels(self) -> list[str]:
        """Short names for the chart: the model, numbered in the table's order where several runs have it."""
        many, seen = Counter(r.model for r in self.rows), Counter[str]()
        labels = []
        for r in self.rows:
            seen[r.model] += 1
            labels.append(r.model if many[r.model] == 1 else f"{r.model} ({seen[r.model]})")
        return labels

    def _panels(self) -> Iterator[tuple[str, list[Candidate]]]:
        wanted: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
            ("flash (KiB)", lambda r: None if r.flash_bytes is None else r.flash_bytes / 1024),
            ("RAM (KiB)", lambda r: None if r.ram_bytes is None else r.ram_bytes / 1024),
            ("latency (ms, modelled)", lambda r: r.latency_ms),
        )
        if not any(r.flash_bytes for r in self.rows):
            wanted = (("parameters", lambda r: float(r.parameters)),)
        for title, cost in wanted:
            found = [
                Candidate(name, r.accuracy, c, r.front)
                for name, r in zip(self._labels(), self.rows, strict=True)
                if (c := cost(r)) is not None
            ]
            if found:
                yield title, found


def compare_runs(folders: Sequence[str | Path], files: Sequence[str | Path] = ()) -> Comparison:
    """Read run folders, the most accurate first, and write the wanted files (.html, .md, .csv).

    Raise BadInput for a folder that is no run, or has not been trained yet.
    """
    for file in files:
        if Path(file).suffix not in (".html", ".md", ".csv"):
            raise BadInput(str(file), "has no ending that says what to write.", "End it in .html, .md or .csv.")
    runs = [Run.open(folder) for folder in folders]
    fingerprints = [d.fingerprint if (d := run.get(DataRecord)) else None for run in runs]
    names = _names(runs)
    rows = [_row(run, name) for run, name in zip(runs, names, strict=True)]
    rows = [_marked(row, rows, fingerprints, i) for i, row in enumerate(rows)]
    order = sorted(range(len(rows)), key=lambda i: -rows[i].accuracy.value)
    paired, notes = list[Against](), list[str]()
    best = order[0]
    for i in order[1:]:
        test = _paired(runs[i], runs[best]) if fingerprints[i] == fingerprints[best] else None
        if test is None:
            notes.append(f"{names[i]} and {names[best]} were not tested on the same pictures: their figures are not paired.")
        else:
            paired.append(Against(names[i], names[best], test))
    if paired:
        notes.append("These tests are between the very weights of two runs; whether a recipe is better takes several seeds.")
    found = Comparison(tuple(rows[i] for i in order), tuple(paired), tuple(notes), tuple(map(Path, files)))
    for path in found.files:
        with atomic(path) as part:
            part.write_text(_as_file(found, path), encoding="utf-8")
    return found


def _as_file(found: Comparison, path: Path) -> str:
    if path.suffix == ".csv":
        return found.csv()
    report = found.report()
    if path.suffix == ".html":
        return as_html(report)
    # Markdown cannot hold the chart: the page of its own has it.
    plain = tuple(Section(s.key, s.title, tuple(b for b in s.blocks if not isinstance(b, Chart))) for s in report.sections)
    return as_markdown(Report(**{**vars(report), "sections": plain}))


def _names(runs: Sequence[Run]) -> list[str]:
    """Folder names; with their parents where two are called the same."""
    short = [run.folder.resolve().name for run in runs]
    many = Counter(short)
    return [
        name if many[name] == 1 else "/".join(run.folder.resolve().parts[-2:]) for name, run in zip(short, runs, strict=True)
    ]


def _row(run: Run, name: str) -> Row:
    train, quantized = run.get(TrainRecord), run.get(QuantizeRecord)
    compiled, cost = run.get(CompileRecord), run.get(CostRecord)
    if train is None:
        raise BadInput(str(run.folder), "this run has not been trained to the end.", "Go on with `puce train ... --resume`.")
    return Row(
        run=name, model=run.file.model, dataset=run.file.dataset, board=compiled.board if compiled else None,
        precision="int8" if quantized else "float", accuracy=quantized.int8_accuracy if quantized else train.test,
        float_accuracy=train.test, parameters=train.parameters, macs=cost.macs if cost else None,
        flash_bytes=compiled.linked.flash_bytes.total if compiled else None,
        ram_bytes=compiled.linked.ram_bytes.total if compiled else None,
        latency_ms=cost.latency_ms.value if cost else None, energy_uj=cost.energy_uj.value if cost else None,
        training_s=train.seconds, front=False,
    )  # fmt: skip


def _marked(row: Row, rows: Sequence[Row], fingerprints: Sequence[str | None], i: int) -> Row:
    rivals = [r for j, r in enumerate(rows) if j != i and fingerprints[j] == fingerprints[i]]
    return replace(row, front=not any(_beats(r, row) for r in rivals))


def _beats(a: Row, b: Row) -> bool:
    """Whether a is at least as good in everything that both know, and better in something."""
    known = [c for c in (*COSTS, "parameters") if getattr(a, c) is not None and getattr(b, c) is not None]
    known = [c for c in known if c != "parameters"] or ["parameters"]  # parameters stand in where nothing was compiled
    pairs = [(getattr(a, c), getattr(b, c)) for c in known] + [(-a.accuracy.value, -b.accuracy.value)]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def _paired(run: Run, best: Run) -> PairedTest | None:
    """int8 against int8 where both have it, else float against float."""
    for name in ("scores-int8.npz", "scores-float.npz"):
        a, b = arrays(run, name), arrays(best, name)
        if {"scores", "labels"} <= set(a) & set(b) and np.array_equal(a["labels"], b["labels"]):
            return mcnemar(a["scores"], b["scores"], a["labels"])
    return None
