# SPDX-License-Identifier: Apache-2.0
"""A CONV_2D whose weights have fewer channels than its input works in groups: written out, a convolution for each.

Numbered cases: 1  a group for each input channel: DEPTHWISE_CONV_2D; 2  up to 8 groups: SPLIT, convolutions, CONCATENATION.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Array, Quantization
from .tflite_axes import Options
from .tflite_file import DAMAGED, File, FileOperator, FileTensor, constant, values

MOST_GROUPS = 8  # what SPLIT and CONCATENATION have kernels for
CHANNELS = 3  # the axis


def ungrouped(file: File) -> File:
    """The file without grouped convolutions; one that fits neither case stays, and is refused with the operator's words."""
    tensors, operators = list(file.tensors), list[FileOperator]()
    for o in file.operators:
        count = groups(o, file)
        try:
            if count > 1 and file.tensors[o.inputs[1]].shape[3] == 1:
                operators.append(as_depthwise(o, tensors))
            elif 1 < count <= MOST_GROUPS:
                operators += side_by_side(o, tensors, count)
            else:
                operators.append(o)
        except DAMAGED:
            operators.append(o)
    return replace(file, tensors=tuple(tensors), operators=tuple(operators))


def groups(o: FileOperator, file: File) -> int:
    """How many groups a convolution has; 1 for anything that is none, or whose sizes do not fit together."""
    if o.name != "CONV_2D" or len(o.inputs) < 2 or min(o.inputs[:2]) < 0 or len(o.outputs) != 1:
        return 1
    x, w, y = (file.tensors[i].shape for i in (*o.inputs[:2], o.outputs[0]))
    if not len(x) == len(w) == len(y) == 4 or min(*x, *w, *y) < 1 or x[3] % w[3] or file.tensors[o.inputs[1]].data is None:
        return 1
    count = x[3] // w[3]
    return count if w[0] == y[3] and w[0] % count == 0 else 1


def as_depthwise(o: FileOperator, tensors: list[FileTensor]) -> FileOperator:
    """Weights [oc, kh, kw, 1] as [1, kh, kw, oc]: output channel o belongs to input channel o / (oc / c) in both."""
    w = tensors[o.inputs[1]]
    moved = constant(w, np.ascontiguousarray(values(w, w.name).transpose(3, 1, 2, 0)))
    q = w.quantization
    tensors.append(replace(moved, name=f"{w.name}/depthwise", quantization=replace(q, axis=3) if q and q.axis == 0 else q))
    return replace(o, name="DEPTHWISE_CONV_2D", inputs=(o.inputs[0], len(tensors) - 1, *o.inputs[2:]))


def side_by_side(o: FileOperator, tensors: list[FileTensor], count: int) -> list[FileOperator]:
    def added(t: FileTensor) -> int:
        tensors.append(t)
        return len(tensors) - 1

    x, y = tensors[o.inputs[0]], tensors[o.outputs[0]]
    axis = added(constant(FileTensor(f"{y.name}/axis", (), "INT32", None, None), np.array(CHANNELS, np.int32)))
    parts, results, convolutions = list[int](), list[int](), list[FileOperator]()
    for g in range(count):
        part = added(replace(x, name=f"{y.name}/in_{g}", shape=(*x.shape[:3], x.shape[3] // count)))
        weights = [added(piece(tensors[i], g, count)) if i >= 0 else -1 for i in o.inputs[1:]]
        result = added(replace(y, name=f"{y.name}/group_{g}", shape=(*y.shape[:3], y.shape[3] // count)))
        parts.append(part)
        results.append(result)
        convolutions.append(replace(o, inputs=(part, *weights), outputs=(result,)))
    split = FileOperator("SPLIT", (axis, o.inputs[0]), tuple(parts), None, o.number)
    joined = Options(None, {"Axis": CHANNELS, "FusedActivationFunction": 0})
    return [split, *convolutions, FileOperator("CONCATENATION", tuple(results), o.outputs, joined, o.number)]


def piece(t: FileTensor, number: int, count: int) -> FileTensor:
    """One group's share of weights or bias: a block of output channels, with their scales."""
    all_values: Array = values(t, t.name)
    n = len(all_values) // count
    block = slice(number * n, (number + 1) * n)
    q = t.quantization
    if q is not None and len(q.scale) == len(all_values) > 1:
        q = Quantization(q.scale[block], q.zero_point[block], 0 if n > 1 else None)
    return replace(constant(t, np.ascontiguousarray(all_values[block])), name=f"{t.name}/group_{number}", quantization=q)
