# SPDX-License-Identifier: Apache-2.0
"""The .h5 files of others against Keras, as far as Keras can read them: imported, evaluated, their C run on this computer."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from litert_oracle import PICTURES, Verdict, difference, on_this_computer, random_pictures

from puce import passes
from puce.compiler import compile_graph
from puce.errors import PuceError
from puce.frontends import load
from puce.ir import Array, Graph
from puce.zoo._keras import keras as import_keras

pytestmark = pytest.mark.filterwarnings("ignore")

# Dense, a residual network of functions, one nested twice; which is quick.
FEW = ("06767f1d_Model_V1", "1480ee91_ign_wl_24", "d0f428c1_mnist_resnet")


def files(data: Path) -> list[Path]:
    return [*sorted((data / "models" / "keras_h5").glob("*.h5")), *sorted((data / "mlperf_tiny").glob("*.h5"))]


def keras_model(path: Path) -> Any:
    """What Keras makes of the file; its own words where it refuses."""
    keras = import_keras()

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
        """Keras 2 wrote a setting that Keras 3 does not know."""

        def __init__(self, *, groups: int = 1, **settings: Any) -> None:
            assert groups == 1
            super().__init__(**settings)

    with tempfile.TemporaryDirectory() as folder:
        for file in (path, spelled_for_keras_3(path, Path(folder) / "model.h5")):
            try:
                return keras.models.load_model(file, custom_objects={"DepthwiseConv2D": DepthwiseConv2D}, compile=False)
            except Exception as error:  # whatever Keras says of files of its older versions
                words = str(error).splitlines()[0][:100] or type(error).__name__
    return words


def keras_answers(path: Path, xs: list[Array]) -> list[Array] | str:
    """What Keras computes; its own words where it cannot."""
    model = keras_model(path)
    if isinstance(model, str):
        return model
    try:
        return outputs(model.predict(xs[0] if len(xs) == 1 else xs, verbose=0))
    except ValueError as error:  # a Sequential around a model of two outputs, which Keras 2 could run
        return " ".join(str(error).split())[:100]


def spelled_for_keras_3(path: Path, copy: Path) -> Path:
    """The same network with names that Keras 3 allows, and initializers, which loading does not use, left out."""
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(_respelled(json.loads(file.attrs["model_config"])))
    return copy


def _respelled(value: Any, key: str = "") -> Any:
    if key.endswith("_initializer"):
        return None
    if isinstance(value, dict):
        return {k: _respelled(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_respelled(v) for v in value]
    return value.replace("/", "_") if isinstance(value, str) else value


def check(path: Path, count: int = PICTURES) -> Verdict:
    try:
        graph = load(path).graph
        asked = random_pictures(graph, count)
        with tempfile.TemporaryDirectory() as folder:
            compiled = compile_graph(graph, Path(folder), name="model")
            answers = list(on_this_computer(compiled, asked))
    except PuceError as error:
        return Verdict("refused", f"{error.place}: {error.fact}")
    xs = [np.stack(column) for column in zip(*asked, strict=True)]
    said = keras_answers(path, xs)
    known = not isinstance(said, str)
    wanted = list(graph.evaluate(*xs)) if isinstance(said, str) else said
    if words := parted(graph, xs, wanted, answers):
        return Verdict("differs", words, operators=len(graph.nodes))
    return Verdict("identical" if known else "no oracle", "" if known else f"Keras: {said}", operators=len(graph.nodes))


def outputs(prediction: Any) -> list[Array]:
    return list(prediction) if isinstance(prediction, list | tuple) else [prediction]


def parted(graph: Graph, xs: list[Array], wanted: list[Array], answers: list[list[Array]]) -> str:
    """Where the graph, the graph after the passes or the C part from what is wanted."""
    ways = {
        "as imported": list(graph.evaluate(*xs)),
        "after the passes": list(passes.run(graph).evaluate(*xs)),
        "C": [np.stack([a[k] for a in answers]) for k in range(len(wanted))],
    }
    for way, got in ways.items():
        for k, (y, want) in enumerate(zip(got, wanted, strict=True)):
            if words := difference(y, want):
                return f"{way}, output {k}: {words}"
    return ""


def line(path: Path, v: Verdict) -> str:
    return f"{'agrees' if v.outcome == 'identical' else v.outcome:<10} {path.name:<55} {v.reason}"


@pytest.mark.parametrize("name", FEW)
def test_a_file_agrees_with_keras(shared_data: Path, name: str) -> None:
    (path,) = (p for p in files(shared_data) if p.stem == name)
    verdict = check(path, 2)
    assert verdict.outcome in ("identical", "no oracle"), verdict


@pytest.mark.slow
def test_every_file_agrees_with_keras_or_names_its_layer(shared_data: Path) -> None:
    rows = [(path, check(path)) for path in files(shared_data)]
    print("\n".join(line(*row) for row in rows))
    compiled = sum(v.compiled for _, v in rows)
    print(f"{compiled} of {len(rows)} compile, {100 * compiled / len(rows):.1f} %")
    assert not [(p.name, v) for p, v in rows if v.outcome == "differs"]
    assert compiled >= 0.9 * len(rows)
    assert all(p.name in v.reason and "layer" in v.reason for p, v in rows if v.outcome == "refused")
