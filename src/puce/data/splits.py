# SPDX-License-Identifier: Apache-2.0
"""Cut a set into parts that all have its class proportions, the same way every time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SPLIT_SEED = 20
"""Fixed, and not the seed of training: two trainings must be judged on the same pictures."""


def stratified(labels: Array, counts: Sequence[int], seed: int = SPLIT_SEED, groups: Array | None = None) -> list[Array]:
    """Return one shuffled index array for each of `counts`, and a last one for what remains.

    1. Each part takes from each class its share of what is left, rounded so that the totals are exactly `counts`.
    2. With `groups` [n], pictures of the same group (exact duplicates) stay together, or the test set would hold
       pictures that were trained on; whole groups are dealt, so that a count may be missed by part of a group.
    """
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    leaders = np.arange(len(labels)) if groups is None else np.unique(groups, return_index=True)[1]
    pools = [rng.permutation(leaders[labels[leaders] == k]) for k in range(int(labels.max()) + 1)]
    parts = []
    for wanted in counts:
        shares = _shares([len(pool) for pool in pools], round(wanted * len(leaders) / len(labels)))
        parts.append(np.concatenate([pool[:n] for pool, n in zip(pools, shares, strict=True)]))
        pools = [pool[n:] for pool, n in zip(pools, shares, strict=True)]
    parts.append(np.concatenate(pools))
    if groups is not None:
        parts = [np.flatnonzero(np.isin(groups, groups[part])) for part in parts]
    return [rng.permutation(part) for part in parts]


def _shares(sizes: Sequence[int], wanted: int) -> list[int]:
    """Deal `wanted` over the classes in proportion (largest remainder), lower class first among equals."""
    total = sum(sizes)
    exact = [wanted * size / total for size in sizes]
    shares = [int(x) for x in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda k: (shares[k] - exact[k], k))
    for k in by_remainder[: wanted - sum(shares)]:
        shares[k] += 1
    return shares


def joined(*keys: Sequence[str]) -> Array:
    """Number the groups [n] of things that share a key, directly or through others; an empty key joins nobody.

    Each of `keys` has n entries: pictures with the same content, then pictures of the same patient, and so on.
    """
    pairs = []
    for column in keys:
        first: dict[str, int] = {}
        pairs += [(i, first.setdefault(key, i)) for i, key in enumerate(column) if key]
    return connected(len(keys[0]), pairs)


def connected(n: int, pairs: Iterable[tuple[int, int]]) -> Array:
    """Number the connected components [n] of n things of which these pairs belong together, in order of appearance."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        a, b = sorted((root(i), root(j)))
        parent[b] = a
    return np.unique([root(i) for i in range(n)], return_inverse=True)[1]
