# SPDX-License-Identifier: Apache-2.0
"""The head of the report: the verdict in one sentence, the proof line, the large figures."""

from __future__ import annotations

from math import prod

from ..run import (
    CompileRecord,
    CostRecord,
    DataRecord,
    QuantizeRecord,
    ReconstructionRecord,
    Run,
    TrainRecord,
    ValidateRecord,
)
from ..units import count, microjoules, milliseconds, percent, size
from .blocks import Figure, Report, Section, Tone
from .texts import Words


def heading(run: Run, words: Words, sections: tuple[Section, ...]) -> Report:
    compiled, data = run.get(CompileRecord), run.get(DataRecord)
    file = run.file
    title = (
        words("title", dataset=file.dataset, board=compiled.board)
        if compiled
        else words("title_no_board", dataset=file.dataset, model=file.model)
    )
    proof, chain, proof_tone = proof_line(run, words)
    return Report(
        lang=words.lang,
        label=words("report"),
        title=title,
        subtitle=f"{run.folder.name} · {file.model} · puce {file.versions.get('puce', '')}".rstrip(" ·"),
        verdict=verdict(run, words),
        tone=_tone(run),
        proof=proof,
        proof_chain=chain,
        proof_tone=proof_tone,
        figures=_figures(run, words),
        sections=sections,
        warning=data.warning if data else "",
    )


def verdict(run: Run, words: Words) -> str:
    """Say in one sentence whether it fits, whether it is exact, how good and how fast it is: as far as is known."""
    parts = []
    if compiled := run.get(CompileRecord):
        parts.append(f"{words('fits' if compiled.fits else 'does_not_fit')} {words('on_board', board=compiled.board)}")
    if validated := run.get(ValidateRecord):
        parts.append(words("bit_exact" if validated.identical else "not_exact"))
    if quantized := run.get(QuantizeRecord):
        value = words.number(percent(quantized.int8_accuracy.value))
        parts.append(words("accuracy_of", value=value, kind="int8"))
    elif train := run.get(TrainRecord):
        kind = words("float_test").split(",")[0]
        parts.append(words("accuracy_of", value=words.number(percent(train.test.value)), kind=kind))
    elif back := run.get(ReconstructionRecord):
        parts.append(words("error_of", value=words.number(f"{back.test.value:.5f}"), code=count(back.code)))
    if cost := run.get(CostRecord):
        parts.append(words("in_time", value=words.number(milliseconds(cost.latency_ms.value))))
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else words("missing_note").split(".")[0] + "."


def _tone(run: Run) -> Tone:
    compiled, validated = run.get(CompileRecord), run.get(ValidateRecord)
    if (compiled and not compiled.fits) or (validated and not validated.identical):
        return "bad"
    return "good" if compiled and validated else "plain"


def proof_line(run: Run, words: Words) -> tuple[str, str, Tone]:
    """Return the line, the chain of witnesses below it, and whether it is good: empty where nothing was validated."""
    record = run.get(ValidateRecord)
    if record is None or not record.witnesses:
        return "", "", "plain"
    names = [witness_name(w.name, words) for w in record.witnesses]
    worst = min(record.witnesses, key=lambda w: w.identical / w.count)
    if worst.identical < worst.count:
        line = words(
            "proof_differ",
            identical=count(worst.identical),
            count=count(worst.count),
            name=witness_name(worst.name, words),
        )
        return line, words("first_difference", where=worst.first_difference or "?"), "bad"
    counts = {w.count for w in record.witnesses}
    if len(counts) == 1:
        n = count(counts.pop())
        return words("proof", identical=n, count=n), " = ".join(names), "good"
    chain = " = ".join(f"{name} ({count(w.count)})" for name, w in zip(names, record.witnesses, strict=True))
    return words("proof_counts"), chain, "good"


def witness_name(name: str, words: Words) -> str:
    """Translate the names that the steps give; one that is not known (a board's port) stands as it is."""
    if name.startswith("emulated "):
        return words("emulated", core=name.removeprefix("emulated "))
    return words(name) if name in ("NumPy reference", "LiteRT reference", "host C") else name


def _figures(run: Run, words: Words) -> tuple[Figure, ...]:
    figures = []
    quantized, train = run.get(QuantizeRecord), run.get(TrainRecord)
    if quantized or train:
        accuracy = quantized.int8_accuracy if quantized else train.test  # type: ignore[union-attr]
        name = words("key_accuracy" if quantized else "key_accuracy_float")
        interval = words("to", low=percent(accuracy.low), high=percent(accuracy.high))
        figures.append(Figure(words.number(percent(accuracy.value)), name, words.number(interval)))
    figures += _given_back(run, words)
    if compiled := run.get(CompileRecord):
        for key, used, capacity in (
            ("key_flash", compiled.linked.flash_bytes.total, compiled.board_flash_bytes),
            ("key_ram", compiled.linked.ram_bytes.total, compiled.board_ram_bytes),
        ):
            total = words.number(words("of", total=size(capacity)))
            figures.append(Figure(words.number(size(used)), words(key), total))
    if cost := run.get(CostRecord):
        for key, show, interval_ in (
            ("key_latency", milliseconds, cost.latency_ms),
            ("key_energy", microjoules, cost.energy_uj),
        ):
            low_high = words.number(words("to", low=show(interval_.low), high=show(interval_.high)))
            figures.append(Figure(words.number(show(interval_.value)), words(key), low_high))
    return tuple(figures)


def _given_back(run: Run, words: Words) -> list[Figure]:
    record, data = run.get(ReconstructionRecord), run.get(DataRecord)
    if record is None or data is None:
        return []
    figures = []
    for name, error in (
        (words("key_error"), record.test),
        (words("key_components", code=record.code), record.components),
    ):
        interval = words("to", low=f"{error.low:.5f}", high=f"{error.high:.5f}")
        figures.append(Figure(words.number(f"{error.value:.5f}"), name, words.number(interval)))
    return [*figures, Figure(count(record.code), words("key_code"), words("values_of", values=count(prod(data.shape))))]
