# SPDX-License-Identifier: Apache-2.0
"""The verbs of the laboratory on small things: the page of a data set, an evaluation, runs compared."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Builder
from sample_run import INT8_SCORES, LABELS, sample_run

from puce import api
from puce.build import build_library
from puce.camera import camera_of
from puce.data import Dataset, Preprocessing, load
from puce.data.dataset import SPLITS
from puce.data.feature_map import pixel_features, plane, sample
from puce.data.preprocessing import Frame
from puce.errors import BadInput, MissingExtra, UnknownName
from puce.evaluate import Accuracy
from puce.evaluation import Evaluation, evaluate_graphs
from puce.gallery import network_features, write_page
from puce.ir import Graph, Tensor
from puce.ops import dense
from puce.quantized import quantize_model
from puce.run import CompileRecord, CostRecord, DataRecord, QuantizeRecord, Record, Run, TrainRecord
from puce.run.records import STEP_OF

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def linear(digits: Dataset) -> Graph:
    """Ridge regression as a network of one dense layer: it needs no training, and knows nine digits of ten."""
    x = digits.inputs("train").reshape(len(digits.y_train), -1).astype(np.float64)
    a = np.hstack([x, np.ones((len(x), 1))])
    w = np.linalg.solve(a.T @ a + np.eye(65), a.T @ np.eye(10)[digits.y_train]).T * 12
    b = Builder(np.random.default_rng(0), "float32")
    flat = b.tensors[b.flatten(b.input(8, 8, 1))]
    weights = Tensor.constant("w", w[:, :64].astype(np.float32))
    bias = Tensor.constant("b", w[:, 64].astype(np.float32))
    scores = b.append("dense", (flat, weights, bias), dense.Attrs("none"), None)
    return b.graph(b.softmax(scores), name="linear")


@pytest.fixture(scope="module")
def evaluation(digits: Dataset, linear: Graph) -> Evaluation:
    integer = quantize_model(linear, digits, None, preprocessing=Preprocessing())
    graphs = [("float", linear, Preprocessing()), ("int8", integer.graph, None)]
    return evaluate_graphs(graphs, digits, model="linear", positive="8")


def test_float_int8_and_c_stand_in_one_table(evaluation: Evaluation) -> None:
    assert [w.name for w in evaluation.ways] == ["float", "int8", "C on this computer"]
    assert all(0.85 < w.accuracy.value < 1 for w in evaluation.ways)
    first, second = evaluation.pairs
    assert (second.first, second.second, second.same) == ("int8", "C on this computer", 360)
    assert second.test.p_value == 1.0 and second.test.only_first == second.test.only_second == 0
    assert first.same < 360 or np.array_equal(evaluation.ways[0].scores.argmax(1), evaluation.ways[1].scores.argmax(1))
    assert np.array_equal(evaluation.ways[1].scores, evaluation.ways[2].scores), "bit for bit"


def test_an_evaluation_adds_up(evaluation: Evaluation, digits: Dataset) -> None:
    document = evaluation.as_json()
    json.dumps(document, allow_nan=False)
    matrix = np.array(document["confusion"])
    assert matrix.sum() == 360 and np.trace(matrix) == evaluation.accuracy.correct
    assert [c["support"] for c in document["classes"]] == list(digits.by_class("test"))
    largest = int(np.argmax(digits.by_class("train")))
    assert evaluation.baseline == Accuracy.of(digits.by_class("test")[largest], 360)
    assert evaluation.detection is not None and evaluation.detection.positive == "8"
    assert evaluation.detection.auc is not None and evaluation.detection.auc.value > 0.9
    assert evaluation.calibration.reject.accuracy is not None
    assert "McNemar" in str(evaluation) and "always the largest class" in str(evaluation)


def test_a_class_that_nobody_knows_is_told(digits: Dataset, linear: Graph) -> None:
    with pytest.raises(UnknownName, match="no class has this name"):
        evaluate_graphs([("float", linear, None)], digits, model="x", in_c=False, count=20, positive="eight")


def test_a_model_of_other_pictures_is_told(linear: Graph, digits: Dataset) -> None:
    train, validation, test = (np.zeros((len(digits.labels(s)), 9, 9, 1), np.uint8) for s in SPLITS)
    other = replace(digits, x_train=train, x_validation=validation, x_test=test)
    with pytest.raises(BadInput, match="takes pictures of 8x8x1, the set digits has 9x9x1"):
        evaluate_graphs([("float", linear, None)], other, model="x", in_c=False)


class Page(HTMLParser):
    """Counts what a browser would have to fetch, and the points of the map."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched, self.points = list[str](), 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.points += tag == "circle"
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "data-sprite") and not (v or "").startswith("#")]


def test_the_page_is_whole_in_one_file(digits: Dataset, linear: Graph, tmp_path: Path) -> None:
    found = write_page(digits, tmp_path / "digits.html", linear)
    text = (tmp_path / "digits.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.points == 1000
    assert page.fetched and all(f.startswith("data:image/") for f in page.fetched), "nothing comes from elsewhere"
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    titles = re.findall(r"<title>(\d) · (\w+/\d+)</title>", text)
    assert len(set(titles)) == 1000
    label, place = titles[0]
    split, index = place.split("/")
    assert digits.class_names[digits.labels(split)[int(index)]] == label
    assert found.kept is not None and 0 < found.kept <= 1
    assert "what the layer dense_1 of linear reads" in text
    first = (tmp_path / "digits.html").read_bytes()
    write_page(digits, tmp_path / "digits.html", linear)
    assert (tmp_path / "digits.html").read_bytes() == first, "the same set gives the same page"


def test_a_class_name_cannot_break_the_page(digits: Dataset, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", *digits.class_names[1:])
    write_page(replace(digits, class_names=names), tmp_path / "p.html")
    assert "<script>alert" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_features_are_what_the_last_layer_reads(digits: Dataset, linear: Graph) -> None:
    features, layer = network_features(linear, digits, digits.x_test[:5])
    assert layer == "dense_1"
    assert np.allclose(features, digits.inputs("test")[:5].reshape(5, -1))


def test_the_plane_keeps_what_varies_most() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) * np.array([9, 5, 1, 1, 1, 1]) + 100
    found = plane(x)
    assert found.kept == pytest.approx(106 / 110, abs=0.02)
    assert abs(np.corrcoef(found.points[:, 0], x[:, 0])[0, 1]) > 0.98
    assert np.allclose(found.points.mean(axis=0), 0)
    assert plane(np.ones((4, 3))).kept == 1.0
    with pytest.raises(MissingExtra, match="pip install umap-learn"):
        plane(x, "umap")


def test_the_sample_is_even_over_classes(digits: Dataset) -> None:
    drawn = sample(digits, 200)
    assert np.bincount(drawn.labels).tolist() == [20] * 10
    split, i = drawn.places[7]
    assert np.array_equal(drawn.pictures[7], digits.pictures(split)[i])
    assert pixel_features(drawn.pictures).shape == (200, 64)
    assert pixel_features(np.zeros((2, 40, 30, 3), np.uint8)).shape == (2, 16 * 16 * 3)


def _variant(root: Path, name: str, changed: dict[type[Record], dict[str, Any]], scores: Array = INT8_SCORES) -> Run:
    """A copy of the sample run in which some records differ."""
    run = sample_run(root / name)
    with run.atomic("scores-int8.npz") as path:
        np.savez(path, scores=scores, labels=LABELS)
    for kind, values in changed.items():
        record = run.get(kind)
        assert record is not None
        run.record(STEP_OF[kind], record.model_copy(update=values))
    return run


def test_runs_are_ranked_paired_and_the_front_is_marked(tmp_path: Path) -> None:
    best_scores = np.eye(10, dtype=np.float32)[LABELS]
    best = _variant(tmp_path, "best", {QuantizeRecord: {"int8_accuracy": Accuracy.of(360, 360)}}, best_scores)
    cost = best.get(CostRecord)
    assert cost is not None
    slow = cost.latency_ms.model_copy(update={"value": 9.0, "high": 9.9})
    beaten = _variant(tmp_path, "beaten", {CostRecord: {"latency_ms": slow}})
    quick = _variant(tmp_path, "quick", {CostRecord: {"latency_ms": slow.model_copy(update={"value": 1.0, "low": 0.9})}})
    files = [tmp_path / f"runs{ending}" for ending in (".html", ".md", ".csv")]
    found = api.compare([beaten.folder, quick.folder, best.folder], files)
    assert [r.run.split("/")[0] for r in found.rows] == ["best", "beaten", "quick"]
    assert [r.front for r in found.rows] == [True, False, True]
    assert [(a.test.only_first, a.test.only_second) for a in found.paired] == [(0, 6), (0, 6)]
    assert found.paired[0].test.p_value == pytest.approx(2 / 2**6)
    json.dumps(found.as_json(), allow_nan=False)
    rows = list(csv.DictReader(io.StringIO(files[2].read_text())))
    assert [float(r["latency_ms"]) for r in rows] == [4.81, 9.0, 1.0]
    assert [r["front"] for r in rows] == ["1", "0", "1"]
    assert files[0].read_text().count("<svg") == 1 and "the difference is real" in files[0].read_text()
    assert "| best/" in files[1].read_text() and "<svg" not in files[1].read_text()
    assert "●" in str(found)


def test_runs_that_went_less_far_are_compared_by_what_they_have(tmp_path: Path) -> None:
    whole = sample_run(tmp_path / "whole")
    trained = sample_run(tmp_path / "trained", DataRecord, TrainRecord)
    found = api.compare([whole.folder, trained.folder])
    assert [(r.precision, r.flash_bytes is None) for r in found.rows] == [("float", True), ("int8", False)]
    empty = sample_run(tmp_path / "empty", DataRecord)
    with pytest.raises(BadInput, match="has not been trained to the end"):
        api.compare([empty.folder])
    with pytest.raises(BadInput, match=r"End it in \.html, \.md or \.csv"):
        api.compare([whole.folder], ["table.xls"])


def test_runs_on_other_pictures_are_not_paired(tmp_path: Path) -> None:
    one = sample_run(tmp_path / "one")
    other = _variant(tmp_path, "other", {DataRecord: {"fingerprint": "0" * 64}, CompileRecord: {"fits": True}})
    found = api.compare([one.folder, other.folder])
    assert not found.paired and "were not tested on the same pictures" in found.notes[0]
    assert all(r.front for r in found.rows), "nobody is beaten by a run on another test"


def test_a_compiled_model_gets_the_c_of_its_camera(digits: Dataset, linear: Graph, tmp_path: Path) -> None:
    path = tmp_path / "linear.int8.tflite"
    graph = quantize_model(linear, digits, path, preprocessing=Preprocessing()).graph
    found = api.compile(path, out=tmp_path / "c", camera="yuyv:32x24")
    names = [Path(f).name for f in found.as_json()["files"]]
    assert {"linear_camera.h", "linear_camera.c", "linear_camera_self_test.c"} <= set(names)
    assert (tmp_path / "c" / "preprocess.h").is_file() and "linear_camera.c" in str(found)
    camera = camera_of(graph, Frame("yuyv", 24, 32))
    assert camera.shape == (8, 8, 1) and camera.table == tuple(u - 128 for u in range(256))
    library = build_library(
        [tmp_path / "c" / f"linear{end}.c" for end in ("", "_camera", "_camera_self_test")], tmp_path / "c", tmp_path / "l.so"
    )
    assert ctypes.CDLL(str(library)).linear_camera_self_test() == 0
    with pytest.raises(BadInput, match="no int8 picture of 1 or 3 channels"):
        camera_of(linear, Frame("grey", 24, 32))
