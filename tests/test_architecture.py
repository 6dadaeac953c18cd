# SPDX-License-Identifier: Apache-2.0
"""The house keeps its order: imports go one way, heavy libraries wait until they are needed, files stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "puce"

FREE = {"errors", "units", "__version__"}
"""What every part may import, and what imports nothing of ours."""

TABLE = {
    part: set(allowed.split())
    for part, allowed in {
        "text": "",
        "progress": "",
        "evaluate": "",
        "data": "text progress evaluate",
        "ir": "text",
        "activation": "ir",
        "affine": "ir",
        "spatial": "ir",
        "fixedpoint": "ir activation",
        "packing": "ir fixedpoint",
        "sampling": "ir activation",
        "ops": "ir activation affine spatial fixedpoint packing sampling",
        "frontends": "ir ops",
        "passes": "ir ops spatial fixedpoint",
        "quantize": "ir ops fixedpoint",
        "schedule": "ir ops",
        "emit": "data ir ops schedule",
        "export": "ir ops",
        "boards": "",
        "build": "boards",
        "device": "boards build",
        "cost": "ir schedule boards",
        "choice": "progress ir ops schedule emit boards build device",
        "compiler": "ir passes schedule emit boards build cost choice",
        "run": "evaluate",
        "zoo": "",
        "train": "evaluate run data zoo",
        "report": "evaluate run",
        "analysis": "text ir passes boards device cost choice compiler",
        "pareto": "text progress ir boards choice compiler analysis",
        "divergence": "ir schedule build device compiler",
        "yardstick": "evaluate data ir",
        "quantized": "text progress ir fixedpoint passes quantize export evaluate data yardstick",
        "difference": "text progress ir passes data quantized",
        "prediction": "data ir passes quantized",
        "validation": "text progress data ir export build device choice compiler evaluate divergence quantized yardstick",
        "evaluation": "text progress data ir passes build device compiler evaluate quantized yardstick",
        "evaluation_page": "evaluate data ir run report evaluation",
        "reconstruction": "text evaluate data ir passes compiler evaluation",
        "comparison": "text evaluate run report",
        "gallery": "data ir passes run report quantized",
        "camera": "data ir passes emit run quantized",
        "pipeline": "ir frontends boards cost choice compiler evaluate run data train report analysis quantized validation",
        "coverage": "text ir ops boards frontends",
        "doctor": "boards build",
        "inventory": "text data",
        "doors": "data run frontends boards",
        "jobs": "data run zoo train boards choice pipeline doors",
        "results": "text boards compiler evaluate analysis pareto",
        "lab": (
            "evaluate data run yardstick evaluation evaluation_page reconstruction comparison gallery inventory doors report"
            " results"
        ),
        "api": (
            "results frontends passes quantize boards choice compiler pareto run data train report analysis quantized"
            " prediction difference validation camera pipeline coverage doctor doors jobs lab"
        ),
        "puce": "api",
        "cli": "api inventory",
    }.items()
}
"""Each part of src/puce and what it may import; a part imports only parts that stand above it."""

TYPES_ONLY = {("ir", "ops")}
"""Arrows that exist for the type checker alone: a Node names the class Op, and imports nothing when it runs."""

KERAS_MAY_STAND_IN = re.compile(r"(train|zoo)/|frontends/keras")
TRAINING = {"keras", "tensorflow", "tensorflow_cpu", "torch", "jax"}
HEAVY = TRAINING | {
    "ai_edge_litert", "capstone", "flatbuffers", "h5py", "jinja2", "matplotlib", "onnx", "PIL", "rich",
    "sklearn", "tflite", "unicorn", "ziglang",
}  # fmt: skip
MOST_LINES = 450

PYTHON = sorted(SOURCE.rglob("*.py"))
C = sorted(f for f in SOURCE.rglob("*") if f.suffix in {".c", ".h", ".S"})
TESTS = sorted((ROOT / "tests").rglob("*.py"))


class Import(NamedTuple):
    """One name that a file imports: `module` is absolute; `types` inside `if TYPE_CHECKING`, `lazy` inside a function."""

    line: int
    module: str
    types: bool
    lazy: bool


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands; `from .. import a, b` counts as puce.a and puce.b."""
    package = path.relative_to(SOURCE.parent).parent.parts if SOURCE in path.parents else ()

    def visit(node: ast.AST, types: bool, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, types, lazy) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            names = [node.module] if node.module and (base or node.module != "puce") else [alias.name for alias in node.names]
            prefix = base or (["puce"] if node.module == "puce" else [])
            yield from (Import(node.lineno, ".".join([*prefix, name]), types, lazy) for name in names)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = types or (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, types, lazy)

    return visit(ast.parse(path.read_text(encoding="utf-8")), False, False)


def part_of(path: Path) -> str:
    """src/puce/ops/add.py -> 'ops', src/puce/ir.py -> 'ir', src/puce/__init__.py -> 'puce'."""
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "puce" if first == "__init__" else first


def ours(module: str) -> str | None:
    """'puce.ops.add' -> 'ops'; None for what is not ours."""
    words = module.split(".")
    return words[1] if words[0] == "puce" and len(words) > 1 else None


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_part_has_a_row_and_every_row_a_part() -> None:
    assert {part_of(path) for path in PYTHON} - FREE == set(TABLE)


def test_the_table_goes_one_way() -> None:
    seen: set[str] = set()
    for part, allowed in TABLE.items():
        assert allowed <= seen, f"{part} imports what stands below it: {allowed - seen}"
        seen.add(part)


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    part = part_of(path)
    for found in imports(path):
        other = ours(found.module)
        if other is None or other == part or (found.types and (part, other) in TYPES_ONLY):
            continue
        allowed = {"__version__"} if part in FREE else TABLE[part] | FREE
        assert other in allowed, f"{short(path)}:{found.line}: {part} may not import {other}"


def test_no_row_allows_an_arrow_that_nobody_uses() -> None:
    used: dict[str, set[str]] = {part: set() for part in TABLE}
    for path in PYTHON:
        if part_of(path) in TABLE:
            used[part_of(path)] |= {other for found in imports(path) if (other := ours(found.module))}
    spare = {part: allowed - used[part] for part, allowed in TABLE.items() if allowed - used[part]}
    assert not spare, f"take these out of the table: {spare}"


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    for found in imports(path):
        library = found.module.split(".")[0]
        assert library not in HEAVY or found.lazy or found.types, f"{short(path)}:{found.line}: import {library} in a function"


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_training_frameworks_stay_where_they_belong(path: Path) -> None:
    if not KERAS_MAY_STAND_IN.match(path.relative_to(SOURCE).as_posix()):
        found = {each.module.split(".")[0] for each in imports(path)} & TRAINING
        assert not found, f"{short(path)} imports {found}"


@pytest.mark.parametrize("line", ["import puce", "import puce.cli", "import puce, sys; dir(puce)"])
def test_importing_puce_loads_nothing_heavy(line: str) -> None:
    program = f"import sys\n{line}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "puce" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("path", [*PYTHON, *TESTS], ids=short)
def test_a_python_file_says_its_licence_and_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(ast.parse(text)), f"{short(path)} has no docstring"


@pytest.mark.parametrize("path", C, ids=short)
def test_a_c_file_says_its_licence_and_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"/\* SPDX-License-Identifier: Apache-2\.0( \*/)?\n", text)
    comments = " ".join(re.findall(r"/\*(.*?)\*/", text, re.DOTALL)[:2]).replace("SPDX-License-Identifier: Apache-2.0", "")
    assert len(comments.split()) >= 5, f"{short(path)} does not say what it does"


@pytest.mark.parametrize("path", [*PYTHON, *C, *TESTS], ids=short)
def test_files_stay_small_and_have_real_names(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}


def test_the_page_shows_the_same_table() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| [^|]+ \|$", page, re.MULTILINE)
    shown = {part: set(re.findall(r"`(\w+)`", cell)) for part, cell in rows}
    assert list(shown) == list(TABLE), "the rows, in their order"
    assert shown == TABLE
