# SPDX-License-Identifier: Apache-2.0
"""C -> ELF for a board, or a shared library for the host; every size known before linking. Never sees a graph."""

from puce.build.compile import Firmware, Objects, build_firmware, compile_objects, link
from puce.build.elf import Elf
from puce.build.library import build_library
from puce.build.promise import Part, Promise, Sizes, broken, check_fits, measure

__all__ = [
    "Elf",
    "Firmware",
    "Objects",
    "Part",
    "Promise",
    "Sizes",
    "broken",
    "build_firmware",
    "build_library",
    "check_fits",
    "compile_objects",
    "link",
    "measure",
]
