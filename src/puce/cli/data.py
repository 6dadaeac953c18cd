# SPDX-License-Identifier: Apache-2.0
"""Data sets: which there are, what is in one, and whether it is fit for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import Classes, DataFolder, DatasetName, Group, HeldOut, Json, Size
from .output import answer


def list_sets(data_dir: DataFolder = None, json: Json = False) -> None:
    """Name the sets that puce knows, and where their local copies lie."""
    from ..inventory import inventory

    answer(lambda: inventory(data_dir), json)


def show(
    dataset: DatasetName,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", show_default=False, help="Write a page: samples, counts, map of the features."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", show_default=False, help="Make the map of this network's features, not of pixels."
        ),
    ] = None,
    map: Annotated[Literal["pca", "umap"], typer.Option("--map", help="How the map is made; umap needs umap-learn.")] = "pca",
    size: Size = None,
    group: Group = None,
    classes: Classes = None,
    held_out: HeldOut = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Load a set, and say what is in it: classes, shapes, counts by split, files that could not be used."""
    from .. import api

    answer(
        lambda: api.show_data(
            dataset,
            html,
            model=model,
            method=map,
            size=size,
            group=group,
            classes=classes,
            held_out=held_out,
            data_dir=data_dir,
        ),
        json,
    )


def check(
    dataset: DatasetName,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="DIR", show_default=False, help="Write a cleaned copy into this new folder."),
    ] = None,
    group: Group = None,
    classes: Classes = None,
    held_out: HeldOut = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="RUN", show_default=False, help="A run on this set: is a shortcut as good?"),
    ] = None,
    data_dir: DataFolder = None,
    json: Json = False,
) -> None:
    """Find unusable files, copies, leaks, double labels, imbalance and shortcuts. Exit code 1: something spoils a training."""
    from .. import api

    answer(
        lambda: api.check_data(
            dataset, fix, group=group, classes=classes, held_out=held_out, against=against, data_dir=data_dir
        ),
        json,
    )


COMMANDS = {
    "list": (list_sets, "puce data list"),
    "show": (show, "puce data show digits --html digits.html"),
    "check": (check, "puce data check pictures --fix pictures-clean"),
}
