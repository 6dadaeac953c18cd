# SPDX-License-Identifier: Apache-2.0
"""C files -> a shared library for this machine, to run the generated code as fast as it goes or under sanitizers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from puce.build import toolchain
from puce.errors import BuildFailed


def build_library(
    sources: Sequence[Path],
    include: Path | Sequence[Path],
    out: Path,
    *,
    sanitize: bool = False,
    compiler: Literal["zig", "cc"] = "zig",
    optimize: str = "-O2",
    defines: Sequence[str] = (),
) -> Path:
    """Compile generated C into the shared library `out`, every warning an error; write it in one step.

    With `sanitize`, undefined behaviour stops the process with a trap. The same input gives the same bytes.
    Raises BuildFailed with the compiler's first lines.
    """
    includes = [include] if isinstance(include, Path) else list(include)
    flags = [optimize, "-g0", "-fPIC", "-shared", *toolchain.WARNINGS, "-fno-strict-aliasing" if sanitize else "-fno-common"]
    # Contracted multiply-adds round once where the cores' portable code rounds twice.
    if compiler == "zig":
        # Not this computer's own vector instructions: the same code everywhere. And Clang 22 on x86 joins neighbouring shifts
        # and blends into wrong vectors (seen at -O1 with AVX2; GCC, Clang 14 and the sanitizers find nothing wrong).
        flags += ["-mcpu=baseline", "-fno-slp-vectorize"]
    flags += ["-ffp-contract=off", *(f"-D{name}" for name in defines)]
    flags += ["-fsanitize=undefined", _trap(compiler)] if sanitize else ["-fno-sanitize=undefined"]
    flags += [f"-ffile-prefix-map={source.parent}=." for source in sources]
    flags += [word for path in includes for word in ("-I", str(path))]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".puce-library-", dir=out.parent) as folder:
        made = Path(folder, out.name)
        place = sources[0].name if sources else out.name
        remedy = "Generated C must compile without a warning: report this with the model."
        toolchain.run([*_compiler(compiler), *flags, *map(str, sources), "-o", str(made), "-lm"], place, remedy)
        made.replace(out)
    return out


def _compiler(name: Literal["zig", "cc"]) -> list[str]:
    if name == "zig":
        return list(toolchain.zig())
    found = shutil.which("cc")
    if found is None:
        raise BuildFailed(
            "cc", "there is no C compiler of this name on the PATH.", "Use compiler 'zig', which comes with puce."
        )
    return [found]


def _trap(compiler: Literal["zig", "cc"]) -> str:
    return "-fsanitize-trap=undefined" if compiler == "zig" else "-fsanitize-undefined-trap-on-error"
