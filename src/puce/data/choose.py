# SPDX-License-Identifier: Apache-2.0
"""The files of a place as wished: classes chosen and merged, groups named, a given split forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import BadInput
from .listing import Listing, listing
from .selection import Selection, parse_classes


def selected(place: Path, wishes: Selection) -> Listing:
    """List the files of a place as wished: classes chosen and merged, groups named, the given split forgotten."""
    found = listing(place, wishes.group)
    if wishes.classes is not None:
        found = _chosen(found, wishes.classes)
    if wishes.held_out is not None:
        found = replace(found, files=tuple(replace(file, side=None) for file in found.files))
    return found


def _chosen(found: Listing, text: str) -> Listing:
    classes = parse_classes(text)
    label_of = {folder: label for label, folders in enumerate(classes.values()) for folder in folders}
    missing = sorted(set(label_of) - set(found.classes))
    if missing:
        fact = f"there is no class {missing[0]}; there are {', '.join(found.classes)}."
        raise BadInput(f"classes {text}", fact, "Name the folders as they are spelt.")
    if len(classes) < 2:
        raise BadInput(f"classes {text}", "is one class; a classifier needs two or more.", "Say what is the other.")
    files = tuple(
        replace(file, label=label_of[found.classes[file.label]])
        for file in found.files
        if found.classes[file.label] in label_of
    )
    return replace(found, classes=tuple(classes), files=files)
