# SPDX-License-Identifier: Apache-2.0
"""What a firmware will take, known from its object files before linking; and whether the linked file kept to it.

The linker keeps what can be reached from the vector table; this module walks the same way, with its own code. Each output
section is padded to 16 bytes by our linker script, so the sums are exact but for strings that the linker merges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from puce.boards import Board
from puce.build import stack
from puce.build.elf import (
    SHF_EXECUTE,
    SHF_WRITE,
    SHN_COMMON,
    SHT_NOBITS,
    STB_LOCAL,
    STB_WEAK,
    STT_FUNC,
    Elf,
    Section,
    Symbol,
    members,
)
from puce.errors import BuildFailed, DoesNotFit
from puce.units import size

ALIGN = 16
BANK_PREFIX = ".puce_bank_"
# What the hardware pushes when an exception comes: 8 words, 18 more with the FPU, up to 4 bytes of alignment.
EXCEPTION_BYTES, EXCEPTION_FPU_BYTES = 36, 108


def aligned(n: int, to: int = ALIGN) -> int:
    return -(-n // to) * to


@dataclass(frozen=True)
class Sizes:
    """Bytes of a firmware. `text` holds code and vectors, `rodata` weights and tables, `data` counts in flash and in RAM;
    `banks` is what was placed in named memory banks, `stack` the bound of the stack."""

    text: int
    rodata: int
    data: int
    bss: int
    stack: int
    banks: Mapping[str, int] = field(default_factory=dict)

    @property
    def flash(self) -> int:
        return self.text + self.rodata + self.data

    @property
    def ram(self) -> int:
        return self.data + self.bss + self.stack + sum(self.banks.values())

    def in_bank(self, board: Board, name: str) -> int:
        """Bytes of one bank of the board in use; the first also holds .data, .bss and the stack."""
        own = self.data + self.bss + self.stack if name == board.banks[0].name else 0
        return own + self.banks.get(name, 0)


@dataclass(frozen=True)
class Part:
    """What one source file contributes: bytes of code, constants, initialised and zeroed data."""

    text: int = 0
    rodata: int = 0
    data: int = 0
    bss: int = 0


Node = tuple[int, int]  # object, section


class Program:
    """A set of object files, closed over what the start reaches."""

    def __init__(self, objects: Sequence[Path], library: Path, keep: Sequence[str] = ()) -> None:
        self.own = len(objects)
        self.elves = [*(Elf.read(path) for path in objects), *members(library)]
        self.reached: dict[Node, Section] = {}
        start = self._defined.get("Reset_Handler")
        if start is None:
            raise BuildFailed("start.c", "Reset_Handler is not among the objects.", "Compile the start-up files too.")
        vectors = [(i, s.index) for i, elf in enumerate(self.elves[: self.own]) for s in elf.sections if s.name == ".vectors"]
        self.kept = [self._defined[name] for name in keep if name in self._defined]
        self._reach([*vectors, *((i, symbol.section) for i, symbol in (start, *self.kept))])

    @cached_property
    def _defined(self) -> Mapping[str, tuple[int, Symbol]]:
        """Global name -> where; our objects win over the library, strong symbols over weak ones."""
        found: dict[str, tuple[int, Symbol]] = {}
        for i, elf in enumerate(self.elves):
            for symbol in elf.symbols:
                if not symbol.section or symbol.binding == STB_LOCAL or symbol.section >= SHN_COMMON:
                    continue
                old = found.get(symbol.name)
                if old is None or (old[1].binding == STB_WEAK != symbol.binding and (old[0] < self.own) <= (i < self.own)):
                    found[symbol.name] = (i, symbol)
        return found

    def resolve(self, i: int, symbol: Symbol) -> tuple[int, Symbol] | None:
        if symbol.section and (symbol.binding == STB_LOCAL or symbol.name not in self._defined):
            return (i, symbol)
        return self._defined.get(symbol.name)

    def _reach(self, queue: list[Node]) -> None:
        while queue:
            node = queue.pop()
            if node in self.reached:
                continue
            elf = self.elves[node[0]]
            section = elf.sections[node[1]]
            self.reached[node] = section
            if node[1] in elf.unwind_tables:  # our script drops the table, but lld keeps what it names
                queue.append((node[0], elf.unwind_tables[node[1]]))
            for relocation in elf.relocations(section):
                target = self.resolve(node[0], relocation.symbol)
                if target is not None and target[1].section < SHN_COMMON - 2:
                    queue.append((target[0], target[1].section))

    def part(self, elves: range) -> Part:
        """Sum the reached sections of these objects by their kind."""
        sums = dict.fromkeys(("text", "rodata", "data", "bss"), 0)
        for (i, _), section in self.reached.items():
            if i in elves and section.is_loaded and not section.name.startswith((BANK_PREFIX, ".ARM.ex")):
                sums[_kind(section)] += aligned(section.size, section.align)
        return Part(**sums)

    def banks(self) -> dict[str, int]:
        """Sum the reached sections that ask for a bank by name."""
        sums: dict[str, int] = {}
        for section in self.reached.values():
            if section.name.startswith(BANK_PREFIX):
                name = section.name.removeprefix(BANK_PREFIX)
                sums[name] = sums.get(name, 0) + aligned(section.size, section.align)
        return {name: aligned(total) for name, total in sorted(sums.items())}

    def stack_bytes(self, board: Board) -> int:
        """Bound the stack: the deepest chain from Reset_Handler, then an exception on top of it."""
        frames: dict[stack.Place, stack.Frame] = {}
        for (i, index), section in self.reached.items():
            elf = self.elves[i]
            for function in elf.functions:
                if function.section == index and section.flags & SHF_EXECUTE:
                    frames[i, index, function.address] = stack.frame(elf, section, function)
        taken = self._taken(frames)
        calls = {place: self._callees(place, frame, taken) for place, frame in frames.items()}
        roots = {
            name: self._place(self._defined[name])
            for name in ("Reset_Handler", "Fault_Handler", "SysTick_Handler")
            if name in self._defined
        }
        depth = {name: stack.deepest(place, frames, calls) for name, place in roots.items() if place in frames}
        alone = [stack.deepest(self._place(kept), frames, calls) for kept in self.kept if self._place(kept) in frames]
        hardware = EXCEPTION_FPU_BYTES if "fpu" in board.core.features else EXCEPTION_BYTES
        return aligned(max(depth.pop("Reset_Handler"), *alone, 0) + hardware + max(depth.values(), default=0))

    @staticmethod
    def _place(target: tuple[int, Symbol]) -> stack.Place:
        return (target[0], target[1].section, target[1].address)

    def _taken(self, frames: Mapping[stack.Place, stack.Frame]) -> tuple[stack.Place, ...]:
        """Functions whose address is taken somewhere but in the vector table."""
        found = set()
        for (i, _), section in self.reached.items():
            if section.name == ".vectors":
                continue
            for relocation in self.elves[i].relocations(section):
                target = self.resolve(i, relocation.symbol)
                if (
                    target
                    and target[1].type == STT_FUNC
                    and relocation.type not in (stack.R_ARM_THM_CALL, stack.R_ARM_THM_JUMP24)
                ):
                    found.add(self._place(target))
        return tuple(sorted(place for place in found if place in frames))

    def _callees(self, place: stack.Place, frame: stack.Frame, taken: tuple[stack.Place, ...]) -> tuple[stack.Place, ...]:
        found = [self._place(t) for symbol in frame.calls if (t := self.resolve(place[0], symbol))]
        found += [(place[0], place[1], address) for address in frame.local_calls]
        return tuple(dict.fromkeys([*found, *(taken if frame.calls_pointer else ())]))


def _kind(section: Section) -> str:
    if section.flags & SHF_EXECUTE or section.name == ".vectors":
        return "text"
    if not section.flags & SHF_WRITE:
        return "rodata"
    return "bss" if section.type == SHT_NOBITS else "data"


@dataclass(frozen=True)
class Promise:
    """Sizes before linking, and what each source file (by stem) and the compiler's `runtime` add to them."""

    sizes: Sizes
    parts: Mapping[str, Part]


def promise(
    objects: Mapping[str, Path], library: Path, board: Board, stack_bytes: int | None = None, keep: Sequence[str] = ()
) -> Promise:
    """Work out what these objects will take once linked for the board; `stack_bytes` overrides the computed bound.

    Raises BuildFailed if the stack has no bound, or if the given one is below it.
    """
    program = Program(tuple(objects.values()), library, keep)
    whole = program.part(range(len(program.elves)))
    bound = program.stack_bytes(board)
    if stack_bytes is not None and aligned(stack_bytes) < bound:
        raise BuildFailed(
            "stack", f"{stack_bytes} bytes were asked for and up to {bound} are needed.", "Leave stack_bytes out."
        )
    sizes = Sizes(
        text=aligned(whole.text),
        rodata=aligned(whole.rodata),
        data=aligned(whole.data),
        bss=aligned(whole.bss),
        stack=bound if stack_bytes is None else aligned(stack_bytes),
        banks=program.banks(),
    )
    parts = {name: program.part(range(i, i + 1)) for i, name in enumerate(objects)}
    parts["runtime"] = program.part(range(program.own, len(program.elves)))
    return Promise(sizes, parts)


def measure(elf: Elf) -> Sizes:
    """Read what a linked firmware really takes."""
    found = {section.name: section.size for section in elf.sections if section.is_loaded}
    banks = {n.removeprefix(BANK_PREFIX): s for n, s in sorted(found.items()) if n.startswith(BANK_PREFIX) and s}
    return Sizes(
        text=found.get(".text", 0),
        rodata=found.get(".rodata", 0),
        data=found.get(".data", 0),
        bss=found.get(".bss", 0),
        stack=found.get(".stack", 0),
        banks=banks,
    )


def broken(promised: Sizes, linked: Sizes) -> tuple[str, ...]:
    """Name every size of the linked file that is above its promise; empty when all were kept."""
    pairs = [(n, getattr(promised, n), getattr(linked, n)) for n in ("text", "rodata", "data", "bss", "stack")]
    pairs += [(f"bank {n}", promised.banks.get(n, 0), linked.banks.get(n, 0)) for n in {**promised.banks, **linked.banks}]
    return tuple(f"{name}: promised {was}, linked {now} bytes" for name, was, now in pairs if now > was)


def check_fits(sizes: Sizes, board: Board) -> None:
    """Raise DoesNotFit if flash or a bank of the board is too small, BuildFailed if a bank is not one of its own."""
    if unknown := sorted(set(sizes.banks) - {bank.name for bank in board.banks}):
        known = ", ".join(bank.name for bank in board.banks)
        raise BuildFailed(
            board.name, f"the code asks for the memory bank {unknown[0]!r}; it has {known}.", "Plan for this board."
        )
    room = [("flash", board.flash.usable_bytes, sizes.flash, f"code {size(sizes.text)}, constants {size(sizes.rodata)}")]
    for i, bank in enumerate(board.banks):
        what = f"data {size(sizes.data + sizes.bss)}, stack {size(sizes.stack)}, buffers" if i == 0 else "buffers"
        room.append(
            (f"bank {bank.name}", bank.bytes, sizes.in_bank(board, bank.name), f"{what} {size(sizes.banks.get(bank.name, 0))}")
        )
    for name, has, needs, what in room:
        if needs > has:
            raise DoesNotFit(
                board.name,
                f"{name} has {size(has)} and the firmware needs {size(needs)} ({what}).",
                "Take a smaller model, compile with -O ram or -O flash, or see `puce boards --fits MODEL`.",
            )
