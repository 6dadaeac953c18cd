# SPDX-License-Identifier: Apache-2.0
"""What works on this machine: the libraries, the compiler and the emulator, each tried, with the line that repairs it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .units import size

State = Literal["works", "absent", "broken"]

LIBRARIES = {
    "numpy": "the reference of every operator",
    "h5py": "weights in .keras and .h5 files",
    "flatbuffers": ".tflite in and out",
    "tflite": "the schema of .tflite",
    "ziglang": "the C compiler",
    "unicorn": "the emulated core",
    "capstone": "prices of instructions",
    "pillow": "pictures from files",
    "pydantic": "run.json, checked",
    "typer": "this command line",
    "rich": "tables and progress",
}
"""By the name on PyPI: what `pip install puce` brings; a test compares it with pyproject.toml."""

EXTRAS = {
    "train": (("keras", "tensorflow"), "training"),
    "onnx": (("onnx",), "reading .onnx"),
    "report": (("matplotlib", "jinja2"), "plots and report.html"),
    "oracle": (("ai_edge_litert",), "LiteRT as an outside witness of every validation"),
}
"""By the name of the extra: the modules that it brings."""

MAIN_JOB = ("puce[train]", "puce[report]")

TOOLS = {
    "qemu-system-arm": "a second emulator, to cross-check the first",
    "gcc": "sanitizers over the C on this machine",
    "arm-none-eabi-gcc": "a second compiler for the firmware",
}

RUN_BYTES = 500_000_000
"""Room that a run should find: Zig's cache of one core's runtime library takes 46 MB (measured), runs come on top."""

ONE_INSTRUCTION = b"\x2a\x20"  # movs r0, #42, in Thumb: Arm DDI 0403, A7.7.76
PATIENCE_S = 120


@dataclass(frozen=True)
class Check:
    """One thing that was tried. `broken` is in the way of the main job; `absent` only of what `purpose` says."""

    name: str
    state: State
    fact: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return self.state != "broken"

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state, "ok": self.ok, "fact": self.fact, "remedy": self.remedy}

    def __str__(self) -> str:
        mark = {"works": "✓", "absent": "·", "broken": "✗"}[self.state]
        return f"{mark} {self.name:<20}{self.fact}" + (f"\n  {'':<20}{self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Diagnosis:
    """All checks; ok while nothing is broken."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "checks": [check.as_json() for check in self.checks]}

    def __str__(self) -> str:
        broken = [check.name for check in self.checks if not check.ok]
        extras = ",".join(c.name[5:-1] for c in self.checks if c.state == "absent" and c.name in MAIN_JOB)
        if broken:
            verdict = f"In the way: {', '.join(broken)}."
        elif extras:
            verdict = f"The compiler works. `puce run` also needs: pip install 'puce[{extras}]'"
        else:
            verdict = "Everything that `puce run` needs works."
        return "\n".join((*map(str, self.checks), "", verdict))


def diagnose() -> Diagnosis:
    """Try everything; takes a few seconds, because the compiler and the emulator really run."""
    return Diagnosis((
        python(), *libraries(), attempt("compiler", compile_one_line), attempt("emulator", emulate_one_instruction),
        *extras(), *tools(), disk(Path.cwd()), data_folder(os.environ.get("PUCE_DATA")),
    ))  # fmt: skip


def python() -> Check:
    """Compare this Python with what the installed package asks for."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = importlib.metadata.metadata("puce")["Requires-Python"]
    bounds = {sign: (int(major), int(minor)) for sign, major, minor in re.findall(r"(>=|<)(\d+)\.(\d+)", wanted)}
    if bounds.get(">=", (0, 0)) <= sys.version_info[:2] < bounds.get("<", (9, 9)):
        return Check("Python", "works", f"{version} at {sys.executable}")
    return Check("Python", "broken", f"{version} is not {wanted}", f"Install puce with a Python {wanted}.")


def libraries() -> Iterator[Check]:
    for name, purpose in LIBRARIES.items():
        try:
            yield Check(name, "works", f"{importlib.metadata.version(name)}: {purpose}")
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "broken", f"not installed: {purpose}", f"pip install {name}")


def attempt(name: str, work: Callable[[], str]) -> Check:
    """Run something that may fail in ways nobody foresees: whatever it raises is the finding."""
    try:
        return Check(name, "works", work())
    except Exception as error:  # a broken installation raises anything
        library = {"compiler": "ziglang", "emulator": "unicorn"}[name]
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        return Check(name, "broken", reason, f"pip install --force-reinstall {library}")


def compile_one_line() -> str:
    from .boards import load_core
    from .build.toolchain import command, compile_flags

    with tempfile.TemporaryDirectory(prefix="puce-") as folder:
        source, target = Path(folder, "one.c"), Path(folder, "one.o")
        source.write_text("int one(void);\nint one(void) { return 1; }\n", encoding="utf-8")
        line = [*command("zig", load_core("cortex-m4")), *compile_flags("-O3"), "-c", str(source), "-o", str(target)]
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S)
        if done.returncode != 0 or not target.is_file():
            raise RuntimeError(done.stderr or "it wrote nothing")
        return f"Zig's clang compiled one line for a Cortex-M4 ({size(target.stat().st_size)})"


def emulate_one_instruction() -> str:
    import unicorn
    from unicorn.arm_const import UC_ARM_REG_R0

    start = 0x1000
    core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    core.mem_map(start, 0x1000)
    core.mem_write(start, ONE_INSTRUCTION)
    core.emu_start(start | 1, start + len(ONE_INSTRUCTION))
    found = core.reg_read(UC_ARM_REG_R0)
    if found != 42:
        raise RuntimeError(f"movs r0, #42 left {found} in r0")
    return "Unicorn ran one instruction of a Cortex-M"


def extras() -> Iterator[Check]:
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        name = f"puce[{extra}]"
        if missing:
            yield Check(name, "absent", f"without {', '.join(missing)}: no {purpose}", f"pip install '{name}'")
        else:
            yield Check(name, "works", f"{', '.join(modules)}: {purpose}")


def tools() -> Iterator[Check]:
    for name, purpose in TOOLS.items():
        found = shutil.which(name)
        yield Check(name, "works" if found else "absent", f"{found or 'not found, not needed'}: {purpose}")


def disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    if free >= RUN_BYTES:
        return Check("disk", "works", f"{size(free)} free in {folder}")
    return Check("disk", "broken", f"only {size(free)} free in {folder}", f"Make room: a run wants {size(RUN_BYTES)}.")


def data_folder(named: str | None) -> Check:
    """Look into the folder that PUCE_DATA names."""
    if not named:
        return Check("PUCE_DATA", "works", "not set: sets come from their official addresses")
    folder = Path(named).expanduser()
    if not folder.is_dir():
        return Check("PUCE_DATA", "broken", f"{named} is not a folder", "Correct or unset the variable PUCE_DATA.")
    sets = sorted(path.stem for path in folder.glob("*.npz"))
    return Check("PUCE_DATA", "works", f"{folder}: {', '.join(sets) or 'no .npz there'}")
