# SPDX-License-Identifier: Apache-2.0
"""The five quantised models of MLPerf Tiny as they are: the same bytes and the same accuracy as LiteRT's reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_oracle import BOARD, check, litert, on_the_emulated_core, on_this_computer

from puce import boards
from puce.compiler import compile_graph, roomy
from puce.frontends.tflite import load
from puce.ir import Array, Tensor

MODELS = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "str_ww_ref_model", "vww_96_int8")
LABELLED = [("ic01", "pretrainedResnet_quant", 200), ("kws01", "kws_ref_model", 1000), ("vww01_200", "vww_96_int8", 200)]
LEAST_RIGHT = 0.8  # pictures that were fed wrongly would show


@pytest.mark.parametrize("model", MODELS)
def test_every_quantised_model_gives_litert_s_bytes(model: str, shared_data: Path) -> None:
    """Truths: LiteRT, C on this computer and on the emulated core."""
    verdict = check(shared_data / "mlperf_tiny" / f"{model}.tflite", emulated=True, pictures=3)
    assert verdict.outcome == "identical", verdict.reason


def as_input(x: Array, t: Tensor) -> Array:
    """Pictures of 0 .. 255 become int8 by less 128, which is these models' own quantisation; int8 frames stay."""
    moved = x if x.dtype == np.int8 else (x.astype(np.int16) - 128).astype(np.int8)
    return moved.reshape(len(x), *t.shape)


@pytest.mark.parametrize("count", [20, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "model", "total"), LABELLED)
def test_accuracy_equals_litert_s_to_the_picture(
    name: str, model: str, total: int, count: int | None, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "mlperf_tiny" / f"{model}.tflite"
    graph = load(path).graph
    compiled = compile_graph(graph, tmp_path, name=model)
    with np.load(shared_data / "mlperf_tiny" / f"{name}.npz") as data:
        x, y = as_input(data["x"][:count], graph.tensors[graph.inputs[0]]), data["y"][:count]
    assert len(x) == (count or total)
    pictures = [[picture] for picture in x]
    ours = np.array([answer[0] for answer in on_this_computer(compiled, pictures)])
    theirs = np.array([answer[0][0] for answer in litert(path.read_bytes(), pictures)])
    np.testing.assert_array_equal(ours, theirs)
    right = int((ours.argmax(axis=1) == y).sum())
    print(f"{name}: {right} of {len(y)} right, as LiteRT")
    assert right >= LEAST_RIGHT * len(y)


def test_a_labelled_picture_on_the_emulated_core(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "mlperf_tiny" / "kws_ref_model.tflite"
    graph = load(path).graph
    compiled = compile_graph(graph, tmp_path, roomy(boards.load(BOARD)), name="kws")
    with np.load(shared_data / "mlperf_tiny" / "kws01.npz") as data:
        frames = [[frame] for frame in as_input(data["x"][:2], graph.tensors[graph.inputs[0]])]
    for ours, theirs in zip(on_the_emulated_core(compiled, frames), litert(path.read_bytes(), frames), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0][0])
