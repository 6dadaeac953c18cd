# SPDX-License-Identifier: Apache-2.0
"""32-bit little-endian ELF files as records: sections, symbols, relocations; and the members of `ar` archives."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from puce.errors import BadInput

SHT_SYMTAB, SHT_NOBITS, SHT_REL, SHT_ARM_EXIDX = 2, 8, 9, 0x70000001
SHF_WRITE, SHF_ALLOC, SHF_EXECUTE = 1, 2, 4
STT_OBJECT, STT_FUNC, STT_SECTION = 1, 2, 3
STB_LOCAL, STB_WEAK = 0, 2
SHN_COMMON = 0xFFF2


@dataclass(frozen=True)
class Section:
    index: int
    name: str
    type: int
    flags: int
    address: int
    size: int
    align: int
    link: int
    info: int
    offset: int

    @property
    def is_loaded(self) -> bool:
        return bool(self.flags & SHF_ALLOC)


@dataclass(frozen=True)
class Symbol:
    """`address` has no Thumb bit; in an object file it counts from the start of the section."""

    name: str
    address: int
    size: int
    type: int
    binding: int
    section: int


@dataclass(frozen=True)
class Relocation:
    offset: int
    type: int
    symbol: Symbol


@dataclass(frozen=True)
class Elf:
    """One ELF file, parsed on first use of each part."""

    name: str
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Elf:
        return cls(path.name, path.read_bytes())

    def __post_init__(self) -> None:
        if self.content[:6] != b"\x7fELF\x01\x01" or len(self.content) < 52:
            raise BadInput(self.name, "this is not a 32-bit little-endian ELF file.", "Build the firmware again.")

    @property
    def entry(self) -> int:
        return int(struct.unpack_from("<I", self.content, 24)[0])

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        offset, count, names = self._word(32), *struct.unpack_from("<HH", self.content, 48)
        raw = [struct.unpack_from("<10I", self.content, offset + 40 * i) for i in range(count)]
        strings = raw[names][4] if count else 0
        return tuple(
            Section(i, self._text(strings + r[0]), r[1], r[2], r[3], r[5], max(r[8], 1), r[6], r[7], r[4])
            for i, r in enumerate(raw)
        )

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        for section in self.sections:
            if section.type == SHT_SYMTAB:
                strings = self.sections[section.link].offset
                table = self.content[section.offset : section.offset + section.size]
                return tuple(self._symbol(entry, strings) for entry in struct.iter_unpack("<IIIBBH", table))
        return ()

    def _symbol(self, entry: tuple[int, int, int, int, int, int], strings: int) -> Symbol:
        name, value, size, info, _, section = entry
        kind = info & 15
        return Symbol(self._text(strings + name), value & ~1 if kind == STT_FUNC else value, size, kind, info >> 4, section)

    @cached_property
    def by_name(self) -> Mapping[str, Symbol]:
        """Every named symbol that is defined here; a global one wins over a local one of the same name."""
        found = sorted((s for s in self.symbols if s.name and s.section), key=lambda s: s.binding != STB_LOCAL)
        return {s.name: s for s in found}

    @cached_property
    def functions(self) -> tuple[Symbol, ...]:
        """The functions, by address; of several names for one address the first global one."""
        found = sorted(
            (s for s in self.symbols if s.type == STT_FUNC and s.section),
            key=lambda s: (s.section if self.is_object else 0, s.address, s.binding == STB_LOCAL, s.name),
        )
        kept: list[Symbol] = []
        for symbol in found:
            if not kept or (kept[-1].section, kept[-1].address) != (symbol.section, symbol.address):
                kept.append(symbol)
        return tuple(kept)

    @property
    def is_object(self) -> bool:
        return bool(struct.unpack_from("<H", self.content, 16)[0] == 1)

    @cached_property
    def _starts(self) -> list[int]:
        return [s.address for s in self.functions]

    def function_at(self, address: int) -> Symbol | None:
        """Find the function that holds this address of a linked file."""
        i = bisect.bisect_right(self._starts, address) - 1
        if i < 0 or address >= self.functions[i].address + max(self.functions[i].size, 2):
            return None
        return self.functions[i]

    def relocations(self, section: Section) -> tuple[Relocation, ...]:
        """List the relocations that patch this section of an object file."""
        found = []
        for index in self._patches.get(section.index, ()):
            table = self.sections[index]
            for offset, info in struct.iter_unpack("<II", self.content[table.offset : table.offset + table.size]):
                found.append(Relocation(offset, info & 255, self.symbols[info >> 8]))
        return tuple(found)

    @cached_property
    def _patches(self) -> Mapping[int, list[int]]:
        patches: dict[int, list[int]] = {}
        for section in self.sections:
            if section.type == SHT_REL:
                patches.setdefault(section.info, []).append(section.index)
        return patches

    @cached_property
    def unwind_tables(self) -> Mapping[int, int]:
        """Section of code -> the section of its unwind table."""
        return {section.link: section.index for section in self.sections if section.type == SHT_ARM_EXIDX}

    def bytes_of(self, section: Section) -> bytes:
        if section.type == SHT_NOBITS:
            return bytes(section.size)
        return self.content[section.offset : section.offset + section.size]

    @cached_property
    def segments(self) -> tuple[tuple[int, bytes], ...]:
        """What goes into flash: (load address, bytes)."""
        offset, (count,) = self._word(28), struct.unpack_from("<H", self.content, 44)
        found = []
        for i in range(count):
            kind, at, _, load, size, *_ = struct.unpack_from("<8I", self.content, offset + 32 * i)
            if kind == 1 and size:
                found.append((load, self.content[at : at + size]))
        return tuple(found)

    def _word(self, offset: int) -> int:
        return int(struct.unpack_from("<I", self.content, offset)[0])

    def _text(self, offset: int) -> str:
        return self.content[offset : self.content.index(b"\0", offset)].decode("latin-1")


def members(archive: Path) -> Iterator[Elf]:
    """Yield the object files of a static library, in order."""
    content = archive.read_bytes()
    if not content.startswith(b"!<arch>\n"):
        raise BadInput(archive.name, "this is not a static library.", "Install the compiler again.")
    at = 8
    while at + 60 <= len(content):
        size = int(content[at + 48 : at + 58])
        body = content[at + 60 : at + 60 + size]
        if body.startswith(b"\x7fELF"):
            yield Elf(f"{archive.name}:{at}", body)
        at += 60 + size + size % 2
