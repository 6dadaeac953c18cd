# SPDX-License-Identifier: Apache-2.0
"""Where sets lie on this machine, and how they come from their official address: checksum first, then atomic rename."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from ..errors import BadInput

BLOCK_BYTES = 1 << 18
TIMEOUT_S = 30


@dataclass(frozen=True)
class Source:
    """An official file: address, the checksum that its publisher gives (SHA-256, or MD5 by its length), and its size."""

    url: str
    checksum: str
    bytes_total: int

    @property
    def algorithm(self) -> str:
        return "md5" if len(self.checksum) == 32 else "sha256"


def places(data_dir: Path | None) -> list[Path]:
    """List the folders that may hold local copies, first come first served: --data-dir, PUCE_DATA, the cache."""
    named = os.environ.get("PUCE_DATA")
    return [
        *([data_dir] if data_dir else []),
        *([Path(named).expanduser()] if named else []),
        cache(),
    ]


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "puce"


def local(file_name: str, data_dir: Path | None) -> Path | None:
    """Return the first local copy of a file or folder, or None."""
    return next((p / file_name for p in places(data_dir) if (p / file_name).exists()), None)


def download(source: Source, target: Path, what: str, data_dir: Path | None) -> Path:
    """Fetch an official file to `target`. Raise BadInput on no network and on a wrong checksum; leave no part behind."""
    looked = ", ".join(str(place) for place in places(data_dir))
    remedy = f"Check the network, or put a local copy into a folder and name it with PUCE_DATA or --data-dir ({what})."
    with renamed_when_whole(target) as part:
        try:
            found = _fetch(source, part, what)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise BadInput(
                what, f"is not in {looked}, and could not be downloaded from {source.url} ({reason}).", remedy
            ) from error
        if found != source.checksum:
            name = "SHA-256" if source.algorithm == "sha256" else "MD5"
            raise BadInput(
                source.url,
                f"came with {name} {found[:16]}..., not {source.checksum[:16]}...: it is not the file.",
                remedy,
            )
    return target


def _fetch(source: Source, part: Path, what: str) -> str:
    """Stream to `part` and return its checksum."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    digest = hashlib.new(source.algorithm, usedforsecurity=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        urllib.request.urlopen(source.url, timeout=TIMEOUT_S) as answer,
        part.open("wb") as file,
    ):
        task = progress.add_task(f"downloading {what}", total=source.bytes_total)
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            digest.update(block)
            progress.advance(task, len(block))
    return digest.hexdigest()


@contextmanager
def renamed_when_whole(target: Path) -> Iterator[Path]:
    """Lend a temporary path beside `target` that takes its name only when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
