# SPDX-License-Identifier: Apache-2.0
"""The public names are exactly these, each explains itself, and none turns into a module behind the user's back."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import puce
from puce import api

NAMES = [
    "PuceError",
    "analyze",
    "check_data",
    "compare",
    "compile",
    "diff",
    "evaluate",
    "load_data",
    "load_model",
    "predict",
    "quantize",
    "report",
    "run",
    "show_data",
    "sweep",
    "train",
    "validate",
]


def test_the_public_names_are_these() -> None:
    assert sorted(puce.__all__) == sorted([*NAMES, "__version__"])
    assert set(NAMES) <= set(dir(puce))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_callable_and_explains_itself(name: str) -> None:
    found = getattr(puce, name)
    assert callable(found)
    text = inspect.getdoc(found) or ""
    assert text.splitlines()[0].endswith("."), f"puce.{name}: the first line of its docstring is a sentence"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "PuceError"])
def test_each_function_is_typed(name: str) -> None:
    signature = inspect.signature(getattr(api, name))
    untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert not untyped and signature.return_annotation is not signature.empty


def test_importing_every_part_leaves_the_functions_functions() -> None:
    """puce.run is a function and src/puce/run a package: the import system would put the one in place of the other."""
    program = f"""
import importlib, pkgutil, puce
for found in pkgutil.iter_modules(puce.__path__):
    importlib.import_module("puce." + found.name)
print(*[name for name in {NAMES} if not callable(getattr(puce, name))])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == []
