# SPDX-License-Identifier: Apache-2.0
"""Which data sets there are, where they lie, and what is in one: for `puce data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import SETS, Dataset
from .data.dataset import SPLITS
from .data.download import local
from .data.feature_map import Plane
from .text import bar, table
from .units import count

SHOWN = 20
"""How many unusable files are named before the rest is only counted; --json names all."""


@dataclass(frozen=True)
class Entry:
    """A set by name. `place` is its local copy, or None where it would be downloaded."""

    name: str
    about: str
    place: str | None

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "about": self.about, "place": self.place}


@dataclass(frozen=True)
class Inventory:
    """The sets that have a name."""

    entries: tuple[Entry, ...]
    ok = True

    def as_json(self) -> dict[str, Any]:
        return {"datasets": [entry.as_json() for entry in self.entries]}

    def __str__(self) -> str:
        return "\n".join(f"{e.name:<15}{e.about}\n{'':<15}{e.place or 'is downloaded when first used'}" for e in self.entries)


@dataclass(frozen=True, eq=False)
class Contents:
    """What is in one set; `page` is the HTML that shows it, with the map of its features, where one was written."""

    dataset: Dataset
    page: Path | None = None
    plane: Plane | None = None
    ok = True

    def as_json(self) -> dict[str, Any]:
        d = self.dataset
        return {
            "name": d.name, "classes": list(d.class_names), "shape": list(d.shape),
            "splits": {s: {"total": len(d.labels(s)), "by_class": list(d.by_class(s))} for s in SPLITS},
            "preprocessing": {"scale": d.preprocessing.scale, "offset": d.preprocessing.offset},
            "fingerprint": d.fingerprint, "notes": list(d.notes),
            "skipped": [{"path": f.path, "reason": f.reason} for f in d.skipped],
            "page": str(self.page) if self.page else None,
            "map": {"method": self.plane.method, "kept": self.plane.kept} if self.plane else None,
        }  # fmt: skip

    def __str__(self) -> str:
        d = self.dataset
        per_class = list(zip(d.class_names, *(d.by_class(split) for split in SPLITS), strict=True))
        most = max(sum(counts) for _, *counts in per_class)
        rows = [(name, *map(count, counts), count(sum(counts)), bar(sum(counts) / most, 20)) for name, *counts in per_class]
        classes = table(("class", *SPLITS, "total", ""), rows, right=(1, 2, 3, 4))
        skipped = [f"not used: {file}" for file in d.skipped[:SHOWN]]
        if len(d.skipped) > SHOWN:
            skipped.append(f"and {len(d.skipped) - SHOWN} more files that could not be used")
        facts = [str(d), *d.notes, f"input: {d.preprocessing}", f"fingerprint: {d.fingerprint[:16]}"]
        page = f"page: {self.page}" if self.page else "a page with samples and a map of the features: --html FILE"
        return "\n".join((*facts, "", classes, *skipped, "", page))


def inventory(data_dir: Path | None = None) -> Inventory:
    """List the sets by name; `data_dir`, else PUCE_DATA, and the cache are looked through for local copies."""
    return Inventory(tuple(_entry(name, data_dir) for name in sorted(SETS)))


def _entry(name: str, data_dir: Path | None) -> Entry:
    about = (SETS[name].__doc__ or "").strip().splitlines()[0]
    if name == "digits":
        return Entry(name, about, "comes with puce")
    copy = local(f"{name}.npz", data_dir) or local(name, data_dir)
    return Entry(name, about, str(copy) if copy else None)
