# SPDX-License-Identifier: Apache-2.0
"""What the operators' own files say of them, as a table, a page for each, and Markdown: for `puce ops` and the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .boards import core_names, load_core
from .errors import UnknownName
from .frontends.vocabulary import vocabulary
from .ir import Call
from .ops import REGISTRY, Kernel, Op
from .text import table

SAMPLES = 120
"""Random legal uses of an operator that are asked which types it takes: the rarest kernel and type of 14 operators needs 28."""

PREFACE = """\
This page is written by `make docs` from the operators' own files; a test compares the two.

A model that asks for anything else is refused on the PC, with the layer's name and the sentence of the limit it breaks.
The columns name what means the same in each format; [further words](#further-words) that the importers read
stand at the end."""


@dataclass(frozen=True)
class KernelRow:
    """A C function that computes the operator: for which types, on which cores; the first that fits is taken."""

    name: str
    types: tuple[str, ...]
    cores: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "types": list(self.types), "cores": list(self.cores)}


@dataclass(frozen=True)
class Operator:
    """All that the compiler can do with one operator."""

    name: str
    summary: str
    types: tuple[str, ...]
    keras: tuple[str, ...]
    tflite: tuple[str, ...]
    onnx: tuple[str, ...]
    limits: tuple[str, ...]
    kernels: tuple[KernelRow, ...]
    code: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "summary": self.summary, "types": list(self.types), "keras": list(self.keras),
            "tflite": list(self.tflite), "onnx": list(self.onnx), "limits": list(self.limits),
            "kernels": [kernel.as_json() for kernel in self.kernels],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The operator's page, as Markdown without its heading."""
        found = [("Keras", self.keras), ("TFLite", self.tflite), ("ONNX", self.onnx), ("types", self.types)]
        facts = [f"- {title}: {', '.join(names)}" for title, names in found if names]
        limits = ["", "Limits:", "", *(f"- {limit}" for limit in self.limits)] if self.limits else []
        rows = [(k.name, ", ".join(k.types), _cores(k.cores)) for k in self.kernels]
        kernels = ["", *_markdown(("kernel", "types", "cores"), rows)] if rows else ["", self.code]
        return [self.summary, "", *facts, *limits, *kernels]


@dataclass(frozen=True)
class Coverage:
    """Operators, sorted by name: all of them, or the one that was asked for."""

    operators: tuple[Operator, ...]
    further: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Format -> what becomes of a word -> the words that no operator is called, but that the importers read."""
    ok = True

    def as_json(self) -> dict[str, Any]:
        further = {name: {what: list(words) for what, words in kinds.items()} for name, kinds in self.further.items()}
        return {"operators": [operator.as_json() for operator in self.operators], "further_words": further}

    def markdown(self) -> str:
        """The whole reference page."""
        head = ("operator", "types", "Keras", "TFLite", "ONNX")
        rows = [(f"[{r[0]}](#{r[0]})", *r[1:]) for r in map(_row, self.operators)]
        pages = [line for op in self.operators for line in ("", f"## {op.name}", "", *op.lines())]
        further = [
            f"- {format_}, {what}: {', '.join(words)}"
            for format_, kinds in self.further.items()
            for what, words in kinds.items()
        ]
        end = ("", "## Further words", "", "Read too, though no operator is called so:", "", *further)
        return "\n".join(("# Operators", "", PREFACE, "", *_markdown(head, rows), *pages, *end)) + "\n"

    def __str__(self) -> str:
        if len(self.operators) == 1:
            return "\n".join((self.operators[0].name, "", *self.operators[0].lines()))
        head = ("operator", "types", "Keras", "TFLite", "ONNX")
        lines = table(head, [*map(_row, self.operators)])
        further = sum(len(words) for kinds in self.further.values() for words in kinds.values())
        return "\n".join(
            (
                lines,
                "",
                f"{further} further words are read too: `puce ops --markdown` lists them.",
                "`puce ops NAME` shows one operator: its limits, its kernels, the cores they run on.",
            )
        )


def coverage(name: str | None = None) -> Coverage:
    """Describe every operator, or the one called `name`. Raise UnknownName for a name that no operator has."""
    if name is not None and name not in REGISTRY:
        raise UnknownName.among("operator", name, REGISTRY, "`puce ops` lists what each is called in Keras and TFLite.")
    chosen = sorted(REGISTRY) if name is None else [name]
    return Coverage(tuple(describe(REGISTRY[n]) for n in chosen), vocabulary())


def describe(op: Op) -> Operator:
    """Read one operator's declaration; its types come from its random legal uses, with a fixed seed."""
    uses = tuple(islice(op.samples(np.random.default_rng(0)), SAMPLES))
    return Operator(
        name=op.name,
        summary=op.summary,
        types=_types(uses),
        keras=tuple(_layer(name) for name in op.keras),
        tflite=tuple(form.operator for form in op.forms),
        onnx=op.onnx,
        limits=tuple(" ".join((limit.__doc__ or "").split()) for limit in op.limits),
        kernels=tuple(_kernel(kernel, uses) for kernel in op.kernels),
        code=f"No code: {'the same bytes under another shape' if op.view else 'a pass replaces it before any is written'}.",
    )


def _kernel(kernel: Kernel, uses: Sequence[Call]) -> KernelRow:
    cores = tuple(name for name in core_names() if kernel.needs <= load_core(name).features)
    return KernelRow(kernel.name, _types([use for use in uses if kernel.accepts(use)]), cores)


def _types(uses: Sequence[Call]) -> tuple[str, ...]:
    """'int8' where it stays what it is, 'float32 to int8' where the operator changes it."""
    pairs = sorted({(use.x.dtype, use.y.dtype) for use in uses})
    return tuple(x if x == y else f"{x} to {y}" for x, y in pairs)


def _layer(name: str) -> str:
    """'Activation:relu' -> 'Activation relu', as a person would say it."""
    return name.replace(":", " ")


def _cores(names: tuple[str, ...]) -> str:
    return "all" if names == core_names() else ", ".join(names) or "none of the catalogue"


def _row(op: Operator) -> tuple[str, str, str, str, str]:
    return op.name, _short(op.types), ", ".join(op.keras), ", ".join(op.tflite), ", ".join(op.onnx)


def _short(types: tuple[str, ...]) -> str:
    """'float32, int8', or for an operator that changes the type 'float32/int8 to int8': enough for a table."""
    into, out = sorted({t.split(" to ")[0] for t in types}), sorted({t.split(" to ")[-1] for t in types})
    return ", ".join(types) if not any(" to " in t for t in types) else f"{'/'.join(into)} to {'/'.join(out)}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
