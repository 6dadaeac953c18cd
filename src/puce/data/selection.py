# SPDX-License-Identifier: Apache-2.0
"""Which pictures of some files make a set, and how they are cut: said with the verb, or once in `puce.toml` beside them."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .archive import unpacked

DECLARATION = "puce.toml"
REMEDY = 'It may say size = 96, group = "PATTERN", classes = "a, b=c+d", held_out = 0.2, warning = "TEXT".'


@dataclass(frozen=True)
class Selection:
    """Wishes about pictures in files; None and "" leave a thing as the files have it."""

    size: tuple[int, int] | None = None
    """Height and width of every picture."""
    group: str | None = None
    """A regular expression on file names: pictures that agree in what it matches stay in one split."""
    classes: str | None = None
    """Which classes, in which order, and which are one: "melanoma, benign=nevus+dermatofibroma"."""
    held_out: float | None = None
    """Split anew, whatever split the files have: this share for the test, and as many pictures for validation."""
    warning: str = ""
    """What whoever uses a network of these pictures must read: it goes into the run, the report and the C."""

    def over(self, other: Selection) -> Selection:
        """These wishes, and where nothing is wished those of `other`."""
        return replace(other, **{f.name: value for f in fields(self) if (value := getattr(self, f.name)) not in (None, "")})

    @property
    def of_files(self) -> bool:
        """Whether anything is wished that only pictures in files can give."""
        return replace(self, warning="") != NO_WISHES

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "size": list(self.size) if self.size else None}


NO_WISHES = Selection()


def selection(
    size: int | str | tuple[int, int] | None = None,
    group: str | None = None,
    classes: str | None = None,
    held_out: float | None = None,
    warning: str = "",
) -> Selection:
    """Check wishes as a user says them; `size` is 96, "96", "96x128" (height, width) or a pair. Raise BadInput."""
    if held_out is not None and not 0 < held_out <= 0.4:
        fact = f"is {held_out}: the share of the test, and again of validation, is above 0 and at most 0.4."
        raise BadInput("held-out", fact, "Try 0.2.")
    if classes is not None:
        parse_classes(classes)
    return Selection(_size(size), group, classes, held_out, warning)


def _size(size: int | str | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = size if isinstance(size, tuple) else tuple(str(size).lower().split("x"))
    try:
        numbers = tuple(int(side) for side in sides)
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2) or not all(1 <= n <= 4096 for n in numbers):
        raise BadInput(f"size {size}", "is no size of a picture.", "Say 96, or height and width as 96x128.")
    return numbers[0], numbers[-1]


_KINDS = {"size": (int, str), "group": (str,), "classes": (str,), "held_out": (float,), "warning": (str,)}


def declared(place: Path) -> Selection:
    """Read the `puce.toml` in a folder of pictures, or a zip of one; nothing is wished where there is none."""
    zipped = place.is_file() and place.suffix.lower() == ".zip"
    file = (unpacked(place) if zipped else place) / DECLARATION
    if not file.is_file():
        return NO_WISHES
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        unknown = set(table) - {f.name for f in fields(Selection)}
        if unknown:
            raise BadInput(str(file), f"has the unknown key {sorted(unknown)[0]}.", REMEDY)
        for key, value in table.items():
            if type(value) not in _KINDS[key]:
                raise BadInput(str(file), f"{key} is {value!r}, of the wrong type.", REMEDY)
        return selection(**table)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(str(file), f"cannot be read ({error}).", REMEDY) from error


def declaration(wishes: Selection) -> str:
    """The text of a `puce.toml` that says these wishes."""
    size = "x".join(map(str, wishes.size)) if wishes.size else None
    said = {**asdict(wishes), "size": size}
    return "".join(f"{key} = {_toml(value)}\n" for key, value in said.items() if value not in (None, ""))


def _toml(value: str | float) -> str:
    """Strings with every control character escaped, so that no text can end its own quotes."""
    if not isinstance(value, str):
        return repr(value)
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value)
    return f'"{"".join(escaped)}"'


def parse_classes(text: str) -> dict[str, tuple[str, ...]]:
    """Split "melanoma, benign=nevus+dermatofibroma" into each new class and the folders that make it, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        name, _, members = (word.strip() for word in part.partition("="))
        folders = tuple(word.strip() for word in members.split("+")) if members else (name,)
        if not name or "" in folders or name in found:
            fact = f"{part.strip()!r} is no class, or one that is there already."
            raise BadInput(f"classes {text}", fact, "Say them so: melanoma, benign=nevus+dermatofibroma")
        found[name] = folders
    used = [folder for folders in found.values() for folder in folders]
    twice = sorted({folder for folder in used if used.count(folder) > 1})
    if twice:
        raise BadInput(f"classes {text}", f"{twice[0]} is in two classes.", "Name each folder once.")
    return found
