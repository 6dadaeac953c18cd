# SPDX-License-Identifier: Apache-2.0
"""A training as the verbs start it: the data set, the settings, the run folder, and then the step "train"."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .doors import load_data
from .errors import BadInput

if TYPE_CHECKING:
    from .boards import Board
    from .choice import Objective
    from .data import Dataset


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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def start(
    loaded: Dataset, model: str, out: str | Path, resume: bool, board: Board | None,
    wishes: Mapping[str, Any], refuse: Callable[[Any], None] | None = None, reject: float | None = None,
    optimize: Objective = "balanced",
) -> tuple[Any, Any]:  # fmt: skip
    """Train a network of the zoo into a new run folder, or go on with the last one; return the job and its record.

    `refuse` may raise when it sees the untrained network. `reject` is the probability that the run declares.
    """
    from . import pipeline, zoo
    from .train import prepare, settle

    if reject is not None and not 0 < reject < 1:
        raise BadInput("reject", f"is {reject}, no probability between 0 and 1.", "Try 0.8.")
    if board is not None:
        zoo.only_classifiers(model, "the main job")
    settings = settle(model, loaded, wishes)
    prepare(settings.config)
    loaded = replace(loaded, preprocessing=settings.config.preprocessing)
    if refuse is not None:
        options: dict[str, Any] = dict(settings.options)
        refuse(zoo.on_chip(model, loaded.shape, loaded.classes, **options))
    config = settings.as_json() | ({"board": board.name} if board else {}) | ({"reject": reject} if reject else {})
    config |= {"optimize": optimize} if optimize != "balanced" else {}
    run = _open_run(loaded, model, out, config, resume)
    job = pipeline.Job(run, loaded, board, _say, optimize)  # type: ignore[arg-type]
    _say(f"run       {run.folder}")
    if loaded.skipped:
        _say(f"data      {len(loaded.skipped)} file(s) cannot be used, run.json names them; the rest is trained on")
    record = pipeline.train(job, model, settings.config, settings.options)
    return job, record


def loaded_for(model: str, dataset: str | Path | Dataset, data_dir: str | Path | None, **wishes: Any) -> Dataset:
    """The data set of a training; an unknown network is refused before anything is loaded."""
    from . import zoo

    zoo.options(model)
    return load_data(dataset, data_dir, **wishes) if isinstance(dataset, str | Path) else dataset
