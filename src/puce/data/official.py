# SPDX-License-Identifier: Apache-2.0
"""The files in which MNIST and CIFAR are published, read without executing anything: IDX, binary records, archives."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput

Array = np.ndarray[Any, np.dtype[Any]]

REMEDY = "Delete it, and it is downloaded again; or put the right copy there."
RECORD_PIXELS = 3 * 32 * 32


def idx(path: Path) -> Array:
    """Read an IDX file of bytes, gzipped or not: two zero bytes, type 8, the number of axes, their lengths (LeCun, 1998)."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(str(path), f"cannot be read ({error}).", REMEDY) from error
    axes = data[3] if len(data) > 4 else 0
    shape = tuple(np.frombuffer(data[4 : 4 + 4 * axes], ">u4").tolist()) if len(data) >= 4 + 4 * axes else ()
    if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * axes + int(np.prod(shape, dtype=np.int64)):
        raise BadInput(str(path), "is no whole IDX file of bytes.", REMEDY)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def records(place: Path, label_bytes: int) -> dict[str, tuple[Array, Array]]:
    """Read the binary version of CIFAR, from its .tar.gz or the folder in it: by file stem, pictures and labels.

    A record is its labels, the last of which is the fine one, then 1 024 bytes each of red, green and blue, row by row.
    """
    found = {}
    for stem, data in _binaries(place):
        size = label_bytes + RECORD_PIXELS
        if not data or len(data) % size:
            raise BadInput(f"{place}, {stem}.bin", f"has {len(data)} bytes, no multiple of {size}.", REMEDY)
        rows = np.frombuffer(data, np.uint8).reshape(-1, size)
        pictures = rows[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        found[stem] = np.ascontiguousarray(pictures), rows[:, label_bytes - 1]
    return found


def _binaries(place: Path) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        yield from ((path.stem, path.read_bytes()) for path in sorted(place.glob("*.bin")))
        return
    try:
        with tarfile.open(place) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.name.endswith(".bin") else None
                if stream is not None:
                    yield Path(member.name).stem, stream.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BadInput(str(place), f"cannot be read ({error}).", REMEDY) from error
