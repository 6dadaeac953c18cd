# SPDX-License-Identifier: Apache-2.0
"""The charts, as SVG that takes the colour of the text around it: readable on a light page, a dark one, and paper."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from ..errors import MissingExtra
from ..evaluate import Accuracy
from .texts import Words

INK = "#010203"  # stands for currentColor, which matplotlib does not know
BLUE, ORANGE, GREEN, RED = "#3a86c8", "#e08a2c", "#2e9e6b", "#d64550"
"""Mid tones: all have a contrast above 3 on white and on the dark page."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "puce",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a layer may be called what it likes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs, of training and of validation."""

    title: str
    train: tuple[float, ...]
    validation: tuple[float, ...]


@contextmanager
def figure(width: float, height: float, columns: int = 1) -> Iterator[tuple[Any, Any, list[str]]]:
    """Lend (figure, axes, out); `out` holds the SVG afterwards."""
    with drawing() as Figure:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        out: list[str] = []
        yield figure, figure.subplots(1, columns), out
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        out.append(text.getvalue())


@contextmanager
def drawing() -> Iterator[Any]:
    """Lend matplotlib's Figure in the style of the house. No pyplot: that keeps global state."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its dependencies, at import
            import matplotlib as mpl
            from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "the report", "report") from error
    with mpl.rc_context(STYLE):
        yield Figure


def inline(svg: str, name: str, label: str) -> str:
    """Cut the XML head, let the page decide about colour and size, and make the ids of this chart its own."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"', r"<svg \1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)height="[\d.]+pt"([^>]*?)width="[\d.]+pt"', r"<svg \1\2", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1).strip()


def training_curves(curves: Sequence[Curve], best_epoch: int, words: Words, bound: tuple[str, float] | None = None) -> str:
    """Draw one panel a quantity; the dotted line is the epoch whose weights were kept, the dashed one the bound."""
    with figure(8.6, 2.9, len(curves)) as (_, drawn, out):
        from matplotlib.ticker import MaxNLocator

        axes = drawn if len(curves) > 1 else [drawn]
        for axis, curve in zip(axes, curves, strict=True):
            epochs = range(1, len(curve.train) + 1)
            axis.plot(epochs, curve.train, color=BLUE, label=words("train"))
            axis.plot(epochs, curve.validation, color=ORANGE, label=words("validation"))
            axis.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":", alpha=0.6)
            if bound is not None:
                axis.axhline(bound[1], color=GREEN, linewidth=1.2, linestyle="--", label=bound[0])
            axis.set_title(curve.title, loc="left")
            axis.set_xlabel(words("epoch"))
            axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
            localise(axis.yaxis, words)
        axes[0].legend(loc="best")
    return inline(out[0], "training", words("training"))


def accuracy_intervals(rows: Sequence[tuple[str, Accuracy]], words: Words) -> str:
    """Draw a dot and its 95 % interval for each way to compute."""
    with figure(8.6, 0.55 + 0.36 * len(rows)) as (_, axis, out):
        for i, (name, accuracy) in enumerate(rows):
            colour = GREEN if name.startswith("int8") else BLUE
            axis.plot([100 * accuracy.low, 100 * accuracy.high], [i, i], color=colour, linewidth=2.4, alpha=0.55)
            axis.plot(100 * accuracy.value, i, "o", color=colour, markersize=6)
        axis.set_yticks(range(len(rows)), [name for name, _ in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("%")
        localise(axis.xaxis, words)
    return inline(out[0], "accuracy", words("accuracy"))


def noise(names: Sequence[str], output: Sequence[float | None], weights: Sequence[float | None], words: Words) -> str:
    """Draw the signal-to-noise ratio of each layer's output as a bar, that of its weights as a tick."""
    with figure(8.6, 0.7 + 0.27 * len(names)) as (_, axis, out):
        axis.barh(range(len(names)), [v or 0 for v in output], height=0.62, color=BLUE, label=words("output"))
        marked = [(v, i) for i, v in enumerate(weights) if v is not None]
        if marked:
            axis.plot(
                *zip(*marked, strict=True),
                "|",
                color=ORANGE,
                markersize=11,
                markeredgewidth=2.2,
                label=words("weights"),
            )
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(words("snr"))
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))
    return inline(out[0], "noise", words("quantization"))


def ram_over_time(names: Sequence[str], bytes_alive: Sequence[int], words: Words) -> str:
    """Draw the bytes alive during each step as a staircase."""
    n = len(names)
    kib = [b / 1024 for b in bytes_alive]
    with figure(8.6, 3.0) as (_, axis, out):
        axis.stairs(kib, [i - 0.5 for i in range(n + 1)], fill=True, color=BLUE, alpha=0.3)
        axis.stairs(kib, [i - 0.5 for i in range(n + 1)], color=BLUE, linewidth=1.6)
        peak = max(range(n), key=lambda i: kib[i])
        axis.stairs([kib[peak]], [peak - 0.5, peak + 0.5], fill=True, color=ORANGE, alpha=0.55)
        if n <= 24:
            axis.set_xticks(range(n), names, rotation=35, ha="right", rotation_mode="anchor")
        else:
            axis.set_xlabel(words("step"))
        axis.set_xlim(-0.5, n - 0.5)
        axis.set_ylim(0, 1.08 * max(*kib, 0.001))
        axis.grid(axis="x", visible=False)
        axis.set_ylabel(words("alive"))
        localise(axis.yaxis, words)
    return inline(out[0], "ram", words("memory"))


def localise(axis: Any, words: Words) -> None:
    """Write tick labels with the decimal sign of the language."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: words.number(f"{value:.6g}")))
