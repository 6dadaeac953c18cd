# SPDX-License-Identifier: Apache-2.0
"""The main job as named steps over a run folder: each leaves one record, and one that is done is not done again.

data, train -> quantize -> compile -> cost -> validate -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import frontends
from .analysis import profile
from .boards import Board
from .choice import Objective
from .compiler import Compiled, Declared, compile_graph, fits_or_raise, judge
from .cost import Time
from .data import Dataset
from .evaluate import confusion
from .frontends import tflite as tflite_in
from .ir import Graph
from .quantized import encode, quantize_model
from .run import (
    BankUse,
    CompileRecord,
    CostRecord,
    DataRecord,
    FlashBytes,
    InputQuantization,
    Interval,
    LayerCost,
    LayerNoise,
    QuantizeRecord,
    RamBytes,
    RamStep,
    ReconstructionRecord,
    Run,
    Sizes,
    TrainRecord,
    ValidateRecord,
    Witness,
)
from .validation import Verdict, hear, pictures_of

INT8_FILE, FIRMWARE = "model.int8.tflite", "firmware"
Say = Callable[[str], None]


@dataclass
class Job:
    """One run on its way: the folder, the data and the board; the graph and the firmware are made when first needed."""

    run: Run
    dataset: Dataset
    board: Board
    say: Say
    optimize: Objective = "balanced"
    _compiled: Compiled | None = field(default=None, init=False)

    @property
    def graph(self) -> Graph:
        """The int8 graph as its file holds it."""
        return tflite_in.load(self.run.path(INT8_FILE)).graph

    @property
    def compiled(self) -> Compiled:
        if self._compiled is None:
            x = self.graph.tensors[self.graph.inputs[0]]
            picture = encode(self.dataset.x_test[:1], self.dataset.preprocessing, x)[0]
            self._compiled = compile_graph(
                self.graph, self.run.path(FIRMWARE), self.board, name=self.dataset.name, test_picture=picture,
                declared=declared_by(self.run), optimize=self.optimize,
            )  # fmt: skip
        return self._compiled

    def relative(self, path: Path) -> str:
        return path.relative_to(self.run.folder).as_posix()


def declared_by(run: Run) -> Declared:
    """What a run says of its model in the C header: its warning, its classes, and its reject threshold."""
    data, reject = run.get(DataRecord), run.file.config.get("reject")
    if data is None:
        return Declared()
    return Declared(data.warning, data.class_names, float(reject) if reject else None)


def train(job: Job, model: str, config: Any, options: Mapping[str, Any]) -> TrainRecord | ReconstructionRecord:
    from .train import TerminalProgress, train_step

    record = train_step(job.run, job.dataset, model, config, TerminalProgress(), **options)
    job.say(f"train     {record.epochs} epochs, {record.parameters} parameters, float {record.test}")
    if isinstance(record, ReconstructionRecord):
        job.say(f"bound     {record.code} principal components: {record.components}")
    return record


def quantize(job: Job) -> None:
    imported = frontends.load(job.run.path("model.keras"))
    with job.run.atomic(INT8_FILE) as path:
        q = quantize_model(imported.graph, job.dataset, path, preprocessing=job.dataset.preprocessing)
    assert q.float_accuracy and q.int8_accuracy, "the main job is for networks that tell classes apart"
    with job.run.atomic("scores-int8.npz") as path:
        np.savez(path, scores=q.scores, labels=job.dataset.y_test)
    x = q.graph.tensors[q.graph.inputs[0]]
    record = QuantizeRecord(
        float_accuracy=q.float_accuracy,
        int8_accuracy=q.int8_accuracy,
        layers=tuple(LayerNoise(name=n.name, op=n.op, snr_db=n.snr_db, weights_snr_db=n.weights_snr_db) for n in q.layers),
        calibration_count=q.calibration_count,
        input=InputQuantization(scale=x.q.s, zero_point=x.q.z),
        confusion=confusion(q.scores, job.dataset.y_test, job.dataset.classes),
    )
    job.run.record("quantize", record, artefacts=(INT8_FILE, "scores-int8.npz"), inputs=("model.keras",))
    job.say(f"quantize  int8 {q.int8_accuracy}")


def compile_(job: Job) -> None:
    c, board = job.compiled, job.board
    assert c.promised and c.linked and c.elf
    alive = c.schedule.alive()
    record = CompileRecord(
        board=board.name,
        files=tuple(job.relative(f) for f in c.files),
        elf=job.relative(c.elf),
        promised=_sizes(c, "promised"),
        linked=_sizes(c, "linked"),
        fits=judge(c, c.linked, board).fits,
        board_flash_bytes=board.flash.usable_bytes,
        board_ram_bytes=board.ram_bytes,
        banks=tuple(BankUse(bank=b, used=used, capacity=capacity) for b, used, capacity in c.bank_use),
        stages=len(c.schedule.stages),
        ram_over_time=tuple(
            RamStep(step=i, node=s.node or "input", bytes_alive=n)
            for i, (s, n) in enumerate(zip(c.schedule.steps, alive, strict=True))
        ),
        proof=str(c.proof),
    )
    files = (*record.files, record.elf)
    job.run.record("compile", record, artefacts=files, inputs=(INT8_FILE,))
    flash, ram = c.linked.flash, c.linked.ram
    job.say(f"compile   flash {flash.total} B, RAM {ram.total} B (activations {ram.activations} B); {c.proof}")
    fits_or_raise(c)


def _sizes(c: Compiled, which: str) -> Sizes:
    memory = getattr(c, which)
    return Sizes(flash_bytes=FlashBytes(**memory.flash.as_json()), ram_bytes=RamBytes(**memory.ram.as_json()))


def cost(job: Job) -> None:
    c, board = job.compiled, job.board
    x = c.graph.tensors[c.graph.inputs[0]]
    picture = encode(job.dataset.x_test[:1], job.dataset.preprocessing, x)[0]
    cycles, error, _, by_layer = profile(c, board, picture)
    spent, layers = Time.on(board, cycles, error), c.layers(by_layer)
    train_record = job.run.get(TrainRecord)
    record = CostRecord(
        parameters=train_record.parameters if train_record else sum(t.size for t in job.graph.constants()),
        macs=sum(n.op.macs(job.graph.call(n)) for n in job.graph.nodes),
        macc=sum(n.op.macc(job.graph.call(n)) for n in job.graph.nodes),
        cycles=Interval(**spent.cycles.as_json()),
        latency_ms=Interval(**spent.latency_ms.as_json()),
        energy_uj=Interval(**spent.energy_uj.as_json()),
        model_error=error,
        clock_hz=board.clock_hz,
        layers=tuple(
            LayerCost(
                name=layer.name, op=layer.op, shape=layer.shape, parameters=layer.parameters, macs=layer.macs,
                flash_bytes=layer.flash_bytes, ram_bytes=layer.ram_bytes, cycles=layer.cycles or 0,
            )
            for layer in layers
        ),
    )  # fmt: skip
    assert c.elf is not None
    job.run.record("cost", record, inputs=(job.relative(c.elf),))
    job.say(f"cost      {cycles} cycles modelled, {spent.latency_ms.value:.2f} ms at {board.clock_hz // 10**6} MHz")


def validate(job: Job) -> Verdict:
    """Every test picture through every witness."""
    started, c = time.monotonic(), job.compiled
    pictures = pictures_of(job.graph, job.dataset, job.dataset.preprocessing)
    verdict = hear(c, job.graph, pictures, on="emulator", model=INT8_FILE, dataset=job.dataset.name)
    record = ValidateRecord(
        witnesses=tuple(
            Witness(
                name=w.name, count=w.count, identical=w.identical, accuracy=w.accuracy,
                first_difference=w.first_difference, cycles=w.cycles,
            )
            for w in verdict.witnesses
            if w.accuracy is not None
        ),
        proof=verdict.sentence,
        seconds=time.monotonic() - started,
    )  # fmt: skip
    assert c.elf is not None
    job.run.record("validate", record, inputs=(job.relative(c.elf), INT8_FILE))
    job.say(f"validate  {verdict.sentence}")
    return verdict


def finish(job: Job) -> ValidateRecord:
    """The steps after training, each only if it is not done; then the report."""
    from .report import write

    for name, step in (("quantize", quantize), ("compile", compile_), ("cost", cost), ("validate", validate)):
        if job.run.done(name):  # type: ignore[arg-type]
            job.say(f"{name:<9} already done")
        else:
            step(job)
    page = write(job.run)
    job.say(f"report    {page}")
    record = job.run.get(ValidateRecord)
    assert record is not None
    return record
