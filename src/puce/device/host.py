# SPDX-License-Identifier: Apache-2.0
"""The generated C on this machine, through a shared library: the fastest device, and the one for sanitizers."""

from __future__ import annotations

import ctypes
import re
import shutil
import tempfile
from pathlib import Path

from puce.device import protocol
from puce.device.interface import Closing
from puce.device.protocol import Hello, PictureKind, Reply
from puce.errors import BadInput

DEFINE = re.compile(r"^#define\s+PUCE_MODEL_(\w+)\s+(.+?)\s*(?:/\*.*)?$", re.MULTILINE)


class Host(Closing):
    """A shared library of generated C behind the same interface; `header` is its puce_model.h. It counts no cycles."""

    def __init__(self, library: Path, header: Path) -> None:
        self.place = library.name
        facts = dict(DEFINE.findall(_text(header)))
        try:
            self._hello = Hello(
                protocol=protocol.VERSION,
                puce="",
                model=facts["NAME"].strip('"'),
                fingerprint=_number(facts["FINGERPRINT"]),
                input_bytes=_number(facts["INPUT_BYTES"]),
                output_bytes=_number(facts["OUTPUT_BYTES"]),
                input_type=facts["INPUT_TYPE"].strip("'"),
                output_type=facts["OUTPUT_TYPE"].strip("'"),
                fed_by_rows=facts.get("FED_BY_ROWS", "0") != "0",
                clock_hz=0,
            )
        except (KeyError, ValueError) as error:
            raise BadInput(header.name, f"PUCE_MODEL_ defines are missing ({error}).", "Compile the model again.") from error
        try:
            self._library = _load(library)
            self._run = self._library[f"{self._hello.model}_run"]
        except (OSError, AttributeError) as error:
            raise BadInput(self.place, f"the library cannot be used ({error}).", "Build it again.") from error
        self._run.argtypes, self._run.restype = [ctypes.c_void_p], ctypes.c_void_p

    def hello(self) -> Hello:
        return self._hello

    def run(self, picture: bytes, kind: PictureKind) -> Reply:
        """Run one inference by calling `<name>_run`."""
        hello = self._hello
        protocol.check_picture(picture, kind, hello, self.place)
        if protocol.LETTERS[kind] != hello.input_type:  # int8 and uint8 differ by 128: the top bit
            picture = bytes(value ^ 0x80 for value in picture)
        words = (ctypes.c_uint64 * (-(-len(picture) // 8)))()
        ctypes.memmove(words, picture, len(picture))
        outputs = self._run(words)
        return Reply(ctypes.string_at(outputs, hello.output_bytes), None)

    def close(self) -> None:
        """Nothing is held that outlives the process."""


def _load(library: Path) -> ctypes.CDLL:
    """Load a private copy: the loader would answer a path that it knows with the library that was there before."""
    with tempfile.TemporaryDirectory(prefix="puce-host-") as folder:
        return ctypes.CDLL(shutil.copy(library, folder))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(str(path), f"this file cannot be read ({error}).", "Compile the model again.") from error


def _number(text: str) -> int:
    return int(text.strip("()uUlL"), 0)
