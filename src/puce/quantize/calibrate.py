# SPDX-License-Identifier: Apache-2.0
"""The range of every activation, from training pictures: minimum and maximum, or clipped where that costs less.

Use pictures that the model was trained on, never the test set: a range chosen on it makes its accuracy a promise broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import BadInput
from ..ir import Array, Graph, Node

Method = Literal["minmax", "percentile", "mse"]
BINS = 2048
BATCH = 32


@dataclass(frozen=True)
class Range:
    """Real values from `low` to `high`, which always include 0: padding and ReLU need it exact."""

    low: float
    high: float

    @classmethod
    def around(cls, low: float, high: float) -> Range:
        return cls(min(float(low), 0.0), max(float(high), 0.0))

    def scaled(self, ratio: float) -> Range:
        return Range(self.low * ratio, self.high * ratio)


def calibrate(
    graph: Graph,
    pictures: Array | Sequence[Array],
    method: Method = "minmax",
    percentile: float = 99.99,
    inputs: Sequence[tuple[float, float]] | None = None,
) -> Mapping[str, Range]:
    """Return the range of every computed tensor over float32 `pictures` [n, *shape], one array an input of the graph.

    The values inside an operator (`Rule.inner`) have theirs too, as "node/name".

    `percentile` is the share of values, in percent, that the method of this name keeps on either side. `inputs` gives
    the ranges of the inputs where they are known; else an encoding of 8-bit pictures is recognised (0 .. 255, 0 .. 1,
    -1 .. 1) and its exact range taken, whatever these pictures hold of it.
    """
    arrays = [pictures] if isinstance(pictures, np.ndarray) else list(pictures)
    check_pictures(graph, arrays)
    extremes: dict[str, Range] = {}
    for name, x in activations(graph, arrays):
        seen = extremes.get(name, Range(0.0, 0.0))
        extremes[name] = Range.around(min(seen.low, x.min()), max(seen.high, x.max()))
    ranges = dict(extremes)
    if method != "minmax":
        counts = {name: np.zeros(BINS, np.int64) for name in extremes}
        for name, x in activations(graph, arrays):
            counts[name] += np.histogram(x, BINS, (extremes[name].low, limit(extremes[name])))[0]
        choose: Callable[[Array, Range], Range] = least_error if method == "mse" else lambda c, r: inner(c, r, percentile)
        ranges = {name: choose(counts[name], extremes[name]) for name in extremes}
    for i, name in enumerate(graph.inputs):
        known = inputs[i] if inputs is not None else picture_range(arrays[i])
        ranges[name] = extremes[name] if known is None else Range.around(*known)
    return ranges


def check_pictures(graph: Graph, arrays: Sequence[Array]) -> None:
    want = [graph.tensors[t].shape for t in graph.inputs]
    got = [x.shape[1:] for x in arrays]
    if want != got or not arrays or min(len(x) for x in arrays) == 0:
        fact = f"pictures of the shape {got} do not fit the model, which wants {want}."
        raise BadInput("calibration", fact, "Give float32 pictures [n, height, width, channels], preprocessed as in training.")
    if not all(x.dtype == np.float32 and np.isfinite(x).all() for x in arrays):
        fact = "the pictures are not float32, or hold values that are not finite."
        raise BadInput("calibration", fact, "Give float32 pictures, preprocessed as in training.")


def activations(graph: Graph, arrays: Sequence[Array]) -> Iterator[tuple[str, Array]]:
    for start in range(0, len(arrays[0]), BATCH):
        values = graph.evaluate_all(*(x[start : start + BATCH] for x in arrays))
        yield from values.items()
        for node in graph.nodes:
            if (inner := node.op.rule.inner) is not None:
                call = graph.call(node)
                yield inner_name(node), inner.values(call, *(values[t.name] for t in call.data))


def inner_name(node: Node) -> str:
    """Under which the range of the values inside an operator is noted."""
    return f"{node.name}/{node.op.rule.inner.name}" if node.op.rule.inner else ""


def picture_range(x: Array) -> tuple[float, float] | None:
    """The range of the encoding, where every value is one of the 256 that 8-bit pictures give in it."""
    for low, high in ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)):
        steps = (x.astype(np.float64) - low) * (255 / (high - low))
        whole = np.abs(steps - np.rint(steps)).max() < 1e-3 and steps.min() > -0.5 and steps.max() < 255.5
        if whole and (steps.max() > 1.5 or high == 1.0):  # pictures of 0 and 1 only are 0 .. 1, not 0 .. 255
            return low, high
    return None


def limit(r: Range) -> float:
    return r.high if r.high > r.low else r.low + 1.0


def inner(counts: Array, r: Range, percentile: float) -> Range:
    """The range without the outermost values on either side."""
    edges = np.linspace(r.low, limit(r), BINS + 1)
    share = np.cumsum(counts) / max(counts.sum(), 1)
    low = edges[int(np.searchsorted(share, 1 - percentile / 100, "right"))]
    high = edges[min(int(np.searchsorted(share, percentile / 100)) + 1, BINS)]
    return Range.around(max(low, r.low), min(high, r.high))


def least_error(counts: Array, r: Range) -> Range:
    """The share of the range, from 0.3 to 1, whose error is least: clipping outside, scale^2 / 12 of rounding inside."""
    edges = np.linspace(r.low, limit(r), BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2

    def error(ratio: float) -> float:
        kept = r.scaled(ratio)
        beyond = middle - np.clip(middle, kept.low, kept.high)
        rounding = ((kept.high - kept.low) / 255) ** 2 / 12
        return float((counts * (beyond**2 + rounding)).sum())

    return r.scaled(float(min(np.linspace(1.0, 0.3, 71), key=error)))
