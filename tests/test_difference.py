# SPDX-License-Identifier: Apache-2.0
"""`puce diff`: equal models are equal, a spoilt layer is named, layers find their partners under other names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from puce import api
from puce.difference import matched
from puce.errors import BadInput
from puce.export.tflite import write
from puce.frontends.tflite import read
from puce.ir import Graph, Tensor

ROOT = Path(__file__).parent
GOLDEN = ROOT / "golden" / "digits.tflite"


def spoilt(graph: Graph, number: int) -> tuple[Graph, str]:
    """The graph with the weights of its layer `number` in another order, and that layer's name."""
    node = [n for n in graph.nodes if n.op.rule.weights is not None][number]
    name = node.inputs[1]
    old = graph.tensors[name]
    assert old.data is not None
    values = np.random.default_rng(1).permutation(old.data.reshape(-1)).reshape(old.shape)
    new = Tensor(name, old.shape, old.dtype, old.quantization, values)
    return replace(graph, tensors={**graph.tensors, name: new}), node.origin


def test_a_model_does_not_differ_from_itself() -> None:
    found = api.diff(GOLDEN, GOLDEN, "digits", count=12)
    assert found.ok and (found.count, found.same_answers) == (12, 12)
    assert found.sentence == "They are equal in every layer."
    assert found.alone == ((), ()) and len(found.layers) >= 3


@pytest.mark.parametrize("number", [0, 1])
def test_the_layer_where_they_part_is_named(number: int, tmp_path: Path) -> None:
    graph, layer = spoilt(read(GOLDEN), number)
    write(graph, tmp_path / "spoilt.tflite")
    found = api.diff(GOLDEN, tmp_path / "spoilt.tflite", "digits", count=12)
    assert not found.ok and found.parted is not None
    assert found.parted.first == layer
    assert f"They part at {layer}: " in str(found)
    document = found.as_json()
    assert document["parted"]["first"] == layer
    before = [p["snr_db"] for p in document["layers"][: [p["first"] for p in document["layers"]].index(layer)]]
    assert before == [None] * len(before), "layers before the spoilt one are exact"


def test_layers_find_their_partners_by_shape_and_order() -> None:
    graph = read(GOLDEN)
    other = replace(graph, nodes=tuple(replace(n, origin=f"layer {i}") for i, n in enumerate(graph.nodes)))
    pairs = matched(graph, other)
    assert [m.outputs for m, _ in pairs] == [n.outputs for _, n in pairs]


def test_models_of_other_pictures_are_refused(shared_data: Path) -> None:
    with pytest.raises(BadInput, match="takes pictures of"):
        api.diff(GOLDEN, shared_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite", "digits")


def test_keras_and_tflite_of_one_network(shared_data: Path, tmp_path: Path) -> None:
    """MLPerf Tiny's ResNet8 as .h5 and as int8 .tflite, on pictures of its own evaluation set: they do not part."""
    from puce.data import Dataset
    from puce.difference import compare_graphs
    from puce.frontends import load

    folder = shared_data / "mlperf_tiny"
    with np.load(folder / "ic01.npz") as file:
        x, y = file["x"][:20], file["y"][:20]
    names = tuple(f"class {i}" for i in range(10))
    dataset = Dataset("ic01", names, x, y, x, y, x, y)
    models = [load(folder / f) for f in ("pretrainedResnet.h5", "pretrainedResnet_quant.tflite")]
    found = compare_graphs(models[0].graph, models[1].graph, (models[0].source, models[1].source), dataset, 20)
    assert found.ok, str(found)
    assert found.same_answers >= 18
    assert len(found.layers) >= 12
