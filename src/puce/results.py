# SPDX-License-Identifier: Apache-2.0
"""What the verbs return: records that print as text and as the JSON document of --json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .text import bar, table
from .units import microjoules, milliseconds, percent, size

if TYPE_CHECKING:
    from .analysis import Analysis
    from .boards import Board
    from .compiler import Compiled
    from .evaluate import Accuracy, SquaredError
    from .pareto import Pareto


@dataclass(frozen=True, eq=False)
class CompileResult:
    """The files of a compiled model, and the sizes of its firmware."""

    compiled: Compiled
    camera: tuple[Path, ...] = ()
    pareto: Pareto | None = None
    ok: bool = True

    def as_json(self) -> dict[str, Any]:
        c = self.compiled
        activations = {"reached": c.schedule.activation_bytes, "lower_bound": c.schedule.lower_bound}
        sizes = c.linked.as_json() if c.linked else {"ram_bytes": {"activations": c.schedule.activation_bytes}}
        return {
            "folder": str(c.folder), "files": [str(f) for f in (*c.files, *self.camera)], "elf": str(c.elf) if c.elf else None,
            "board": c.board.name if c.board else None, **sizes,
            "promised": c.promised.as_json() if c.promised else None, "linked": c.linked.as_json() if c.linked else None,
            "stages": [list(s) for s in c.schedule.stages], "proof": str(c.proof), "fits": True if c.linked else None,
            "optimize": c.choice.objective if c.choice else None, "activation_bytes": activations,
            "kernels": c.choice.kernels if c.choice else {}, "pareto": self.pareto.as_json() if self.pareto else None,
        }  # fmt: skip

    def __str__(self) -> str:
        c = self.compiled
        lines = [f"{c.folder}/: {', '.join(f.name for f in c.files)}"]
        lines += [f"camera: {', '.join(f.name for f in self.camera)}"] if self.camera else []
        lines.append(f"schedule: {len(c.schedule.stages)} stages; {c.proof}")
        if c.linked and c.promised and c.board:
            for what, promised, linked in (
                ("flash", c.promised.flash.total, c.linked.flash.total), ("RAM", c.promised.ram.total, c.linked.ram.total)
            ):  # fmt: skip
                lines.append(f"{what:<6} {size(linked)} linked, {size(promised)} promised before linking")
            least = f"at least {size(c.schedule.lower_bound)} with these kernels"
            stack = size(c.linked.ram.stack)
            lines.append(f"activations {size(c.linked.ram.activations)} ({least}), stack at most {stack}")
            lines.append(f"kernels for {c.choice.objective}" if c.choice else "")
            lines.append(f"firmware for {c.board.title}: {c.elf}")
        else:
            lines.append(f"activations {size(c.schedule.activation_bytes)}; name a board (--board) to build a firmware")
        lines += ["", str(self.pareto)] if self.pareto else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Prediction:
    """The answer to one picture: classes by falling probability."""

    image: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    threshold: float
    picture: Any = field(default=None, repr=False, compare=False)
    """uint8 [h, w, c], cropped and resized as the network sees it."""
    ok: bool = True

    @property
    def rejected(self) -> bool:
        """Whether the best class is not believed."""
        return self.probabilities[0] < self.threshold

    def as_json(self) -> dict[str, Any]:
        scores = [{"class": c, "probability": p} for c, p in zip(self.classes, self.probabilities, strict=True)]
        label = None if self.rejected else self.classes[0]
        return {"image": self.image, "class": label, "rejected": self.rejected, "scores": scores}

    def __str__(self) -> str:
        width = max(map(len, self.classes))
        best = "not recognised" if self.rejected else self.classes[0]
        lines = [f"{self.image}: {best}"]
        for c, p in list(zip(self.classes, self.probabilities, strict=True))[:10]:
            lines.append(f"  {c:<{width}}  {bar(p)}  {percent(p)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class RunResult:
    """Where a run lies and what came of it."""

    run: Path
    report: Path | None
    accuracy: dict[str, Accuracy]
    identical: int
    count: int
    fits: bool
    proof: str = ""
    error: Mapping[str, SquaredError] = field(default_factory=dict)
    """In place of the accuracies, of a network that gives pictures back; `components` is the bound."""

    @classmethod
    def of_training(cls, run: Path, record: Any) -> RunResult:
        """Of a run that has been trained and no more; `record` is that of its step."""
        from .evaluate import Accuracy

        if isinstance(record.test, Accuracy):
            return cls(run, None, {"float": record.test}, 0, 0, True)
        return cls(run, None, {}, 0, 0, True, error={"float": record.test, "components": record.components})

    @property
    def ok(self) -> bool:
        return self.fits and self.identical == self.count

    def as_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run), "report": str(self.report) if self.report else None,
            "accuracy": {name: a.as_json() for name, a in self.accuracy.items()},
            "error": {name: e.as_json() for name, e in self.error.items()},
            "identical": self.identical, "count": self.count, "fits": self.fits, "proof": self.proof,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{name:<9} {a}" for name, a in self.accuracy.items()]
        lines += [f"{name:<10} {e}" for name, e in self.error.items()]
        return "\n".join([*lines, *([self.proof] if self.proof else []), str(self.report or self.run)])


@dataclass(frozen=True)
class ReportResult:
    """The pages that were written."""

    html: Path
    ok: bool = True

    def as_json(self) -> dict[str, Any]:
        return {"report": str(self.html), "markdown": str(self.html.with_suffix(".md"))}

    def __str__(self) -> str:
        return str(self.html)


@dataclass(frozen=True, eq=False)
class BoardList:
    """The catalogue; with a model, which boards it fits, with what is left of flash and RAM."""

    rows: tuple[tuple[Board, Analysis | None], ...]
    ok: bool = True

    def as_json(self) -> list[dict[str, Any]]:
        return [self._row(board, found) for board, found in self.rows]

    @staticmethod
    def _row(board: Board, found: Analysis | None) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": board.name, "title": board.title, "mcu": board.mcu, "core": board.core.name,
            "clock_hz": board.clock_hz, "flash_bytes": board.flash.usable_bytes, "ram_bytes": board.ram_bytes,
            "fits": None, "margins": None,
        }  # fmt: skip
        if found and found.memory and found.fit and found.time:
            margins = {
                "flash_bytes": board.flash.usable_bytes - found.memory.flash.total,
                "ram_bytes": board.ram_bytes - found.memory.ram.total,
            }
            row |= {"fits": found.fit.fits, "margins": margins, "latency_ms": found.time.latency_ms.as_json()}
            row |= {"energy_uj": found.time.energy_uj.as_json()}
        return row

    def __str__(self) -> str:
        head = ["board", "chip", "core", "clock", "flash", "RAM"]
        timed = any(found for _, found in self.rows)
        head += ["fits", "flash left", "RAM left", "modelled time", "energy"] if timed else []
        rows = []
        for board, found in self.rows:
            row = [board.name, board.mcu, board.core.name, f"{board.clock_hz // 10**6} MHz"]
            row += [size(board.flash.usable_bytes), size(board.ram_bytes)]
            if found and found.memory and found.fit and found.time:
                left = self._row(board, found)["margins"]
                row += ["yes" if found.fit.fits else "no", size(left["flash_bytes"]), size(left["ram_bytes"])]
                row += [milliseconds(found.time.latency_ms.value), microjoules(found.time.energy_uj.value)]
            rows.append(row)
        return table(head, rows, right={3, 4, 5, 7, 8, 9, 10})
