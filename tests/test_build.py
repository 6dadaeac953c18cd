# SPDX-License-Identifier: Apache-2.0
"""C -> ELF: promised sizes against linked ones on every board and compiler, determinism, and the compiler's refusals."""

from __future__ import annotations

import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import fake_model
import pytest

from puce.boards import load, names
from puce.build import Elf, Firmware, Sizes, broken, build_firmware, build_library, check_fits
from puce.build.toolchain import Compiler
from puce.errors import BuildFailed, DoesNotFit

BOARD = load("nucleo-l4r5zi")
COMPILERS: tuple[Compiler, ...] = ("zig", "gcc") if shutil.which("arm-none-eabi-gcc") else ("zig",)

HELPERS = """\
#include "puce_model.h"
static volatile float f = 3.5f;
static volatile double d = 2.25;
static volatile int64_t q = 1000000007;
static volatile uint32_t u = 1000;
static int8_t outputs[10], input[64];
int8_t *fake_input(void) { return input; }
const int8_t *fake_run(const int8_t *x) {
    f = f * 1.5f + 2.0f / f;
    d = d * (double)f;
    q = q / (int64_t)x[0] + (int64_t)d;
    u = u / (uint32_t)(x[1] & 7);
    return outputs;
}
"""


def fake(folder: Path, board: str = "nucleo-l4r5zi", text: str | None = None, compiler: Compiler = "zig") -> Firmware:
    target = load(board)
    source = fake_model.write(folder, target.banks[-1].name)
    if text is not None:
        source.write_text(text)
    return build_firmware([source], folder, target, folder / "fake.elf", compiler=compiler)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("board", names())
def test_linked_sizes_keep_the_promise(tmp_path: Path, board: str, compiler: Compiler) -> None:
    for text in (None, HELPERS):  # without and with the compiler's own library
        firmware = fake(tmp_path, board, text, compiler)
        assert broken(firmware.promised, firmware.sizes) == ()
        assert firmware.promised.ram == firmware.sizes.ram
        if compiler == "zig":  # libgcc's members overlap, so that the sum is a bound there
            assert 0 <= firmware.promised.flash - firmware.sizes.flash <= 16
        assert sum(part.text for part in firmware.parts.values()) <= firmware.promised.text
    assert firmware.sizes.banks == {}


def test_sizes_are_those_of_the_file(tmp_path: Path) -> None:
    firmware = fake(tmp_path)
    loaded = sum(len(content) for _, content in Elf.read(firmware.elf).segments)
    assert loaded == firmware.sizes.flash
    assert firmware.sizes.banks == {"sram3": 32}
    assert firmware.sizes.in_bank(BOARD, "sram3") == 32
    assert firmware.sizes.in_bank(BOARD, "sram1") == firmware.sizes.ram - 32
    assert firmware.parts["fake"].text > 100 and firmware.parts["fake"].bss >= 64 + 10


def test_broken_promise_is_named() -> None:
    promised = Sizes(text=64, rodata=0, data=0, bss=16, stack=32, banks={"sram2": 16})
    linked = dataclasses.replace(promised, text=80, banks={"sram2": 16, "sram3": 16})
    assert broken(promised, promised) == ()
    assert broken(promised, linked) == ("text: promised 64, linked 80 bytes", "bank sram3: promised 0, linked 16 bytes")


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = fake(tmp_path / "one"), fake(tmp_path / "two")
    assert one.elf.read_bytes() == two.elf.read_bytes()
    sources = [fake_model.write(tmp_path / name, "sram3") for name in ("one", "two")]
    libraries = [build_library([source], source.parent, source.parent / "fake.so") for source in sources]
    assert libraries[0].read_bytes() == libraries[1].read_bytes()


def test_builds_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram3")
    with ThreadPoolExecutor(4) as pool:
        built = [pool.submit(build_firmware, [source], tmp_path, BOARD, tmp_path / "same.elf") for _ in range(4)]
        assert len({job.result().sizes.flash for job in built}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake.c", "puce_model.h", "same.elf"]


def test_compiler_errors_come_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as raised:
        fake(tmp_path, text="int fake_run(void) { return missing; }\n")
    assert "fake.c: the compiler refused: " in str(raised.value) and "undeclared" in str(raised.value)
    with pytest.raises(BuildFailed, match="undeclared"):
        build_library([tmp_path / "fake.c"], tmp_path, tmp_path / "fake.so")
    with pytest.raises(BuildFailed, match=r"(?s)fake.elf: the compiler refused: .*undefined symbol: fake_input"):
        fake(tmp_path, text='#include "puce_model.h"\nconst int8_t *fake_run(const int8_t *x) { return x; }\n')
    assert not (tmp_path / "fake.elf").exists()


def test_a_warning_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="conversion"):
        fake(tmp_path, text="char f(int x);\nchar f(int x) { return x; }\n")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_unbounded_stack_is_refused(tmp_path: Path, compiler: Compiler) -> None:
    start = '#include "puce_model.h"\nstatic int8_t input[64];\nint8_t *fake_input(void) { return input; }\n'
    recursion = """
        __attribute__((noinline)) int deep(int n);
        int deep(int n) { volatile int local[4] = {n}; return n == 0 ? 0 : deep(n - local[0] + 1) + local[0]; }
        const int8_t *fake_run(const int8_t *x) { input[0] = (int8_t)deep(x[0]); return input; }"""
    with pytest.raises(BuildFailed, match=r"deep: it calls itself \(deep -> deep\), so its stack has no bound"):
        fake(tmp_path, text=start + recursion, compiler=compiler)
    variable = """
        const int8_t *fake_run(const int8_t *x) {
            volatile int8_t local[x[0]];
            for (int i = 0; i < x[0]; i++) local[i] = x[i];
            input[0] = local[x[1]];
            return input;
        }"""
    with pytest.raises(BuildFailed, match="fake_run: its stack frame has a size that only the run knows"):
        fake(tmp_path, text=start + variable, compiler=compiler)


def test_too_small_a_stack_is_refused(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram3")
    with pytest.raises(BuildFailed, match=r"stack: 16 bytes were asked for and up to \d+ are needed"):
        build_firmware([source], tmp_path, BOARD, tmp_path / "fake.elf", stack_bytes=16)
    roomy = build_firmware([source], tmp_path, BOARD, tmp_path / "fake.elf", stack_bytes=4096)
    assert roomy.sizes.stack == 4096


def test_board_that_is_too_small_is_told_before_linking(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram3")
    small = dataclasses.replace(BOARD, flash=dataclasses.replace(BOARD.flash, bytes=1024))
    with pytest.raises(DoesNotFit, match=r"nucleo-l4r5zi: flash has 1.024.B and the firmware needs"):
        build_firmware([source], tmp_path, small, tmp_path / "fake.elf")
    sizes = Sizes(text=0, rodata=0, data=0, bss=BOARD.banks[0].bytes, stack=16)
    with pytest.raises(DoesNotFit, match=r"bank sram1 has 192.00.KiB and the firmware needs 192.02.KiB"):
        check_fits(sizes, BOARD)


def test_unknown_bank_is_refused(tmp_path: Path) -> None:
    source = fake_model.write(tmp_path, "sram9")
    with pytest.raises(BuildFailed, match="the code asks for the memory bank 'sram9'; it has sram1, sram2, sram3"):
        build_firmware([source], tmp_path, BOARD, tmp_path / "fake.elf")


@pytest.mark.parametrize("compiler", ["zig", "cc"])
def test_sanitized_library_traps(tmp_path: Path, compiler: Literal["zig", "cc"]) -> None:
    import subprocess
    import sys

    if compiler == "cc" and shutil.which("cc") is None:
        pytest.skip("no cc on this machine")
    source = tmp_path / "shift.c"
    source.write_text("int shift(int x);\nint shift(int x) { return 1 << x; }\n")
    library = build_library([source], tmp_path, tmp_path / "shift.so", sanitize=True, compiler=compiler)
    for argument, ends_well in ((3, True), (77, False)):
        code = f"import ctypes; ctypes.CDLL({str(library)!r}).shift({argument})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert (done.returncode == 0) == ends_well
