# SPDX-License-Identifier: Apache-2.0
"""The page of benchmarks: its verdicts are computed, its peers agree with themselves, and a small run of it works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
import bench
import peers

GOLDEN = Path(__file__).parent / "golden"
FIGURES = bench.Figures(
    cycles=12_000_000, low_ms=95.0, ms=100.0, high_ms=105.0, waits=1_000_000, macs=12_501_632, input_bytes=3072, ram=19_000,
    stack=300, code=9_000, weights=80_000, firmware=89_000, fits=True, identical=True, kernels=frozenset({"a_winograd"}),
)  # fmt: skip


def results(**changes: int | float) -> bench.Results:
    plain = replace(FIGURES, kernels=frozenset({"a"}), cycles=13_000_000)
    return {("IC", "speed"): replace(FIGURES, **changes), ("IC", "balanced"): plain, ("IC", "ram"): plain}  # type: ignore[arg-type]


def verdicts(found: bench.Results) -> Iterator[str]:
    return (line.split("|")[-2].strip() for line in bench.goals_table(found).splitlines() if line.startswith("| latency"))


@pytest.mark.parametrize(
    ("ms", "verdict"), [(100.0, "reached, the aim too"), (105.0, "reached"), (110.0, "reached"), (110.1, "**missed**")]
)
def test_verdicts_are_computed(ms: float, verdict: str) -> None:
    assert list(verdicts(results(ms=ms))) == [verdict]


def test_time_lost_for_ram_is_counted_from_the_fastest_without_winograd() -> None:
    (line,) = (line for line in bench.goals_table(results()).splitlines() if line.startswith("| time lost"))
    assert "| 0.00 % |" in line and line.endswith("| reached |")


def test_peers_figures_agree_with_their_own_cycles() -> None:
    """peers.md gives cycles a multiply-accumulate too: 1.58 for the best of X-CUBE-AI on ResNet8, of 12 501 632."""
    best = peers.TIMES[0]
    assert best.ms[0] is not None
    assert best.ms[0] * 120e3 / 12_501_632 == pytest.approx(1.58, abs=0.01)
    assert all(p.source for p in (*peers.TIMES, *peers.RAM, *peers.FLASH))


def test_a_golden_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "models_folder", lambda: GOLDEN)
    found = bench.measure(bench.Case("golden", "residual", "residual_int8.tflite"), bench.OBJECTIVES[1])
    assert found.identical and found.fits and found.low_ms < found.ms < found.high_ms
    assert found.firmware == found.code + found.weights and 0 < found.ram < 32768
    assert "| golden: residual | balanced |" in bench.firmware_table(
        [bench.Case("golden", "residual", "")], {("golden", "balanced"): found}
    )
