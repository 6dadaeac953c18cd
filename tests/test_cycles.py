# SPDX-License-Identifier: Apache-2.0
"""The cycle model against sums written out by hand from the Cortex-M4's published timing and the flash figures of its board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fake_model
import pytest

from puce.boards import load
from puce.build import build_firmware
from puce.device import Emulator
from puce.device.tracer import whole

BOARD = load("nucleo-l4r5zi")
DATA_MISS, CODE_MISS = 12.75, 20.25

# name: (body, cycles by hand, instructions). Each starts on 16 bytes; the refill after the last `bx lr` is not in the sums.
LOOPS = {
    # movs 1; 10 x subs 1; bne 9 x 2 taken + 1 not; bx 1
    "countdown": ("movs r0, #10\n1: subs r0, #1\n bne 1b\n bx lr", 1 + 10 + 9 * 2 + 1 + 1, 22),
    # the target is a 4-byte instruction at address 2 modulo 4: one more each time the branch is taken
    "straddling": ("movs r0, #10\n1: subs.w r0, r0, #1\n bne 1b\n bx lr", 1 + 10 + 9 * (2 + 1) + 1 + 1, 22),
    # neighbouring loads pipeline: 2 + 1 + 1; the store behind them 1; add 1; bx 1
    "pipelined": ("ldr r1, [sp]\n ldr r2, [sp, #4]\n ldr r3, [sp, #8]\n str r1, [sp]\n add r1, r2\n bx lr", 4 + 1 + 1 + 1, 6),
    # mov 1; ldr 2 + 1 as its address was written just before; add 1; bx 1
    "dependent": ("mov r1, sp\n ldr r2, [r1]\n add r2, r1\n bx lr", 1 + 3 + 1 + 1, 4),
    # a load whose address the load before fetched does not pipeline and waits: 1; 2; 2 + 1; bx 1
    "chased": ("str sp, [sp]\n ldr r1, [sp]\n ldr r2, [r1]\n bx lr", 1 + 1 + 3 + 1, 4),
    # mov 1; ldr post-index 2, ldr 1: a written-back address is ready; bx 1
    "post_index": ("mov r1, sp\n nop\n ldr r2, [r1], #4\n ldr r3, [r1], #4\n bx lr", 1 + 1 + 2 + 1 + 1, 5),
    # movs, mov, nop 1 each; store with a register offset 2; a load does not pipeline behind it: 2; bx 1
    "register_store": ("movs r1, #4\n mov r2, sp\n nop\n str r0, [r2, r1]\n ldr r3, [r2]\n bx lr", 1 + 1 + 1 + 2 + 2 + 1, 6),
    # push 1 + 3; pop of three without pc 1 + 3; bx 1
    "multiple": ("push {r4, r5, r6}\n pop {r4, r5, r6}\n bx lr", 4 + 4 + 1, 3),
    # ldrd 3, strd 3, bx 1
    "dual": ("ldrd r2, r3, [sp]\n strd r2, r3, [sp]\n bx lr", 3 + 3 + 1, 3),
    # multiplies 1 each, long too; packed unpacking 1; bx 1
    "multiplies": (
        "mul r1, r0, r0\n smlad r1, r0, r0, r1\n smmulr r2, r1, r0\n smull r2, r3, r0, r1\n sxtb16 r1, r0\n bx lr",
        6,
        6,
    ),
    # cmp 1; it 1; both conditional instructions 1 each, one of them not executed; bx 1
    "conditional": ("cmp r0, r0\n ite eq\n addeq r1, #1\n addne r1, #1\n bx lr", 5, 5),
    # vmov 1 1; vadd 1 + 1 (waits for s1); vfma 3 + 1 (waits for s2); vdiv 14 + 1; bx 1
    "floating": (
        "vmov s0, r0\n vmov s1, r0\n vadd.f32 s2, s0, s1\n vfma.f32 s3, s2, s2\n vdiv.f32 s4, s3, s3\n bx lr",
        1 + 1 + 2 + 4 + 15 + 1,
        6,
    ),
    # push 1 + 2; bl 2, movs 1, bx 3; nop 1; pop with pc 1 + 2
    "caller": ("push {r4, lr}\n bl callee\n nop\n pop {r4, pc}", 3 + 2 + 1 + 3 + 1 + 3, 6),
}

FUNCTION = (
    '__asm__(".text\\n.syntax unified\\n.thumb\\n.p2align 4\\n.global {n}\\n.type {n}, %function\\n"\n'
    '".thumb_func\\n{n}:\\n{b}\\n.size {n}, .-{n}");\n'
)
# Reads one word of each line: r0 the table, r1 its lines, r2 how often.
SWEEP = (
    "1: mov r3, r0\n mov r12, r1\n2: ldr r4, [r3]\n adds r3, #16\n subs.w r12, r12, #1\n bne 2b\n subs r2, #1\n bne 1b\n bx lr"
)


def function(name: str, body: str) -> str:
    return FUNCTION.format(n=name, b=body.replace("\n", "\\n"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("cycles")
    source = fake_model.write(folder, "sram3")
    bodies = {name: body for name, (body, _, _) in LOOPS.items()} | {"callee": "movs r0, #1\n bx lr", "sweep": SWEEP}
    probes = "".join(function(name, body) for name, body in bodies.items())
    probes += "const uint32_t lines[128] __attribute__((aligned(16))) = {1};\n"
    source.write_text(source.read_text() + probes)
    firmware = build_firmware([source], folder, BOARD, folder / "fake.elf", keep=("countdown", "lines"))
    with Emulator(firmware.elf, BOARD) as device:
        yield device


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_hand_counted_cycles(emulator: Emulator, name: str) -> None:
    _, cycles, instructions = LOOPS[name]
    report = emulator.profile_call(name, 7)
    assert report.base == cycles
    assert report.instructions == instructions
    assert report.total == report.base + report.flash_data + report.flash_instructions


def test_inclusive_cycles_hold_those_of_the_callees(emulator: Emulator) -> None:
    report = emulator.profile_call("caller")
    caller, callee = report.by_function["caller"], report.by_function["callee"]
    assert (caller.calls, callee.calls) == (1, 1)
    assert caller.inclusive == report.total
    assert abs(caller.exclusive + callee.exclusive - report.total) <= 1  # each is rounded by itself
    assert callee.inclusive == callee.exclusive


@pytest.mark.parametrize(
    ("lines", "times", "misses"),
    [
        (16, 1, 16),
        (16, 10, 16),  # 256 bytes: all stay
        (17, 10, 170),  # one line too many: least recently used forgets each just before it is wanted
        (1, 50, 1),
    ],
)
def test_flash_data_waits(emulator: Emulator, lines: int, times: int, misses: int) -> None:
    table = emulator.elf.by_name["lines"].address
    report = emulator.profile_call("sweep", table, lines, times)
    assert report.flash_data == whole(misses * DATA_MISS)
    assert report.unknown_share == 0
    in_ram = emulator.profile_call("sweep", BOARD.banks[0].start, lines, times)
    assert in_ram.flash_data == 0
    assert in_ram.base == report.base


def test_code_waits_once_for_each_line(emulator: Emulator) -> None:
    address = emulator.elf.by_name["countdown"].address
    assert address % 16 == 0
    assert emulator.profile_call("countdown").flash_instructions == whole(CODE_MISS)
    size = emulator.elf.by_name["sweep"].size
    assert emulator.profile_call("sweep", BOARD.banks[0].start, 1, 1).flash_instructions == whole(CODE_MISS * -(-size // 16))


def test_profile_of_a_model_adds_up(emulator: Emulator) -> None:
    picture = bytes(range(64))
    report = emulator.profile(picture, "int8")
    again = emulator.profile(picture, "int8")
    assert report == again
    by = report.by_function
    assert by["fake_run"].inclusive == report.total
    assert abs(sum(cycles.exclusive for cycles in by.values()) - report.total) <= len(by)
    assert by["layer_0"].calls == 8 and by["layer_1"].calls == 1
    assert set(by) <= {"fake_run", "fake_begin", "fake_feed_row", "layer_0", "layer_1"}
    layer = emulator.profile(picture, "int8", "layer_0")
    assert layer.by_function["layer_0"].calls == 8 and layer.base <= report.base - 8
    assert layer.total <= by["layer_0"].inclusive <= report.total
    assert 0.05 <= report.relative_error < 0.06 + 0.1 * report.unknown_share


def test_streaming_profile_counts_the_model_alone(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram3", fed_by_rows=True)
    firmware = build_firmware([source], tmp_path, BOARD, tmp_path / "fake.elf")
    with Emulator(firmware.elf, BOARD) as device:
        by = device.profile(bytes(64), "int8").by_function
        assert by["fake_feed_row"].calls == 8 and by["layer_0"].calls == 8 and by["layer_1"].calls == 1
        assert "send_crc" not in by and "main" not in by


@pytest.mark.parametrize("name", ["nucleo-l4r5zi", "raspberry-pi-pico"])
def test_the_device_counts_what_the_profile_counts(tmp_path: Path, name: str) -> None:
    board = load(name)
    source = fake_model.write(tmp_path, board.banks[0].name)
    firmware = build_firmware([source], tmp_path, board, tmp_path / "fake.elf")
    with Emulator(firmware.elf, board, count_cycles=True) as device:
        total = device.profile(bytes(64), "int8").total
        cycles = device.run(bytes(64), "int8").cycles
        assert cycles is not None and 0 < cycles <= total + 100  # the firmware's own two reads of the counter lie around it
        assert device.run(bytes(64), "int8").outputs == fake_model.reference(bytes(64))
