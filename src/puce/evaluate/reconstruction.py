# SPDX-License-Identifier: Apache-2.0
"""How near pictures come back: mean squared error with its interval, and what principal components of the same number leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from .accuracy import PairedTest

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 4096
SPARE = 32
"""Directions beside those wanted: with them the wanted ones settle in a few passes."""
PASSES = 24
SETTLED = 1e-5
"""Stop where a pass over the pictures adds less than this part to what the directions hold."""


@dataclass(frozen=True)
class SquaredError:
    """Mean over `count` pictures of their mean squared error per value (values 0 to 1), with its 95 % interval.

    The interval is the normal one of a mean over pictures, each of which counts once.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, errors: Array) -> SquaredError:
        """`errors` [n] is one figure a picture."""
        x = np.asarray(errors, np.float64)
        reach = NormalDist().inv_cdf(0.975) * (float(x.std(ddof=1)) / sqrt(len(x)) if len(x) > 1 else 0.0)
        value = float(x.mean())
        low = max(0.0, value - reach) if x.min() >= 0 else value - reach  # a difference may be below 0, an error may not
        return cls(value, low, value + reach, len(x))

    def as_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "count": self.count}

    def __str__(self) -> str:
        return f"{self.value:.6f} ({self.count} pictures; 95 %: {self.low:.6f} to {self.high:.6f})"


@dataclass(frozen=True)
class Nearer:
    """Two ways to give pictures back, on the same pictures: by how much the first is nearer, and on how many of them."""

    difference: SquaredError
    """Second less first, picture by picture: above 0 the first is nearer."""
    first: int
    """Pictures that the first gives back more nearly."""
    p_value: float
    """The exact two-sided sign test: that of a fair coin."""

    @property
    def shown(self) -> bool:
        """Whether the first is nearer on average beyond chance."""
        return self.difference.low > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "difference": self.difference.as_json(), "nearer": self.first, "p_value": self.p_value, "shown": self.shown,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Components:
    """The directions in which pictures vary most: `mean` [d], `directions` [d, k], orthonormal, `spread` [k] along each."""

    mean: Array
    directions: Array
    spread: Array

    @classmethod
    def load(cls, path: Path) -> Components:
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["mean"], kept["directions"], kept["spread"])

    def save(self, path: Path) -> None:
        np.savez(path, mean=self.mean, directions=self.directions, spread=self.spread)

    def code(self, pictures: Array) -> Array:
        """Coordinates [n, k] of pictures [n, ...]."""
        found: Array = (_flat(pictures) - self.mean) @ self.directions
        return found

    def give_back(self, pictures: Array) -> Array:
        """What is left of pictures [n, ...] after k numbers, in their shape."""
        found: Array = (self.code(pictures) @ self.directions.T + self.mean).reshape(pictures.shape)
        return found


def squared_errors(pictures: Array, given_back: Array) -> Array:
    """One mean squared error a picture: [n]."""
    assert pictures.shape == given_back.shape, (pictures.shape, given_back.shape)
    errors: Array = np.square(_flat(pictures).astype(np.float64) - _flat(given_back)).mean(axis=1)
    return errors


def nearer(first: Array, second: Array) -> Nearer:
    """Compare the errors [n] of two ways on the same pictures."""
    from .accuracy import mcnemar

    wins, losses = first < second, second < first
    test: PairedTest = mcnemar(wins.astype(np.int64), losses.astype(np.int64), np.ones(len(first), np.int64))
    return Nearer(SquaredError.of(second - first), int(wins.sum()), test.p_value)


def components(pictures: Array, count: int, encode: Callable[[Array], Array] = np.asarray) -> Components:
    """Find the first `count` principal components of pictures [n, ...]: the best linear code of that many values.

    `encode` makes float32 of a few pictures at a time, as a network sees them.

    By subspace iteration over the pictures themselves (Halko, Martinsson and Tropp, SIAM Review 53, 2011), as a
    covariance matrix of large pictures would not fit in memory. Deterministic.
    """
    n, d = len(pictures), prod(pictures.shape[1:])

    def parts() -> Iterator[Array]:
        return (_flat(encode(pictures[i : i + CHUNK])) for i in range(0, n, CHUNK))

    mean = (sum(part.sum(axis=0, dtype=np.float64) for part in parts()) / n).astype(np.float32)
    wide = min(count + SPARE, n, d)
    count = min(count, wide)
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(d, wide)))[0].astype(np.float32)
    held = 0.0
    for _ in range(PASSES):
        z, inner = np.zeros((d, wide)), np.zeros((wide, wide))
        for part in parts():
            centred = part - mean
            p = centred @ q
            z += centred.T @ p
            inner += p.T @ p
        values, vectors = np.linalg.eigh(inner)
        directions = (q @ vectors[:, ::-1][:, :count]).astype(np.float32)
        spread = np.sqrt(np.maximum(values[::-1][:count], 0) / n).astype(np.float32)
        before, held = held, float(values[::-1][:count].sum())
        if held - before <= SETTLED * held:
            break
        q = np.linalg.qr(z)[0].astype(np.float32)
    return Components(mean, directions, spread)


def _flat(pictures: Array) -> Array:
    return pictures.reshape(len(pictures), -1)
