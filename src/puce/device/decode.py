# SPDX-License-Identifier: Apache-2.0
"""Machine code of one basic block -> instructions as the price list and the flash model want them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from puce.device.cycles import Instruction, Kind, Transfer

BRANCHES = {"b", "bl", "cbz", "cbnz"}
REGISTER_BRANCHES = {"bx", "blx", "tbb", "tbh", "bxns", "blxns"}
LONG = {"umull", "smull", "umlal", "smlal", "umaal", "smlald", "smlaldx", "smlsld", "smlsldx"}
LONG |= {"smlalbb", "smlalbt", "smlaltb", "smlaltt"}
MULTIPLY = re.compile(r"^(mul|mla|mls|smul|smla|smmul|smmla|smmls|smuad|smusd|smlsd|usad)")
FP_MULTIPLY_ADD = re.compile(r"^v(n?ml[as]|fn?m[as])$")
STATUS = {"mrs", "msr", "vmrs", "vmsr", "cps"}
BARRIERS = {"dmb", "dsb", "isb"}
TABLE_BRANCHES = {"tbb", "tbh"}


@cache
def machine() -> Any:
    import capstone

    made = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    made.detail = True
    return made


def disassemble(code: bytes, address: int) -> Iterator[tuple[Instruction, Any]]:
    """Yield each instruction of the block, and capstone's own record of it."""
    for insn in machine().disasm(code, address):
        yield _instruction(insn), insn


def _instruction(insn: Any) -> Instruction:
    from capstone import arm

    name = insn.insn_name()
    read, written = (frozenset(insn.reg_name(r) for r in registers) for registers in insn.regs_access())
    address: set[str] = set()
    for operand in insn.operands:
        if operand.type == arm.ARM_OP_MEM:
            address |= {insn.reg_name(r) for r in (operand.mem.base, operand.mem.index) if r}
    count = 0
    kind = _kind(name)
    if kind in ("load_multiple", "store_multiple"):
        registers = [o for o in insn.operands if o.type == arm.ARM_OP_REG]
        if name not in ("push", "pop", "vpush", "vpop"):
            address |= {insn.reg_name(registers[0].reg)}
            registers = registers[1:]
        else:
            address |= {"sp"}
        count = sum(2 if insn.reg_name(o.reg).startswith("d") else 1 for o in registers)
    conditional = name in ("cbz", "cbnz") or insn.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID)
    return Instruction(
        address=insn.address,
        size=insn.size,
        mnemonic=name,
        operands=insn.op_str,
        kind=kind,
        reads=read,
        writes=written,
        address_registers=frozenset(address),
        count=count,
        conditional=conditional,
        transfer=_transfer(name, insn.op_str, written),
    )


def _kind(name: str) -> Kind:
    if name in BRANCHES:
        return "branch"
    if name in REGISTER_BRANCHES:
        return "branch_register"
    if name.startswith(("ldrd", "strd")):
        return "load_dual" if name[0] == "l" else "store_dual"
    if name.startswith(("ldm", "pop", "vldm", "vpop")):
        return "load_multiple"
    if name.startswith(("stm", "push", "vstm", "vpush")):
        return "store_multiple"
    if name.startswith(("ldr", "vldr")):
        return "load"
    if name.startswith(("str", "vstr")):
        return "store"
    if name.startswith("v") and name not in STATUS:
        return "fp_multiply_add" if FP_MULTIPLY_ADD.match(name) else "fp_divide" if name in ("vdiv", "vsqrt") else "fp_simple"
    if name in ("udiv", "sdiv"):
        return "divide"
    if name in LONG:
        return "multiply_long"
    if MULTIPLY.match(name):
        return "multiply"
    if name.startswith("it"):
        return "it"
    return "move_status" if name in STATUS else "barrier" if name in BARRIERS else "alu"


def _transfer(name: str, operands: str, written: frozenset[str]) -> Transfer:
    if name in ("bl", "blx", "blxns"):
        return "call"
    if (name in ("bx", "bxns") and operands == "lr") or (name.startswith(("pop", "ldm", "ldr")) and "pc" in written):
        return "return"
    if name in BRANCHES or name in REGISTER_BRANCHES or (name in ("mov", "add") and operands.startswith("pc")):
        return "jump"
    return "none"
