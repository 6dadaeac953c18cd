# SPDX-License-Identifier: Apache-2.0
"""The verbs of the laboratory as functions: check and show a data set, evaluate a model, compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .doors import load_data_of, load_model, name_of, pixels_of, reject_of
from .errors import BadInput

if TYPE_CHECKING:
    from .comparison import Comparison
    from .data import Check, Dataset
    from .evaluate import Components
    from .evaluation import Evaluation
    from .inventory import Contents
    from .reconstruction import ReconstructionEvaluation
    from .results import Prediction


def check_data(
    name: str | Path,
    fix: str | Path | None = None,
    *,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    against: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Check:
    """Look for what spoils a training: unusable files, copies, leaks, wrong labels, imbalance, shortcuts.

    `fix` is a new folder for a cleaned copy; the original is only read. `classes`, `group` and `held_out` are those of
    `load_data`: the copy has the chosen and merged classes. `against` is a run that was trained on this set:
    the shortcut test is judged by its accuracy.
    """
    from . import data
    from .run import Run, TrainRecord

    place = data.place_of(name)
    if fix is not None and place is None:
        raise BadInput(f"--fix {fix}", f"{name} is no folder of files.", "A cleaned copy is made of pictures in files.")
    wishes = data.selection(group=group, classes=classes, held_out=held_out)
    wishes = wishes if place is None else wishes.over(data.declared(place))
    source = data.load(name, data_dir) if place is None else data.selected(place, wishes)
    trained = Run.open(against).get(TrainRecord) if against is not None else None
    found = data.check(source, trained.test if trained else None)
    return data.fix(source, found, Path(fix), wishes) if fix is not None and isinstance(source, data.Listing) else found


def show_data(
    name: str | Path | Dataset,
    html: str | Path | None = None,
    *,
    model: Any = None,
    method: Literal["pca", "umap"] = "pca",
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    data_dir: str | Path | None = None,
) -> Contents:
    """Say what is in a data set; `html` gets a page with samples, class counts and a map of the features.

    The map is made of pixels, or of what the last layer of `model` reads; of a run folder the pictures are taken as that
    run took them. `method` "umap" needs umap-learn.
    """
    from . import data
    from .gallery import write_page
    from .inventory import Contents

    wishes = data.selection(size, group, classes, held_out)
    loaded = name if isinstance(name, data.Dataset) else load_data_of(model, name, data_dir, wishes)
    if html is None:
        return Contents(loaded)
    graph = load_model(model).graph if model is not None else None
    return Contents(loaded, Path(html), write_page(loaded, Path(html), graph, method, pixels_of(model)))


def evaluate(
    model: Any,
    dataset: str | Path | Dataset,
    *,
    in_c: bool = True,
    count: int | None = None,
    positive: str | None = None,
    data_dir: str | Path | None = None,
    html: str | Path | None = None,
) -> Evaluation | ReconstructionEvaluation:
    """Measure a model on the test pictures: accuracy with its interval, by class, confusion, calibration, paired tests.

    Of a run folder the float and the int8 model are measured, of a file that one; and, unless `in_c` is false, the C of
    the last on this computer. `positive` names the class to be found; of two classes it is the second.
    A model that gives pictures back is measured by squared error, beside as many principal components. `html` gets a page
    with all figures of a classifier, its answers to the first pictures, and its worst errors.
    """
    from .evaluation import evaluate_graphs
    from .reconstruction import evaluate_autoencoder
    from .yardstick import purpose_of

    loaded = load_data_of(model, dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    if isinstance(model, str | Path) and Path(model).is_dir():
        found = {"float": Path(model, "model.keras"), "int8": Path(model, "model.int8.tflite")}
        files = {name: file for name, file in found.items() if file.exists()}
        pixels = pixels_of(model) or loaded.preprocessing
        graphs: list[Any] = [(name, load_model(file).graph, pixels) for name, file in files.items()]
    else:
        graph = load_model(model).graph
        name = "float" if graph.tensors[graph.inputs[0]].dtype == "float32" else "int8"
        graphs = [(name, graph, None)]
    if not graphs:
        load_model(model)  # says what is missing
    if all(purpose_of(graph, loaded) == "pictures" for _, graph, _ in graphs):
        known = _components_of(model)
        return evaluate_autoencoder(graphs, loaded, model=name_of(model), in_c=in_c, count=count, known=known)
    reject = reject_of(model)
    measured = evaluate_graphs(
        graphs, loaded, model=name_of(model), in_c=in_c, count=count, positive=positive, threshold=reject
    )
    if html is None:
        return measured
    from .evaluation_page import write_evaluation

    return replace(measured, page=write_evaluation(measured, loaded, Path(html)))


def draw_predictions(found: Sequence[Prediction], out: str | Path) -> Path:
    """Draw what `predict` found, each picture beside the bars of its probabilities, into a .png, .svg or .pdf."""
    from .report.answers import Answer, draw_answers

    answers = []
    for p in found:
        title = f"{Path(p.image).name}: {'not recognised' if p.rejected else p.classes[0]}"
        answers.append(Answer(title, p.picture, tuple(zip(p.classes, p.probabilities, strict=True)), p.rejected))
    return draw_answers(answers, Path(out), found[0].threshold if found else 0.0)


def _components_of(model: Any) -> Components | None:
    """Those that a run folder keeps; a run of classes has none."""
    from .evaluate import Components

    path = Path(model, "components.npz") if isinstance(model, str | Path) else None
    return Components.load(path) if path is not None and path.is_file() else None


def compare(runs: Sequence[str | Path], out: Sequence[str | Path] = ()) -> Comparison:
    """Set runs side by side, the most accurate first: figures with intervals, paired tests, the Pareto front.

    `out` are files to write: .html with a chart, .md, .csv.
    """
    from .comparison import compare_runs

    return compare_runs(runs, out)
