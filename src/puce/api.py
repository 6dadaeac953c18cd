# SPDX-License-Identifier: Apache-2.0
"""The verbs as functions: what `puce VERB` does, for notebooks and scripts. Each returns an object that prints well.

Every result has `as_json()`, the document of `--json`, and `ok`, false where the answer is no.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .doors import board_of as _board
from .doors import load_data as load_data
from .doors import load_data_of as _data_of
from .doors import load_model as load_model
from .doors import name_of as _name
from .doors import pixels_of as _pixels
from .errors import BadInput, DoesNotFit
from .jobs import loaded_for, start
from .lab import check_data as check_data
from .lab import compare as compare
from .lab import draw_predictions as draw_predictions
from .lab import evaluate as evaluate
from .lab import show_data as show_data
from .results import BoardList, CompileResult, Prediction, ReportResult, RunResult

if TYPE_CHECKING:
    from .analysis import Analysis
    from .boards import Board, Calibrated
    from .choice import Objective
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
    optimize: Objective = "balanced",
    why: bool = False,
) -> Analysis:
    """What a model takes by layer: parameters, MACs, flash, RAM, and on a board cycles, time, energy and a verdict.

    `precision` "int8" shows what the float model would take after quantisation. `optimize` is what the kernels are chosen
    for: "speed", "balanced", "ram" or "flash"; with `why` the printed text says for each layer why its kernel was chosen.
    """
    from .analysis import analyze_graph

    imported = load_model(model)
    graph = _in_precision(imported, precision)
    return analyze_graph(
        graph, _board(board), name=_name(model), parameters=imported.parameters, fed_by_rows=fed_by_rows, optimize=optimize,
        why=why,
    )  # fmt: skip


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
    loaded = _data_of(model, dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    if imported.graph.tensors[imported.graph.inputs[0]].dtype != "float32":
        raise BadInput(imported.source, "this model is quantised already.", "Give the float model it was made from.")
    path = Path(out) if out else Path(f"{_name(model)}.int8.tflite")
    return quantize_model(imported.graph, loaded, path, preprocessing=_pixels(model), count=count)


def compile(
    model: Any,
    board: str | Board | None = None,
    out: str | Path | None = None,
    *,
    name: str | None = None,
    fed_by_rows: bool = False,
    compiler: Literal["zig", "gcc"] = "zig",
    camera: str | None = None,
    optimize: Objective = "balanced",
    pareto: bool = False,
) -> CompileResult:
    """Write a model as plain C99 into a folder; with a board, build its firmware there too.

    Of a run folder the header carries its warning and, where it has a reject threshold, <name>_decide(scores).
    `camera` is a frame, FORMAT:WIDTHxHEIGHT such as rgb565:160x120: the C from its bytes to the input comes beside.
    `optimize` is what the kernels are chosen for: "speed", "balanced", "ram" or "flash"; `pareto` builds the other choices
    too, and lists those that no other beats in flash, RAM and time.
    Raises DoesNotFit where the board is too small, Unsupported where a layer cannot be computed.
    """
    from .compiler import compile_graph, fits_or_raise

    imported, stem = load_model(model), name or _name(model)
    folder = Path(out) if out else Path(f"{stem}-c")
    declared = None
    if isinstance(model, str | Path) and Path(model, "run.json").is_file():
        from .pipeline import declared_by
        from .run import Run

        declared = declared_by(Run.open(model))
    target = _board(board)
    if pareto and target is None:
        raise BadInput("pareto", "no board is named, so nothing can be measured.", "Add --board, see `puce boards`.")
    compiled = compile_graph(
        imported.graph, folder, target, name=stem, fed_by_rows=fed_by_rows, compiler=compiler, declared=declared,
        optimize=optimize,
    )  # fmt: skip
    if compiled.board is not None:
        fits_or_raise(compiled)
    points = None
    if pareto and target is not None:
        from .pareto import pareto as build_all

        points = build_all(
            imported.graph, target, name=stem, optimize=optimize, fed_by_rows=fed_by_rows, compiler=compiler
        )  # fmt: skip
    if camera is None:
        return CompileResult(compiled, pareto=points)
    from .camera import write_camera

    return CompileResult(compiled, write_camera(imported.graph, camera, folder, stem, _pixels(model)), points)


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
    optimize: Objective = "balanced",
) -> Verdict:
    """Show the same test pictures to the NumPy reference, LiteRT, C on this computer and C on the emulated core.

    A float model is quantised first on the training pictures, unless `precision` is "float32". `count` takes the first
    pictures of the test split; all by default.
    """
    from . import passes
    from .quantized import check_fits_data, find_preprocessing, quantize_model, quantized_preprocessing
    from .validation import pictures_of, validate_graph

    imported = load_model(model)
    loaded = _data_of(model, dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    graph = imported.graph
    check_fits_data(graph, loaded, imported.source)
    x, whole = graph.tensors[graph.inputs[0]], None
    if x.dtype != "float32":
        preprocessing = quantized_preprocessing(x)
    elif precision == "int8":
        quantized = quantize_model(graph, loaded, None, preprocessing=_pixels(model), count=min(count or 200, 200))
        whole, graph, preprocessing = passes.run(graph), quantized.graph, quantized.preprocessing
    else:
        graph = passes.run(graph)
        preprocessing = _pixels(model) or find_preprocessing(graph, loaded)[0]
    pictures = pictures_of(graph, loaded, preprocessing, count, whole)
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
            optimize=optimize,
        )


def predict(
    model: Any, images: Sequence[str | Path], *, classes: Sequence[str] | None = None, reject_below: float | None = None
) -> list[Prediction]:
    """Classify picture files with the NumPy reference. Pictures are resized to the input, made grey where it is grey.

    `classes` are the names in order; below `reject_below` the answer is "not recognised". A run folder knows both.
    """
    from .prediction import predict_images

    imported = load_model(model)
    threshold = reject_below or 0.0
    if isinstance(model, str | Path) and Path(model, "run.json").is_file():
        from .pipeline import declared_by
        from .run import Run

        declared = declared_by(Run.open(model))
        classes = classes or declared.classes or None
        threshold = reject_below if reject_below is not None else declared.reject or 0.0
    return [
        Prediction(image, names, values, threshold, seen)
        for image, names, values, seen in predict_images(imported.graph, images, classes, _pixels(model))
    ]


DEFAULT_MODEL = "digits-cnn"


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
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
    reject: float | None = None,
    **settings: int | float | bool | str | None,
) -> RunResult:
    """Train an architecture of the zoo on a data set into a new run folder; `resume` goes on with the last one.

    `settings` are those of puce.train.TrainConfig (schedule="ramp", learning_rate=0.01, ...), options of the
    architecture (dropout=0.1), or augment="flip,crop=4". What is not said is as recommended for the data.
    weights="imagenet" or a file starts from what another network knows. With a board, a network that cannot fit it is
    refused before any training. `size`, `group`, `classes`, `held_out` and `warning` are those of `load_data`; below
    `reject` (a probability) the answer will be "not recognised", in the C too.
    """
    wishes = {**settings, "seed": seed, "epochs": epochs}
    loaded = loaded_for(model, dataset, data_dir, size=size, group=group, classes=classes, held_out=held_out, warning=warning)
    job, record = start(loaded, model, out, resume, None, wishes, _refusal(board), reject)
    return RunResult.of_training(job.run.folder, record)


def sweep(
    dataset: str | Dataset,
    model: str,
    over: str,
    *,
    seeds: int = 1,
    out: str | Path = "runs",
    epochs: int | None = None,
    data_dir: str | Path | None = None,
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
    **settings: int | float | bool | str | None,
) -> SweepResult:
    """Train with each value of one setting, over="dropout=0.05,0.1,0.2", and `seeds` seeds; a table with intervals."""
    from .train import sweep as run_all

    loaded = loaded_for(model, dataset, data_dir, size=size, group=group, classes=classes, held_out=held_out, warning=warning)

    def one(name: str, value: str, seed: int) -> tuple[Path, Any]:
        wishes = {**settings, "epochs": epochs, "seed": seed, name: value}
        job, record = start(loaded, model, out, False, None, wishes)
        return job.run.folder, record

    return run_all(over, seeds, one, model)


def _refusal(board: str | Board | None) -> Callable[[Any], None] | None:
    """What raises DoesNotFit where an untrained network, as int8, is already too large for the board."""
    target = _board(board)
    if target is None:
        return None

    def refuse(network: Any) -> None:
        found = analyze(network, target, precision="int8")
        if found.fit and not found.fit.fits:
            raise DoesNotFit(f"{network.name} on {target.name}", " ".join(found.fit.reasons), " ".join(found.fit.advice))

    return refuse


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
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
    reject: float | None = None,
    optimize: Objective = "balanced",
    **settings: int | float | bool | str | None,
) -> RunResult:
    """Do everything: train, quantise, compile, price, validate on the emulated core, report. The main job.

    The options are those of `train`; `optimize` that of `compile`.
    """
    from . import pipeline
    from .run import CompileRecord, QuantizeRecord, TrainRecord

    target = _board(board)
    assert target is not None
    name, wishes = model or DEFAULT_MODEL, {**settings, "seed": seed, "epochs": epochs}
    loaded = loaded_for(name, dataset, data_dir, size=size, group=group, classes=classes, held_out=held_out, warning=warning)
    job, _ = start(loaded, name, out, resume, target, wishes, None, reject, optimize)
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


def calibrate(
    model: Any, board: str, measured_ms: float, *, out: str | Path | None = None, fed_by_rows: bool = False
) -> Calibrated:
    """Correct the modelled times of a board by one inference timed on it: writes a board file that every verb takes.

    `measured_ms` is that of the firmware that `compile` builds of this model for this board. Give the written file as
    `board` to add the measurement of another model. `out` is BOARD-calibrated.toml, or the given file itself.
    """
    from dataclasses import replace

    from .boards import Measurement, load
    from .boards import calibrate as write

    target = load(board)
    found = analyze(model, replace(target, calibration=None), fed_by_rows=fed_by_rows)
    assert found.time is not None
    modelled = found.time.latency_ms
    own = str(board).endswith(".toml")
    path = Path(out) if out else Path(board) if own else Path(f"{board}-calibrated.toml")
    error = (modelled.high - modelled.value) / modelled.value
    return write(target, board, Measurement(_name(model), modelled.value, measured_ms), error, path)


def ops(name: str | None = None) -> Any:
    """List the operators, or show the page of one: formats, types, kernels by core, limits."""
    from .coverage import coverage

    return coverage(name)


def doctor() -> Any:
    """Check the installation; what is missing comes with the line to type."""
    from .doctor import diagnose

    return diagnose()
