# SPDX-License-Identifier: Apache-2.0
"""How a .tflite operator counts dimensions, rewritten as if a batch of one stood before them.

Our graphs hold one picture; a file's first dimension is a batch, and operators decode themselves for files whose batch
is 1. A file may have none: tensors [2, 3], pictures of [4, 4] under a first dimension that means something. Such a use
is read as [1, 2, 3]: axes move by one, paddings and slices get an entry for the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir import Array, Tensor

AXIS_IN_OPTIONS = {"CONCATENATION", "PACK", "UNPACK", "GATHER"}
AXIS_IN_INPUT = {
    "MEAN": 1, "SUM": 1, "REDUCE_MAX": 1, "REDUCE_MIN": 1, "REDUCE_PROD": 1, "ARG_MAX": 1, "ARG_MIN": 1,
    "EXPAND_DIMS": 1, "SPLIT": 0, "SPLIT_V": 2,
}  # fmt: skip


class Options:
    """An options table with some of its fields changed."""

    def __init__(self, table: Any, changes: Mapping[str, int]) -> None:
        self._table, self._changes = table, changes

    def __getattr__(self, name: str) -> Any:
        if name in self._changes:
            return lambda: self._changes[name]
        return getattr(self._table, name)


def after_batch(axes: Array) -> Array:
    """Axes counted from the front move by one; those counted from the end stay."""
    return np.where(axes < 0, axes, axes + 1).astype(axes.dtype)


def _before(row: Sequence[int]) -> Callable[[Array], Array]:
    return lambda x: np.concatenate([np.array([row], x.dtype).reshape(-1, *x.shape[1:]), x])


def _of_inputs(operator: str) -> dict[int, Callable[[Array], Array]]:
    """What happens to each constant input that speaks of dimensions."""
    if operator in AXIS_IN_INPUT:
        return {AXIS_IN_INPUT[operator]: after_batch}
    if operator in ("PAD", "PADV2", "MIRROR_PAD"):
        return {1: _before([0, 0])}
    if operator == "TRANSPOSE":
        return {1: lambda order: np.concatenate([np.zeros(1, order.dtype), order % max(len(order), 1) + 1])}
    if operator == "SLICE":
        return {1: _before([0]), 2: _before([1])}
    if operator == "STRIDED_SLICE":
        return {1: _before([0]), 2: _before([1]), 3: _before([1])}
    return {}


def with_batch(operator: str, options: Any, inputs: Sequence[Tensor]) -> tuple[Any, tuple[Tensor, ...]]:
    """Options and inputs of an operator without batch, as the same operator with a batch of one would have them."""
    changed = list(inputs)
    for i, change in _of_inputs(operator).items():
        data = inputs[i].data if i < len(inputs) else None
        if data is not None:
            changed[i] = Tensor.constant(inputs[i].name, change(data), inputs[i].quantization)
    if options is not None and operator in AXIS_IN_OPTIONS:
        axis = int(options.Axis())
        options = Options(options, {"Axis": axis if axis < 0 else axis + 1})
    if options is not None and operator == "STRIDED_SLICE":
        masks = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")
        options = Options(options, {m: int(getattr(options, m)()) << 1 for m in masks})
    return options, tuple(changed)
