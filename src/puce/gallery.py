# SPDX-License-Identifier: Apache-2.0
"""A data set on one page: sample grid, class counts, and the map of its features; the second half of `puce data show`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import __version__, passes
from .data import Dataset, Preprocessing
from .data.dataset import SPLITS
from .data.feature_map import Method, Plane, Sample, pixel_features, plane, sample
from .errors import BadInput
from .ir import Array, Graph
from .quantized import check_fits_data, encode, evaluate_float, find_preprocessing, quantized_preprocessing
from .report.blocks import Block, Cell, Chart, Figure, Report, Section, Strips, Table, Text
from .report.pictures import Picture, data_address, small
from .report.scatter import Point, scatter
from .report.write import as_html
from .run import atomic
from .units import count, percent

MOST_STRIPS = 20
IN_A_STRIP = 10


def network_features(graph: Graph, dataset: Dataset, pictures: Array, pixels: Preprocessing | None = None) -> tuple[Array, str]:
    """What the last layer with weights reads, for uint8 pictures [n, h, w, c]: [n, d], and that layer's name.

    It is the picture as the network sees it before it decides. `pixels` is how bytes enter, where a run tells it.
    """
    check_fits_data(graph, dataset, graph.name)
    graph = passes.run(graph)
    x = graph.tensors[graph.inputs[0]]
    last = next((n for n in reversed(graph.nodes) if any(graph.tensors[t].data is not None for t in n.inputs)), None)
    if last is None:
        raise BadInput(graph.name, "no layer of it has weights.", "Leave --model out: the map is then made of pixels.")
    if pixels is None:
        pixels = find_preprocessing(graph, dataset)[0] if x.dtype == "float32" else quantized_preprocessing(x)
    inside = next(t for t in last.inputs if graph.tensors[t].data is None)
    body = graph.replaced(graph.nodes, outputs=(inside,))
    features = evaluate_float(body, encode(pictures, pixels, x), "features")
    return features.reshape(len(features), -1).astype(np.float64), last.origin or last.name


def write_page(
    dataset: Dataset, path: Path, graph: Graph | None = None, method: Method = "pca", pixels: Preprocessing | None = None
) -> Plane:
    """Write the page, one self-contained HTML file; return the map that it shows."""
    drawn = sample(dataset)
    if graph is None:
        features, seen_by = pixel_features(drawn.pictures), "their pixels"
    else:
        features, layer = network_features(graph, dataset, drawn.pictures, pixels)
        seen_by = f"what the layer {layer} of {graph.name} reads"
    found = plane(features, method)
    with atomic(path) as part:
        part.write_text(as_html(_page(dataset, drawn, found, seen_by)), encoding="utf-8")
    return found


def _page(dataset: Dataset, drawn: Sample, found: Plane, seen_by: str) -> Report:
    h, w, c = dataset.shape
    total = sum(len(dataset.labels(s)) for s in SPLITS)
    figures = [Figure(count(total), "pictures", " + ".join(count(len(dataset.labels(s))) for s in SPLITS))]
    figures += [
        Figure(str(dataset.classes), "classes", ""),
        Figure(f"{h}×{w}×{c}", "one picture", "height, width, channels"),
    ]
    sections = (
        Section("samples", "Samples", tuple(_samples(dataset))),
        Section("counts", "Pictures by class", (_counts(dataset),)),
        Section("map", "Map of the features", tuple(_map(dataset, drawn, found, seen_by))),
        Section("about", "About", tuple(Text(note) for note in (*dataset.notes, *map(str, dataset.skipped[:30])))),
    )
    return Report(
        lang="en", label="puce data show", title=dataset.name, subtitle=f"{dataset.fingerprint[:16]} · puce {__version__}",
        verdict="", tone="plain", proof="", proof_chain="", proof_tone="plain", figures=tuple(figures), sections=sections,
    )  # fmt: skip


def _samples(dataset: Dataset) -> list[Block]:
    rows = []
    for k in range(min(dataset.classes, MOST_STRIPS)):
        places = np.flatnonzero(dataset.y_train == k)[:IN_A_STRIP]
        pictures = (Picture(data_address(small(dataset.x_train[i])), dataset.name_of("train", int(i))) for i in places)
        rows.append((dataset.class_names[k], tuple(pictures)))
    left = dataset.classes - len(rows)
    rest = f"; {left} more classes are not shown" if left else ""
    return [Strips(tuple(rows), f"The first training pictures of each class, not chosen{rest}.")]


def _counts(dataset: Dataset) -> Table:
    by_split = [dataset.by_class(s) for s in SPLITS]
    totals = [sum(counts) for counts in zip(*by_split, strict=True)]
    rows = tuple(
        (
            Cell(name, name=True),
            *(Cell.of(counts[k]) for counts in by_split),
            Cell(count(totals[k]), bar=totals[k] / max(totals)),
        )
        for k, name in enumerate(dataset.class_names)
    )
    sums = (Cell("total", name=True), *(Cell.of(sum(counts)) for counts in by_split), Cell.of(sum(totals)))
    return Table(("class", *SPLITS, "total"), (*rows, sums), last_is_total=True)


def _map(dataset: Dataset, drawn: Sample, found: Plane, seen_by: str) -> list[Block]:
    points = [
        Point(float(x), float(y), int(k), f"{dataset.class_names[k]} · {dataset.name_of(*place)}")
        for (x, y), k, place in zip(found.points, drawn.labels, drawn.places, strict=True)
    ]
    way = (
        "UMAP: near is alike, far says little"
        if found.kept is None
        else f"PCA: these two axes hold {percent(found.kept)} of the variance"
    )
    text = f"{count(len(points))} pictures as points, placed by {seen_by}. {way}. Classes that lie apart are easy to tell."
    hint = "Point at one to see its picture; click a class to switch it off."
    svg = scatter(points, dataset.class_names, drawn.pictures, "map of the features")
    return [Text(text), Chart("map", svg, "map of the features"), Text(hint, note=True)]
