# SPDX-License-Identifier: Apache-2.0
"""The section about pictures given back: how near, beside principal components of the same number, and what they look like."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from ..evaluate import SquaredError
from ..run import DataRecord, ReconstructionRecord, Run
from ..units import count
from .blocks import Block, Cell, Chart, Strips, Table, Text
from .pictures import Array, Picture, arrays, data_address
from .plots import BLUE, ORANGE, figure, inline, localise
from .texts import Words

IN_A_ROW = 10


def reconstruction(run: Run, words: Words) -> Iterable[Block]:
    data, record = run.get(DataRecord), run.get(ReconstructionRecord)
    if data is None or record is None:
        return
    yield Text(words("through", code=count(record.code), values=count(prod(data.shape))))
    rows = (("float_validation", record.validation), ("float_test", record.test))
    yield Table(
        (words("what"), words("squared_error"), words("interval"), words("support")),
        (
            *(_row(words(key), error, words) for key, error in rows),
            _row(words("components", code=record.code), record.components, words),
        ),
    )
    d = record.against.difference
    key = "nearer" if record.against.shown else "farther" if d.high < 0 else "as_near"
    difference = [words.number(f"{abs(x):.6f}") for x in sorted((d.value, d.low, d.high), key=abs)]
    share = words.number(f"{100 * record.against.first / d.count:.1f}")
    yield Text(words(key, value=difference[1], low=difference[0], high=difference[2], share=share))
    if record.from_components:
        yield Text(words("from_components"), note=True)
    found = arrays(run, "reconstructions.npz")
    if {"errors", "component_errors"} <= set(found):
        svg = _spread(found["errors"], found["component_errors"], record, words)
        yield Chart("reconstruction", svg, words("reconstruction"))
        yield Text(words("spread_note"), note=True)
    yield from _strips(run, found, record, words)


def _row(name: str, error: SquaredError, words: Words) -> tuple[Cell, ...]:
    interval = words("to", low=f"{error.low:.6f}", high=f"{error.high:.6f}")
    return (Cell(name, name=True), Cell(words.number(f"{error.value:.6f}")), Cell(words.number(interval)), Cell.of(error.count))


def _strips(run: Run, found: dict[str, Array], record: ReconstructionRecord, words: Words) -> Iterable[Block]:
    originals = arrays(run, "samples.npz").get("test_pictures")
    if originals is None or not {"given_back", "by_components", "errors", "component_errors"} <= set(found):
        return
    n = min(len(originals), len(found["given_back"]))
    worst = np.argsort(-found["errors"][:n], kind="stable")[:IN_A_ROW]
    gain = found["component_errors"][:n] - found["errors"][:n]
    gained = np.array([i for i in np.argsort(-gain, kind="stable")[:IN_A_ROW] if gain[i] > 0], np.intp)
    captions = (words("first_back", n=min(IN_A_ROW, n)), words("gained_back", n=count(n)), words("worst_back", n=count(n)))
    for chosen, caption in zip((np.arange(min(IN_A_ROW, n)), gained, worst), captions, strict=True):
        if not len(chosen):
            continue
        yield Strips(
            (
                (words("original"), _pictures(originals, chosen)),
                (record.model, _pictures(found["given_back"], chosen, found["errors"])),
                (words("components", code=record.code), _pictures(found["by_components"], chosen, found["component_errors"])),
            ),
            caption,
        )


def _pictures(pictures: Array, chosen: Array, errors: Array | None = None) -> tuple[Picture, ...]:
    return tuple(Picture(data_address(pictures[i]), "" if errors is None else f"{errors[i]:.5f}") for i in chosen)


def _spread(errors: Array, bound: Array, record: ReconstructionRecord, words: Words) -> str:
    """Two histograms of the errors by picture, on one logarithmic scale: errors differ by a factor of a hundred."""
    both = np.maximum(np.concatenate([errors, bound]), 1e-9)
    bins = np.geomspace(np.quantile(both, 0.001), both.max(), 50)
    with figure(8.6, 2.9) as (_, axis, out):
        from matplotlib.ticker import LogLocator

        for values, colour, name in (
            (bound, ORANGE, words("components", code=record.code)),
            (errors, BLUE, record.model),
        ):
            counts, _edges = np.histogram(np.clip(values, bins[0], bins[-1]), bins)
            axis.stairs(counts, bins, fill=True, color=colour, alpha=0.22)
            axis.stairs(counts, bins, color=colour, linewidth=1.6, label=name)
            axis.axvline(values.mean(), color=colour, linewidth=1, linestyle=":")
        axis.set_xscale("log")
        axis.set_xlabel(words("error_of_picture"))
        axis.set_ylabel(words("support"))
        axis.grid(axis="x", visible=False)
        axis.legend(loc="upper left")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        localise(axis.xaxis, words)
        axis.xaxis.set_minor_formatter("")
    return inline(out[0], "reconstruction", words("reconstruction"))
