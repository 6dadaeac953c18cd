# SPDX-License-Identifier: Apache-2.0
"""What a run declares of its model stands in the C header: a warning, and whom to believe; a model without it is unchanged."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest
from networks import residual
from sample_run import sample_run

from puce import boards, pipeline
from puce.build import build_firmware, build_library
from puce.compiler import Declared, compile_graph
from puce.emit.declared import comment
from puce.errors import BadInput
from puce.ir import Graph
from puce.ops import REGISTRY
from puce.report import write
from puce.run import DataRecord, Run

WARNING = "Not a medical device */ int x; /* : é \\ a mole\nbelongs before a doctor. " + "Again. " * 30
CLASSES = ("benign", "mélanome")
BOARD = "arduino-nano-33-ble"


def classifier() -> Graph:
    """A small int8 network that ends in softmax."""
    graph = residual()
    assert graph.nodes[-1].op.name == "softmax" and "softmax" in REGISTRY
    return graph


def decide(folder: Path, classes: int) -> Callable[[list[int]], int]:
    """The header's function behind one that a library can export; the compiler has every warning as an error."""
    body = "int ask(const int8_t *s);\nint ask(const int8_t *s) { return net_decide(s); }\n"
    (folder / "ask.c").write_text(f'#include "net.h"\n{body}')
    library = ctypes.CDLL(str(build_library([folder / "net.c", folder / "ask.c"], folder, folder / "ask.so")))

    def ask(scores: list[int]) -> int:
        assert len(scores) == classes
        return int(library.ask((ctypes.c_int8 * classes)(*scores)))

    return ask


def test_the_header_decides_and_warns(tmp_path: Path) -> None:
    graph = classifier()
    y = graph.tensors[graph.outputs[0]]
    compile_graph(graph, tmp_path, name="net", declared=Declared(WARNING, CLASSES, 0.8))
    header = (tmp_path / "net.h").read_text()
    assert header.isascii() and "WARNING: Not a medical device * / int x; / * : e / a mole" in header
    assert "Classes: 0 benign, 1 melanome. */" in header and max(map(len, header.splitlines())) < 120
    least = next(q for q in range(-128, 128) if (q - y.q.z) * y.q.s >= 0.8 - 1e-9)
    assert f"#define NET_REJECT_BELOW {least}\n" in header
    ask = decide(tmp_path, y.size)
    for best in range(y.size):
        scores = [-128] * y.size
        for q, want in ((least, best), (least - 1, -1), (127, best)):
            scores[best] = q
            assert ask(scores) == want
    assert ask([least] * y.size) == 0, "the lowest class on a tie, as argmax"


def test_a_decision_that_nobody_calls_takes_no_byte(tmp_path: Path) -> None:
    graph, board = classifier(), boards.load(BOARD)
    plain = compile_graph(graph, tmp_path / "plain", board, name="net")
    told = compile_graph(graph, tmp_path / "told", board, name="net", declared=Declared(WARNING, CLASSES, 0.8))
    assert plain.linked is not None and told.linked == plain.linked
    for name, text in plain.sources.files.items():
        assert (told.sources.files[name] == text) == (name != "net.h"), name
    assert "decide" not in plain.sources.files["net.h"] and "WARNING" not in plain.sources.files["net.h"]
    assert compile_graph(graph, tmp_path / "none", name="net", declared=Declared()).sources.files["net.h"] \
        == compile_graph(graph, tmp_path / "same", name="net").sources.files["net.h"]  # fmt: skip
    firmware = build_firmware([tmp_path / "told" / "net.c"], tmp_path / "told", board, tmp_path / "told" / "again.elf")
    assert firmware.sizes.flash == told.linked.flash.total


def test_scores_that_are_no_probabilities_have_no_threshold(tmp_path: Path) -> None:
    graph = classifier()
    logits = graph.replaced(graph.nodes[:-1], outputs=(graph.nodes[-1].inputs[0],))
    with pytest.raises(BadInput, match="does not end in softmax"):
        compile_graph(logits, tmp_path, name="net", declared=Declared(reject=0.8))


@pytest.mark.parametrize("text", ["*/", "/*", "a\\\nb", "é\u202f*\u0301/", "**//"])
def test_no_text_ends_a_comment(text: str) -> None:
    line = comment(text)
    assert line.isascii() and "*/" not in line and "/*" not in line and "\\" not in line and "\n" not in line


def test_a_run_carries_its_warning_to_the_report_and_the_header(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    data = run.get(DataRecord)
    assert data is not None and pipeline.declared_by(run) == Declared("", data.class_names, None)
    assert "⚠" not in write(run).read_text(encoding="utf-8")
    run.record("data", data.model_copy(update={"warning": "Not a <medical> device."}))
    run._save(run.file.model_copy(update={"config": {**run.file.config, "reject": 0.8}}))
    again = Run.open(run.folder)
    assert pipeline.declared_by(again) == Declared("Not a <medical> device.", data.class_names, 0.8)
    page = write(again, "fr").read_text(encoding="utf-8")
    assert '<p class="warning">⚠ Not a &lt;medical&gt; device.</p>' in page
    assert "> **⚠ Not a <medical> device.**" in (run.folder / "report.md").read_text(encoding="utf-8")
