# SPDX-License-Identifier: Apache-2.0
"""A cleaned copy of a set of files: what `puce data check` found is left out; the original is only read."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from ..errors import BadInput
from .check import Check
from .dataset import Skipped
from .listing import Listing
from .selection import DECLARATION, NO_WISHES, Selection, declaration

ORDER = {"test": 0, "validation": 1, "train": 2, None: 3}


def fix(listed: Listing, found: Check, target: Path, wishes: Selection = NO_WISHES) -> Check:
    """Copy the pictures that remain into `target`, one folder a class, under train and test folders where there are such.

    1. Unusable and hidden files are left out.
    2. A picture filed under several classes is left out whole: which label is right cannot be known.
    3. Of other exact duplicates one copy stays: that of the test, so that the test set keeps its pictures.
    Near duplicates stay: they are for a person to judge. `target` appears whole or not at all; left-out.tsv in it names
    what was left out and why, and a puce.toml says what of `wishes` is about loading. Raise BadInput where it exists and
    holds anything, or lies inside the original.
    """
    _is_free(listed.place, target)
    for name in listed.classes:
        if name in ("", ".", "..") or name.startswith((".", "__")) or set(name) & set("/\\:"):
            raise BadInput(name, "this label cannot be the name of a folder.", "Rename it in the list.")
    reasons = {s.path: s.reason for s in found.facts.unusable} | dict.fromkeys(found.facts.hidden, "hidden")
    facts = {p.name: p for p in found.facts.pictures}
    for group in found.exact:
        members = sorted(group.names, key=lambda name: (ORDER[facts[name].side], name))
        if group.across_classes:
            reasons |= dict.fromkeys(members, f"the same picture under {', '.join(group.classes)}")
        else:
            reasons |= dict.fromkeys(members[1:], f"the same picture as {members[0]}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        part = Path(folder, "copy")
        part.mkdir()
        used = set[str]()
        for file in listed.files:
            if file.name not in reasons:
                place = _place(used, file.side or "", listed.classes[file.label], Path(file.name).name)
                (part / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, part / place)
        lines = [f"{name}\t{reason}".replace("\n", " ") for name, reason in sorted(reasons.items())]
        (part / "left-out.tsv").write_text("\n".join(["file\treason", *lines, ""]), encoding="utf-8")
        said = declaration(replace(wishes, classes=None, held_out=None if _split(listed) else wishes.held_out))
        if said:
            (part / DECLARATION).write_text(said, encoding="utf-8")
        part.chmod(0o777 & ~_umask())
        if target.is_dir():
            target.rmdir()
        part.replace(target)
    return replace(found, fixed=target, left_out=tuple(Skipped(name, why) for name, why in sorted(reasons.items())))


def _is_free(source: Path, target: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise BadInput(str(target), "is there already, and not empty.", "Name a folder that does not exist yet.")
    inside = source.resolve()
    if source.is_dir() and (target.resolve() == inside or inside in target.resolve().parents):
        raise BadInput(str(target), f"lies in the original {source}, which is never touched.", "Name a folder elsewhere.")


def _place(used: set[str], *parts: str) -> str:
    """Sub-folders of a class are flattened; two files of one name get a number."""
    *folders, name = (p for p in parts if p)
    stem, ending = Path(name).stem, Path(name).suffix
    place, number = "/".join([*folders, name]), 1
    while place.lower() in used:  # file systems that fold case would lose one
        number += 1
        place = "/".join([*folders, f"{stem}-{number}{ending}"])
    used.add(place.lower())
    return place


def _split(listed: Listing) -> bool:
    return any(file.side for file in listed.files)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
