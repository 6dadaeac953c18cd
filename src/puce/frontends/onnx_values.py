# SPDX-License-Identifier: Apache-2.0
"""How a tensor of an .onnx file lies in ours: axes are renamed, not moved, until an operator wants them otherwise.

ONNX puts channels before rows and columns, we put them last. A `Value` says which axis of the file each of our axes is;
a transpose in the file then changes that list only, and weights are laid out once, to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..ir import Array, Quantization, Tensor

Shape = tuple[int, ...]
Axes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant of the file. For DequantizeLinear's result `raw` has the integers, `q` what they mean (axis: the file's)."""

    data: Array
    raw: Array | None = None
    q: Quantization | None = None


@dataclass(frozen=True, eq=False)
class Value:
    """A computed tensor of the file.

    Our memory, seen as the sizes of `axes` (axes of `base`; those of size 1 may be missing), transposed into the order of
    `base` and reshaped to `shape`, is the tensor of the file. `shape` differs from `base` while a reshape that mixes
    channels with rows waits for somebody who needs it. `real`: stands for a float tensor although ours is int8.
    `unsigned`: stands for uint8, whose bytes are 128 higher than ours.
    """

    tensor: Tensor
    shape: Shape
    base: Shape
    axes: Axes
    real: bool = False
    unsigned: bool = False

    @classmethod
    def plain(cls, tensor: Tensor, shape: Shape, axes: Axes | None = None, real: bool = False) -> Value:
        axes = tuple(range(len(shape))) if axes is None else axes
        return cls(tensor, shape, shape, tuple(a for a in axes if a >= 0 and shape[a] > 1), real)

    @property
    def waits(self) -> bool:
        """Whether a reshape is pending."""
        return self.shape != self.base

    @property
    def in_order(self) -> bool:
        """Whether our memory has the order of the file's."""
        return list(self.axes) == sorted(self.axes)

    def holding(self, tensor: Tensor) -> Value:
        """Another tensor of the same layout: what an element-wise operator returns."""
        return replace(self, tensor=tensor)

    def places(self) -> Array:
        """For each value of the file's tensor, in its order, where it lies in ours."""
        sizes = [self.base[a] for a in self.axes]
        order = sorted(range(len(self.axes)), key=lambda i: self.axes[i])
        return np.arange(prod(sizes)).reshape(sizes).transpose(order).ravel()


def transposed(v: Value, order: Sequence[int]) -> Value:
    """Axis i of the result is axis order[i] of the value, whose reshape must not be pending."""
    shape = tuple(v.shape[i] for i in order)
    return replace(v, shape=shape, base=shape, axes=tuple(order.index(a) for a in v.axes))


def reshaped(v: Value, shape: Shape) -> Value:
    """The value under another shape of the file: by renaming axes where that is possible, else pending."""
    axes = renamed(v.base, v.axes, shape)
    if axes is not None:
        return replace(v, shape=shape, base=shape, axes=axes)
    return replace(v, shape=shape)


def renamed(base: Shape, axes: Axes, shape: Shape) -> Axes | None:
    """Our axes as axes of `shape`, where each group of axes that becomes another group lies together, in order."""
    result: dict[Axes, Axes] = {}
    for before, after in groups(base, shape):
        result[before] = after
    found: list[int] = []
    rest = list(axes)
    while rest:
        group = next((g for g in result if g and g[0] == rest[0]), None)
        if group is None or tuple(rest[: len(group)]) != group:
            return None
        found += result[group]
        del rest[: len(group)]
    return tuple(found)


def gathered(v: Value) -> Axes:
    """Axes of `base` in the order nearest to ours in which a pending reshape is but other names."""
    found: list[int] = []
    for a in v.axes:
        if a not in found:
            found += next(before for before, _ in groups(v.base, v.shape) if a in before)
    return tuple(found)


def groups(base: Shape, shape: Shape) -> list[tuple[Axes, Axes]]:
    """The shortest runs of axes larger than 1 that hold the same values in both shapes."""
    left = [i for i, n in enumerate(base) if n > 1]
    right = [i for i, n in enumerate(shape) if n > 1]
    found: list[tuple[Axes, Axes]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b, m, n = [left[i]], [right[j]], base[left[i]], shape[right[j]]
        while m != n:
            if m < n:
                i += 1
                a.append(left[i])
                m *= base[left[i]]
            else:
                j += 1
                b.append(right[j])
                n *= shape[right[j]]
        found.append((tuple(a), tuple(b)))
        i, j = i + 1, j + 1
    return found


def sizes(shape: Shape, axes: Sequence[int]) -> Shape:
    """Sizes of our axes: -1 stands for one of 1 that the file does not have."""
    return tuple(1 if a < 0 else shape[a] for a in axes)


def default_axes(shape: Shape) -> Axes:
    """The file's own order, without a batch of one; a single number is a vector of one."""
    if not shape:
        return (-1,)
    return tuple(range(1, len(shape))) if len(shape) > 1 and shape[0] == 1 else tuple(range(len(shape)))


def channels_last(rank: int) -> Axes:
    """[n, c, h, w] as [h, w, c], [n, c, t] as a picture of one row, [n, c] as [c]."""
    return {2: (1,), 3: (-1, 2, 1), 4: (2, 3, 1)}.get(rank, (*range(2, rank), 1))
