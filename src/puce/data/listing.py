# SPDX-License-Identifier: Apache-2.0
"""What files a folder, a zip or a CSV list names as pictures: class, side and group of each; none is opened here."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadInput
from .archive import unpacked
from .dataset import Split

SIDES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
LIST_ENDINGS = {".csv", ".tsv"}


@dataclass(frozen=True)
class Listed:
    """A file that is said to be a picture. `side` is None where nobody has split yet; `group` is empty where it has none."""

    path: Path
    name: str
    label: int
    side: Split | None
    group: str = ""


@dataclass(frozen=True)
class Listing:
    """The pictures of a set by name; `hidden` are the folders and files that were passed over."""

    name: str
    place: Path
    classes: tuple[str, ...]
    files: tuple[Listed, ...]
    hidden: tuple[str, ...]

    def class_place(self, label: int, side: Split | None) -> str:
        """Where the pictures of a class lie or should lie, for messages."""
        given = {f.name.split("/")[0] for f in self.files if f.side == side} if side and self.place.is_dir() else set()
        folder = next((f for f in sorted(given) if f.lower() in SIDES), "")
        return str(self.place / folder / self.classes[label]) if self.place.is_dir() else f"{self.place}: {self.classes[label]}"


def listing(place: Path, group: str | None = None) -> Listing:
    """List a class folder (with or without train and test folders above the classes), a zip of one, or a CSV list.

    `group` is a regular expression on each file's relative name; what its first bracket matches (or all of it) is the
    group, and a group is never cut by a split. Raise BadInput where there are fewer than two classes.
    """
    if place.is_file() and place.suffix.lower() in LIST_ENDINGS:
        found = _from_list(place)
    elif place.is_file():
        found = replace(_from_folder(unpacked(place)), name=place.stem)
    else:
        found = _from_folder(place)
    if len(found.classes) < 2:
        n = len(found.classes)
        raise BadInput(
            str(place),
            f"has {n} {'folder' if n == 1 else 'folders'} of pictures; a classifier needs two classes or more.",
            "Make one sub-folder a class, with its pictures in it.",
        )
    return found if group is None else replace(found, files=tuple(_grouped(found.files, group)))


def _grouped(files: tuple[Listed, ...], pattern: str) -> Iterator[Listed]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise BadInput(
            f"--group {pattern}", f"is no regular expression ({error}).", r"For example --group '(patient\d+)'."
        ) from error
    matched = 0
    for file in files:
        match = expression.search(file.name)
        matched += match is not None
        yield replace(file, group=(match[1] if match.groups() else match[0]) or "") if match else file
    if not matched:
        example = files[0].name if files else "no file"
        raise BadInput(f"--group {pattern}", f"matches no file name, such as {example}.", "Mend the pattern, or leave it out.")


def _from_folder(folder: Path) -> Listing:
    visible = _visible_folders(folder)
    sides = [f for f in visible if f.name.lower() in SIDES]
    split = any(SIDES[f.name.lower()] == "train" for f in sides) and (len(sides) > 1 or len(sides) == len(visible))
    roots: list[tuple[Path, Split | None]] = [(f, SIDES[f.name.lower()]) for f in sides] if split else [(folder, None)]
    classes = sorted({f.name for root, _ in roots for f in _visible_folders(root)})
    files, hidden = list[Listed](), list[str]()
    for root, side in roots:
        for label, name in enumerate(classes):
            for path in _walk(root / name, folder, hidden):
                files.append(Listed(path, path.relative_to(folder).as_posix(), label, side))
        hidden += [_shown(f, folder) for f in sorted(root.iterdir()) if f.is_dir() and _is_hidden(f)]
    return Listing(folder.name, folder, tuple(classes), tuple(files), tuple(sorted(set(hidden))))


def _walk(folder: Path, top: Path, hidden: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if _is_hidden(path):
            hidden.append(_shown(path, top))
        elif path.is_dir() and not path.is_symlink():  # a link may lead in a circle
            yield from _walk(path, top, hidden)
        elif path.is_file():
            yield path


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not _is_hidden(f))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or (path.name.startswith("__") and path.is_dir())


def _shown(path: Path, top: Path) -> str:
    return path.relative_to(top).as_posix() + ("/" if path.is_dir() else "")


def _from_list(path: Path) -> Listing:
    """A table with a head: `file` and `label`, perhaps `split` and `group`; files are relative to the table's folder."""
    rows = _rows(path)
    classes = tuple(sorted({row["label"] for row in rows}))
    index = {name: label for label, name in enumerate(classes)}
    files = tuple(
        Listed(path.parent / row["file"], row["file"], index[row["label"]], _side(path, line, row), row.get("group", ""))
        for line, row in enumerate(rows, 2)
    )
    return Listing(path.stem, path, classes, files, ())


def _rows(path: Path) -> list[dict[str, str]]:
    remedy = "The first line names the columns: file,label and, if wanted, split and group."
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark of byte order in front
        head = text.splitlines()[0]
        delimiter = max(",;\t", key=head.count)
        reader = csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True)
        rows = [{str(k).strip().lower(): (v or "").strip() for k, v in row.items() if k is not None} for row in reader]
    except (OSError, UnicodeDecodeError, IndexError, csv.Error) as error:
        raise BadInput(str(path), f"is no list of pictures ({error}).", remedy) from error
    missing = {"file", "label"} - set(rows[0] if rows else ())
    if missing:
        raise BadInput(str(path), f"has no column {' and no column '.join(sorted(missing))}.", remedy)
    for line, row in enumerate(rows, 2):
        if not row["file"] or not row["label"]:
            raise BadInput(f"{path}, line {line}", "has an empty file or label.", "Fill it, or take the line away.")
    return rows


def _side(path: Path, line: int, row: Mapping[str, str]) -> Split | None:
    word = row.get("split", "").lower()
    if word and word not in SIDES:
        raise BadInput(
            f"{path}, line {line}", f"has the split '{word}'.", "Write train, validation or test, or leave it empty."
        )
    return SIDES[word] if word else None
