# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a verb; each parses, calls `puce.api`, prints. Nothing of ours imports it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from .output import complain

VERBS = (
    "run", "train", "evaluate", "compare", "quantize", "compile", "validate", "analyze", "diff", "predict", "report", "boards",
    "calibrate", "ops", "doctor",
)  # fmt: skip
"""In the order in which `puce --help` lists them; a verb is the file of that name: EXAMPLE and command()."""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="puce",
    help="From a folder of pictures to a verified classifier inside a microcontroller.",
    epilog="Start with: puce run digits --board stm32l4r9i-disco",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"puce {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """From a folder of pictures to a verified classifier inside a microcontroller."""


def _add(group: typer.Typer, name: str, command: object, example: str) -> None:
    assert callable(command), name
    group.command(name, epilog=f"Example:\n\n\b\n  {example}", context_settings=SETTINGS)(command)


for _verb in VERBS:
    _module = importlib.import_module(f"{__name__}.{_verb}")
    _add(app, _verb, _module.command, _module.EXAMPLE)

_data = importlib.import_module(f"{__name__}.data")
_group = typer.Typer(help=_data.__doc__, no_args_is_help=True, rich_markup_mode=None)
for _verb, (_command, _example) in _data.COMMANDS.items():
    _add(_group, _verb, _command, _example)
app.add_typer(_group, name="data")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 wrong usage or bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no thin space still gets its table
    try:
        app(args=arguments, prog_name="puce")
    except Exception as error:
        sys.exit(complain(error, as_json="--json" in arguments))
