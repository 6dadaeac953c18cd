# SPDX-License-Identifier: Apache-2.0
"""The native block hook: builds it once, feeds it decoded blocks, reads its counts."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from puce.boards import Board
from puce.build.elf import Elf
from puce.build.library import build_library
from puce.device import addresses, decode
from puce.device.cycles import CycleReport, FunctionCycles, price, relative_error
from puce.errors import BadInput, DeviceFailed

SOURCE = Path(__file__).parent / "tracer.c"
TRANSFERS = ("none", "jump", "call", "return")
REGISTERS = 16
CLONE = re.compile(r"(\.(constprop|isra|part|cold)(\.\d+)?)+$")  # what GCC calls a function that it has specialised


class Load(ctypes.Structure):
    _fields_ = [("base", ctypes.c_int32), ("index", ctypes.c_int32), ("shift", ctypes.c_int32)]
    _fields_ += [("offset", ctypes.c_uint32), ("bytes", ctypes.c_uint32)]


class Block(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("address", "size")]
    _fields_ += [(name, ctypes.c_double) for name in ("cost", "taken_cost", "entry_cost")]
    _fields_ += [(name, ctypes.c_uint32) for name in ("instructions", "loads_executed", "loads_unknown")]
    _fields_ += [(name, ctypes.c_int32) for name in ("transfer", "conditional", "function", "is_function_start")]
    _fields_ += [(name, ctypes.c_uint32) for name in ("loads", "registers", "slots")]
    _fields_ += [("load", Load * addresses.LIMIT), ("slot_offset", ctypes.c_uint32 * addresses.SLOTS)]


class Counters(ctypes.Structure):
    _fields_ = [(n, ctypes.c_double) for n in ("base", "data_waits", "instruction_waits", "instructions", "loads", "unknown")]

    def parts(self, scale: float) -> tuple[int, int, int]:
        """Whole cycles without waiting, waiting for data, waiting for instructions: rounded apart, so that they add up."""
        return whole(scale * self.base), whole(scale * self.data_waits), whole(scale * self.instruction_waits)


def whole(cycles: float) -> int:
    """Round half up: flash waits come in quarters of a cycle."""
    return int(cycles + 0.5)


DECODE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.POINTER(Block))


class Settings(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("flash_start", "flash_bytes", "line_bytes", "data_bytes", "instruction_bytes", "functions")
    ]
    _fields_ += [("data_miss", ctypes.c_double), ("instruction_miss", ctypes.c_double)]
    _fields_ += [("register_id", ctypes.c_int32 * REGISTERS)]
    _fields_ += [("read_register", ctypes.c_void_p), ("read_memory", ctypes.c_void_p), ("decode", DECODE)]


class Tracer:
    """Counts the blocks that one emulated core runs, from its creation until `close`."""

    def __init__(self, uc: Any, elf: Elf, board: Board) -> None:
        self._uc, self._elf, self._board = uc, elf, board
        self._functions = {function.address: i for i, function in enumerate(elf.functions)}
        self._library = _library()
        self._error: BaseException | None = None
        self._decode = DECODE(self._decode_block)  # held: the C side keeps its address
        self._state = self._library.tracer_new(ctypes.byref(self._settings()))
        if not self._state:
            raise MemoryError
        self._hook = self._add_hook()

    def _settings(self) -> Settings:
        from unicorn import arm_const

        flash, timing = self._board.flash, self._board.timing
        engine = _unicorn()
        return Settings(
            flash.start,
            flash.bytes,
            timing.line_bytes,
            timing.data_cache_bytes,
            timing.instruction_cache_bytes,
            len(self._functions),
            timing.data_miss_cycles,
            timing.instruction_miss_cycles,
            (ctypes.c_int32 * REGISTERS)(*_register_ids(arm_const)),
            ctypes.cast(engine.uc_reg_read, ctypes.c_void_p).value,
            ctypes.cast(engine.uc_mem_read, ctypes.c_void_p).value,
            self._decode,
        )

    def _add_hook(self) -> ctypes.c_size_t:
        """Hand the C function to Unicorn without a Python wrapper around it."""
        from unicorn import unicorn_const

        hook = ctypes.c_size_t()
        function = ctypes.cast(self._library.tracer_block, ctypes.c_void_p)
        everywhere = (ctypes.c_uint64(1), ctypes.c_uint64(0))
        add = _unicorn().uc_hook_add
        engine = ctypes.c_void_p(_handle(self._uc))
        state = ctypes.c_void_p(self._state)
        status = add(engine, ctypes.byref(hook), unicorn_const.UC_HOOK_BLOCK, function, state, *everywhere)
        if status:
            raise DeviceFailed("emulator", f"Unicorn refused the block hook (error {status}).", "pip install 'unicorn>=2.1.4'")
        self._uc.ctl_flush_tb()  # blocks translated before have no call of the hook
        return hook

    def close(self) -> None:
        """Take the hook away: the core runs at full speed again."""
        if self._state:
            _unicorn().uc_hook_del(ctypes.c_void_p(_handle(self._uc)), self._hook)
            self._uc.ctl_flush_tb()
            self._library.tracer_free(ctypes.c_void_p(self._state))
            self._state = 0

    def clear(self, roots: tuple[str, ...] = (), *, forget_calls: bool = False) -> None:
        """Start counting anew with cold caches; with `roots`, only while one of these functions runs."""
        flags = (ctypes.c_uint8 * (len(self._functions) + 1))()
        for name in roots:
            address = self._elf.by_name[name].address if name in self._elf.by_name else -1
            if address not in self._functions:
                raise BadInput(self._elf.name, f"the firmware has no function {name!r}.", "Compile it not inline, and in use.")
            flags[self._functions[address]] = 1
        if forget_calls:
            self._library.tracer_forget_calls(ctypes.c_void_p(self._state))
        self._library.tracer_clear(ctypes.c_void_p(self._state), flags)

    def cycles(self) -> int:
        """Cycles since `clear`, whatever runs: what the core's own counter would show."""
        return whole(self._board.cycle_scale * self._library.tracer_clock(ctypes.c_void_p(self._state)))

    def report(self) -> CycleReport:
        """Sum up what was counted since `clear`."""
        if self._error is not None:
            raise self._error
        totals = Counters()
        self._library.tracer_totals(ctypes.c_void_p(self._state), ctypes.byref(totals))
        base, data, instructions = totals.parts(self._board.cycle_scale)
        total = base + data + instructions
        unknown = totals.unknown / totals.loads if totals.loads else 0.0
        return CycleReport(
            total=total,
            base=base,
            flash_data=data,
            flash_instructions=instructions,
            instructions=whole(totals.instructions),
            by_function=self._by_function(),
            relative_error=relative_error(self._board, total, data + instructions, unknown),
            unknown_share=unknown,
        )

    def _by_function(self) -> dict[str, FunctionCycles]:
        found: dict[str, FunctionCycles] = {}
        scale = self._board.cycle_scale
        inclusive, exclusive = Counters(), Counters()
        for i, function in enumerate(self._elf.functions):
            state, results = ctypes.c_void_p(self._state), (ctypes.byref(inclusive), ctypes.byref(exclusive))
            calls = self._library.tracer_function(state, i, *results)
            if exclusive.instructions or calls:
                name = CLONE.sub("", function.name)
                old = found.get(name, FunctionCycles(0, 0, 0))
                within = max(old.inclusive, sum(inclusive.parts(scale)))  # a part is called by its whole
                found[name] = FunctionCycles(within, old.exclusive + sum(exclusive.parts(scale)), max(old.calls, calls))
        return found

    def _decode_block(self, address: int, size: int, out: Any) -> None:
        """Called from C at the first sight of a block. What goes wrong is kept for `report`: C cannot raise."""
        try:
            self._fill(address, size, out.contents)
        except Exception as error:
            self._error = self._error or error

    def _fill(self, address: int, size: int, block: Block) -> None:
        decoded = list(decode.disassemble(bytes(self._uc.mem_read(address, size)), address))
        instructions = [instruction for instruction, _ in decoded]
        if sum(i.size for i in instructions) != size:
            where = address + sum(i.size for i in instructions)
            raise DeviceFailed("emulator", f"the instruction at {where:#010x} is unknown, so it has no price.", "Report this.")
        cost = price(instructions, self._board.core.prices)
        block.cost, block.taken_cost, block.entry_cost = cost.cost, cost.taken, cost.entry
        block.instructions = len(instructions)
        block.transfer, block.conditional = TRANSFERS.index(instructions[-1].transfer), instructions[-1].conditional
        function = self._elf.function_at(address)
        block.function = self._functions[function.address] if function else -1
        block.is_function_start = bool(function and function.address == address)
        self._fill_loads(block, addresses.follow(decoded, self._literal))

    def _fill_loads(self, block: Block, loads: addresses.Loads) -> None:
        block.loads_executed, block.loads_unknown = loads.total, loads.unknown
        block.loads, block.slots = len(loads.followed), len(loads.slots)
        needed = 1 << addresses.SP if loads.slots else 0
        for i, (value, size) in enumerate(loads.followed):
            base = -1 if value.base is None else value.base
            index = -1 if value.index is None else value.index
            block.load[i] = Load(base, index, value.shift, value.offset, size)
            for number in (base, index):
                needed |= 1 << number if 0 <= number < REGISTERS else 0
        block.slot_offset[: len(loads.slots)] = loads.slots
        block.registers = needed

    def _literal(self, address: int) -> int:
        return int.from_bytes(self._uc.mem_read(address, 4), "little")


def _register_ids(constants: Any) -> list[int]:
    names = [f"R{i}" for i in range(13)] + ["SP", "LR", "PC"]
    return [getattr(constants, f"UC_ARM_REG_{name}") for name in names]


def _handle(uc: Any) -> int:
    return int(uc._uch.value)


@cache
def _unicorn() -> ctypes.CDLL:
    """The very library that Unicorn's Python binding has loaded."""
    from unicorn.unicorn_py3 import unicorn

    return unicorn.uclib  # type: ignore[no-any-return]


@cache
def _library() -> Any:
    content = SOURCE.read_bytes()
    name = f"tracer-{hashlib.sha256(content).hexdigest()[:16]}-{sys.platform}{_suffix()}"
    path = _cache_folder() / name
    if not path.is_file():
        build_library([SOURCE], SOURCE.parent, path, optimize="-O3")
    library = ctypes.CDLL(str(path))
    library.tracer_new.restype = ctypes.c_void_p
    library.tracer_clock.restype = ctypes.c_double
    library.tracer_function.restype = ctypes.c_uint64
    return library


def _suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def _cache_folder() -> Path:
    """The user's cache directory; a temporary one if that cannot be written."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    folder = (Path(home) if home else Path.home() / ".cache") / "puce"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="puce-cache-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="puce-cache-"))
