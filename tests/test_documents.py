# SPDX-License-Identifier: Apache-2.0
"""Pages that are written from the code are fresh, links lead somewhere, and facts that stand twice are equal."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from puce import __version__, api
from puce.analysis import Analysis
from puce.comparison import Comparison
from puce.coverage import Operator, coverage
from puce.data import Check as DataCheck
from puce.difference import Difference
from puce.doctor import EXTRAS, LIBRARIES, Check
from puce.evaluation import Evaluation
from puce.inventory import Contents, Entry
from puce.ops import REGISTRY
from puce.quantized import Quantized
from puce.validation import Verdict

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def distribution(requirement: str) -> str:
    """'numpy>=1.26' -> 'numpy'."""
    name = re.match(r"[\w-]+", requirement)
    assert name
    return name.group()


def test_the_page_of_operators_is_fresh() -> None:
    page = (ROOT / "docs/reference/operators.md").read_text(encoding="utf-8")
    assert page == coverage().markdown(), "make docs"


def test_every_operator_explains_itself() -> None:
    for operator in coverage().operators:
        assert operator.summary.endswith("."), operator.name
        assert operator.types, operator.name
        assert all(limit.endswith(".") for limit in operator.limits), operator.name
        assert all(kernel.types for kernel in operator.kernels), f"a kernel of {operator.name} accepts none of its samples"
        assert operator.kernels or operator.code
    assert {operator.name for operator in coverage().operators} == set(REGISTRY)


def test_doctor_knows_every_library_that_is_installed_with_puce() -> None:
    assert sorted(LIBRARIES) == sorted(distribution(line) for line in PROJECT["dependencies"])


def test_doctor_knows_every_extra() -> None:
    modules = {"ai-edge-litert": "ai_edge_litert", "tensorflow-cpu": "tensorflow"}
    optional = PROJECT["optional-dependencies"]
    for extra, (known, _) in EXTRAS.items():
        named = {distribution(line) for line in optional[extra]}
        assert {modules.get(name, name) for name in named} == set(known)
    assert set(EXTRAS) == set(optional) - {"dev", "all"}


def test_the_changelog_has_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    anchors = {match.lower().replace(" ", "-") for match in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, f"{page.name}: {target}"
        elif "://" not in target:
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"


KEYS = {
    "run": api.RunResult,
    "quantize": Quantized,
    "compile": api.CompileResult,
    "analyze": Analysis,
    "validate": Verdict,
    "predict": api.Prediction,
    "boards": api.BoardList,
    "report": api.ReportResult,
    "ops": Operator,
    "data list": Entry,
    "data show": Contents,
    "data check": DataCheck,
    "diff": Difference,
    "evaluate": Evaluation,
    "compare": Comparison,
    "doctor": Check,
}


@pytest.mark.parametrize("verb", KEYS)
def test_every_json_key_is_on_the_page(verb: str) -> None:
    """The keys are read off the source of `as_json`: string keys of its dictionaries."""
    page = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {verb}\n")[1].split("\n## ")[0]
    tree = ast.parse(textwrap.dedent(inspect.getsource(KEYS[verb])))
    methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in {"as_json", "_row"}]
    keys = {
        key.value
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    assert keys, "nothing was found: the test looks in the wrong place"
    assert keys <= set(re.findall(r"`(\w+)`", section)), f"## {verb} in docs/reference/json.md"
