# SPDX-License-Identifier: Apache-2.0
"""A zip of pictures, unpacked once into the cache; nothing it holds can be written elsewhere, or fill the disk."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import BadInput
from .download import cache

MOST_BYTES = 20 * 1024**3
MOST_FILES = 500_000
LARGEST_RATIO = 200
"""Pictures are compressed already: a zip of them does not shrink much. A bomb does, a thousandfold and more."""


def unpacked(archive: Path) -> Path:
    """Return the folder with the content of a zip; a single folder around everything is stepped into.

    Raise BadInput for a file that is no zip, is broken, or holds names that lead out of the folder.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = cache() / "unpacked" / digest[:24]
    if not target.is_dir():
        _unpack(archive, target)
    inside = [p for p in target.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else target


def _unpack(archive: Path, target: Path) -> None:
    remedy = "Give a zip with one folder a class, a folder of that kind, or a CSV list."
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as folder:
        part = Path(folder, "content")
        part.mkdir()
        try:
            with zipfile.ZipFile(archive) as zipped:
                members = [m for m in zipped.infolist() if not m.is_dir()]
                _harmless(archive, members)
                for member in members:
                    place = part / member.filename
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with zipped.open(member) as source, place.open("wb") as sink:
                        shutil.copyfileobj(source, sink)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise BadInput(str(archive), f"cannot be unpacked ({error}).", remedy) from error
        part.replace(target)


def _harmless(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    total, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    remedy = "Unpack it yourself if you trust it, and name the folder."
    if total > MOST_BYTES or len(members) > MOST_FILES or total > LARGEST_RATIO * max(packed, 1_000_000):
        fact = f"would unpack to {len(members)} files of {total // 10**6} MB, from {packed // 10**6} MB."
        raise BadInput(str(archive), fact, remedy)
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
            raise BadInput(f"{archive}, {member.filename}", "this name leads out of the folder.", remedy)
