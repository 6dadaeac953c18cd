# SPDX-License-Identifier: Apache-2.0
"""uint8 networks, as converters wrote them before 2020, as int8 ones: every value less 128, and its zero point too.

Kernels of LiteRT subtract the zero point before they do anything else, so the same real numbers give the same sums and
the same rounding (found by experiment; average pooling is the exception). Inputs and outputs of the model stay uint8, with
an exact QUANTIZE beside them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Quantization
from .tflite_file import File, FileOperator, FileTensor, constant

EDGES = {"QUANTIZE", "DEQUANTIZE"}  # these read and write uint8 themselves
UNSIGNED = {"AVERAGE_POOL_2D"}  # rounds ties otherwise in int8, see ops/average_pool_2d.py
WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def signed(file: File) -> File | None:
    """The same network in int8; None where nothing inside it is uint8."""
    inner = {
        i for o in file.operators if o.name not in EDGES for i in (*o.inputs, *o.outputs) if _is_unsigned(file, i)
    }  # fmt: skip
    if not inner:
        return None
    tensors = [_shifted(t) if i in inner else t for i, t in enumerate(file.tensors)]
    for o in file.operators:
        if o.name in WEIGHTED and len(o.inputs) > 1 and o.inputs[1] in inner:
            tensors[o.inputs[1]] = _symmetric(tensors[o.inputs[1]])
    before, after, inputs, outputs = list[FileOperator](), list[FileOperator](), list[int](), list[int]()
    for side, ends in ((file.inputs, inputs), (file.outputs, outputs)):
        for i in side:
            if i not in inner or tensors[i].data is not None:
                ends.append(i)
                continue
            ends.append(len(tensors))
            tensors.append(replace(file.tensors[i], name=f"{file.tensors[i].name}/uint8"))
            if ends is inputs:
                before.append(FileOperator("QUANTIZE", (ends[-1],), (i,), None, -1))
            else:
                after.append(FileOperator("QUANTIZE", (i,), (ends[-1],), None, len(file.operators)))
    middle = list[FileOperator]()
    for o in file.operators:
        middle += _between(o, file, tensors) if _stays(o, file) else [o]
    operators = (*before, *middle, *after)
    return replace(file, tensors=tuple(tensors), operators=operators, inputs=tuple(inputs), outputs=tuple(outputs))


def _stays(o: FileOperator, file: File) -> bool:
    """Whether an operator must be computed in uint8: it rounds otherwise, or joins values of several scales."""
    ends = [file.tensors[i] for i in (*o.inputs, *o.outputs) if _is_unsigned(file, i)]
    return o.name in UNSIGNED or (o.name == "CONCATENATION" and len({t.quantization for t in ends}) > 1)


def _between(o: FileOperator, file: File, tensors: list[FileTensor]) -> list[FileOperator]:
    """An operator in uint8 among others in int8: an exact QUANTIZE before each input and behind each output."""
    places = dict[int, int]()
    for i in (*o.inputs, *o.outputs):
        if _is_unsigned(file, i) and i not in places:
            places[i] = len(tensors)
            tensors.append(replace(file.tensors[i], name=f"{file.tensors[i].name}/uint8_{o.number}"))
    inside = replace(o, inputs=tuple(places.get(i, i) for i in o.inputs), outputs=tuple(places.get(i, i) for i in o.outputs))
    before = [FileOperator("QUANTIZE", (i,), (j,), None, o.number) for i, j in places.items() if i in o.inputs]
    after = [FileOperator("QUANTIZE", (j,), (i,), None, o.number) for i, j in places.items() if i in o.outputs]
    return [*before, inside, *after]


def _is_unsigned(file: File, i: int) -> bool:
    return i >= 0 and file.tensors[i].type == "UINT8" and file.tensors[i].quantization is not None


def _shifted(t: FileTensor) -> FileTensor:
    """Values and zero points less 128: in two's complement the top bit changes."""
    assert t.quantization is not None
    q = replace(t.quantization, zero_point=tuple(z - 128 for z in t.quantization.zero_point))
    return replace(t, type="INT8", quantization=q, data=None if t.data is None else t.data ^ np.uint8(0x80))


def _symmetric(t: FileTensor) -> FileTensor:
    """Weights whose zero point is 0: they are -255 .. 255 then, and take int16 where they must."""
    q = t.quantization
    if q is None or t.data is None or q.axis is not None or q.z == 0:
        return t
    moved = t.data.view(np.int8).astype(np.int16) - q.z
    fits = moved.min(initial=0) >= -128 and moved.max(initial=0) <= 127
    narrow = constant(t, moved.astype(np.int8 if fits else np.int16).reshape(t.shape))
    return replace(narrow, quantization=Quantization(q.scale))
