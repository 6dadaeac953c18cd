# SPDX-License-Identifier: Apache-2.0
"""The report: everything that the run holds and nothing else, self-contained, the same bytes each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
from sample_run import RECORDS, sample_run

from puce.errors import UnknownName
from puce.report import write
from puce.report.texts import LANGUAGES, TEXTS, Lang
from puce.run import CompileRecord, DataRecord, LayerCost, Record, Run, TrainRecord, ValidateRecord, records
from puce.run import CostRecord as Cost

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags close in order, and collects ids, addresses, text and tag names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[\s\u202f]+", " ", " ".join(self.words))


def page(run: Run, lang: Lang = "en") -> Page:
    return Page(write(run, lang).read_text(encoding="utf-8"))


def test_the_whole_report_shows_what_the_records_say(tmp_path: Path) -> None:
    text = page(sample_run(tmp_path)).text
    for expected in (
        "digits on stm32l4r9i-disco",
        "It fits on stm32l4r9i-disco, every output is bit-exact, 98.33 % right in int8, 4.81 ms an inference as modelled.",
        "360 of 360 outputs identical",
        "NumPy reference = LiteRT reference = C on the host = emulated Cortex-M4",
        "96.41 % to 99.23 %",
        "26.18 KiB of 2.00 MiB (1.3 %)",
        "the peak is 5 184 B at residual_3",
        "the model is within 13 % of its calibration measurements",
        "1 right only in float, 0 only in int8",
        "always the largest class (3) 10.00 %",
        "Can its probabilities be believed?",
        "puce run digits --board stm32l4r9i-disco",
        "16 186 parameters, 60 epochs in 13.7 s; the weights of epoch 43 were kept",
        "seeds split 20, train 1",
    ):
        assert expected in text, expected
    assert "Not in this run" not in text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_whole_and_asks_nobody(tmp_path: Path, lang: Lang) -> None:
    run = sample_run(tmp_path)
    found = page(run, lang)
    assert "script" not in found.tags and "link" not in found.tags
    assert len(found.ids) == len(set(found.ids)), "each id once"
    assert all(a.startswith(("data:image/png;base64,", "#")) for a in found.addresses)
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    html = run.path("report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 5 and html.count("data:image/png") > 50
    assert str(tmp_path) not in html, "no path of this machine"
    assert "prefers-color-scheme: dark" in html and "currentColor" in html
    assert set(re.findall(r"https?://[^\s\"')<]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, lang: Lang) -> None:
    run = sample_run(tmp_path)
    first = write(run, lang).read_bytes(), run.path("report.md").read_bytes(), run.path("plots/ram.svg").read_bytes()
    again = Run.open(run.folder)
    second = write(again, lang).read_bytes(), run.path("report.md").read_bytes(), run.path("plots/ram.svg").read_bytes()
    assert first == second


def test_french_has_french_words_and_numbers(tmp_path: Path) -> None:
    text = page(sample_run(tmp_path), "fr").text
    for expected in ("360 sorties sur 360 identiques", "98,33 %", "Matrice de confusion", "26,18 Kio sur 2,00 Mio"):
        assert expected in text, expected
    for english in ("Accuracy", "outputs", "KiB", "98.33"):
        assert english not in text, english


def test_every_text_has_both_languages_with_the_same_values() -> None:
    for key, texts in TEXTS.items():
        assert all(texts), key
        fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in texts]
        assert fields[0] == fields[1], key
    with pytest.raises(UnknownName, match="no language has this name"):
        write(Run.__new__(Run), "de")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [type(record) for record in RECORDS])
def test_a_report_without_one_step_says_how_to_add_it(tmp_path: Path, kind: type[Record]) -> None:
    kinds = tuple(type(record) for record in RECORDS if type(record) is not kind)
    text = page(sample_run(tmp_path, *kinds)).text
    command = {
        "data": "puce train digits --model digits-cnn",
        "train": "puce train digits --model digits-cnn",
        "quantize": "puce quantize",
        "compile": "--board stm32l4r9i-disco",
        "cost": "puce analyze",
        "validate": "--on emulator --board stm32l4r9i-disco",
    }[records.STEP_OF[kind]]
    assert "Not in this run" in text and command in text[text.index("Not in this run") :]


@pytest.mark.parametrize("kind", [type(record) for record in RECORDS])
def test_a_report_of_one_step_alone_is_possible(tmp_path: Path, kind: type[Record]) -> None:
    for pictures in (True, False):
        assert "How to reproduce" in page(sample_run(tmp_path, kind, pictures=pictures)).text


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    text = page(Run.create(tmp_path, "digits", "digits-cnn", {})).text
    assert "These steps have not been done" in text and "bit-exact" not in text


def test_a_difference_is_told_first_and_not_in_green(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    record = run.get(ValidateRecord)
    assert record is not None
    worst = record.witnesses[3].model_copy(update={"identical": 359, "first_difference": "conv_2, picture 17"})
    run.record("validate", record.model_copy(update={"witnesses": (*record.witnesses[:3], worst)}))
    html = write(run).read_text(encoding="utf-8")
    assert "359 of 360 outputs identical for emulated Cortex-M4" in html
    assert "First difference: conv_2, picture 17" in html
    assert '<div class="proof bad">' in html and '<p class="verdict bad">' in html
    assert "360 of 360 outputs identical" not in html


def test_witnesses_of_several_counts_are_not_summed_up(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    record = run.get(ValidateRecord)
    assert record is not None
    fewer = record.witnesses[3].model_copy(update={"identical": 20, "count": 20})
    run.record("validate", record.model_copy(update={"witnesses": (*record.witnesses[:3], fewer)}))
    text = page(run).text
    assert "360 of 360 outputs identical" not in text
    assert "C on the host (360) = emulated Cortex-M4 (20)" in text


def test_a_model_that_does_not_fit_is_red(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    record = run.get(CompileRecord)
    assert record is not None
    run.record("compile", record.model_copy(update={"fits": False, "board_ram_bytes": 4096}))
    html = write(run).read_text(encoding="utf-8")
    assert "It does not fit on stm32l4r9i-disco" in html and 'class="gauge full"' in html
    assert '<p class="verdict bad">' in html


def test_names_from_outside_cannot_become_markup_or_formulas(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    data, cost, compiled = run.get(DataRecord), run.get(Cost), run.get(CompileRecord)
    assert data is not None and cost is not None and compiled is not None
    evil = "<script>alert(1)</script>"
    run.record("data", data.model_copy(update={"class_names": (evil, *data.class_names[1:])}))
    layer: LayerCost = cost.layers[0].model_copy(update={"name": evil})
    run.record("cost", cost.model_copy(update={"layers": (layer, *cost.layers[1:])}))
    step = compiled.ram_over_time[0].model_copy(update={"node": "$\\frac{a|b}$ & <b>"})
    run.record("compile", compiled.model_copy(update={"ram_over_time": (step, *compiled.ram_over_time[1:])}))
    found = page(run)
    assert "script" not in found.tags and "b" in found.tags
    assert "$\\frac{a|b}$ & <b>" in found.text


def test_a_broken_artefact_is_left_out(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    for name in ("samples.npz", "scores-int8.npz", "history.csv"):
        run.path(name).write_bytes(b"\x00broken")
    found = page(run)
    assert "img" not in found.tags and "the weights of epoch 43 were kept" in found.text


def test_markdown_has_the_same_sections_and_its_charts_are_there(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    html = write(run).read_text(encoding="utf-8")
    text = run.path("report.md").read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == titles
    charts = re.findall(r"\]\((plots/[a-z]+\.svg)\)", text)
    assert len(charts) == 5
    for chart in charts:
        assert run.path(chart).read_text(encoding="utf-8").startswith("<svg ")
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_colour_pictures_and_many_classes_have_a_report(tmp_path: Path) -> None:
    run = sample_run(tmp_path, TrainRecord)
    names = tuple(f"class {k}" for k in range(40))
    counts = {"total": 80, "by_class": (2,) * 40}
    with run.atomic("samples.npz") as path:
        pictures = np.random.default_rng(0).integers(0, 256, (25, 32, 32, 3), np.uint8)
        np.savez(path, train_pictures=pictures, train_labels=np.arange(25))
    data = next(r for r in RECORDS if isinstance(r, DataRecord)).model_copy(
        update={"class_names": names, "shape": (32, 32, 3), "skipped": ("cat/a.txt: not a picture",)}
    )
    run.record("data", DataRecord(**data.model_dump() | {"train": counts, "validation": counts, "test": counts}))
    text = page(run).text
    assert "40 classes, pictures of 32 × 32 × 3" in text and "1 file(s) skipped: cat/a.txt: not a picture" in text
    assert "Confusion matrix" not in text


def test_two_classes_have_a_roc_curve(tmp_path: Path) -> None:
    run = sample_run(tmp_path, DataRecord, TrainRecord)
    data = run.get(DataRecord)
    assert data is not None and "area under the ROC curve" not in page(run).text
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    p = 1 / (1 + np.exp(-rng.normal(size=200) - 2 * labels + 1))
    with run.atomic("scores-float.npz") as path:
        np.savez(path, scores=np.stack([1 - p, p], axis=1), labels=labels)
    run.path("scores-int8.npz").unlink()
    run.path("samples.npz").unlink()
    counts = {"total": 200, "by_class": (100, 100)}
    two = data.model_dump() | {"class_names": ("benign", "melanoma"), "train": counts, "validation": counts, "test": counts}
    run.record("data", DataRecord(**two))
    train = run.get(TrainRecord)
    assert train is not None
    run.record("train", train.model_copy(update={"confusion": ((90, 10), (20, 80))}))
    found = re.search(r"melanoma: area under the ROC curve (0\.\d{4}) \(95 %: (0\.\d{4}) to (0\.\d{4})\)", page(run).text)
    assert found
    value, low, high = map(float, found.groups())
    assert value == pytest.approx(float(np.mean(p[labels == 1][:, None] > p[labels == 0])), abs=1e-4)
    assert low < value < high
