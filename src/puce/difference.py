# SPDX-License-Identifier: Apache-2.0
"""Two models on the same pictures, layer by layer: which of their layers belong together, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np

from . import passes
from .data import Dataset, Preprocessing
from .errors import BadInput
from .ir import Array, Graph, Node, Tensor
from .progress import track
from .quantized import check_fits_data, decode, encode, find_preprocessing, quantized_preprocessing
from .text import table

BATCH = 25
PART_DB = 10.0  # below it a layer's output is mostly noise; 8 bits of one network stay above 20
STORAGE = {"quantize", "dequantize", "reshape"}  # change how values are kept, not the values


@dataclass(frozen=True)
class LayerPair:
    """A layer of each model, and how far their outputs agree: signal to noise in dB, inf where they are equal."""

    first: str
    second: str
    op: str
    shape: tuple[int, ...]
    snr_db: float

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first, "second": self.second, "op": self.op, "shape": list(self.shape),
            "snr_db": None if self.snr_db == inf else self.snr_db,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Difference:
    """What two models have in common, in the order of the first; `alone` are layers without a partner in the other."""

    first: str
    second: str
    count: int
    same_answers: int
    layers: tuple[LayerPair, ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def parted(self) -> LayerPair | None:
        """The first layer from which on they are different models."""
        return next((p for p in self.layers if p.snr_db < PART_DB), None)

    @property
    def ok(self) -> bool:
        return self.parted is None

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first, "second": self.second, "count": self.count, "same_answers": self.same_answers,
            "parted": self.parted.as_json() if self.parted else None,
            "layers": [p.as_json() for p in self.layers],
            "alone": {"first": list(self.alone[0]), "second": list(self.alone[1])},
        }  # fmt: skip

    @property
    def sentence(self) -> str:
        if (pair := self.parted) is not None:
            before = [p.snr_db for p in self.layers[: self.layers.index(pair)]]
            earlier = f"; before it {_decibel(min(before))} or better" if before else ", the first layer that they share"
            return f"They part at {pair.first}: {_decibel(pair.snr_db)}{earlier}."
        worst = min(self.layers, key=lambda p: p.snr_db)
        if worst.snr_db == inf:
            return "They are equal in every layer."
        return f"They do not part: the worst layer, {worst.first}, has {_decibel(worst.snr_db)}."

    def __str__(self) -> str:
        rows = [(p.first, p.second, p.op, "x".join(map(str, p.shape)), _decibel(p.snr_db)) for p in self.layers]
        head = (self.first, self.second, "operator", "output", "signal/noise")
        lines = [table(head, rows, right={4}), ""]
        for name, layers in zip((self.first, self.second), self.alone, strict=True):
            if layers:
                lines.append(f"only in {name}: {', '.join(layers)}")
        lines.append(f"the same answer to {self.same_answers} of {self.count} pictures")
        return "\n".join([*lines, self.sentence])


def _decibel(x: float) -> str:
    return "exact" if x == inf else f"{x:.1f} dB"


def compare_graphs(first: Graph, second: Graph, names: tuple[str, str], dataset: Dataset, count: int) -> Difference:
    """Run the NumPy references of both graphs on the first `count` test pictures of a set.

    Raises BadInput where one does not take the set's pictures, or has several inputs.
    """
    for graph, name in zip((first, second), names, strict=True):
        if len(graph.inputs) != 1:
            raise BadInput(name, f"it has {len(graph.inputs)} inputs.", "Compare models that take one picture.")
        check_fits_data(graph, dataset, name)
    a, b = passes.run(first), passes.run(second)
    preprocessing = shared_preprocessing((a, b), dataset)
    pairs = matched(a, b)
    if not pairs:
        fact = "no layer of one has the shape of a layer of the other."
        raise BadInput(f"{names[0]}, {names[1]}", fact, "Compare two versions of one network.")
    pictures, powers, same = dataset.x_test[:count], np.zeros((len(pairs), 2)), 0
    for start in track(range(0, len(pictures), BATCH), "both models"):
        batch = pictures[start : start + BATCH]
        va, vb = (values_of(g, batch, preprocessing) for g in (a, b))
        for row, (m, n) in enumerate(pairs):
            x, y = in_reals(va, a, m), in_reals(vb, b, n)
            powers[row] += (x**2).sum(), ((x - y.reshape(x.shape)) ** 2).sum()
        answers = [v[g.outputs[0]].reshape(len(batch), -1).argmax(axis=1) for v, g in ((va, a), (vb, b))]
        same += int((answers[0] == answers[1]).sum())
    layers = tuple(
        LayerPair(m.origin, n.origin, m.op.name, a.tensors[m.outputs[0]].shape, ratio(*power))
        for (m, n), power in zip(pairs, powers, strict=True)
    )
    alone = tuple(
        tuple(dict.fromkeys(n.origin for n in layers_of(g) if n not in {p[side] for p in pairs}))
        for side, g in enumerate((a, b))
    )
    return Difference(*names, len(pictures), same, layers, (alone[0], alone[1]))


def shared_preprocessing(graphs: Sequence[Graph], dataset: Dataset) -> Preprocessing:
    """How pixels enter both: as a quantised input says, else as the first model knows them best."""
    for graph in graphs:
        x = graph.tensors[graph.inputs[0]]
        if x.dtype != "float32":
            return quantized_preprocessing(x)
    return find_preprocessing(graphs[0], dataset)[0]


def values_of(graph: Graph, pictures: Array, preprocessing: Preprocessing) -> dict[str, Array]:
    return graph.evaluate_all(encode(pictures, preprocessing, graph.tensors[graph.inputs[0]]))


def in_reals(values: dict[str, Array], graph: Graph, node: Node) -> Array:
    name = node.outputs[0]
    real: Array = decode(values[name], graph.tensors[name]).astype(np.float64)
    return real


def ratio(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal > 0 else -inf


# ── which layers belong together ──────────────────────────────────────────────────────────────────────────────────


def layers_of(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op.name not in STORAGE]


def matched(a: Graph, b: Graph) -> list[tuple[Node, Node]]:
    """Pairs of layers in the order of both graphs, for the greatest sum of `likeness`: the classic alignment."""
    first, second = layers_of(a), layers_of(b)
    best = np.zeros((len(first) + 1, len(second) + 1))
    score = [[likeness(m, a.tensors[m.outputs[0]], n, b.tensors[n.outputs[0]]) for n in second] for m in first]
    for i, j in np.ndindex(len(first), len(second)):
        together = best[i, j] + score[i][j] if score[i][j] else 0.0
        best[i + 1, j + 1] = max(together, best[i, j + 1], best[i + 1, j])
    pairs, i, j = list[tuple[Node, Node]](), len(first), len(second)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((first[i], second[j]))
    return pairs[::-1]


def likeness(m: Node, x: Tensor, n: Node, y: Tensor) -> float:
    """How well two layers go together: 0 for outputs of other shapes; the same operator and a common name count."""
    if [s for s in x.shape if s != 1] != [s for s in y.shape if s != 1]:
        return 0.0
    return 1.0 + 2.0 * (m.op.name == n.op.name) + 3.0 * bool(words(m.origin) & words(n.origin))


def words(origin: str) -> set[str]:
    """Parts of a layer's path that name it: `model/conv_1/Conv2D;conv_1/bias` has conv_1."""
    parts = origin.replace(";", "/").replace(":", "/").split("/")
    return {p for p in parts if any(c.isdigit() for c in p) or "_" in p}
