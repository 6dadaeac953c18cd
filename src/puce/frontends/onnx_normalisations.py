# SPDX-License-Identifier: Apache-2.0
"""ONNX's normalisations over a picture's own values, as the means, products and roots that they are; float32 only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..ops._pairs import Attrs as PairAttrs
from ..ops._pairs import OrderedAttrs
from ..ops._single import Attrs as SingleAttrs
from .onnx_elementwise import Handler, array_of, combined, given, scaled, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_reductions import reduced
from .onnx_shapes import axis_of
from .onnx_values import Constant, Value, reshaped


def normalised(b: Builder, v: Value, axes: Sequence[int], epsilon: float, centred: bool = True) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over these axes; without the mean where it is not centred."""
    if centred:
        v = combined(b, "sub", OrderedAttrs(), v, reduced(b, v, "mean", axes))
    v = b.floats(v)
    square = v.holding(b.node("square", (v.tensor,), SingleAttrs(), name=f"{b.name}/square"))
    variance = scaled(b, reduced(b, square, "mean", axes), 1.0, epsilon)
    assert variance is not None
    inverse = variance.holding(b.node("rsqrt", (variance.tensor,), SingleAttrs(), name=f"{b.name}/rsqrt"))
    return combined(b, "mul", PairAttrs(), v, inverse)


def affine(b: Builder, v: Value, scale: Operand | None, offset: Operand | None, shape: Sequence[int] = (-1,)) -> Value:
    """Times a constant, plus a constant."""
    first = np.ones(1) if scale is None else array_of(b, scale, "scales")
    second = np.zeros(1) if offset is None else array_of(b, offset, "offsets")
    if list(shape) != [-1]:
        first, second = (k.reshape(shape) if k.size > 1 else k for k in (first, second))
    result = scaled(b, v, first, second)
    if result is None:
        raise b.refuse("its scales do not fit its input.", "Export the model again.")
    return result


def layer_normalization(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    first = axis_of(b, n.number("axis", -1), len(v.shape))
    axes = range(first, len(v.shape))
    y = normalised(b, v, axes, n.real("epsilon", 1e-5), centred="RMS" not in n.op)
    return (affine(b, y, given(x, 1), given(x, 2)),)


def instance_normalization(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    y = normalised(b, v, range(2, len(v.shape)), n.real("epsilon", 1e-5))
    return (affine(b, y, given(x, 1), given(x, 2), (-1,) + (1,) * (len(v.shape) - 2)),)


def group_normalization(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Scales are one a group until opset 20, one a channel since."""
    v = value_of(b, x[0])
    groups, (one, c, *rest) = n.number("num_groups", 1), v.shape
    if groups < 1 or c % groups:
        raise b.refuse(f"{c} channels are not {groups} groups.", "Export the model again.")
    split = b.settled(reshaped(v, (one, groups, c // groups, prod(rest))))
    y = reshaped(normalised(b, split, (2, 3), n.real("epsilon", 1e-5)), v.shape)

    def a_channel(o: Operand | None) -> Constant:
        values = array_of(b, o, "scales").ravel()
        return Constant(np.repeat(values, c // max(values.size, 1)))

    return (affine(b, y, a_channel(given(x, 1)), a_channel(given(x, 2)), (-1,) + (1,) * len(rest)),)


NORMALISATIONS: Mapping[str, Handler] = {
    "GroupNormalization": group_normalization, "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization, "RMSNormalization": layer_normalization,
    "SimplifiedLayerNormalization": layer_normalization,
}  # fmt: skip
