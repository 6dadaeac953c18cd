# SPDX-License-Identifier: Apache-2.0
"""Everything that can be said to the user when something is wrong, in one tree.

PuceError            place + fact + remedy; exit code 2
  BadInput           a file, an option or a value that cannot be used
    UnknownName      a board, a model, a data set, a layer that nobody knows
  Unsupported        a model asks for something that no operator or kernel does
  MissingExtra       an optional library is not installed; the message names the extra
  BuildFailed        the C compiler or the linker refused; its own words are in the message
  DeviceFailed       an emulator, a board or a cable did not answer as agreed
  DoesNotFit         flash or RAM of the board is too small; exit code 1: the answer is no
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PuceError(Exception):
    """One problem in three parts: where it is, what is the matter, what to type or change next."""

    exit_code = 2

    def __init__(self, place: str, fact: str, remedy: str) -> None:
        self.place, self.fact, self.remedy = place, fact, remedy
        super().__init__(f"{place}: {fact}\n{remedy}")


class BadInput(PuceError):
    pass


class UnknownName(BadInput):
    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], remedy: str) -> UnknownName:
        """Build the message for a misspelt name: the nearest known ones come first."""
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return cls(name, f"no {kind} has this name. {hint}Known: {', '.join(names)}.", remedy)


class Unsupported(PuceError):
    pass


class MissingExtra(PuceError):
    @classmethod
    def of(cls, library: str, purpose: str, extra: str) -> MissingExtra:
        return cls(library, f"{purpose} needs this library, and it is not installed.", f"pip install 'puce[{extra}]'")


class BuildFailed(PuceError):
    pass


class DeviceFailed(PuceError):
    pass


class DoesNotFit(PuceError):
    exit_code = 1
