# SPDX-License-Identifier: Apache-2.0
"""C files + board -> an ELF that starts by itself and speaks the serial protocol, its sizes known before it is linked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from puce import __version__
from puce.boards import Board
from puce.build import toolchain
from puce.build.elf import Elf
from puce.build.layout import linker_script
from puce.build.promise import Part, Promise, Sizes, broken, check_fits, measure, promise
from puce.build.toolchain import Compiler
from puce.errors import BuildFailed

HERE = Path(__file__).parent / "firmware"
FIRMWARE = ("start.c", "main.c", "cycles.c", "memory.c", "port_semihosting.c")
SMALL = "-Os"  # for our own files: never in an inner loop, but for memory.c, whose loops are unrolled by hand
CHANGED = "Generated C must compile without a warning: report this with the model. Own C: correct the line."


@dataclass(frozen=True)
class Objects:
    """Compiled files in link order, by stem of their source, and what they promise to take."""

    paths: Mapping[str, Path]
    promise: Promise
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Firmware:
    """A linked firmware: `sizes` are those of the file, `promised` those known before; `parts` by source stem."""

    elf: Path
    sizes: Sizes
    promised: Sizes
    parts: Mapping[str, Part]


def build_firmware(
    sources: Sequence[Path],
    include: Path | Sequence[Path],
    board: Board,
    out: Path,
    *,
    compiler: Compiler = "zig",
    optimize: str = "-O3",
    stack_bytes: int | None = None,
    defines: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Firmware:
    """Compile the model's files and the start-up files, link them for the board, write `out` in one step.

    `include` holds puce_model.h; `stack_bytes` defaults to the computed bound. Raises BuildFailed with the compiler's own
    words, DoesNotFit before linking when the board is too small. The same input gives the same bytes. Functions named in
    `keep` stay in the file although nothing calls them, for a test that does.
    """
    with tempfile.TemporaryDirectory(prefix="puce-build-") as folder:
        objects = compile_objects(
            sources,
            include,
            board,
            Path(folder),
            compiler=compiler,
            optimize=optimize,
            stack_bytes=stack_bytes,
            defines=defines,
            keep=keep,
        )
        return link(objects, board, out, compiler=compiler)


def compile_objects(
    sources: Sequence[Path],
    include: Path | Sequence[Path],
    board: Board,
    folder: Path,
    *,
    compiler: Compiler = "zig",
    optimize: str = "-O3",
    stack_bytes: int | None = None,
    defines: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Objects:
    """Compile all files into `folder` and work out what the linked firmware will take. `defines` are NAME=VALUE."""
    includes = [include] if isinstance(include, Path) else list(include)
    start = toolchain.command(compiler, board.core)
    paths: dict[str, Path] = {}
    for source in [*(HERE / name for name in FIRMWARE), *sources]:
        if source.stem in paths:
            raise BuildFailed(source.name, "two source files have this stem.", "Rename one of them.")
        target = folder / f"{source.stem}.o"
        flags = [*toolchain.compile_flags(SMALL if source.parent == HERE else optimize), *_own_flags(source, compiler, board)]
        flags += [f"-ffile-prefix-map={source.parent}=."] + [f"-D{name}" for name in defines]
        flags += [word for path in (HERE, *includes) for word in ("-I", str(path))]
        toolchain.run([*start, *flags, "-c", str(source), "-o", str(target)], source.name, CHANGED)
        paths[source.stem] = target
    library = toolchain.runtime_library(compiler, board.core)
    return Objects(paths, promise(paths, library, board, stack_bytes, keep), tuple(keep))


def _own_flags(source: Path, compiler: Compiler, board: Board) -> list[str]:
    if source.parent != HERE:
        return []
    flags = [
        f"-DPUCE_HAS_FPU={int('fpu' in board.core.features)}",
        f"-DPUCE_HAS_DWT={int(board.core.cycle_counter == 'dwt')}",
        f"-DPUCE_CLOCK_HZ={board.clock_hz}u",
        f'-DPUCE_VERSION="{__version__}"',
    ]
    if source.name == "memory.c":  # or its loops would be recognised and replaced by calls to themselves
        flags += ["-fno-builtin", *(["-fno-tree-loop-distribute-patterns"] if compiler == "gcc" else [])]
    return flags


def link(objects: Objects, board: Board, out: Path, *, compiler: Compiler = "zig") -> Firmware:
    """Link compiled objects into `out`. Raises DoesNotFit before, BuildFailed if the linked file broke its promise."""
    promised = objects.promise.sizes
    check_fits(promised, board)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".puce-link-", dir=out.parent) as folder:
        script, linked = Path(folder, "board.ld"), Path(folder, "firmware.elf")
        script.write_text(linker_script(board, promised.stack))
        arguments = [*toolchain.command(compiler, board.core), "-O3", "-g0", "-nostdlib", f"-Wl,-T,{script}"]
        arguments += ["-Wl,--gc-sections", "-Wl,-e,Reset_Handler", "-Wl,--build-id=none", *map(str, objects.paths.values())]
        arguments += [f"-Wl,-u,{name}" for name in objects.keep]
        arguments += [str(toolchain.runtime_library(compiler, board.core)), "-o", str(linked)]
        toolchain.run(arguments, out.name, "An undefined name is a missing source file.")
        sizes = measure(Elf.read(linked))
        if faults := broken(promised, sizes):
            raise BuildFailed(
                out.name, f"the linker used more than was promised ({'; '.join(faults)}).", "Report this with the model."
            )
        linked.replace(out)
    return Firmware(out, sizes, promised, objects.promise.parts)
