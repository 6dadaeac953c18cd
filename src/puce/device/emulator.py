# SPDX-License-Identifier: Apache-2.0
"""A board in software: the real firmware on an emulated core, with the board's own memory map."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from puce.boards import Board
from puce.build.elf import Elf
from puce.device import protocol
from puce.device.cycles import CycleReport
from puce.device.interface import Closing
from puce.device.protocol import Hello, PictureKind, Reply
from puce.device.tracer import Tracer
from puce.errors import BadInput, DeviceFailed

PAGE = 0x1000
SYSTEM_START, SYSTEM_BYTES = 0xE0000000, 0x100000  # private peripheral bus: DWT, SysTick, SCB
DWT, DWT_CYCCNT = 0xE0001000, 0x004
SCS, SYSTICK_VALUE = 0xE000E000, 0x018
STOP = 0x9FFFF000  # return address of `call`, where emulation ends: mapped nowhere, in a range that may hold code
SYS_OPEN, SYS_WRITE, SYS_READ = 1, 5, 6
BREAKPOINT = 7  # Unicorn's number for BKPT on a Cortex-M
PAINT = 0xC5
REPORT = "Report this with the model file and the board."


class Emulator(Closing):
    """An emulated board that runs a linked firmware.

    Runs without any hook, at some hundred million instructions a second. `profile` counts cycles; with `count_cycles` every
    run does, and the core's cycle counter shows the modelled cycles, so that `Reply.cycles` holds them.
    """

    def __init__(self, elf: Path, board: Board, *, count_cycles: bool = False) -> None:
        self.elf, self.board, self.place = Elf.read(elf), board, f"emulated {board.name}"
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._failure: DeviceFailed | None = None
        self._starved = False
        self._tracer: Tracer | None = None
        self._hello: Hello | None = None
        self._uc = self._machine()
        if count_cycles:
            self._tracer = Tracer(self._uc, self.elf, board)
        self.reset()

    def _machine(self) -> Any:
        import unicorn
        from unicorn import arm_const

        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(getattr(arm_const, self.board.core.unicorn_model))
        flash = self.board.flash
        uc.mem_map(flash.start, _pages(flash.bytes), unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        for bank in self.board.banks:
            uc.mem_map(bank.start, _pages(bank.bytes), unicorn.UC_PROT_ALL)
        for start, read in ((DWT, self._read_dwt), (SCS, self._read_scs)):
            uc.mmio_map(start, PAGE, read, None, _ignore, None)
        uc.hook_add(unicorn.UC_HOOK_INTR, self._on_exception)
        return uc

    # The core

    def reset(self) -> None:
        """Load the firmware and start it; it then waits for its first frame."""
        for address, content in self.elf.segments:
            self._uc.mem_write(address, content)
        first = self.board.banks[0]
        self._uc.mem_write(first.start, bytes(first.bytes))
        self._incoming.clear()
        self._outgoing.clear()
        self._deepest = 0
        self.paint_stack()
        self._write_register("SP", self._address("_puce_stack_top"))
        self._next = self.elf.entry
        self._resume()

    def _resume(self) -> None:
        """Run until the firmware waits for bytes that are not there."""
        self._starved = False
        self._start(self._next | 1, STOP)
        if not self._starved:
            raise self._fault("the firmware left its main loop")
        self._next = self._register("PC")

    def _start(self, address: int, until: int) -> None:
        import unicorn

        self._failure = None
        try:
            self._uc.emu_start(address, until)
        except unicorn.UcError as error:
            raise self._fault(str(error)) from error
        if self._failure is not None:
            raise self._failure

    def _fault(self, what: str) -> DeviceFailed:
        pc = self._register("PC") & ~1
        function = self.elf.function_at(pc)
        where = f"{function.name} + {pc - function.address:#x}" if function else "no function"
        lr = self._register("LR")
        return DeviceFailed(self.place, f"{what}, at pc {pc:#010x} ({where}), lr {lr:#010x}.", REPORT)

    def _register(self, name: str) -> int:
        from unicorn import arm_const

        return int(self._uc.reg_read(getattr(arm_const, f"UC_ARM_REG_{name}")))

    def _write_register(self, name: str, value: int) -> None:
        from unicorn import arm_const

        self._uc.reg_write(getattr(arm_const, f"UC_ARM_REG_{name}"), value)

    # Semihosting

    def _on_exception(self, uc: Any, number: int, _: object) -> None:
        pc = self._register("PC") & ~1
        if number != BREAKPOINT or bytes(uc.mem_read(pc, 2)) != b"\xab\xbe":
            self._failure = self._fault(f"exception {number}" if number != BREAKPOINT else "the firmware met a fault")
            uc.emu_stop()
            return
        operation, block = self._register("R0"), self._register("R1")
        if operation == SYS_READ and not self._incoming:
            self._starved = True
            uc.emu_stop()
            return
        self._write_register("R0", self._serve(operation, block) & 0xFFFFFFFF)
        self._write_register("PC", (pc + 2) | 1)

    def _serve(self, operation: int, block: int) -> int:
        _, address, count = struct.unpack("<3I", self._uc.mem_read(block, 12))
        if operation == SYS_READ:
            taken = bytes(self._incoming[:count])
            del self._incoming[:count]
            self._uc.mem_write(address, taken)
            return int(count - len(taken))
        if operation == SYS_WRITE:
            self._outgoing += self._uc.mem_read(address, count)
            return 0
        return 1 if operation == SYS_OPEN else -1

    # Counters of the core; writes to its control registers change nothing here.

    def _read_dwt(self, uc: Any, offset: int, size: int, _: object) -> int:
        return self._cycles_now() & 0xFFFFFFFF if offset == DWT_CYCCNT else 0

    def _read_scs(self, uc: Any, offset: int, size: int, _: object) -> int:
        if offset != SYSTICK_VALUE:
            return 0
        now = self._cycles_now()
        if wraps := self.elf.by_name.get("puce_systick_wraps"):  # there are no interrupts here, so its handler cannot count
            uc.mem_write(wraps.address, struct.pack("<I", now >> 24 & 0xFF))
        return 0xFFFFFF - (now & 0xFFFFFF)

    def _cycles_now(self) -> int:
        return self._tracer.cycles() if self._tracer else 0

    # The device

    def hello(self) -> Hello:
        if self._hello is None:
            self._hello = protocol.parse_hello(self._exchange(protocol.hello_request()), self.place)
        return self._hello

    def run(self, picture: bytes, kind: PictureKind) -> Reply:
        """Run one inference through the serial protocol."""
        protocol.check_picture(picture, kind, self.hello(), self.place)
        return protocol.parse_reply(self._exchange(protocol.run_request(picture, kind)), self.place)

    def exchange_bytes(self, sent: bytes) -> bytes:
        """Put raw bytes on the wire; return all that the firmware answers before it waits again.

        Raises DeviceFailed if it faults, and starts it anew.
        """
        self._incoming += sent
        try:
            self._resume()
        except DeviceFailed:
            self.reset()
            raise
        answer = bytes(self._outgoing)
        self._outgoing.clear()
        return answer

    def _exchange(self, request: bytes) -> protocol.Frame:
        answer = self.exchange_bytes(request)
        at = 0

        def read(n: int) -> bytes:
            nonlocal at
            at += n
            if at > len(answer):
                raise DeviceFailed(self.place, "the answer is cut short.", REPORT)
            return answer[at - n : at]

        return protocol.decode(read, self.place)

    def close(self) -> None:
        if self._tracer:
            self._tracer.close()
            self._tracer = None

    # Functions and memory, without the protocol

    def call(self, function: str, *arguments: int) -> int:
        """Call a function, global or static, with integers or addresses; return r0. The waiting firmware is undisturbed.

        Arguments after the fourth go on the stack, as the calling convention has it.
        """
        context, bottom = self._uc.context_save(), self._address("_puce_stack_bottom")
        stack = self.read(bottom, self._address("_puce_stack_top") - bottom)
        try:
            return self._call(function, arguments)
        finally:
            self._uc.context_restore(context)
            self._deepest = self.stack_used()
            self._uc.mem_write(bottom, stack)

    def _call(self, function: str, arguments: Sequence[int]) -> int:
        self.paint_stack()
        extra = arguments[4:]
        top = self._address("_puce_stack_top") - (4 * len(extra) + 7 & ~7)
        self._uc.mem_write(top, b"".join(struct.pack("<I", argument & 0xFFFFFFFF) for argument in extra))
        for i, argument in enumerate(arguments[:4]):
            self._write_register(f"R{i}", argument & 0xFFFFFFFF)
        self._write_register("SP", top)
        self._write_register("LR", STOP | 1)
        self._start(self._address(function) | 1, STOP)
        if self._register("PC") & ~1 != STOP:
            raise self._fault(f"{function} did not return")
        return self._register("R0")

    def read(self, where: int | str, count: int) -> bytes:
        """Read `count` bytes at an address or a symbol."""
        import unicorn

        try:
            return bytes(self._uc.mem_read(self._address(where), count))
        except unicorn.UcError as error:
            raise BadInput(
                self.place, f"no memory at {where!r} for {count} bytes.", "Compare with the board's banks."
            ) from error

    def write(self, where: int | str, content: bytes) -> None:
        """Write bytes at an address or a symbol; flash too."""
        import unicorn

        try:
            self._uc.mem_write(self._address(where), content)
        except unicorn.UcError as error:
            raise BadInput(
                self.place, f"no memory at {where!r} for {len(content)} bytes.", "Compare with the board's banks."
            ) from error

    def _address(self, where: int | str) -> int:
        if isinstance(where, int):
            return where
        if where not in self.elf.by_name:
            raise BadInput(
                self.place, f"the firmware has no symbol {where!r}.", "Compile with the function in use, or not inline."
            )
        return self.elf.by_name[where].address

    # Stack and cycles

    def paint_stack(self) -> None:
        """Fill the stack with a pattern, for `stack_used`; only while nothing runs."""
        bottom, top = self._address("_puce_stack_bottom"), self._address("_puce_stack_top")
        self._uc.mem_write(bottom, bytes([PAINT]) * (top - bottom))

    def stack_used(self) -> int:
        """Bytes of the stack touched since reset, calls included: the high-water mark."""
        bottom, top = self._address("_puce_stack_bottom"), self._address("_puce_stack_top")
        content = self.read(bottom, top - bottom)
        return max(self._deepest, len(content.lstrip(bytes([PAINT]))))

    def profile(self, picture: bytes, kind: PictureKind, function: str | None = None) -> CycleReport:
        """Run one inference with cold caches and price it: `<name>_run`, or another function by its symbol.

        A model that is fed by rows has no such call: the sum goes over its global functions, `<name>_...`.
        """
        hello = self.hello()
        roots: tuple[str, ...] = (function,) if function else (f"{hello.model}_run",)
        if function is None and hello.fed_by_rows:
            roots = tuple(f.name for f in self.elf.functions if f.name.startswith(f"{hello.model}_"))
        with self._counting() as tracer:
            tracer.clear(roots)
            self.run(picture, kind)
            return tracer.report()

    def profile_call(self, function: str, *arguments: int) -> CycleReport:
        """Call a function as `call` does, with cold caches, and price it."""
        with self._counting() as tracer:
            tracer.clear(forget_calls=True)
            self.call(function, *arguments)
            return tracer.report()

    @contextmanager
    def _counting(self) -> Iterator[Tracer]:
        if self._tracer is not None:
            yield self._tracer
            return
        self._tracer = Tracer(self._uc, self.elf, self.board)
        try:
            yield self._tracer
        finally:
            self.close()


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _ignore(uc: Any, offset: int, size: int, value: int, _: object) -> None:
    pass
