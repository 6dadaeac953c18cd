# SPDX-License-Identifier: Apache-2.0
"""The section about probabilities: the calibration curve, and for two classes the ROC curve with its area."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..evaluate import Auc, Bin, Roc, auc, expected_error, probabilities, reliability, roc
from ..run import DataRecord, Run
from ..units import percent
from .blocks import Block, Chart, Text
from .pictures import arrays
from .plots import BLUE, INK, ORANGE, figure, inline, localise
from .texts import Words


def belief(run: Run, words: Words) -> Iterable[Block]:
    """Of the int8 network on the test pictures, or of the float one before there is that."""
    data = run.get(DataRecord)
    found = arrays(run, "scores-int8.npz") or arrays(run, "scores-float.npz")
    if data is None or not {"scores", "labels"} <= set(found) or found["scores"].ndim != 2:
        return
    p, labels = probabilities(found["scores"]), found["labels"]
    bins = reliability(p, labels)
    yield Text(words("calibration_error", error=words.number(percent(expected_error(bins)))))
    curve = area = None
    if len(data.class_names) == 2:
        positive = labels == 1
        curve, area = roc(p[:, 1], positive), auc(p[:, 1], positive)
    yield Chart("calibration", calibration_chart(bins, curve, words), words("belief"))
    yield Text(words("calibration_note"), note=True)
    if area is not None:
        yield Text(_area(area, data.class_names[1], words))


def _area(area: Auc, name: str, words: Words) -> str:
    value, low, high = (words.number(f"{x:.4f}") for x in (area.value, area.low, area.high))
    return words("roc_area", name=name, value=value, low=low, high=high)


def calibration_chart(bins: Sequence[Bin], curve: Roc | None, words: Words) -> str:
    """Draw how often answers are right by how sure they are, beside the ROC curve or, without one, how many are so sure."""
    with figure(8.6, 3.3, 2) as (_, axes, out):
        left, right = axes
        sure = [100 * b.confidence for b in bins]
        for x, b in zip(sure, bins, strict=True):
            left.plot([x, x], [100 * b.accuracy.low, 100 * b.accuracy.high], color=BLUE, linewidth=2, alpha=0.5)
        left.plot(sure, [100 * b.accuracy.value for b in bins], "o-", color=BLUE, markersize=5, linewidth=1)
        left.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", alpha=0.6)
        left.set_xlabel(words("confidence"))
        left.set_ylabel(words("right_share"))
        if curve is None:
            middle = [100 * (b.low + b.high) / 2 for b in bins]
            widths = [100 * (b.high - b.low) * 0.9 for b in bins]
            right.bar(middle, [b.accuracy.count for b in bins], width=widths, color=BLUE, alpha=0.75)
            right.set_xlabel(words("confidence"))
            right.set_ylabel(words("support"))
            right.set_xlim(0, 100)
        else:
            right.step(100 * curve.false_positive, 100 * curve.true_positive, color=ORANGE, where="post")
            right.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", alpha=0.6)
            right.set_xlabel(words("false_alarms"))
            right.set_ylabel(words("found"))
        for axis in (left.xaxis, left.yaxis, right.xaxis, right.yaxis):
            localise(axis, words)
        left.set_xlim(0, 102)
        left.set_ylim(0, 102)
    return inline(out[0], "calibration", words("belief"))
