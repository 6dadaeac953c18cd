# SPDX-License-Identifier: Apache-2.0
"""One small model on every device: the host, the emulated core of every board, QEMU; then the wire, faults and stack."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import fake_model
import pytest

from puce.boards import load, names
from puce.build import build_firmware, build_library
from puce.device import Emulator, Host, Qemu, protocol
from puce.device.qemu import MACHINES, TICK, is_installed, twin
from puce.errors import BadInput, DeviceFailed, Unsupported

BOARD = load("nucleo-l4r5zi")
PICTURES = [random.Random(seed).randbytes(64) for seed in range(5)]
PROBES = """
__attribute__((noinline)) int32_t six(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f);
int32_t six(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;
}
int32_t peek(const volatile int32_t *where);
int32_t peek(const volatile int32_t *where) { return *where; }
void undefined(void);
void undefined(void) { __asm__ volatile("udf #0"); }
void copy(void *to, const void *from, uint32_t n);
void copy(void *to, const void *from, uint32_t n) { __builtin_memcpy(to, from, n); }
void move(void *to, const void *from, uint32_t n);
void move(void *to, const void *from, uint32_t n) { __builtin_memmove(to, from, n); }
void fill(void *to, int32_t value, uint32_t n);
void fill(void *to, int32_t value, uint32_t n) { __builtin_memset(to, value, n); }
uint8_t bytes[256];
"""
KEEP = ("six", "peek", "undefined", "copy", "move", "fill", "bytes")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("fake")
    source = fake_model.write(folder, "sram3")
    source.write_text(source.read_text() + PROBES)
    firmware = build_firmware([source], folder, BOARD, folder / "fake.elf", keep=KEEP)
    with Emulator(firmware.elf, BOARD) as device:
        yield device


def shifted(picture: bytes) -> bytes:
    """The same picture as uint8."""
    return bytes(value ^ 0x80 for value in picture)


@pytest.mark.parametrize("fed_by_rows", [False, True])
@pytest.mark.parametrize("name", names())
def test_emulated_board_answers_as_the_model(tmp_path: Path, name: str, fed_by_rows: bool) -> None:
    board = load(name)
    source = fake_model.write(tmp_path, board.banks[-1].name, fed_by_rows=fed_by_rows)
    firmware = build_firmware([source], tmp_path, board, tmp_path / "fake.elf")
    with Emulator(firmware.elf, board) as device:
        hello = device.hello()
        assert (hello.model, hello.fingerprint, hello.input_bytes, hello.output_bytes) == ("fake", 0x12345678, 64, 10)
        assert (hello.input_type, hello.output_type, hello.fed_by_rows) == ("b", "b", fed_by_rows)
        assert hello.clock_hz == board.clock_hz
        for picture in PICTURES:
            assert device.run(picture, "int8") == protocol.Reply(fake_model.reference(picture), None)
            assert device.run(shifted(picture), "uint8").outputs == fake_model.reference(picture)
        assert 0 < device.stack_used() <= firmware.sizes.stack
        outside = board.banks[0].end - 1 if len(board.banks) > 1 else None
        assert outside is None or device.read(outside, 1) == b"\0"


@pytest.mark.parametrize("fed_by_rows", [False, True])
def test_host_answers_as_the_model(tmp_path: Path, fed_by_rows: bool) -> None:
    source = fake_model.write(tmp_path, "sram3", fed_by_rows=fed_by_rows)
    library = build_library([source], tmp_path, tmp_path / "fake.so", sanitize=True)
    with Host(library, tmp_path / "puce_model.h") as device:
        assert device.hello().model == "fake" and device.hello().fingerprint == 0x12345678
        for picture in PICTURES:
            assert device.run(picture, "int8") == protocol.Reply(fake_model.reference(picture), None)
            assert device.run(shifted(picture), "uint8").outputs == fake_model.reference(picture)


@pytest.mark.skipif(not is_installed(), reason="qemu-system-arm is not on the PATH")
@pytest.mark.parametrize("core", sorted(MACHINES.keys() & {load(name).core.name for name in names()}))
def test_qemu_answers_as_the_model(tmp_path: Path, core: str) -> None:
    board = next(load(name) for name in names() if load(name).core.name == core)
    source = fake_model.write(tmp_path, board.banks[-1].name)
    firmware = build_firmware([source], tmp_path, twin(board), tmp_path / "fake.elf")
    with Qemu(firmware.elf, board) as device:
        for picture in PICTURES:
            assert device.run(picture, "int8") == protocol.Reply(fake_model.reference(picture), None)


@pytest.mark.skipif(not is_installed(), reason="qemu-system-arm is not on the PATH")
def test_qemu_counts_the_instructions_that_the_emulator_counts(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram3")
    systick = dataclasses.replace(BOARD, core=dataclasses.replace(BOARD.core, cycle_counter="systick"))
    there = build_firmware([source], tmp_path, twin(systick), tmp_path / "qemu.elf")
    here = build_firmware([source], tmp_path, BOARD, tmp_path / "fake.elf")
    with Qemu(there.elf, BOARD, count_instructions=True) as qemu, Emulator(here.elf, BOARD) as emulator:
        counted = qemu.run(PICTURES[0], "int8").cycles
        assert counted is not None
        assert abs(counted - emulator.profile(PICTURES[0], "int8").instructions) <= 2 * TICK


def test_qemu_has_no_machine_for_an_m33() -> None:
    with pytest.raises(Unsupported, match="nucleo-u575zi-q: QEMU has no machine for Arm Cortex-M33"):
        twin(load("nucleo-u575zi-q"))


def test_wrong_pictures_are_refused_before_they_are_sent(emulator: Emulator) -> None:
    with pytest.raises(BadInput, match="the picture has 63 bytes and the model takes 64"):
        emulator.run(bytes(63), "int8")
    with pytest.raises(BadInput, match="the model takes pictures of type 'b', not float32"):
        emulator.run(bytes(64), "float32")


def test_firmware_refuses_bad_frames_and_finds_the_next(emulator: Emulator) -> None:
    good = protocol.run_request(PICTURES[0], "int8")
    damaged = bytearray(good)
    damaged[20] ^= 1
    short = protocol.encode(protocol.Frame("R", "b", bytes(10)))
    for sent, code in [
        (bytes(damaged), 1),
        (protocol.encode(protocol.Frame("R", "f", bytes(64))), 4),
        (protocol.encode(protocol.Frame("Q", "\0", b"")), 3),
        (short, 2),
        (protocol.encode(protocol.Frame("H", "\0", b"x")), 2),
    ]:
        answer = emulator.exchange_bytes(sent)
        assert answer == protocol.encode(protocol.Frame("e", "\0", bytes([code])))
        assert emulator.run(PICTURES[1], "int8").outputs == fake_model.reference(PICTURES[1])
    noise = random.Random(7).randbytes(500).replace(b"\xa5\x5a", b"\0\0")
    assert emulator.exchange_bytes(noise) == b""
    assert emulator.run(PICTURES[2], "int8").outputs == fake_model.reference(PICTURES[2])


def test_damaged_answers_are_refused() -> None:
    good = protocol.encode(protocol.Frame("r", "\0", bytes(14)))

    def decode(stream: bytes) -> protocol.Frame:
        left = bytearray(stream)

        def read(n: int) -> bytes:
            if len(left) < n:
                raise DeviceFailed("wire", "the answer is cut short.", "Try again.")
            taken = bytes(left[:n])
            del left[:n]
            return taken

        return protocol.decode(read, "wire")

    assert decode(b"noise\xa5" + good).payload == bytes(14)
    for position in range(2, len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0x40
        with pytest.raises(DeviceFailed):
            decode(bytes(damaged))
    with pytest.raises(DeviceFailed, match="the device refused: the checksum of the frame was wrong"):
        protocol.parse_reply(protocol.Frame("e", "\0", b"\1"), "wire")
    with pytest.raises(DeviceFailed, match="it speaks protocol version 9, and this puce 1"):
        protocol.parse_hello(protocol.Frame("h", "\0", b"\x09" + bytes(40)), "wire")


def test_functions_can_be_called(emulator: Emulator) -> None:
    assert emulator.call("six", 1, 2, 3, 4, 5, 6) == 91
    emulator.write("bytes", struct.pack("<i", -77))
    address = emulator.elf.by_name["bytes"].address
    assert emulator.call("peek", address) == -77 & 0xFFFFFFFF
    assert emulator.run(PICTURES[0], "int8").outputs == fake_model.reference(PICTURES[0])  # the firmware did not notice
    with pytest.raises(BadInput, match="the firmware has no symbol 'nothing'"):
        emulator.call("nothing")


def test_faults_name_the_function(emulator: Emulator) -> None:
    with pytest.raises(DeviceFailed, match=r"(?i)unmapped.*, at pc 0x[0-9a-f]{8} \(peek \+ 0x0\)"):
        emulator.call("peek", 0x60000000)
    with pytest.raises(DeviceFailed, match=r"at pc 0x[0-9a-f]{8} \(undefined \+ 0x0\)"):
        emulator.call("undefined")
    assert emulator.run(PICTURES[0], "int8").outputs == fake_model.reference(PICTURES[0])


def test_memory_functions_copy_at_every_alignment(emulator: Emulator) -> None:
    base, rng = emulator.elf.by_name["bytes"].address, random.Random(3)
    for function in ("copy", "move", "fill") * 40:
        before = rng.randbytes(256)
        n, to, source = rng.randrange(100), rng.randrange(8), 128 + rng.randrange(8)
        if function == "move":
            source = to + rng.randrange(-to, 50)
        emulator.write("bytes", before)
        emulator.call(function, base + to, to if function == "fill" else base + source, n)
        new = bytes([to]) * n if function == "fill" else before[source : source + n]
        assert emulator.read("bytes", 256) == before[:to] + new + before[to + n :]
