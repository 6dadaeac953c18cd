# SPDX-License-Identifier: Apache-2.0
"""Gives each buffer its offset in a bank, so that buffers alive together share no byte and the peak is small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .plan import Bank, Buffer, aligned

ATTEMPTS = 200  # orders tried after the greedy ones; the search stops when the lower bound is reached
PLACED = 20_000  # buffers placed in all attempts: in a graph of more than a hundred buffers there are fewer attempts


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes alive in any one step: no layout can be smaller."""
    return max((sum(aligned(o.nbytes) for o in buffers if o.first <= b.first <= o.last) for b in buffers), default=0)


def place(order: Sequence[Buffer], banks: Sequence[Bank]) -> tuple[Buffer, ...] | None:
    """First fit in the given order, the first bank first; None when a buffer fits nowhere."""
    placed: list[Buffer] = []
    for b in order:
        for bank in banks:
            offset = 0
            rivals = (o for o in placed if o.bank == bank.name and b.alive_together(o))
            for other in sorted(rivals, key=lambda o: o.offset):
                if offset + b.nbytes > other.offset:
                    offset = max(offset, aligned(other.offset + other.nbytes))
            if offset + b.nbytes <= bank.nbytes:
                placed.append(replace(b, bank=bank.name, offset=offset))
                break
        else:
            return None
    return tuple(placed)


def height(placed: Sequence[Buffer]) -> int:
    """Bytes used, summed over the banks."""
    tops: dict[str, int] = {}
    for b in placed:
        tops[b.bank] = max(tops.get(b.bank, 0), aligned(b.offset + b.nbytes))
    return sum(tops.values())


def arrange(buffers: Sequence[Buffer], banks: Sequence[Bank]) -> tuple[Buffer, ...] | None:
    """The smallest layout found: greedy by size, by life, by start; then seeded swaps of the best order so far."""
    keys: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.nbytes, b.first),
        lambda b: (b.first - b.last, -b.nbytes),
        lambda b: (b.first, -b.nbytes),
        lambda b: (-b.last, -b.nbytes),
    )
    bound, best, best_order = lower_bound(buffers), None, list(buffers)
    rng = np.random.default_rng(0)
    for attempt in range(len(keys) + min(ATTEMPTS, PLACED // max(len(buffers), 1))):
        if attempt < len(keys):
            order = sorted(buffers, key=lambda b: (*keys[attempt](b), b.name))
        else:
            order = list(best_order)
            i, j = (int(v) for v in rng.integers(0, len(order), 2))
            order.insert(j, order.pop(i))
        placed = place(order, banks)
        if placed is not None and (best is None or height(placed) < height(best)):
            best, best_order = placed, order
        if best is not None and height(best) <= bound:
            break
    return best
