# SPDX-License-Identifier: Apache-2.0
"""Records -> sections of the report, in reading order; a section whose record is missing is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..run import DataRecord, ReconstructionRecord, Run, StepName, TrainRecord
from ..run.records import STEP_OF, STEPS
from . import belief, learned, target
from .blocks import Block, Cell, Code, Report, Section, Table, Text
from .heading import heading
from .reconstruction import reconstruction
from .texts import Lang, Words


def assemble(run: Run, lang: Lang) -> Report:
    """Read a run folder and lay its report out."""
    words = Words(lang)
    sections = [Section(key, words(key), blocks) for key, make in _SECTIONS if (blocks := tuple(make(run, words)))]
    return heading(run, words, tuple(sections))


def _reproduce(run: Run, words: Words) -> Iterable[Block]:
    file, data, train = run.file, run.get(DataRecord), run.get(TrainRecord) or run.get(ReconstructionRecord)
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
    there = {step for kind, step in STEP_OF.items() if run.get(kind) is not None}
    absent = [step for step in STEPS if step not in there]
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
    if run.get(ReconstructionRecord) is not None:  # only its encoder goes on a chip
        folder = f"{folder}/encoder.keras"
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


_SECTIONS: tuple[tuple[str, Callable[[Run, Words], Iterable[Block]]], ...] = (
    ("accuracy", learned.accuracy),
    ("reconstruction", reconstruction),
    ("board", target.board),
    ("layers", target.layers),
    ("memory", target.memory),
    ("cost", target.cost),
    ("quantization", learned.quantization),
    ("confusion", learned.confusion),
    ("belief", belief.belief),
    ("predictions", learned.predictions),
    ("training", learned.training),
    ("data", learned.data),
    ("reproduce", _reproduce),
    ("missing", _missing),
)
