# SPDX-License-Identifier: Apache-2.0
"""Graph -> firmware for a board: lower, schedule, write C, build it, price it, and say whether it fits and why not."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from . import cost, passes
from .boards import Bank as BoardBank
from .boards import Board
from .build import Sizes, build_firmware
from .emit import Sources, emit
from .errors import DoesNotFit
from .ir import Array, Graph
from .schedule import Bank, Proof, Schedule, plan, prove
from .units import count, size

Compiler = Literal["zig", "gcc"]

# Of the first bank, for the stack, the protocol's buffers and the row counters; the exact bytes are checked after the build.
RESERVED_BYTES = 4096
ROOMY_BYTES = 1 << 27  # a board so large that everything fits: to price what does not


@dataclass(frozen=True)
class Memory:
    """Flash and RAM of a whole firmware, in bytes."""

    flash: cost.Flash
    ram: cost.Ram

    @classmethod
    def of(cls, sizes: Sizes, sources: Sources, schedule: Schedule) -> Memory:
        weights = sum(sources.weight_bytes.values())
        activations = schedule.activation_bytes
        return cls(
            cost.Flash(sizes.flash, weights, sizes.flash - weights),
            cost.Ram(sizes.ram, activations, sizes.stack, sizes.ram - activations - sizes.stack),
        )

    def as_json(self) -> dict[str, Any]:
        return {"flash_bytes": self.flash.as_json(), "ram_bytes": self.ram.as_json()}


@dataclass(frozen=True, eq=False)
class Compiled:
    """C in `folder`, and with a board its firmware: sizes promised before linking and counted after it."""

    graph: Graph
    schedule: Schedule
    proof: Proof
    sources: Sources
    folder: Path
    board: Board | None
    elf: Path | None = None
    promised: Memory | None = None
    linked: Memory | None = None
    bank_use: tuple[tuple[str, int, int], ...] = ()  # name, used, capacity

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.sources.files)

    def layers(self, cycles: dict[str, int] | None = None) -> tuple[cost.Layer, ...]:
        return cost.layers(self.graph, self.schedule, self.sources.weight_bytes, cycles)


def lower(graph: Graph) -> Graph:
    """What is scheduled: passes applied, paddings folded."""
    return passes.run(passes.run(graph), passes.LOWERING)


def compile_graph(
    graph: Graph,
    folder: Path,
    board: Board | None = None,
    *,
    name: str | None = None,
    fed_by_rows: bool = False,
    test_picture: Array | None = None,
    compiler: Compiler = "zig",
) -> Compiled:
    """Write the C of a graph into `folder`; with a board, build its firmware there too, as <name>.elf.

    Raises Unsupported where no kernel computes a layer, DoesNotFit where flash or RAM of the board is too small.
    """
    lowered = lower(graph)
    features = board.core.features if board else frozenset[str]()
    schedule = plan(lowered, features=features, banks=planner_banks(board), fed_by_rows=fed_by_rows)
    sources = emit(lowered, schedule, name, test_picture)
    write(sources, folder)
    compiled = Compiled(lowered, schedule, prove(lowered, schedule), sources, folder, board)
    if board is None:
        return compiled
    firmware = build_firmware(
        [folder / c for c in sources.compiled], folder, board, folder / f"{sources.name}.elf", compiler=compiler
    )
    return replace(
        compiled,
        elf=firmware.elf,
        promised=Memory.of(firmware.promised, sources, schedule),
        linked=Memory.of(firmware.sizes, sources, schedule),
        bank_use=tuple((b.name, firmware.sizes.in_bank(board, b.name), b.bytes) for b in board.banks),
    )


def planner_banks(board: Board | None) -> tuple[Bank, ...]:
    """What the planner may use of a board's RAM."""
    if board is None:
        return (Bank("ram", 1 << 40),)
    first, *others = board.banks
    return (Bank(first.name, max(first.bytes - RESERVED_BYTES, 0)), *(Bank(b.name, b.bytes) for b in others))


def write(sources: Sources, folder: Path) -> None:
    """Write the generated files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources.files.items():
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False, encoding="utf-8", newline="\n") as part:
            part.write(text)
        Path(part.name).chmod(0o644)
        Path(part.name).replace(folder / name)


def roomy(board: Board) -> Board:
    """The same core and clock with more memory than any model needs."""
    first = board.banks[0]
    bank = BoardBank(first.name, 0x20000000, ROOMY_BYTES, "not a real board")
    flash = replace(board.flash, start=0x60000000, bytes=ROOMY_BYTES, reserved_bytes=0)
    return replace(board, flash=flash, banks=(bank,))


@dataclass(frozen=True)
class Fit:
    """Whether a firmware fits a board; `reasons` say why not, `advice` what would change it."""

    fits: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...]


def judge(compiled: Compiled, memory: Memory, board: Board) -> Fit:
    """Hold a firmware's needs against a board: the largest layers are named, and what makes them smaller."""
    reasons, advice = [], []
    layers = compiled.layers()
    if memory.flash.total > board.flash.usable_bytes:
        top = sorted(layers, key=lambda layer: -layer.flash_bytes)[:2]
        shares = " and ".join(f"{t.name} ({100 * t.flash_bytes / memory.flash.weights:.1f} % of the weights)" for t in top)
        reasons.append(
            f"flash: {size(memory.flash.total)} are needed, {board.name} has {size(board.flash.usable_bytes)}; "
            f"the most lies in {shares}."
        )
        advice += _smaller_weights(compiled, top)
    free = board.ram_bytes
    if memory.ram.total > free:
        top = sorted(layers, key=lambda layer: -layer.ram_bytes)[:2]
        names = " and ".join(f"{t.name} ({size(t.ram_bytes)})" for t in top)
        reasons.append(f"RAM: {size(memory.ram.total)} are needed, {board.name} has {size(free)}; the most lies in {names}.")
        advice.append("A smaller picture or a stride in the first layer shrinks every row that follows.")
    return Fit(not reasons, tuple(reasons), tuple(dict.fromkeys(advice)))


def _smaller_weights(compiled: Compiled, top: Sequence[cost.Layer]) -> list[str]:
    graph, advice = compiled.graph, []
    if graph.tensors[graph.inputs[0]].dtype == "float32":
        advice.append("This is float32: int8 weights are 4 times smaller (`puce quantize`).")
    for layer in top:
        node = next(n for n in graph.nodes if n.name == layer.name)
        source = graph.producer(node.inputs[0])
        if node.op.name == "dense" and source is not None and source.op.view:
            before = graph.tensors[source.inputs[0]]
            if len(before.shape) == 3 and before.shape[0] * before.shape[1] > 1:
                saved = layer.flash_bytes - layer.flash_bytes // (before.shape[0] * before.shape[1])
                advice.append(f"Global average pooling instead of the flatten before {node.origin} saves {size(saved)}.")
        elif node.op.name == "dense":
            advice.append(
                f"{node.origin} has {count(layer.parameters)} parameters: half its units save {size(layer.flash_bytes // 2)}."
            )
    return advice


def fits_or_raise(compiled: Compiled) -> None:
    """Raise DoesNotFit with the reasons."""
    assert compiled.board is not None and compiled.linked is not None
    fit = judge(compiled, compiled.linked, compiled.board)
    if not fit.fits:
        raise DoesNotFit(compiled.sources.name, " ".join(fit.reasons), " ".join(fit.advice))
