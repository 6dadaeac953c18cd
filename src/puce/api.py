# SPDX-License-Identifier: Apache-2.0
"""The verbs as functions: what `puce VERB` does, for notebooks and scripts. Each returns an object that prints well.

Every result has `as_json()`, the document of `--json`, and `ok`, false where the answer is no.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .doors import board_of as _board
from .doors import load_data as load_data
from .doors import load_model as load_model
from .doors import name_of as _name
from .errors import BadInput, DoesNotFit
from .lab import check_data as check_data
from .lab import compare as compare
from .lab import evaluate as evaluate
from .lab import show_data as show_data
from .results import BoardList, CompileResult, Prediction, ReportResult, RunResult

if TYPE_CHECKING:
    from .analysis import Analysis
    from .boards import Board
    from .data import Dataset
    from .difference import Difference
    from .frontends import ImportedModel
    from .quantized import Quantized
    from .train import SweepResult
    from .validation import Verdict

Precision = Literal["float32", "int8"]


def _in_precision(model: ImportedModel, precision: Precision | None) -> Any:
    """The graph in the wanted type; int8 of a float model is calibrated on noise, which is enough for bytes and cycles."""
    import numpy as np

    from . import passes
    from .quantize import calibrate, to_int8

    graph = model.graph
    if precision in (None, graph.tensors[graph.inputs[0]].dtype):
        return graph
    if precision == "float32":
        raise BadInput(model.source, "an int8 model cannot be turned back to float32.", "Give the float model.")
    graph = passes.run(graph)
    shape = graph.tensors[graph.inputs[0]].shape
    noise = np.random.default_rng(0).uniform(0, 1, (8, *shape)).astype(np.float32)
    return to_int8(graph, calibrate(graph, noise))


def analyze(
    model: Any,
    board: str | Board | None = None,
    *,
    precision: Precision | None = None,
    fed_by_rows: bool = False,
) -> Analysis:
    """What a model takes by layer: parameters, MACs, flash, RAM, and on a board cycles, time, energy and a verdict.

    `precision` "int8" shows what the float model would take after quantisation.
    """
    from .analysis import analyze_graph

    imported = load_model(model)
    graph = _in_precision(imported, precision)
    return analyze_graph(graph, _board(board), name=_name(model), parameters=imported.parameters, fed_by_rows=fed_by_rows)


def quantize(
    model: Any,
    dataset: str | Dataset,
    out: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    count: int | None = None,
) -> Quantized:
    """Quantise a float model to int8 on the training pictures of a data set and write the .tflite.

    `count` limits the test pictures of the accuracy figures; all by default.
    """
    from .quantized import quantize_model

    imported = load_model(model)
    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    if imported.graph.tensors[imported.graph.inputs[0]].dtype != "float32":
        raise BadInput(imported.source, "this model is quantised already.", "Give the float model it was made from.")
    path = Path(out) if out else Path(f"{_name(model)}.int8.tflite")
    return quantize_model(imported.graph, loaded, path, count=count)


def compile(
    model: Any,
    board: str | Board | None = None,
    out: str | Path | None = None,
    *,
    name: str | None = None,
    fed_by_rows: bool = False,
    compiler: Literal["zig", "gcc"] = "zig",
    camera: str | None = None,
) -> CompileResult:
    """Write a model as plain C99 into a folder; with a board, build its firmware there too.

    `camera` is a frame, FORMAT:WIDTHxHEIGHT such as rgb565:160x120: the C from its bytes to the input comes beside.
    Raises DoesNotFit where the board is too small, Unsupported where a layer cannot be computed.
    """
    from .compiler import compile_graph, fits_or_raise

    imported, stem = load_model(model), name or _name(model)
    folder = Path(out) if out else Path(f"{stem}-c")
    compiled = compile_graph(imported.graph, folder, _board(board), name=stem, fed_by_rows=fed_by_rows, compiler=compiler)
    if compiled.board is not None:
        fits_or_raise(compiled)
    if camera is None:
        return CompileResult(compiled)
    from .camera import write_camera

    return CompileResult(compiled, write_camera(imported.graph, camera, folder, stem))


def validate(
    model: Any,
    dataset: str | Dataset,
    *,
    on: Literal["emulator", "host", "qemu"] = "emulator",
    board: str | Board | None = None,
    count: int | None = None,
    data_dir: str | Path | None = None,
    precision: Precision = "int8",
    fed_by_rows: bool = False,
) -> Verdict:
    """Show the same test pictures to the NumPy reference, LiteRT, C on this computer and C on the emulated core.

    A float model is quantised first on the training pictures, unless `precision` is "float32". `count` takes the first
    pictures of the test split; all by default.
    """
    from . import passes
    from .quantized import check_fits_data, encode, find_preprocessing, quantize_model, quantized_preprocessing
    from .validation import Pictures, validate_graph

    imported = load_model(model)
    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    graph = imported.graph
    check_fits_data(graph, loaded, imported.source)
    x = graph.tensors[graph.inputs[0]]
    if x.dtype != "float32":
        preprocessing = quantized_preprocessing(x)
    elif precision == "int8":
        quantized = quantize_model(graph, loaded, None, count=min(count or 200, 200))
        graph, preprocessing = quantized.graph, quantized.preprocessing
    else:
        graph = passes.run(graph)
        preprocessing, _ = find_preprocessing(graph, loaded)
    x = graph.tensors[graph.inputs[0]]
    pictures = Pictures.of(graph, encode(loaded.x_test[:count], preprocessing, x), loaded.y_test[:count])
    with tempfile.TemporaryDirectory() as folder:
        return validate_graph(
            graph,
            pictures,
            Path(folder),
            _board(board),
            on=on,
            model=_name(model),
            dataset=loaded.name,
            fed_by_rows=fed_by_rows,
        )


def predict(
    model: Any, images: Sequence[str | Path], *, classes: Sequence[str] | None = None, reject_below: float = 0.0
) -> list[Prediction]:
    """Classify picture files with the NumPy reference. Pictures are resized to the input, made grey where it is grey.

    `classes` are the names in order; a run folder knows its own. Below `reject_below` the answer is "not recognised".
    """
    from .prediction import predict_images

    imported = load_model(model)
    if classes is None and isinstance(model, str | Path) and Path(model).is_dir():
        from .run import DataRecord, Run

        record = Run.open(model).get(DataRecord)
        classes = record.class_names if record else None
    return [
        Prediction(image, names, values, reject_below)
        for image, names, values in predict_images(imported.graph, images, classes)
    ]


def _open_run(dataset: Dataset, model: str, out: str | Path, config: dict[str, Any], resume: bool) -> Any:
    """The newest unfinished run of this job, or a new one."""
    from .run import Run

    if resume:
        found = Run.latest(out, dataset.name, model)
        if found is None:
            place = f"{out}: {dataset.name}, {model}"
            raise BadInput(place, "there is no run to resume.", "Start one without --resume.")
        if dict(found.file.config) != config:
            fact = "this run was started with other settings."
            changed = [k for k in config if found.file.config.get(k) != config[k]]
            raise BadInput(str(found.folder), f"{fact} Changed: {', '.join(changed)}.", "Repeat them, or start a new run.")
        return found
    return Run.create(out, dataset.name, model, config, seeds={"training": int(config["seed"])})


DEFAULT_MODEL = "digits-cnn"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _train(
    dataset: str | Dataset, model: str, out: str | Path, resume: bool, board: Board | None, data_dir: str | Path | None,
    wishes: Mapping[str, Any], refuse_for: Board | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    from . import pipeline
    from .train import prepare, settle

    zoo_options(model)  # an unknown name is refused before anything is loaded
    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    settings = settle(model, loaded, wishes)
    prepare(settings.config)
    if refuse_for is not None:
        refuse_what_cannot_fit(loaded, model, refuse_for)
    config = settings.as_json() | ({"board": board.name} if board else {})
    run = _open_run(loaded, model, out, config, resume)
    job = pipeline.Job(run, loaded, board, _say)  # type: ignore[arg-type]
    _say(f"run       {run.folder}")
    record = pipeline.train(job, model, settings.config, settings.options)
    return job, record


def zoo_options(model: str) -> dict[str, Any]:
    """The options of an architecture with their defaults. Raise UnknownName for a name that none has."""
    from . import zoo

    return dict(zoo.options(model))


def train(
    dataset: str | Dataset,
    model: str = DEFAULT_MODEL,
    *,
    out: str | Path = "runs",
    resume: bool = False,
    seed: int = 1,
    epochs: int | None = None,
    board: str | Board | None = None,
    data_dir: str | Path | None = None,
    **settings: int | float | bool | str | None,
) -> RunResult:
    """Train an architecture of the zoo on a data set into a new run folder; `resume` goes on with the last one.

    `settings` are those of puce.train.TrainConfig (schedule="ramp", learning_rate=0.01, ...), options of the
    architecture (dropout=0.1), or augment="flip,crop=4". What is not said is as recommended for the data.
    With a board, a network that cannot fit it is refused before any training.
    """
    wishes = {**settings, "seed": seed, "epochs": epochs}
    job, record = _train(dataset, model, out, resume, None, data_dir, wishes, _board(board))
    return RunResult(job.run.folder, None, {"float": record.test}, 0, 0, True)


def sweep(
    dataset: str | Dataset,
    model: str,
    over: str,
    *,
    seeds: int = 1,
    out: str | Path = "runs",
    epochs: int | None = None,
    data_dir: str | Path | None = None,
    **settings: int | float | bool | str | None,
) -> SweepResult:
    """Train with each value of one setting, over="dropout=0.05,0.1,0.2", and `seeds` seeds; a table with intervals."""
    from .train import sweep as run_all

    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset

    def one(name: str, value: str, seed: int) -> tuple[Path, Any]:
        wishes = {**settings, "epochs": epochs, "seed": seed, name: value}
        job, record = _train(loaded, model, out, False, None, None, wishes)
        return job.run.folder, record

    return run_all(over, seeds, one)


def refuse_what_cannot_fit(dataset: str | Dataset, model: str, board: Board, data_dir: str | Path | None = None) -> None:
    """Raise DoesNotFit where the untrained int8 network is already too large for the board."""
    from . import zoo

    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    found = analyze(zoo.build(model, loaded.shape, loaded.classes), board, precision="int8")
    if found.fit and not found.fit.fits:
        raise DoesNotFit(f"{model} on {board.name}", " ".join(found.fit.reasons), " ".join(found.fit.advice))


def run(
    dataset: str | Dataset,
    board: str | Board,
    *,
    model: str | None = None,
    out: str | Path = "runs",
    resume: bool = False,
    seed: int = 1,
    epochs: int | None = None,
    data_dir: str | Path | None = None,
) -> RunResult:
    """Do everything: train, quantise, compile, price, validate on the emulated core, report. The main job."""
    from . import pipeline
    from .run import CompileRecord, QuantizeRecord, TrainRecord

    target = _board(board)
    assert target is not None
    job, _ = _train(dataset, model or DEFAULT_MODEL, out, resume, target, data_dir, {"seed": seed, "epochs": epochs})
    verdict = pipeline.finish(job)
    trained, quantized, compiled = (job.run.get(kind) for kind in (TrainRecord, QuantizeRecord, CompileRecord))
    by_name = {w.name.split()[0].lower(): w for w in verdict.witnesses}
    return RunResult(
        run=job.run.folder,
        report=job.run.folder / "report.html",
        accuracy={
            "float": trained.test, "int8": quantized.int8_accuracy,
            "host": by_name["host"].accuracy, "emulator": by_name["emulated"].accuracy,
        },
        identical=min(w.identical for w in verdict.witnesses),
        count=by_name["emulated"].count,
        fits=compiled.fits,
        proof=verdict.proof,
    )  # fmt: skip


def report(run: str | Path, lang: Literal["en", "fr"] = "en") -> ReportResult:
    """Write report.html and report.md of a run folder, in English or French."""
    from .report import write
    from .run import Run

    return ReportResult(write(Run.open(run), lang))


def diff(first: Any, second: Any, dataset: str | Dataset, *, count: int = 50, data_dir: str | Path | None = None) -> Difference:
    """Run two models on the first `count` test pictures of a set and compare them layer by layer: where they part.

    Both are computed by the NumPy references; int8 layers are held against float ones by their real values.
    """
    from .difference import compare_graphs

    models = load_model(first), load_model(second)
    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    return compare_graphs(models[0].graph, models[1].graph, (models[0].source, models[1].source), loaded, count)


def boards(fits: Any = None) -> BoardList:
    """List the catalogue of boards, the smallest first; with a model, say on which it fits and how fast it would be."""
    from .boards import load, names

    known = sorted(map(load, names()), key=lambda b: (b.ram_bytes, b.flash.bytes))
    return BoardList(tuple((b, analyze(fits, b) if fits is not None else None) for b in known))


def ops(name: str | None = None) -> Any:
    """List the operators, or show the page of one: formats, types, kernels by core, limits."""
    from .coverage import coverage

    return coverage(name)


def doctor() -> Any:
    """Check the installation; what is missing comes with the line to type."""
    from .doctor import diagnose

    return diagnose()
