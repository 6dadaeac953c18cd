# SPDX-License-Identifier: Apache-2.0
"""Where the loads of a basic block go, as sums of the registers that the block starts with.

Follows constants, additions, shifts, written-back addresses, literals, and words that the block reloads from the stack. What
depends on anything else that the block loads or computes is unknown, and counted as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from puce.device.cycles import Instruction

STACK_SLOT = 16  # bases from here on are words on the stack
SP = 13
LIMIT, SLOTS = 64, 16  # what one record of tracer.c has room for
NUMBERS = {**{f"r{i}": i for i in range(13)}, "sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": SP, "lr": 14}
WIDTHS = {"ldrb": 1, "ldrsb": 1, "ldrh": 2, "ldrsh": 2, "ldrd": 8}


@dataclass(frozen=True)
class Value:
    """base + (index << shift) + offset, modulo 2^32; base and index are register numbers or None."""

    base: int | None
    index: int | None
    shift: int
    offset: int

    def plus(self, offset: int) -> Value:
        return replace(self, offset=(self.offset + offset) & 0xFFFFFFFF)

    def shifted(self, by: int) -> Value | None:
        if self.index is not None:
            return None
        return Value(None, self.base, by, (self.offset << by) & 0xFFFFFFFF)

    def added(self, other: Value) -> Value | None:
        """Sum two values; None if it has no such form."""
        terms = [(v.base, 0) for v in (self, other) if v.base is not None]
        terms += [(v.index, v.shift) for v in (self, other) if v.index is not None]
        if len(terms) > 2 or (len(terms) == 2 and terms[0][1] != 0 and terms[1][1] != 0):
            return None
        terms.sort(key=lambda term: term[1])
        offset = (self.offset + other.offset) & 0xFFFFFFFF
        if not terms:
            return Value(None, None, 0, offset)
        if len(terms) == 1 and terms[0][1]:
            return Value(None, terms[0][0], terms[0][1], offset)
        index, shift = terms[1] if len(terms) == 2 else (None, 0)
        return Value(terms[0][0], index, shift, offset)


@dataclass(frozen=True)
class Loads:
    """Loads of a block that may reach flash: (address, bytes); the stack words they need, from the stack pointer; how many
    loads there are in all, and how many could not be followed."""

    followed: tuple[tuple[Value, int], ...]
    slots: tuple[int, ...]
    total: int
    unknown: int


class Follower:
    """The state of the registers along one block."""

    def __init__(self, literal: Callable[[int], int]) -> None:
        self.registers: dict[int, Value | None] = {i: Value(i, None, 0, 0) for i in range(15)}
        self.stack: dict[int, Value | None] = {}  # by offset from the first stack pointer
        self.slots: list[int] = []
        self.followed: list[tuple[Value, int]] = []
        self.total = self.unknown = 0
        self.literal = literal

    def step(self, instruction: Instruction, insn: Any) -> None:
        kind = instruction.kind
        if kind in ("load", "load_dual", "store", "store_dual"):
            self._memory(instruction, insn)
        elif kind in ("load_multiple", "store_multiple"):
            self._multiple(instruction, insn)
        else:
            value = self._computed(instruction, insn)
            self._forget(instruction)
            target = _number(insn, insn.operands[0]) if insn.operands and instruction.transfer == "none" else None
            if target is not None and insn.reg_name(insn.operands[0].reg) in instruction.writes:
                # A conditional instruction may not have happened: its result is unknown.
                self.registers[target] = None if _in_it_block(insn) else value
        if instruction.transfer == "call":
            self.registers[14] = None

    def _forget(self, instruction: Instruction) -> None:
        for name in instruction.writes:
            if name in NUMBERS:
                self.registers[NUMBERS[name]] = None

    def _value(self, insn: Any, register: int, address: int) -> Value | None:
        name = insn.reg_name(register)
        if name == "pc":
            return Value(None, None, 0, (address + 4) & ~3)
        return self.registers.get(NUMBERS.get(name, -1))

    def _computed(self, instruction: Instruction, insn: Any) -> Value | None:
        from capstone import arm

        operands, name = insn.operands, instruction.mnemonic
        if name not in ("mov", "mvn", "movw", "movt", "add", "addw", "sub", "subw", "adr", "lsl") or not operands:
            return None
        last = operands[-1]
        sources = operands[1:-1] if len(operands) > 2 else operands[:1]
        first = self._value(insn, sources[0].reg, insn.address) if sources[0].type == arm.ARM_OP_REG else None
        constant = last.imm & 0xFFFFFFFF if last.type == arm.ARM_OP_IMM else None
        if name in ("mov", "movw"):
            return Value(None, None, 0, constant) if constant is not None else self._shifted(insn, last)
        if name == "movt":
            old = self._value(insn, operands[0].reg, insn.address)
            if old is None or constant is None or old.base is not None or old.index is not None:
                return None
            return Value(None, None, 0, old.offset & 0xFFFF | constant << 16)
        if name == "adr":
            return Value(None, None, 0, (insn.address + 4 & ~3) + constant) if constant is not None else None
        if name == "mvn":
            return Value(None, None, 0, ~constant & 0xFFFFFFFF) if constant is not None else None
        if name == "lsl":
            return first.shifted(constant) if first and constant is not None else None
        if first is None:
            return None
        if constant is not None:
            return first.plus(-constant if name.startswith("sub") else constant)
        second = self._shifted(insn, last)
        return first.added(second) if second and name == "add" else None

    def _shifted(self, insn: Any, operand: Any) -> Value | None:
        """The value of a register operand with its shift."""
        from capstone import arm

        value = self._value(insn, operand.reg, insn.address) if operand.type == arm.ARM_OP_REG else None
        if value is None or operand.shift.type == arm.ARM_SFT_INVALID:
            return value
        return value.shifted(operand.shift.value) if operand.shift.type == arm.ARM_SFT_LSL else None

    def _memory(self, instruction: Instruction, insn: Any) -> None:
        from capstone import arm

        at = next(o for o in insn.operands if o.type == arm.ARM_OP_MEM)
        base = self._value(insn, at.mem.base, insn.address)
        step = _post_step(insn)
        address = None
        if base is not None:
            address = base.plus(at.mem.disp if step is None else 0)
            if at.mem.index and step is None:
                index = self._value(insn, at.mem.index, insn.address)
                shift = at.shift.value if at.shift.type == arm.ARM_SFT_LSL else 0
                index = index.shifted(shift) if index and shift else index
                address = address.added(index) if index else None
        target = insn.operands[0]
        if instruction.kind in ("load", "load_dual"):
            loaded = self._load(address, _width(instruction), instruction)
            self._forget(instruction)
            number = _number(insn, target)
            if instruction.mnemonic == "ldr" and number is not None and not _in_it_block(insn):
                self.registers[number] = loaded
        elif address is not None and address.base == SP and address.index is None:
            stored = self._value(insn, target.reg, insn.address) if instruction.mnemonic == "str" else None
            self.stack[address.offset] = None if _in_it_block(insn) else stored
            if instruction.kind == "store_dual":
                self.stack[(address.offset + 4) & 0xFFFFFFFF] = None
        if insn.writeback and (number := NUMBERS.get(insn.reg_name(at.mem.base))) is not None:
            move = at.mem.disp if step is None else step
            self.registers[number] = base.plus(move) if base is not None and not _in_it_block(insn) else None

    def _load(self, address: Value | None, width: int, instruction: Instruction) -> Value | None:
        """Note a load; return what it brings, if that can be told: a literal, or a word of the stack."""
        self.total += 1
        if address is None:
            self.unknown += 1
            return None
        if address.base == SP:  # the stack is never in flash
            return self._slot(address.offset) if address.index is None and width == 4 else None
        self.followed.append((address, width))
        if address.base is None and address.index is None and "pc" in instruction.address_registers and width == 4:
            return Value(None, None, 0, self.literal(address.offset))
        return None

    def _slot(self, offset: int) -> Value | None:
        if offset in self.stack:
            return self.stack[offset]
        if offset not in self.slots:
            if len(self.slots) == SLOTS:
                return None
            self.slots.append(offset)
        return Value(STACK_SLOT + self.slots.index(offset), None, 0, 0)

    def _multiple(self, instruction: Instruction, insn: Any) -> None:
        name = instruction.mnemonic
        implied = name in ("push", "pop", "vpush", "vpop")
        number = SP if implied else _number(insn, insn.operands[0])
        base = self.registers.get(number) if number is not None else None
        size = 4 * instruction.count
        down = name in ("push", "vpush") or "db" in name
        first = base.plus(-size if down else 0) if base is not None else None
        if instruction.kind == "load_multiple":
            self.total += 1
            self.unknown += first is None
            if first is not None and first.base != SP:
                self.followed.append((first, size))
            self._forget(instruction)
        elif first is not None and first.base == SP:
            for i in range(instruction.count):
                self.stack[(first.offset + 4 * i) & 0xFFFFFFFF] = None
        if number is not None and (implied or insn.writeback):
            self.registers[number] = base.plus(-size if down else size) if base is not None else None


def follow(block: Sequence[tuple[Instruction, Any]], literal: Callable[[int], int]) -> Loads:
    """Work out the addresses of a block's loads; `literal(address)` reads a word of the code."""
    follower = Follower(literal)
    for instruction, insn in block:
        follower.step(instruction, insn)
    kept = follower.followed[:LIMIT]
    return Loads(tuple(kept), tuple(follower.slots), follower.total, follower.unknown + len(follower.followed) - len(kept))


def _number(insn: Any, operand: Any) -> int | None:
    from capstone import arm

    return NUMBERS.get(insn.reg_name(operand.reg)) if operand.type == arm.ARM_OP_REG else None


def _width(instruction: Instruction) -> int:
    if instruction.mnemonic == "vldr" and instruction.operands.startswith("d"):
        return 8
    return WIDTHS.get(instruction.mnemonic, 4)


def _post_step(insn: Any) -> int | None:
    """What a post-indexed access adds to its base afterwards; None for every other access."""
    from capstone import arm

    last = insn.operands[-1]
    if not insn.writeback or last.type != arm.ARM_OP_IMM:
        return None
    return -last.imm if last.subtracted else int(last.imm)


def _in_it_block(insn: Any) -> bool:
    from capstone import arm

    return insn.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID)
