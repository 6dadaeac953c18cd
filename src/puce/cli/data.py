# SPDX-License-Identifier: Apache-2.0
"""Data sets: which there are, and what is in one."""

from __future__ import annotations

from .options import DataFolder, DatasetName, Json
from .output import answer


def list_sets(data_dir: DataFolder = None, json: Json = False) -> None:
    """Name the sets that puce knows, and where their local copies lie."""
    from ..inventory import inventory

    answer(lambda: inventory(data_dir), json)


def show(dataset: DatasetName, data_dir: DataFolder = None, json: Json = False) -> None:
    """Load a set, and say what is in it: classes, shapes, counts by split, files that could not be used."""
    from .. import api
    from ..inventory import Contents

    answer(lambda: Contents(api.load_data(dataset, data_dir)), json)


COMMANDS = {
    "list": (list_sets, "puce data list"),
    "show": (show, "puce data show digits"),
}
