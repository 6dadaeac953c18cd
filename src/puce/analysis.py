# SPDX-License-Identifier: Apache-2.0
"""What a model takes on a board, layer by layer, before anything is flashed: `puce analyze`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import cost, passes
from .boards import Board
from .choice import Choice, Objective
from .compiler import Compiled, Fit, Memory, compile_graph, judge, limits_of, roomy
from .errors import DoesNotFit
from .ir import Array, Graph
from .text import bar, table
from .units import Estimate, count, microjoules, milliseconds, percent, size


@dataclass(frozen=True, eq=False)
class Analysis:
    """The needs of one model. Bytes are exact; cycles, time and energy are modelled and carry their error.

    `parameters`, `macs` and `macc` are the user's model's; the compiled one may have fewer: `macs_compiled`, the layers,
    and `removed`, which says where.
    """

    model: str
    graph: Graph
    parameters: int
    macs: int
    macc: int
    layers: tuple[cost.Layer, ...]
    activation_bytes: int
    weight_bytes: int
    board: Board | None = None
    memory: Memory | None = None
    time: cost.Time | None = None
    fit: Fit | None = None
    flash_wait_cycles: int = 0
    removed: tuple[passes.Removed, ...] = ()
    lower_bound: int = 0  # bytes that the activations take at least, with these kernels and stages
    choice: Choice | None = None
    why: bool = False  # print the candidates of each layer too

    @property
    def macs_compiled(self) -> int:
        """Multiply-accumulates that are left."""
        return sum(layer.macs for layer in self.layers)

    @property
    def ok(self) -> bool:
        """Whether the model fits; true where no board was named."""
        return self.fit is None or self.fit.fits

    def as_json(self) -> dict[str, Any]:
        memory = self.memory.as_json() if self.memory else {
            "flash_bytes": {"total": None, "weights": self.weight_bytes, "code": None},
            "ram_bytes": {"total": None, "activations": self.activation_bytes, "stack": None, "other": None},
        }  # fmt: skip
        time = self.time
        return {
            "model": self.model, "type": self.graph.tensors[self.graph.inputs[0]].dtype,
            "parameters": self.parameters, "macs": self.macs, "macc": self.macc, "macs_compiled": self.macs_compiled, **memory,
            "board": self.board.name if self.board else None,
            "cycles": time.cycles.as_json() if time else None,
            "latency_ms": time.latency_ms.as_json() if time else None,
            "energy_uj": time.energy_uj.as_json() if time else None,
            "fits": self.fit.fits if self.fit else None,
            "reasons": list(self.fit.reasons) if self.fit else [],
            "advice": list(self.fit.advice) if self.fit else [],
            "optimize": self.choice.objective if self.choice else None,
            "activation_bytes": {"reached": self.activation_bytes, "lower_bound": self.lower_bound},
            "layers": [layer.as_json() | {"candidates": self._candidates(layer)} for layer in self.layers],
            "removed": [each.as_json() for each in self.removed],
        }  # fmt: skip

    def __str__(self) -> str:
        kind = self.graph.tensors[self.graph.inputs[0]].dtype
        title = f"{self.model}  ({kind})" + (f"  on {self.board.title}, {self.board.mcu}" if self.board else "")
        parts = [title, "", self._table(), "", *(self._why() if self.why else [])]
        parts.append(
            f"{count(self.parameters)} parameters, {count(self.macs)} multiply-accumulates "
            f"({count(self.macc)} MACC as Cube.AI counts)"
        )
        parts += self._removed()
        if self.memory is None or self.board is None or self.fit is None:
            parts.append(f"weights {size(self.weight_bytes)}, {self._activations()}, input and output inside")
            parts.append("Name a board (--board) for code, stack, cycles and a verdict.")
            return "\n".join(parts)
        parts += [*self._bars(), *self._time(), "", *self._verdict()]
        return "\n".join(parts)

    def _table(self) -> str:
        timed = self.time is not None
        head = ["layer", "operator", "output", "parameters", "MACs", "flash", "RAM", "rows held"]
        head += ["cycles", "share", "cycles/MAC"] if timed else []
        total = sum(layer.cycles or 0 for layer in self.layers) or 1
        rows = []
        for layer in self.layers:
            row = [
                layer.name, layer.op, "x".join(map(str, layer.shape)), count(layer.parameters), count(layer.macs),
                size(layer.flash_bytes), size(layer.ram_bytes), _held(layer),
            ]  # fmt: skip
            if timed:
                cycles = layer.cycles or 0
                row += [count(cycles), percent(cycles / total), f"{cycles / layer.macs:.2f}" if layer.macs else ""]
            rows.append(row)
        return table(head, rows, right={3, 4, 5, 6, 7, 8, 9, 10})

    def _candidates(self, layer: cost.Layer) -> list[dict[str, Any]]:
        return self.choice.as_json(layer.name) if self.choice else []

    def _activations(self) -> str:
        return f"activations {size(self.activation_bytes)} (at least {size(self.lower_bound)} with these kernels)"

    def _why(self) -> list[str]:
        """The kernels of each layer that has a choice; the chosen one is marked."""
        head, rows = ("layer", "", "kernel", "cycles", "tables", "code", "state, scratch", "reason"), []
        for layer in self.layers:
            found = self._candidates(layer)
            for i, c in enumerate(found if len(found) > 1 else ()):
                rows.append((
                    layer.name if i == 0 else "", "*" if c["chosen"] else "", c["kernel"],
                    "" if c["cycles"] is None else count(c["cycles"]), size(c["table_bytes"]),
                    "" if c["code_bytes"] is None else size(c["code_bytes"]), size(c["state_bytes"] + c["scratch_bytes"]),
                    c["reason"],
                ))  # fmt: skip
        if not rows:
            return ["Every layer has just one kernel on this core.", ""]
        assert self.choice is not None
        alone = len(self.layers) - sum(1 for row in rows if row[0])
        note = f"Kernels for {self.choice.objective}; each layer measured alone. {alone} more layers have just one kernel."
        return [note, "", table(head, rows, right={3, 4, 5, 6}), ""]

    def _removed(self) -> list[str]:
        """One line; the layer that lost most is named."""
        fewer = [r for r in self.removed if r.macs_saved]
        if not fewer:
            return []
        top = max(fewer, key=lambda r: r.macs_saved)
        others = f" and others in {len(fewer) - 1} more layers" if len(fewer) > 1 else ""
        nbytes = sum(r.bytes_saved for r in self.removed)
        return [
            f"constant channels: {top.channels} of {top.of} in {top.layer}{others} removed: {count(self.macs_compiled)} "
            f"multiply-accumulates are left, {count(self.macs - self.macs_compiled)} and {size(nbytes)} less, "
            "no output bit changed"
        ]

    def _bars(self) -> list[str]:
        assert self.memory and self.board
        flash, ram, board = self.memory.flash, self.memory.ram, self.board
        return [
            f"flash  {bar(flash.total / board.flash.usable_bytes)}  {size(flash.total)} of {size(board.flash.usable_bytes)}"
            f"  (weights {size(flash.weights)}, code {size(flash.code)})",
            f"RAM    {bar(ram.total / board.ram_bytes)}  {size(ram.total)} of {size(board.ram_bytes)}"
            f"  (activations {size(ram.activations)}, stack {size(ram.stack)}, other {size(ram.other)};"
            f" activations at least {size(self.lower_bound)} with these kernels)",
        ]

    def _time(self) -> list[str]:
        if self.time is None or self.board is None:
            return []
        t = self.time
        return [
            f"time   {milliseconds(t.latency_ms.value)} ({milliseconds(t.latency_ms.low)} to {milliseconds(t.latency_ms.high)})"
            f" modelled: {count(round(t.cycles.value))} cycles at {self.board.clock_hz // 10**6} MHz,"
            f" {count(self.flash_wait_cycles)} of them waiting for flash",
            f"energy {microjoules(t.energy_uj.value)} ({microjoules(t.energy_uj.low)} to {microjoules(t.energy_uj.high)})"
            " modelled",
        ]

    def _verdict(self) -> list[str]:
        assert self.fit and self.board
        if self.fit.fits:
            return [f"It fits {self.board.name}."]
        return [f"It does not fit {self.board.name}.", *self.fit.reasons, *(f"- {a}" for a in self.fit.advice)]


def _held(layer: cost.Layer) -> str:
    rows = layer.shape[0] if len(layer.shape) == 3 else 1
    return "all" if layer.rows >= rows else f"{layer.rows} of {rows}"


def analyze_graph(
    graph: Graph,
    board: Board | None,
    *,
    name: str,
    parameters: int | None = None,
    fed_by_rows: bool = False,
    optimize: Objective = "balanced",
    why: bool = False,
) -> Analysis:
    """Compile a graph for a board and price one inference on its emulated core.

    A model that does not fit is built for a board of the same core with more memory, so that its needs are known too.
    `parameters` is the training framework's own count where it is known; `why` prints the candidates of each layer.
    """
    with tempfile.TemporaryDirectory() as folder:
        compiled = _compile(graph, Path(folder), board, name, fed_by_rows, optimize)
        imported, lowered = passes.run(graph), compiled.graph
        found = Analysis(
            model=name,
            graph=lowered,
            parameters=sum(t.size for t in imported.constants()) if parameters is None else parameters,
            macs=sum(n.op.macs(imported.call(n)) for n in imported.nodes),
            macc=sum(n.op.macc(graph.call(n)) for n in graph.nodes),
            layers=compiled.layers(),
            activation_bytes=compiled.schedule.activation_bytes,
            weight_bytes=sum(compiled.sources.weight_bytes.values()),
            removed=passes.removed(imported, lowered),
            lower_bound=compiled.schedule.lower_bound,
            choice=compiled.choice,
            why=why,
        )
        if board is None or compiled.linked is None:
            return found
        cycles, error, waits, by_layer = profile(compiled, board)
        return replace(
            found,
            layers=compiled.layers(by_layer),
            board=board,
            memory=compiled.linked,
            time=cost.Time.on(board, cycles, error),
            fit=judge(compiled, compiled.linked, board),
            flash_wait_cycles=waits,
        )


def _compile(
    graph: Graph, folder: Path, board: Board | None, name: str, fed_by_rows: bool, optimize: Objective
) -> Compiled:  # fmt: skip
    if board is None:
        return compile_graph(graph, folder, None, name=name, fed_by_rows=fed_by_rows, optimize=optimize)
    try:
        return compile_graph(graph, folder, board, name=name, fed_by_rows=fed_by_rows, optimize=optimize)
    except DoesNotFit:
        large, limits = roomy(board), limits_of(board)
        return compile_graph(graph, folder, large, name=name, fed_by_rows=fed_by_rows, optimize=optimize, limits=limits)


def profile(compiled: Compiled, board: Board, picture: Array | None = None) -> tuple[int, float, int, dict[str, int]]:
    """Run one inference on the emulated core: cycles, their relative error, those spent waiting for flash, by layer."""
    from .device import Emulator

    assert compiled.elf is not None and compiled.board is not None
    t = compiled.graph.tensors[compiled.graph.inputs[0]]
    data = self_picture(compiled.graph) if picture is None else picture
    kind: Any = t.dtype
    with Emulator(compiled.elf, compiled.board) as device:
        report = device.profile(data.tobytes(), kind)
    functions = compiled.sources.layer_functions
    by_layer = {n: report.by_function[f].inclusive if f in report.by_function else 0 for n, f in functions.items()}
    estimate: Estimate = report.estimate()
    error = (estimate.high - estimate.value) / estimate.value
    return report.total, error, report.flash_data + report.flash_instructions, by_layer


def self_picture(graph: Graph) -> Array:
    """A seeded random picture of the graph's first input."""
    rng, t = np.random.default_rng(0), graph.tensors[graph.inputs[0]]
    if t.dtype == "float32":
        return rng.uniform(0, 1, t.shape).astype(np.float32)
    info = np.iinfo(t.dtype)
    return rng.integers(info.min, info.max + 1, t.shape).astype(t.dtype)
