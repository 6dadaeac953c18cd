# SPDX-License-Identifier: Apache-2.0
"""The deepest stack that a program can reach, read from its machine code before it is linked.

Sound by excess: all pushes of a function are added, whatever path they are on; a tail call counts as a call; a call through
a pointer counts as a call of every function whose address is taken. Recursion and frames of unknown size are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from puce.build.elf import Elf, Section, Symbol
from puce.errors import BuildFailed

R_ARM_ABS32, R_ARM_THM_CALL, R_ARM_THM_JUMP24 = 2, 10, 30
REMEDY = "Static memory is promised to the byte; write the function without it."
MOVE_SP = re.compile(r"^(?:sp, )?sp, #(-?(?:0x)?[0-9a-f]+)$")
REGISTER_SP = re.compile(r"^(?:sp, )?sp, (\w+)$")
STORE_SP = re.compile(r"\[sp, #-((?:0x)?[0-9a-f]+)\]!")
LITERAL = re.compile(r"^(\w+), \[pc(?:, #((?:0x)?[0-9a-f]+))?\]$")
CONSTANT = re.compile(r"^(\w+), #(-?(?:0x)?[0-9a-f]+)$")
BRANCH = re.compile(r"^bl?(eq|ne|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?(\.w)?$")

Place = tuple[int, int, int]  # object, section, address: one function


@dataclass(frozen=True)
class Frame:
    """What one function puts on the stack itself, and whom it calls: names, addresses of its section, or anyone."""

    name: str
    bytes: int
    calls: tuple[Symbol, ...]
    local_calls: tuple[int, ...]
    calls_pointer: bool


def frame(elf: Elf, section: Section, function: Symbol) -> Frame:
    """Read one function's own stack use and calls from an object file.

    Where hand-written code jumps between the functions of a section, or calls a label, the whole section is taken for one
    function that may call itself once at every such place.
    """
    end = function.address + (function.size or section.size - function.address)
    starts = {other.address for other in elf.functions if other.section == section.index}
    alone, jumps = _scan(elf, section, function.name, function.address, end)
    if not jumps and starts.issuperset(alone.local_calls):
        return alone
    whole, _ = _scan(elf, section, function.name, 0, section.size)
    return replace(whole, bytes=whole.bytes * (1 + len(whole.local_calls)), local_calls=())


def _scan(elf: Elf, section: Section, name: str, start: int, end: int) -> tuple[Frame, int]:
    """Read the code from start to end; say also how many jumps leave it without a relocation."""
    patches = {r.offset: r for r in elf.relocations(section) if r.type in (R_ARM_THM_CALL, R_ARM_THM_JUMP24)}
    calls = tuple(patch.symbol for offset, patch in patches.items() if start <= offset < end)
    used, jumps, local_calls, pointer = 0, 0, [], False
    constants: dict[str, int] = {}
    content = elf.bytes_of(section)
    for address, _, mnemonic, operands in _instructions(elf, section, start, end):
        used += _pushed(mnemonic, operands, constants, name)
        _learn(constants, content, address, mnemonic, operands)
        pointer |= mnemonic in ("blx", "bx") and not operands.startswith(("#", "lr"))
        if BRANCH.match(mnemonic) and operands.startswith("#") and address not in patches:
            target = int(operands[1:], 0)
            if mnemonic == "bl":
                local_calls.append(target)
            else:
                jumps += not start <= target < end
    return Frame(name, used, calls, tuple(local_calls), pointer), jumps


def _instructions(elf: Elf, section: Section, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    """Disassemble from start to end, leaving out the data between the instructions."""
    import capstone

    machine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    marks = sorted((s.address, s.name[1]) for s in elf.symbols if s.section == section.index and s.name[:2] in ("$t", "$d"))
    content = elf.bytes_of(section)
    kind, at = "t", 0
    for address, mark in [*marks, (end, "")]:
        if kind == "t":
            first, last = max(at, start), min(address, end)
            if first < last:
                yield from machine.disasm_lite(content[first:last], first)
        kind, at = mark, address


def _pushed(mnemonic: str, operands: str, constants: Mapping[str, int], name: str) -> int:
    base = mnemonic.split(".")[0]
    if base == "push" or (base == "stmdb" and operands.startswith("sp!")):
        return 4 * (operands.split("{")[1].count(",") + 1)
    if base in ("vpush", "vstmdb") and ("sp!" in operands or base == "vpush"):
        registers = operands.split("{")[1]
        return (8 if registers.startswith("d") else 4) * (registers.count(",") + 1)
    if found := STORE_SP.search(operands):
        return int(found[1], 0)
    # A compiler that leaves frame pointers out moves a register to sp only for an array of variable size.
    sign = {"sub": 1, "subw": 1, "subs": 1, "add": -1, "addw": -1, "mov": 0}.get(base)
    if sign is None or not operands.startswith("sp, "):
        return 0
    if found := MOVE_SP.match(operands):
        return max(0, sign * int(found[1], 0))
    if (found := REGISTER_SP.match(operands)) and found[1] in constants:
        return max(0, sign * constants[found[1]])
    if found or base == "mov" or (sign > 0 and operands.startswith("sp, sp, ")):
        raise BuildFailed(name, "its stack frame has a size that only the run knows.", REMEDY)
    return 0


def _learn(constants: dict[str, int], content: bytes, address: int, mnemonic: str, operands: str) -> None:
    """Follow constants in registers: small cores subtract large frames through one."""
    base = mnemonic.split(".")[0]
    if base == "ldr" and (found := LITERAL.match(operands)):
        at = ((address + 4) & ~3) + int(found[2] or "0", 0)
        constants[found[1]] = int.from_bytes(content[at : at + 4], "little", signed=True)
    elif base in ("mov", "movw", "movs") and (found := CONSTANT.match(operands)):
        constants[found[1]] = int(found[2], 0)
    elif base == "movt" and (found := CONSTANT.match(operands)) and found[1] in constants:
        value = (constants[found[1]] & 0xFFFF) | int(found[2], 0) << 16
        constants[found[1]] = value - (1 << 32) if value >> 31 else value
    else:
        constants.pop(operands.split(",")[0], None)


def deepest(root: Place, frames: Mapping[Place, Frame], calls: Mapping[Place, tuple[Place, ...]]) -> int:
    """Bytes of the deepest chain of calls from `root`. Raises BuildFailed on recursion."""
    depth: dict[Place, int] = {}
    chain: list[Place] = []

    def visit(place: Place) -> int:
        if place in depth:
            return depth[place]
        if place in chain:
            names = [frames[p].name for p in [*chain[chain.index(place) :], place]]
            raise BuildFailed(names[0], f"it calls itself ({' -> '.join(names)}), so its stack has no bound.", REMEDY)
        chain.append(place)
        depth[place] = frames[place].bytes + max((visit(callee) for callee in calls[place]), default=0)
        chain.pop()
        return depth[place]

    return visit(root)
