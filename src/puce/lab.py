# SPDX-License-Identifier: Apache-2.0
"""The verbs of the laboratory as functions: check and show a data set, evaluate a model, compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .doors import load_data, load_model, name_of
from .errors import BadInput

if TYPE_CHECKING:
    from .comparison import Comparison
    from .data import Check, Dataset
    from .evaluation import Evaluation
    from .inventory import Contents


def check_data(
    name: str | Path,
    fix: str | Path | None = None,
    *,
    group: str | None = None,
    against: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Check:
    """Look for what spoils a training: unusable files, copies, leaks, wrong labels, imbalance, shortcuts.

    `fix` is a new folder for a cleaned copy; the original is only read. `against` is a run that was trained on this set:
    the shortcut test is judged by its accuracy.
    """
    from . import data
    from .run import Run, TrainRecord

    place = data.place_of(name)
    if fix is not None and place is None:
        raise BadInput(f"--fix {fix}", f"{name} is no folder of files.", "A cleaned copy is made of pictures in files.")
    source = data.load(name, data_dir) if place is None else data.listing(place, group)
    trained = Run.open(against).get(TrainRecord) if against is not None else None
    found = data.check(source, trained.test if trained else None)
    return data.fix(source, found, Path(fix)) if fix is not None and isinstance(source, data.Listing) else found


def show_data(
    name: str | Path | Dataset,
    html: str | Path | None = None,
    *,
    model: Any = None,
    method: Literal["pca", "umap"] = "pca",
    group: str | None = None,
    data_dir: str | Path | None = None,
) -> Contents:
    """Say what is in a data set; `html` gets a page with samples, class counts and a map of the features.

    The map is made of pixels, or of what the last layer of `model` reads. `method` "umap" needs umap-learn.
    """
    from . import data
    from .gallery import write_page
    from .inventory import Contents

    loaded = name if isinstance(name, data.Dataset) else load_data(name, data_dir, group=group)
    if html is None:
        return Contents(loaded)
    graph = load_model(model).graph if model is not None else None
    return Contents(loaded, Path(html), write_page(loaded, Path(html), graph, method))


def evaluate(
    model: Any,
    dataset: str | Path | Dataset,
    *,
    in_c: bool = True,
    count: int | None = None,
    positive: str | None = None,
    data_dir: str | Path | None = None,
) -> Evaluation:
    """Measure a model on the test pictures: accuracy with its interval, by class, confusion, calibration, paired tests.

    Of a run folder the float and the int8 model are measured, of a file that one; and, unless `in_c` is false, the C of
    the last on this computer. `positive` names the class to be found; of two classes it is the second.
    """
    from .evaluation import evaluate_graphs

    loaded = load_data(dataset, data_dir) if isinstance(dataset, str | Path) else dataset
    if isinstance(model, str | Path) and Path(model).is_dir():
        found = {"float": Path(model, "model.keras"), "int8": Path(model, "model.int8.tflite")}
        files = {name: file for name, file in found.items() if file.exists()}
        graphs: list[Any] = [(name, load_model(file).graph, loaded.preprocessing) for name, file in files.items()]
    else:
        graph = load_model(model).graph
        name = "float" if graph.tensors[graph.inputs[0]].dtype == "float32" else "int8"
        graphs = [(name, graph, None)]
    if not graphs:
        load_model(model)  # says what is missing
    return evaluate_graphs(graphs, loaded, model=name_of(model), in_c=in_c, count=count, positive=positive)


def compare(runs: Sequence[str | Path], out: Sequence[str | Path] = ()) -> Comparison:
    """Set runs side by side, the most accurate first: figures with intervals, paired tests, the Pareto front.

    `out` are files to write: .html with a chart, .md, .csv.
    """
    from .comparison import compare_runs

    return compare_runs(runs, out)
