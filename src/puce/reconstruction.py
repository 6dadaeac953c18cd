# SPDX-License-Identifier: Apache-2.0
"""How near a model gives pictures back, beside principal components of the same number: `puce evaluate` of an autoencoder."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import passes
from .compiler import compile_graph
from .data import Dataset, Preprocessing
from .evaluate import Components, Nearer, SquaredError, components, nearer, squared_errors
from .evaluation import c_answers, preprocessing_of, reference_answers
from .ir import Array, Graph
from .text import table
from .units import count as in_groups


@dataclass(frozen=True, eq=False)
class Way:
    """One way to give the test pictures back: `errors` [n], one mean squared error a picture."""

    name: str
    error: SquaredError
    errors: Array

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "error": self.error.as_json()}


@dataclass(frozen=True)
class Against:
    """Two ways on the same pictures."""

    first: str
    second: str
    test: Nearer

    def as_json(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second, **self.test.as_json()}


@dataclass(frozen=True, eq=False)
class ReconstructionEvaluation:
    """The answer of `puce evaluate` for a model that gives pictures back; errors are per value, pictures from 0 to 1.

    `code` is how many values pass its narrowest place. The bound is what as many principal components of the training pictures
    leave on the same test pictures: the least that any linear model could.
    """

    model: str
    dataset: str
    code: int
    values: int
    ways: tuple[Way, ...]
    bound: Way
    pairs: tuple[Against, ...]
    notes: tuple[str, ...] = ()
    ok: bool = True

    @property
    def error(self) -> SquaredError:
        return self.ways[-1].error

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model, "dataset": self.dataset, "error": self.error.as_json(), "code": self.code,
            "components": self.bound.error.as_json(), "ways": [w.as_json() for w in self.ways],
            "paired": [p.as_json() for p in self.pairs], "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        n = self.bound.error.count
        lines = [f"{self.model} on {self.dataset}: {in_groups(n)} test pictures of {in_groups(self.values)} values"]
        lines += [f"through {self.code}, and back", ""]
        rows = [(w.name, f"{w.error.value:.6f}", f"{w.error.low:.6f} to {w.error.high:.6f}") for w in (*self.ways, self.bound)]
        lines += [table(("", "mean squared error", "95 %"), rows, right={1, 2}), ""]
        for p in self.pairs:
            d = p.test.difference
            verdict = "nearer on average" if p.test.shown else "farther on average" if d.high < 0 else "no difference shown"
            lines.append(
                f"{p.first} against {p.second}: {verdict} (by {d.value:.6f}, 95 %: {d.low:.6f} to {d.high:.6f}), "
                f"nearer on {in_groups(p.test.first)} pictures of {in_groups(n)}"
            )
        return "\n".join([*lines, *self.notes])


def evaluate_autoencoder(
    graphs: Sequence[tuple[str, Graph, Preprocessing | None]],
    dataset: Dataset,
    *,
    model: str,
    in_c: bool = True,
    count: int | None = None,
    known: Components | None = None,
) -> ReconstructionEvaluation:
    """Give the test pictures back by each graph (name, graph, how pixels enter it), the last one in C too if it is int8.

    `known` are the components of a run; without them they are found anew.
    """
    notes, ways = list[str](), list[Way]()
    pictures = dataset.x_test[:count]
    code = 0
    for name, imported, given in graphs:
        graph = passes.run(imported)
        preprocessing = given or preprocessing_of(graph, dataset, notes)
        wanted = preprocessing.apply(pictures)
        steps = (255 * preprocessing.scale) ** 2
        code = code or bottleneck(graph)

        def way(title: str, back: Array, wanted: Array = wanted, steps: float = steps) -> Way:
            errors = squared_errors(wanted, back.reshape(wanted.shape)) / steps
            return Way(title, SquaredError.of(errors), errors)

        ways.append(way(name, reference_answers(graph, preprocessing, name)(pictures)))
        if in_c and name == graphs[-1][0]:
            if graph.tensors[graph.inputs[0]].dtype == "float32":
                notes.append("C is compared for the int8 model: see `puce quantize`")
                continue
            with tempfile.TemporaryDirectory() as folder:
                compiled = compile_graph(graph, Path(folder), None, name="model")
                ways.append(way("C on this computer", c_answers(graph, preprocessing, compiled)(pictures)))
    if known is None or known.directions.shape[1] != code:
        known = components(dataset.x_train, code, dataset.preprocessing.apply)
    wanted = dataset.preprocessing.apply(pictures)
    errors = squared_errors(wanted, known.give_back(wanted)) / (255 * dataset.preprocessing.scale) ** 2
    bound = Way(f"PCA, {code} components", SquaredError.of(errors), errors)
    pairs = tuple(Against(w.name, bound.name, nearer(w.errors, bound.errors)) for w in ways)
    values = int(np.prod(dataset.shape))
    return ReconstructionEvaluation(model, dataset.name, code, values, tuple(ways), bound, pairs, tuple(notes))


def bottleneck(graph: Graph) -> int:
    """Count the values at the narrowest place: those that are there after a layer and are still read later."""
    made = dict.fromkeys(graph.inputs, -1) | {y: i for i, node in enumerate(graph.nodes) for y in node.outputs}
    read = {x: i for i, node in enumerate(graph.nodes) for x in node.inputs if x in made}

    def passing(i: int) -> int:
        return sum(graph.tensors[t].size for t, last in read.items() if made[t] <= i < last)

    return min(passing(i) for i in range(-1, len(graph.nodes) - 1))
