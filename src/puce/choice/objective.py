# SPDX-License-Identifier: Apache-2.0
"""What the user wants most, and what each wish means in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import BadInput

Objective = Literal["speed", "balanced", "ram", "flash"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

BALANCED_TABLES = 1.25  # of the plain tables: room for padded rows and pairs of channels, not for tables in another domain
SPARING_TIME = 1.10  # of the balanced choice's time is what `ram` and `flash` may take; more only where nothing else fits
SAME_TIME = 1.005  # whole models nearer than half a per cent are equally fast: the model of cycles errs by several


@dataclass(frozen=True)
class Limits:
    """What a whole may take: bytes of flash, of RAM at its peak, of tables in flash; cycles. No limit is infinity."""

    flash: float = math.inf
    ram: float = math.inf
    tables: float = math.inf
    cycles: float = math.inf

    def tightened(self, *, ram: float = math.inf, tables: float = math.inf, cycles: float = math.inf) -> Limits:
        return Limits(self.flash, min(self.ram, ram), min(self.tables, tables), min(self.cycles, cycles))


def checked(optimize: str) -> Objective:
    """The objective of this name. Raises BadInput for any other word."""
    for known in OBJECTIVES:
        if optimize == known:
            return known
    raise BadInput("optimize", f"{optimize!r} is not an objective.", f"One of {', '.join(OBJECTIVES)}.")
