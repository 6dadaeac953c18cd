# SPDX-License-Identifier: Apache-2.0
"""Sections about the board: flash and RAM, layers, RAM over time, latency and energy."""

from __future__ import annotations

from collections.abc import Iterable

from ..run import CompileRecord, CostRecord, Run
from ..units import count, microjoules, milliseconds, size
from . import plots
from .blocks import Block, Cell, Chart, Gauge, Gauges, Table, Text
from .texts import Words


def board(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CompileRecord)
    if record is None:
        return
    flash, ram = record.linked.flash_bytes, record.linked.ram_bytes
    yield Gauges(
        (
            _gauge("flash", flash.total, record.board_flash_bytes, words, weights=flash.weights, code=flash.code),
            _gauge(
                "RAM",
                ram.total,
                record.board_ram_bytes,
                words,
                activations=ram.activations,
                stack=ram.stack,
                other=ram.other,
            ),
        )
    )
    totals = {
        "promised_flash": record.promised.flash_bytes.total,
        "linked_flash": flash.total,
        "promised_ram": record.promised.ram_bytes.total,
        "linked_ram": ram.total,
    }
    yield Text(words("promised_linked", **{key: words.number(size(n)) for key, n in totals.items()}))
    if record.banks:
        yield Table(
            (words("bank"), words("used"), words("capacity"), words("share")),
            tuple(
                (
                    Cell(bank.bank, name=True),
                    Cell(words.number(size(bank.used))),
                    Cell(words.number(size(bank.capacity))),
                    Cell(words.number(_percent(bank.used / bank.capacity)), bar=min(1.0, bank.used / bank.capacity)),
                )
                for bank in record.banks
            ),
        )


def _gauge(name: str, total: int, capacity: int, words: Words, **parts: int) -> Gauge:
    share = words.number(_percent(total / capacity))
    text = words.number(f"{size(total)} {words('of', total=size(capacity))} ({share})")
    scale = max(total, capacity)
    return Gauge(
        name,
        text,
        tuple((words(key), n / scale, words.number(size(n))) for key, n in parts.items()),
        total <= capacity,
    )


def memory(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CompileRecord)
    if record is None or not record.ram_over_time:
        return
    steps = record.ram_over_time
    peak = max(steps, key=lambda step: step.bytes_alive)
    yield Text(
        words(
            "ram_note",
            n=len(steps),
            peak=words.number(size(peak.bytes_alive)),
            node=peak.node,
            share=words.number(_percent(peak.bytes_alive / record.board_ram_bytes)),
            capacity=words.number(size(record.board_ram_bytes)),
        )
    )
    svg = plots.ram_over_time([s.node for s in steps], [s.bytes_alive for s in steps], words)
    yield Chart("ram", svg, words("memory"))
    if record.proof:
        yield Text(words("schedule_proof", proof=record.proof), note=True)


def layers(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CostRecord)
    if record is None:
        return
    cycles = sum(layer.cycles for layer in record.layers) or 1.0
    most = max((layer.cycles for layer in record.layers), default=0.0) or 1.0
    rows = [
        (
            Cell(layer.name, name=True),
            Cell(" × ".join(str(d) for d in layer.shape)),
            Cell.of(layer.parameters),
            Cell.of(layer.macs),
            Cell(words.number(size(layer.flash_bytes))),
            Cell(words.number(size(layer.ram_bytes))),
            Cell.of(round(layer.cycles)),
            Cell(words.number(_percent(layer.cycles / cycles)), bar=layer.cycles / most),
        )
        for layer in record.layers
    ]
    flash = sum(layer.flash_bytes for layer in record.layers)
    total = (
        Cell(words("total"), name=True),
        Cell(""),
        Cell.of(record.parameters),
        Cell.of(record.macs),
        Cell(words.number(size(flash))),
        Cell(""),
        Cell.of(round(record.cycles.value)),
        Cell(""),
    )
    keys = ("layer", "shape", "parameters", "", "", "", "cycles", "share")
    fixed = ("", "", "", "MACs", "flash", "RAM", "", "")
    head = tuple(text or words(key) for key, text in zip(keys, fixed, strict=True))
    yield Table(head, (*rows, total), last_is_total=True)


def cost(run: Run, words: Words) -> Iterable[Block]:
    record = run.get(CostRecord)
    if record is None:
        return
    rows: tuple[tuple[str, str, str, str], ...] = tuple(
        (words(key), show(interval.value), show(interval.low), show(interval.high))
        for key, show, interval in (
            ("latency", milliseconds, record.latency_ms),
            ("energy", microjoules, record.energy_uj),
            ("cycles", lambda x: count(round(x)), record.cycles),
        )
    )
    yield Table(
        (words("what"), words("value"), words("interval").replace("95 % ", "").replace(" à 95 %", "")),
        tuple(
            (Cell(name, name=True), Cell(words.number(value)), Cell(words.number(words("to", low=low, high=high))))
            for name, value, low, high in rows
        ),
    )
    error = words.number(f"{100 * record.model_error:.0f}\u202f%")
    yield Text(words("modelled", error=error, clock=f"{record.clock_hz / 1e6:g}"), note=True)


def _percent(x: float) -> str:
    """One decimal is enough for a share."""
    return f"{100 * x:.1f}\u202f%"
