# SPDX-License-Identifier: Apache-2.0
"""TOML -> checked records: an unknown key or a missing figure is an error that names the file and the key."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from functools import cache
from pathlib import Path

from puce.boards.board import Board, Core
from puce.errors import BadInput, UnknownName

HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Name every board of the catalogue, sorted."""
    return tuple(sorted(path.stem for path in HERE.glob("*.toml")))


def core_names() -> tuple[str, ...]:
    """Name every core that has instruction prices, sorted."""
    return tuple(sorted(path.stem for path in (HERE / "cores").glob("*.toml")))


def load(name: str | Path) -> Board:
    """Load a board by its name in the catalogue, or from a TOML file of the same form.

    Raises UnknownName for a misspelt name and BadInput for a file that says too little or too much.
    """
    if str(name).endswith(".toml"):
        return _board(Path(name))
    if str(name) not in names():
        raise UnknownName.among("board", str(name), names(), "`puce boards` lists them; a path to your own .toml works too.")
    return _catalogued(str(name))


@cache
def _catalogued(name: str) -> Board:
    return _board(HERE / f"{name}.toml")


@cache
def load_core(name: str) -> Core:
    """Load one core's compiler flags and instruction prices."""
    if name not in core_names():
        raise UnknownName.among("core", name, core_names(), "Give the board file one of these cores.")
    path = HERE / "cores" / f"{name}.toml"
    return typing.cast(Core, _record(Core, _table(path), path.name))


def _board(path: Path) -> Board:
    table = _table(path)
    if isinstance(table.get("core"), str):
        table["core"] = load_core(typing.cast(str, table["core"]))
    board = typing.cast(Board, _record(Board, table, path.name))
    if not board.banks:
        raise BadInput(path.name, "the board has no memory bank.", "Give it at least one [[banks]].")
    if len({bank.name for bank in board.banks}) < len(board.banks):
        raise BadInput(path.name, "two memory banks have the same name.", "Name each of the [[banks]] differently.")
    if board.calibration and not 0.1 <= board.calibration.scale <= 10:
        fact = f"calibration: a scale of {board.calibration.scale} says that the modelled time is not of this board."
        raise BadInput(path.name, fact, "Calibrate the board again.")
    return board


def _table(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(str(path), f"this board file cannot be read ({error}).", "Check the path.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(str(path), f"this is not TOML: {error}.", "Correct the line that it names.") from error


def _record(kind: type, table: object, place: str) -> object:
    """Build the dataclass `kind` from a table with exactly its fields."""
    if not isinstance(table, dict):
        raise BadInput(place, "a table is expected here.", f"Write it as [{place.split(': ')[-1]}].")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    remedy = "Compare with a board of the catalogue in puce/boards."
    if unknown := sorted(set(table) - set(fields)):
        raise BadInput(place, f"unknown key {unknown[0]!r}. Known: {', '.join(fields)}.", remedy)
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{place}: {name}", remedy)
        elif field.default is dataclasses.MISSING:
            raise BadInput(place, f"{name!r} is missing.", remedy)
    return kind(**values)


def _value(hint: object, value: object, place: str, remedy: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise BadInput(place, f"{value!r} is not one of {', '.join(map(str, arguments))}.", remedy)
    if origin is types.UnionType:  # a record that may be left out
        return _value(arguments[0], value, place, remedy)
    if origin in (tuple, frozenset):
        if not isinstance(value, list):
            raise BadInput(place, "a list is expected.", remedy)
        return origin(_value(arguments[0], item, f"{place} {i + 1}", remedy) for i, item in enumerate(value))
    assert isinstance(hint, type)
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            raise BadInput(place, f"{value} is negative.", remedy)
        return value
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, place)
    raise BadInput(place, f"{value!r} is not a {hint.__name__}.", remedy)
