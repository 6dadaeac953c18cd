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
from .choice import Choice, Chooser, Limits, Objective
from .emit import Declared as Declared
from .emit import Sharing, Sources, emit
from .errors import DoesNotFit
from .ir import Array, Graph
from .schedule import Bank, Proof, Schedule, plan, prove
from .units import count, size

Compiler = Literal["zig", "gcc"]

# Of the first bank, for the stack, the protocol's buffers and the row counters; the exact bytes are checked after the build.
RESERVED_BYTES = 4096
# Of flash, for the start-up code, the protocol and what the layers' functions have in common.
RESERVED_FLASH_BYTES = 12 << 10
SAME_FLASH = 1.01  # firmwares nearer than one per cent are equally large: the faster is taken
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
    choice: Choice | None = None

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
    declared: Declared | None = None,
    optimize: Objective = "balanced",
    limits: Limits | None = None,
) -> Compiled:
    """Write the C of a graph into `folder`; with a board, build its firmware there too, as <name>.elf.

    `declared` is what the header says besides: a warning, a decision with a reject threshold. `optimize` is what the
    kernels are chosen for, within `limits`, else the board's. Where the outcome does not fit the board all the same, the
    choices for ram and for flash are tried before it is refused.

    Raises Unsupported where no kernel computes a layer, DoesNotFit where flash or RAM of the board is too small.
    """
    chooser = Chooser(lower(graph), board, fed_by_rows=fed_by_rows, compiler=compiler)
    limits = limits or limits_of(board)
    tries: tuple[Objective, ...] = (optimize, "ram", "flash") if board and chooser.search.open else (optimize,)
    refused: dict[str, DoesNotFit] = {}
    for objective in dict.fromkeys(tries):
        try:
            choice = choice_for(objective, chooser, board, limits, compiler)
            compiled = compile_choice(choice, chooser, folder, board, name, test_picture, declared)
            return build(compiled, compiler) if board else compiled
        except DoesNotFit as error:
            refused[objective] = error
    raise refused["ram" if "ram" in refused else optimize]


def choice_for(
    objective: Objective, chooser: Chooser, board: Board | None, limits: Limits, compiler: Compiler = "zig"
) -> Choice:  # fmt: skip
    """The choice for an objective; for flash, what links to least: layers share code, which no layer alone shows."""
    if objective == "flash" and board and chooser.search.open and (least := _least_flash(chooser, board, limits, compiler)):
        return least
    return chooser.choose(objective, limits)


def _least_flash(chooser: Chooser, board: Board, limits: Limits, compiler: Compiler) -> Choice | None:
    """The choice for flash or the balanced one, linked; None where neither fits the board."""
    found: list[tuple[int, Choice]] = []
    objectives: tuple[Objective, ...] = ("flash", "balanced")
    for choice in (replace(chooser.choose(objective, limits), objective="flash") for objective in objectives):
        with tempfile.TemporaryDirectory() as folder:
            try:
                built = build(compile_choice(choice, chooser, Path(folder), board, "model"), compiler)
            except DoesNotFit:
                continue
        assert built.linked is not None
        found.append((built.linked.flash.total, choice))
    smallest = min((flash for flash, _ in found), default=0)
    equal = [choice for flash, choice in found if flash <= SAME_FLASH * smallest]
    return min(equal, key=lambda choice: choice.whole.cycles, default=None)


def compile_choice(
    choice: Choice, chooser: Chooser, folder: Path, board: Board | None, name: str | None,
    test_picture: Array | None = None, declared: Declared | None = None,
) -> Compiled:  # fmt: skip
    """Schedule a graph with these kernels and write its C."""
    graph, banks = chooser.graph, planner_banks(board)
    schedule = plan(graph, banks=banks, fed_by_rows=chooser.cuts.fed_by_rows, choose=choice.kernel, cuts=chooser.cuts)
    sharing: Sharing = "equal" if choice.objective in ("speed", "ram") else "similar"
    sources = emit(graph, schedule, name, test_picture, sharing, declared)
    write(sources, folder)
    return Compiled(graph, schedule, prove(graph, schedule), sources, folder, board, choice=choice)


def build(compiled: Compiled, compiler: Compiler = "zig") -> Compiled:
    """The same with its firmware, linked for its board."""
    board, sources, folder, schedule = compiled.board, compiled.sources, compiled.folder, compiled.schedule
    assert board is not None
    small = compiled.choice is not None and compiled.choice.objective == "flash"
    firmware = build_firmware(
        [folder / c for c in sources.compiled], folder, board, folder / f"{sources.name}.elf",
        compiler=compiler, optimize="-Os" if small else "-O3",
    )  # fmt: skip
    return replace(
        compiled,
        elf=firmware.elf,
        promised=Memory.of(firmware.promised, sources, schedule),
        linked=Memory.of(firmware.sizes, sources, schedule),
        bank_use=tuple((b.name, firmware.sizes.in_bank(board, b.name), b.bytes) for b in board.banks),
    )


def limits_of(board: Board | None) -> Limits:
    """What the layers of a model may take of a board; the exact bytes are checked after the build."""
    if board is None:
        return Limits()
    return Limits(max(board.flash.usable_bytes - RESERVED_FLASH_BYTES, 0), max(board.ram_bytes - RESERVED_BYTES, 0))


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
