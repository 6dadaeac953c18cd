# SPDX-License-Identifier: Apache-2.0
"""The .h5 files of others against Keras 3, or 2 where 3 cannot read them: imported, evaluated, their C run on this computer."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

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


def keras_answers(path: Path, xs: list[Array]) -> list[Array] | str:
    """What Keras 3 computes, or Keras 2 (the package tf_keras) where Keras 3 cannot read or run the file; else its words."""
    keras, words = import_keras(), ""

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
        """Keras 2 wrote a setting that Keras 3 does not know."""

        def __init__(self, *, groups: int = 1, **settings: Any) -> None:
            assert groups == 1
            super().__init__(**settings)

    readers = [(keras, {"DepthwiseConv2D": DepthwiseConv2D})]
    if importlib.util.find_spec("tf_keras"):
        readers.append((importlib.import_module("tf_keras"), {}))
    for reader, known in readers:
        try:
            model = reader.models.load_model(path, custom_objects=known, compile=False)
            answers = model.predict(xs[0] if len(xs) == 1 else xs, verbose=0)
            return list(answers) if isinstance(answers, list | tuple) else [answers]
        except Exception as error:  # whatever Keras says of files of its older versions
            words = str(error).splitlines()[0][:100] or type(error).__name__
    return words


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
    agree = sum(v.outcome == "identical" for _, v in rows)
    print(f"{compiled} of {len(rows)} compile, {100 * compiled / len(rows):.1f} %; {agree} agree with Keras")
    assert not [(p.name, v) for p, v in rows if v.outcome == "differs"]
    assert compiled >= 0.9 * len(rows)
    assert agree == compiled or not importlib.util.find_spec("tf_keras")
    assert all(p.name in v.reason and "layer" in v.reason for p, v in rows if v.outcome == "refused")
