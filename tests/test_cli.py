# SPDX-License-Identifier: Apache-2.0
"""The command line's contract, on every verb: help, example, JSON, exit codes, and errors without a traceback."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from puce import api
from puce.cli import VERBS, main
from puce.cli.data import COMMANDS
from puce.errors import BadInput, DoesNotFit

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    **{verb: importlib.import_module(f"puce.cli.{verb}").EXAMPLE for verb in VERBS},
    **{f"data {name}": example for name, (_, example) in COMMANDS.items()},
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_of(page: Path) -> Iterator[str]:
    """Every line of a code block that starts with `puce`, or has it after `&&`; its comment cut off."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            for command in re.sub(r"^[$>] ", "", line).split("&&"):
                if command.strip().startswith("puce "):
                    yield " ".join(shlex.split(command, comments=True))


DOCUMENTED = sorted({command for page in PAGES for command in commands_of(page)})


class Fake:
    """A result that any verb could have returned."""

    def __init__(self, ok: bool = True) -> None:
        self.ok = ok

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok}

    def markdown(self) -> str:
        return "# fake\n"

    def __str__(self) -> str:
        return "a fake result"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace every function of the API by one that checks its arguments against the real signature, and is noisy."""
    seen: dict[str, Any] = {"result": Fake()}

    def stand_in(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            seen[name] = inspect.signature(real).bind(*args, **kwargs).arguments
            print("chatter of some library")
            if isinstance(seen["result"], BaseException):
                raise seen["result"]
            return seen["result"]

        return called

    for verb in VERBS:
        monkeypatch.setattr(api, verb, stand_in(verb, getattr(api, verb)))
    return seen


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    out, err = capsys.readouterr()
    return int(exit_.value.code or 0), out, err


@pytest.mark.parametrize("verb", EXAMPLES)
def test_help_shows_the_example_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *verb.split(), "--help")
    assert code == 0
    assert "Example:" in out and EXAMPLES[verb] in out and "--json" in out


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert set(re.findall(r"^  (\w+)  ", out, re.MULTILINE)) >= {*VERBS, "data"}


def test_every_file_of_the_folder_is_a_verb() -> None:
    files = {path.stem for path in (ROOT / "src/puce/cli").glob("*.py")}
    assert files - {"__init__", "__main__", "options", "output"} == {*VERBS, "data"}


@pytest.mark.parametrize("command", sorted({*(e for v, e in EXAMPLES.items() if v in VERBS), *DOCUMENTED}))
def test_examples_reach_the_api_with_arguments_it_takes(
    command: str, calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """In --help, in the README and in docs/: nobody is told to type what does not parse."""
    _, verb, *rest = shlex.split(command)
    if verb not in VERBS:
        pytest.fail(f"{command}: no such verb") if verb != "data" and verb != "--help" else None
        return
    code, out, err = run(capsys, verb, *rest, *([] if "--json" in rest else ["--json"]))
    assert code == 0, err
    assert json.loads(out) == {"ok": True}
    assert verb in calls


def test_documents_do_show_commands() -> None:
    assert any(command.startswith("puce run digits --board") for command in DOCUMENTED)


def test_chatter_goes_to_stderr(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "run", "digits", "--board", "x")
    assert (code, out) == (0, "a fake result\n")
    assert err == "chatter of some library\n"


def test_a_list_is_one_document_and_one_no_is_no(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    calls["result"] = [Fake(), Fake(ok=False)]
    code, out, _ = run(capsys, "predict", "m.tflite", "a.png", "b.png", "--json")
    assert code == 1
    assert json.loads(out) == [{"ok": True}, {"ok": False}]


@pytest.mark.parametrize(
    ("result", "code"),
    [(Fake(), 0), (Fake(ok=False), 1), (DoesNotFit("board", "too small.", "Take another."), 1),
     (BadInput("file", "is broken.", "Mend it."), 2), (ZeroDivisionError("division by zero"), 2), (KeyboardInterrupt(), 130)],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else str(value),
)  # fmt: skip
def test_exit_codes(result: Any, code: int, calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    calls["result"] = result
    found, out, err = run(capsys, "validate", "m.tflite", "digits")
    assert found == code
    assert "Traceback" not in out + err


def test_an_error_is_place_fact_remedy(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    calls["result"] = BadInput("photo.png", "this is not a picture.", "Name a PNG.")
    code, out, err = run(capsys, "predict", "m.tflite", "photo.png")
    assert (code, out) == (2, "")
    assert err.endswith("photo.png: this is not a picture.\nName a PNG.\n")


def test_an_error_is_a_document_too(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    calls["result"] = BadInput("photo.png", "this is not a picture.", "Name a PNG.")
    code, out, _ = run(capsys, "predict", "m.tflite", "photo.png", "--json")
    assert code == 2
    assert json.loads(out) == {"error": {"place": "photo.png", "fact": "this is not a picture.", "remedy": "Name a PNG."}}


def test_a_defect_says_how_to_report_it(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    calls["result"] = ZeroDivisionError("division by zero")
    code, _, err = run(capsys, "doctor")
    assert code == 2
    assert "ZeroDivisionError: division by zero\nThis is a defect of puce. PUCE_DEBUG=1 shows where" in err


def test_debug_shows_where(calls: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUCE_DEBUG", "1")
    calls["result"] = ZeroDivisionError("division by zero")
    code, _, err = run(capsys, "doctor")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize(
    "arguments",
    [("validate",), ("run", "digits"), ("frobnicate",), ("run", "digits", "--boad", "x"), ("compile", "m", "-O", "tiny"),
     ("validate", "m", "digits", "--count", "0"), ("report", "runs/x", "--lang", "tlh")],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert "Usage: puce" in err and "Traceback" not in err


def bad_inputs() -> list[tuple[str, str]]:
    """A command with {tmp} for a folder of broken files, and a sentence that its message must hold."""
    model = ROOT / "pyproject.toml"  # a file that exists and is no model
    return [
        ("run digits --board stm32l4r9", "no board has this name. Did you mean stm32l4r9i-disco?"),
        ("train digits --model lenet99", "no architecture has this name."),
        ("train nosuchset --model digits-cnn", "no data set or folder has this name."),
        ("analyze {tmp}/missing.keras", "missing.keras"),
        ("analyze {tmp}/cut.keras", "cut.keras"),
        ("analyze {tmp}/cut.tflite", "cut.tflite"),
        (f"analyze {model}", ".toml"),
        ("quantize {tmp}/missing.keras --data digits", "missing.keras"),
        ("compile {tmp}/cut.tflite --board stm32l4r9i-disco", "cut.tflite"),
        ("validate {tmp}/missing.tflite digits --board stm32l4r9i-disco", "missing.tflite"),
        ("predict {tmp}/cut.keras {tmp}/cut.keras", "cut.keras"),
        ("report {tmp}/missing", "missing"),
        ("boards --fits {tmp}/cut.tflite", "cut.tflite"),
        ("ops conv2d", "no operator has this name. Did you mean conv_2d"),
        ("data show nosuchset", "no data set or folder has this name."),
        ("data check nosuchset", "no data set or folder has this name."),
        ("data check digits --fix {tmp}/clean", "is no folder of files"),
        ("data check {tmp}/cut.keras", "is no zip and no CSV list"),
        ("evaluate {tmp}/cut.keras digits", "cut.keras"),
        ("compare {tmp}/missing", "missing"),
        ("compare {tmp}/missing -o table.xls", "has no ending that says what to write"),
    ]


@pytest.mark.parametrize(("command", "sentence"), bad_inputs(), ids=lambda value: value.split("/")[0][:40])
def test_bad_input_is_2_with_a_remedy(
    command: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cut.keras").write_bytes(b"PK\x03\x04" + bytes(60))
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(30))
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    code, out, err = run(capsys, *command.format(tmp=tmp_path).split())
    assert (code, out) == (2, ""), err
    assert sentence in err
    assert "Traceback" not in err and "defect of puce" not in err
    assert len(err.strip().splitlines()) >= 2, "a fact and a remedy"
    assert set(tmp_path.iterdir()) == before, "nothing is left behind"


@pytest.mark.parametrize("command", ["ops", "ops conv_2d", "data list", "boards", "doctor"])
def test_verbs_that_need_no_model_print_words_and_one_document(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *command.split())
    assert code == 0 and len(out.splitlines()) > 3
    code, out, _ = run(capsys, *command.split(), "--json")
    assert code == 0 and json.loads(out)


def test_show_counts_the_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "data", "show", "digits", "--json")
    found = json.loads(out)
    assert code == 0
    assert sum(split["total"] for split in found["splits"].values()) == 1797
    assert found["splits"]["test"]["total"] == sum(found["splits"]["test"]["by_class"])


def test_a_closed_pipe_is_quiet() -> None:
    done = subprocess.Popen(
        [sys.executable, "-m", "puce.cli", "ops", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert done.stdout is not None and done.stderr is not None
    done.stdout.close()
    said = done.stderr.read()
    done.stderr.close()
    assert (done.wait(), said) == (141, "")


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    from puce.cli.output import red

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    assert red("no") == "\x1b[31mno\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert red("no") == "no"


def test_help_needs_no_numpy() -> None:
    """So that it comes at once: what `puce --help` loads is the parser and the verbs' signatures."""
    program = """
import sys
from puce.cli import main
try:
    main(["--help"])
finally:
    print("numpy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.stdout.splitlines()[-1] == "False"
