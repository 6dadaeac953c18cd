# SPDX-License-Identifier: Apache-2.0
"""The same firmware under QEMU, where that is installed: a witness that shares no code with our emulator's devices.

QEMU has none of our boards; it has Arm's MPS2 boards with the same cores. The firmware is linked for such a twin, which has the
board's banks by name and size at the addresses of the MPS2, so its code is the same but for addresses. It counts no cycles.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from puce.boards import Board
from puce.device import protocol
from puce.device.interface import Closing
from puce.device.protocol import Hello, PictureKind, Reply
from puce.errors import DeviceFailed, Unsupported

MACHINES = {  # the M0+ runs on an M3: its instructions are a subset
    "cortex-m0plus": "mps2-an385",
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
}
CODE_START, CODE_BYTES, RAM_START, RAM_BYTES = 0x00000000, 0x400000, 0x20000000, 0x400000
TICK = 40  # nanoseconds, so instructions, a tick of the machines' 25 MHz clock
PATIENCE_S = 60.0  # for one answer
INSTALL = "Install it (Debian: apt install qemu-system-arm), or use the emulator that comes with puce."


def is_installed() -> bool:
    return shutil.which("qemu-system-arm") is not None


def twin(board: Board) -> Board:
    """The board to link for: the same core and banks in the memory of QEMU's machine. Raises Unsupported without one."""
    if board.core.name not in MACHINES:
        raise Unsupported(
            board.name, f"QEMU has no machine for {board.core.title} that this firmware can use.", "Use the emulator."
        )
    start, banks = RAM_START, []
    for bank in board.banks:
        banks.append(dataclasses.replace(bank, start=start))
        start += -(-bank.bytes // 0x1000) * 0x1000
    if start > RAM_START + RAM_BYTES:
        raise Unsupported(board.name, "its RAM is larger than that of QEMU's machine.", "Use the emulator.")
    flash = dataclasses.replace(board.flash, start=CODE_START, bytes=min(board.flash.bytes, CODE_BYTES), reserved_bytes=0)
    return dataclasses.replace(board, name=f"{board.name}-qemu", flash=flash, banks=tuple(banks))


class Qemu(Closing):
    """A firmware linked for `twin(board)`, running in a QEMU process until `close`.

    With `count_instructions` every instruction takes QEMU a nanosecond, so that a firmware that counts with SysTick reports
    instructions as `Reply.cycles`, exact to `TICK`.
    """

    def __init__(self, elf: Path, board: Board, *, count_instructions: bool = False) -> None:
        self.place = f"QEMU {board.name}"
        program = shutil.which("qemu-system-arm")
        if program is None:
            raise DeviceFailed("qemu-system-arm", "this program is not on the PATH.", INSTALL)
        console = ["-semihosting-config", "enable=on,target=native"]  # the firmware's console is this process's pipes
        self._counts = count_instructions
        clock = ["-icount", "shift=0,sleep=off"] if count_instructions else []
        quiet = ["-display", "none", "-monitor", "none", "-serial", "none"]
        self._process = subprocess.Popen(
            [program, "-M", MACHINES[board.core.name], *quiet, *clock, *console, "-kernel", str(elf)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._hello: Hello | None = None

    def hello(self) -> Hello:
        if self._hello is None:
            self._hello = protocol.parse_hello(self._exchange(protocol.hello_request()), self.place)
        return self._hello

    def run(self, picture: bytes, kind: PictureKind) -> Reply:
        """Run one inference through the serial protocol."""
        protocol.check_picture(picture, kind, self.hello(), self.place)
        reply = protocol.parse_reply(self._exchange(protocol.run_request(picture, kind)), self.place)
        counted = reply.cycles * TICK if self._counts and reply.cycles else None
        return Reply(reply.outputs, counted)

    def _exchange(self, request: bytes) -> protocol.Frame:
        assert self._process.stdin is not None
        watch = threading.Timer(PATIENCE_S, self._process.kill)  # a process that hangs ends as one that died
        watch.start()
        try:
            self._process.stdin.write(request)
            return protocol.decode(self._reader(), self.place)
        except BrokenPipeError as error:
            raise self._silence() from error
        finally:
            watch.cancel()

    def _reader(self) -> Callable[[int], bytes]:
        stdout = self._process.stdout
        assert stdout is not None

        def read(n: int) -> bytes:
            found = b""
            while len(found) < n:
                more = stdout.read(n - len(found))
                if not more:
                    raise self._silence()
                found += more
            return found

        return read

    def _silence(self) -> DeviceFailed:
        return DeviceFailed(self.place, "QEMU ended without an answer.", "Link the firmware for twin(board), then try again.")

    def close(self) -> None:
        """End the QEMU process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
