# SPDX-License-Identifier: Apache-2.0
"""The .onnx files of others against onnxruntime, and onnx's own node tests for the operators that we claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_oracle import TOLERANCE, in_processes
from onnx_oracle import check, expected, files, ours, share, table, word

from puce import passes
from puce.errors import PuceError
from puce.frontends import ImportedModel, onnx
from puce.frontends.onnx import HANDLERS
from puce.ir import Array

# A dense network of int8, a classifier of pictures, one dimension, a product of two computed matrices.
FEW = ("01691b61_deep_autoencoder", "9b32e582_conv_k2_maxpool_k2", "5d3d7b9d_network", "332bec81_model")


@pytest.mark.parametrize("name", FEW)
def test_a_file_compiles_and_agrees(shared_data: Path, name: str) -> None:
    (path,) = (p for p in files(shared_data) if p.stem == name)
    verdict = check(path)
    assert verdict.outcome == "identical", verdict


@pytest.mark.slow
def test_every_file_compiles_and_agrees_or_names_its_layer(shared_data: Path) -> None:
    rows = sorted(in_processes(files(shared_data), check), key=lambda r: str(r[0]))
    print(table(rows))
    assert not [(p.name, v) for p, v in rows if v.outcome in ("differs", "crash", "too slow")]
    assert share(rows)[2] >= 90
    assert all(p.name in v.reason for p, v in rows if v.outcome == "refused"), "a refusal does not say where"
    assert Counter(word(v) for _, v in rows)["one step"] == 3


# ── onnx's node tests ─────────────────────────────────────────────────────────────────────────────────────────────

# Expected numbers that onnx's authors typed with four digits.
COARSE = frozenset({"test_averagepool_2d_ceil_last_window_starts_on_pad"})
LEAST = 320  # cases that agree today; more may


def cases() -> Iterator[Any]:
    from onnx.backend.test import loader

    for case in loader.load_model_tests(kind="node"):
        sequences = case.data_sets and any(isinstance(v, list) for side in case.data_sets[0] for v in side)
        if case.data_sets and not sequences and case.model and all(n.op_type in HANDLERS for n in case.model.graph.node):
            yield case


def imported_case(case: Any, values: Mapping[str, Array]) -> ImportedModel:
    """The model with its first input computed and all others constant, as networks have them, or with all computed."""
    from onnx import ModelProto, numpy_helper

    model = ModelProto()
    model.CopyFrom(case.model)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in list(values.items())[1:])
    try:
        return onnx.load(model.SerializeToString())
    except PuceError:
        return onnx.load(case.model.SerializeToString())


def arrays(values: Sequence[Any]) -> list[Array]:
    from onnx import numpy_helper

    return [np.asarray(v) if isinstance(v, np.ndarray | np.generic) else numpy_helper.to_array(v) for v in values]


def error_of(case: Any) -> float:
    """The largest difference, as a share of the largest output. Raises PuceError for a refusal."""
    inputs, outputs = (arrays(side) for side in case.data_sets[0])
    values = dict(zip((i.name for i in case.model.graph.input), inputs, strict=True))
    imported = imported_case(case, values)
    graph = imported.graph
    xs = [ours(values[t], imported.layouts[t]).astype(graph.tensors[t].dtype) for t in graph.inputs]
    worst = 0.0
    for g in (graph, passes.run(graph)):
        for y, want in zip(g.evaluate(*xs), expected(imported, outputs[: len(graph.outputs)]), strict=True):
            top = float(np.abs(want.astype(np.float64)).max(initial=0)) or 1.0
            worst = max(worst, float(np.abs(y[0].astype(np.float64) - want).max(initial=0)) / top)
    return worst


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_node_tests_of_onnx_agree_or_are_refused() -> None:
    agree, wrong, refused = 0, list[str](), Counter[str]()
    for case in cases():
        try:
            error = error_of(case)
        except PuceError as problem:
            refused[f"{'/'.join(sorted({n.op_type for n in case.model.graph.node}))}: {problem.fact}"] += 1
            assert problem.remedy
            continue
        if error <= (2e-4 if case.name in COARSE else TOLERANCE):
            agree += 1
        else:
            wrong.append(f"{case.name}: {error:.1e}")
    for reason, count in sorted(refused.items()):
        print(f"{count:>4}  {reason}")
    print(f"{agree} agree, {len(wrong)} differ, {refused.total()} refused")
    assert not wrong
    assert agree >= LEAST
