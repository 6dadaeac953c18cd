# SPDX-License-Identifier: Apache-2.0
"""Measures the kernels of each layer that has a choice, unless the cache knows them already."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import cpu_count
from pathlib import Path

from ..boards import Board
from ..errors import DeviceFailed
from ..progress import track
from . import cache
from .bench import Bench, Compiler, start_objects, toolchain_name
from .candidates import Layer, Measured

QUICK = 3  # so many layers are measured within two seconds: no bar


def measured(layers: Sequence[Layer], board: Board, compiler: Compiler) -> tuple[Layer, ...]:
    """The layers with cycles and code bytes of each candidate; of a layer with one candidate nothing is asked.

    Of layers that are alike but for their weights the first is measured for all: no kernel branches on weights.
    """
    benches = {layer.node.name: Bench(layer.candidates) for layer in layers if len(layer.candidates) > 1}
    if not benches:
        return tuple(layers)
    first: dict[str, Bench] = {}
    for bench in benches.values():
        first.setdefault(bench.kind, bench)
    name = toolchain_name(compiler)
    keys = {kind: bench.key(name, board) for kind, bench in first.items()}
    known = {kind: found for kind, b in first.items() if (found := cache.load(keys[kind], len(b.candidates)))}
    for kind, found in _run({kind: b for kind, b in first.items() if kind not in known}, board, compiler):
        if found:
            cache.store(keys[kind], found)
            known[kind] = found
    kinds = {node: bench.kind for node, bench in benches.items()}
    return tuple(_with(layer, known.get(kinds.get(layer.node.name, ""))) for layer in layers)


def _with(layer: Layer, found: Sequence[Measured] | None) -> Layer:
    if found is None:
        return layer
    return replace(layer, candidates=tuple(replace(c, measured=m) for c, m in zip(layer.candidates, found, strict=True)))


def _run(benches: Mapping[str, Bench], board: Board, compiler: Compiler) -> Iterator[tuple[str, tuple[Measured, ...]]]:
    """Build all, some at a time, and run each as it is ready; nothing for a layer that the emulator cannot run alone."""
    if not benches:
        return
    with tempfile.TemporaryDirectory(prefix="puce-choice-") as temporary:
        start, folders = Path(temporary, "start"), {key: Path(temporary, f"{i}") for i, key in enumerate(benches)}
        for folder in (start, *folders.values()):
            folder.mkdir()
        objects = start_objects(start, board, compiler)

        def build(key: str) -> Path:
            return benches[key].build(folders[key], objects, board, compiler)

        with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
            built = zip(benches, pool.map(build, benches), strict=True)
            for key, elf in track(built, "Measuring kernels", len(benches)) if len(benches) > QUICK else built:
                try:
                    yield key, benches[key].measure(elf, board)
                except DeviceFailed:
                    yield key, ()
