# SPDX-License-Identifier: Apache-2.0
"""Pictures as points of a plane: pixels, or what a network makes of them, projected to two dimensions."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import MissingExtra
from .dataset import SPLITS, Dataset, Split

Array = np.ndarray[Any, np.dtype[Any]]
Method = Literal["pca", "umap"]

POINTS = 1000
SIDE = 16


@dataclass(frozen=True, eq=False)
class Sample:
    """Some pictures of a set: split, index in it, label, and the pixels, uint8 [n, h, w, c]."""

    places: tuple[tuple[Split, int], ...]
    labels: Array
    pictures: Array


@dataclass(frozen=True, eq=False)
class Plane:
    """Points [n, 2]; `kept` is the share of the variance that PCA's two axes hold, None for UMAP, which has no such number."""

    points: Array
    method: Method
    kept: float | None


def sample(dataset: Dataset, most: int = POINTS) -> Sample:
    """Draw the same pictures every time: of each class alike, over all splits, and all of a small set."""
    everyone = [(split, i, int(k)) for split in SPLITS for i, k in enumerate(dataset.labels(split))]
    order = np.random.default_rng(0).permutation(len(everyone))
    by_class: list[list[int]] = [[] for _ in range(dataset.classes)]
    for i in order:
        by_class[everyone[i][2]].append(int(i))
    turns = [rows[turn] for turn in range(max(map(len, by_class))) for rows in by_class if turn < len(rows)]
    chosen = [everyone[i] for i in sorted(turns[:most])]
    pictures = np.stack([dataset.pictures(split)[i] for split, i, _ in chosen])
    return Sample(tuple((s, i) for s, i, _ in chosen), np.array([k for _, _, k in chosen]), pictures)


def pixel_features(pictures: Array) -> Array:
    """Shrink uint8 pictures to at most 16x16 and lay each out as one row of floats from 0 to 1."""
    from PIL import Image

    n, h, w, c = pictures.shape
    if max(h, w) > SIDE:
        side = (min(w, SIDE), min(h, SIDE))
        small = [Image.fromarray(p[:, :, 0] if c == 1 else p).resize(side, Image.Resampling.BOX) for p in pictures]
        pictures = np.stack([np.asarray(p) for p in small])
    return pictures.reshape(n, -1).astype(np.float64) / 255


def plane(features: Array, method: Method = "pca") -> Plane:
    """Project features [n, d]. Raise MissingExtra where UMAP is asked for and not installed."""
    x = features.reshape(len(features), -1).astype(np.float64)
    if method == "umap":
        return Plane(_umap(x), "umap", None)
    x = x - x.mean(axis=0)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    points = np.zeros((len(x), 2))
    axes = min(2, len(s))
    # The sign of a singular vector is free: the largest entry is made positive, so that a map is the same everywhere.
    signs = np.sign(v[np.arange(axes), np.abs(v[:axes]).argmax(axis=1)])
    points[:, :axes] = u[:, :axes] * s[:axes] * np.where(signs == 0, 1, signs)
    total = float((s**2).sum())
    return Plane(points, "pca", float((s[:2] ** 2).sum()) / total if total else 1.0)


def _umap(x: Array) -> Array:
    try:
        umap = importlib.import_module("umap")  # 209 MB with its compiler: no extra of ours asks for it
    except ImportError as error:
        fact = "the map by UMAP needs this library, and it is not installed."
        raise MissingExtra("umap-learn", fact, "pip install umap-learn, or take --map pca.") from error
    points: Array = umap.UMAP(n_components=2, random_state=0, n_jobs=1).fit_transform(x)
    return points
