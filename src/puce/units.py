# SPDX-License-Identifier: Apache-2.0
"""Quantities as people read them: bytes, counts, times, energies, and values with an interval."""

from __future__ import annotations

from dataclasses import dataclass

NARROW = "\u202f"  # thin no-break space between thousands, as the SI asks


def count(n: int) -> str:
    """1344042 -> '1 344 042'."""
    return f"{n:,}".replace(",", NARROW)


def size(n: int) -> str:
    """Bytes, exact below 10 KiB: 9216 -> '9 216 B', 152064 -> '148.50 KiB'."""
    if abs(n) < 10 * 1024:
        return f"{count(n)}{NARROW}B"
    if abs(n) < 1024 * 1024:
        return f"{n / 1024:.2f}{NARROW}KiB"
    return f"{n / 1024 / 1024:.2f}{NARROW}MiB"


def percent(x: float) -> str:
    return f"{100 * x:.2f}{NARROW}%"


def _scaled(x: float, steps: tuple[tuple[float, str], ...]) -> str:
    for factor, unit in steps:
        if abs(x) >= factor:
            return f"{x / factor:.3g}{NARROW}{unit}"
    factor, unit = steps[-1]
    return f"{x / factor:.3g}{NARROW}{unit}"


def milliseconds(ms: float) -> str:
    return _scaled(ms, ((1000.0, "s"), (1.0, "ms"), (0.001, "µs")))


def microjoules(uj: float) -> str:
    return _scaled(uj, ((1e6, "J"), (1000.0, "mJ"), (1.0, "µJ"), (0.001, "nJ")))


@dataclass(frozen=True)
class Estimate:
    """A value that is not exact, and the interval it is believed to lie in."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        assert self.low <= self.value <= self.high, (self.low, self.value, self.high)

    @classmethod
    def within(cls, value: float, relative: float) -> Estimate:
        """The interval value * (1 -+ relative)."""
        return cls(value, value * (1 - relative), value * (1 + relative))

    def scaled(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def as_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}
