# SPDX-License-Identifier: Apache-2.0
"""The two C compilers, their flags, and what they say when they refuse."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from puce.boards import Core
from puce.errors import BuildFailed

Compiler = Literal["zig", "gcc"]

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-fno-common")
# A classifier never throws; without these, every function drags the unwinder's tables into the link.
NO_UNWINDING = ("-fno-exceptions", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")


def command(compiler: Compiler, core: Core) -> list[str]:
    """Start of the command line that compiles or links for this core."""
    if compiler == "zig":
        return [*zig(), "-target", core.zig_target, f"-mcpu={core.zig_cpu}"]
    return [_gcc(), *core.gcc_flags]


def compile_flags(optimize: str) -> list[str]:
    """Flags that both compilers understand; no debug information, so that the bytes depend on the source alone."""
    return [optimize, "-g0", "-ffreestanding", "-fomit-frame-pointer", *WARNINGS, *SECTIONS, *NO_UNWINDING]


@cache
def zig() -> tuple[str, ...]:
    """The command that runs Zig's clang."""
    import importlib.util

    if importlib.util.find_spec("ziglang") is None:
        raise BuildFailed("ziglang", "the C compiler that comes with puce is not installed.", "pip install 'ziglang>=0.13'")
    return (sys.executable, "-m", "ziglang", "cc")


def _gcc() -> str:
    found = shutil.which("arm-none-eabi-gcc")
    if found is None:
        raise BuildFailed(
            "arm-none-eabi-gcc",
            "this compiler is not on the PATH.",
            "Use compiler 'zig', which comes with puce, or install the Arm GNU toolchain.",
        )
    return found


def run(arguments: Sequence[str], place: str, remedy: str, *, environment: Mapping[str, str] | None = None) -> str:
    """Run a compiler; return what it printed. Raises BuildFailed with its own first error."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, errors="replace", check=False, env={**os.environ, **(environment or {})}
    )
    if done.returncode != 0:
        raise BuildFailed(place, f"the compiler refused: {first_errors(done.stderr or done.stdout)}", remedy)
    return done.stdout + done.stderr


def first_errors(output: str, lines: int = 6) -> str:
    """Cut a compiler's output to the lines that matter: from its first error on."""
    said = [line for line in output.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(said) if re.search(r"error|undefined", line, re.IGNORECASE)), 0)
    return "\n".join(said[start : start + lines]) or "(it printed nothing)"


@cache
def runtime_library(compiler: Compiler, core: Core) -> Path:
    """The compiler's own static library: divisions and floating point that the core has no instruction for."""
    if compiler == "gcc":
        printed = run([*command("gcc", core), "-print-libgcc-file-name"], "libgcc", "Install the Arm GNU toolchain again.")
        return Path(printed.strip())
    import tempfile

    # Zig builds this library when it links the first program for a core, and tells its place only in the linker's command.
    with tempfile.TemporaryDirectory(prefix="puce-") as folder:
        source = Path(folder, "empty.c")
        source.write_text("void _start(void);\nvoid _start(void) {}\n")
        printed = run(
            [*command("zig", core), "-O3", "-g0", str(source), "-o", str(Path(folder, "empty.elf"))],
            "compiler-rt",
            "Run `puce doctor`; `pip install --force-reinstall ziglang` repairs a broken compiler.",
            environment={"ZIG_VERBOSE_LINK": "1"},
        )
    for word in printed.split():
        if word.endswith("compiler_rt.a") and Path(word).is_file():
            return Path(word)
    raise BuildFailed("compiler-rt", "Zig did not say where its runtime library is.", "pip install 'ziglang>=0.13'")
