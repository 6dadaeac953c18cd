# SPDX-License-Identifier: Apache-2.0
"""Mutated .onnx and .h5 files: each loads, or is refused in a sentence; none ends in a traceback, a crash or a hang."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from litert_oracle import Verdict, in_processes
from onnx_oracle import files

from puce import passes
from puce.errors import PuceError
from puce.frontends import load

SEED = 2024
SECONDS = 60.0  # for one file; most take some milliseconds
ODD = (-1, 0, 1, 2, 3, 7, 255, 1 << 16, 1 << 31, (1 << 62) + 1)
Mutation = Callable[[np.random.Generator, bytes], bytes]


def odd(rng: np.random.Generator) -> int:
    return ODD[int(rng.integers(len(ODD)))]


def some_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """A few bytes changed, or the end cut off, or a part written twice."""
    way, changed = rng.random(), bytearray(data)
    if way < 0.15:
        return data[: int(rng.integers(len(data)))]
    if way < 0.25:
        start, size = int(rng.integers(len(data))), int(rng.integers(1, 200))
        return data[: start + size] + data[start:]
    for at in rng.integers(0, len(data), int(rng.integers(1, 6))):
        changed[at] = int(rng.integers(256))
    return bytes(changed)


def an_onnx_field(rng: np.random.Generator, data: bytes) -> bytes:
    """A legal protobuf with another number, shape, wire, operator or without a node."""
    from onnx import ModelProto

    model = ModelProto.FromString(data)
    graph = model.graph
    node = graph.node[int(rng.integers(len(graph.node)))]
    way = int(rng.integers(7))
    numbers = [a for a in node.attribute if a.ints or a.HasField("i")]
    if way == 0 and numbers:
        a = numbers[int(rng.integers(len(numbers)))]
        if a.ints:
            a.ints[int(rng.integers(len(a.ints)))] = odd(rng)
        else:
            a.i = odd(rng)
    elif way == 1 and graph.initializer:
        tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
        dims = list(tensor.dims) or [1]
        dims[int(rng.integers(len(dims)))] = odd(rng)
        del tensor.dims[:]
        tensor.dims.extend(dims)
    elif way == 2 and node.input:
        others = [n.output[0] for n in graph.node] + [t.name for t in graph.initializer] + ["", "nobody"]
        node.input[int(rng.integers(len(node.input)))] = others[int(rng.integers(len(others)))]
    elif way == 3:
        names = ("Conv", "Gemm", "MatMul", "Reshape", "Concat", "Softmax", "Pad", "Resize", "LSTM", "Split", "QuantizeLinear")
        node.op_type = names[int(rng.integers(len(names)))]
    elif way == 4:
        del graph.node[int(rng.integers(len(graph.node)))]
    elif way == 5 and graph.input[0].type.tensor_type.shape.dim:
        dims = graph.input[0].type.tensor_type.shape.dim
        dims[int(rng.integers(len(dims)))].dim_value = odd(rng) & 0x7FFFFFFF
    elif node.attribute:
        del node.attribute[int(rng.integers(len(node.attribute)))]
    return bytes(model.SerializeToString())


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


def a_keras_setting(rng: np.random.Generator, data: bytes) -> bytes:
    """A legal .h5 whose configuration has another value somewhere, of the same or of another type."""
    import io

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        text = file.attrs["model_config"]
        config = json.loads(text)
        every = list(places(config))
        container, key = every[int(rng.integers(len(every)))]
        values: tuple[Any, ...] = (odd(rng), None, "odd", [], {}, [odd(rng), odd(rng)], 0.5, True, "Conv2D", "same")
        container[key] = values[int(rng.integers(len(values)))]
        file.attrs["model_config"] = json.dumps(config)
    return buffer.getvalue()


def imported(path: Path) -> Verdict:
    try:
        passes.run(load(path).graph)
    except PuceError as error:
        assert error.place and error.fact and error.remedy
        return Verdict("refused", error.fact)
    return Verdict("identical")


def tried(sources: list[Path], mutations: tuple[Mutation, ...], count: int, folder: Path) -> Counter[str]:
    """Write `count` mutated files, import each in a process of its own, and say what became of them."""
    rng = np.random.default_rng(SEED)
    paths = []
    for number in range(count):
        source = sources[int(rng.integers(len(sources)))]
        data = mutations[number % len(mutations)](rng, source.read_bytes())
        paths.append(folder / f"{number}_{source.name}")
        paths[-1].write_bytes(data)
    rows = list(in_processes(paths, imported, seconds=SECONDS))
    wrong = [(p.name, v.outcome, v.reason) for p, v in rows if v.outcome not in ("identical", "refused")]
    assert not wrong, f"seed {SEED}: {wrong}"
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in paths), "an import wrote a file"
    return Counter(v.outcome for _, v in rows)


def small(paths: list[Path], limit: int) -> list[Path]:
    return [p for p in paths if p.stat().st_size < limit]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_mutated_onnx_files(shared_data: Path, tmp_path: Path, count: int) -> None:
    found = tried(small(files(shared_data), 300_000), (some_bytes, an_onnx_field), count, tmp_path)
    assert found["refused"] > count // 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_mutated_keras_files(shared_data: Path, tmp_path: Path, count: int) -> None:
    sources = small(sorted((shared_data / "models" / "keras_h5").glob("*.h5")), 500_000)
    found = tried(sources, (some_bytes, a_keras_setting), count, tmp_path)
    assert found["refused"] > count // 10
