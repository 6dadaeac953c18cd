# SPDX-License-Identifier: Apache-2.0
"""What a .tflite file computes from constants and from fixed shapes, computed on reading: SHAPE, slices of it, float16 weights.

Converters leave such operators in a file because its batch may vary; here every shape is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from ..errors import PuceError
from ..ir import Array, Call, DType, Quantization, Tensor
from ..ops import from_tflite
from .tflite_axes import with_batch
from .tflite_file import DAMAGED, NUMPY, File, FileOperator, FileTensor, constant, values

OF_SHAPES = ("RANK", "SHAPE")
ALL_DATA = {"PACK", "CONCATENATION", "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM"}
FIRST_DATA = {
    "STRIDED_SLICE", "SLICE", "UNPACK", "GATHER", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "RSQRT",
    "SUM", "MEAN", "REDUCE_MAX", "QUANTIZE",
}  # fmt: skip
MOST_VALUES = 1 << 22  # of one operator: folding must stay a moment's work


def folded(file: File) -> File:
    """The file without the operators whose results do not depend on its inputs; those are constants now. Cases:

    1  SHAPE and RANK of anything
    2  DEQUANTIZE of a constant: weights kept as float16 or int8
    3  any other cheap operator whose inputs are all constant, by its own NumPy reference
    """
    tensors, kept = list(file.tensors), list[FileOperator]()
    computed = {*file.inputs, *(i for o in file.operators for i in o.outputs)}
    known = {i: t for i, t in enumerate(tensors) if i not in computed and not t.variable}
    for operator in file.operators:
        results = dict(_results(file, operator, known))
        if set(results) != set(operator.outputs):
            kept.append(operator)
        for i, t in results.items():
            tensors[i] = known[i] = t
    return replace(file, tensors=tuple(tensors), operators=tuple(kept))


def _results(file: File, o: FileOperator, known: Mapping[int, FileTensor]) -> Iterator[tuple[int, FileTensor]]:
    """The constants that an operator's outputs are; nothing where it must stay."""
    if not o.outputs or not o.inputs or any(i >= 0 and not 0 <= i < len(file.tensors) for i in o.inputs):
        return
    y = file.tensors[o.outputs[0]]
    if o.name in OF_SHAPES and y.type in NUMPY:
        shape = file.tensors[o.inputs[0]].shape
        array = np.array(shape if o.name == "SHAPE" else len(shape), NUMPY[y.type])
        yield o.outputs[0], constant(y, array)
        return
    sources = [known.get(i) for i in o.inputs if i >= 0]
    inputs = [t for t in sources if t is not None]
    if len(inputs) < len(sources) or o.name not in ALL_DATA | FIRST_DATA | {"DEQUANTIZE"}:
        return
    spot = f"{y.name} ({file.place}, operator {o.number})"
    try:
        if o.name == "DEQUANTIZE":
            yield o.outputs[0], constant(y, _dequantized(values(inputs[0], spot), inputs[0].quantization))
            return
        for i, array in zip(o.outputs, _evaluated(o, inputs, [file.tensors[i] for i in o.outputs], spot), strict=True):
            yield i, constant(file.tensors[i], array)
    except (*DAMAGED, KeyError, AssertionError, PuceError):
        return  # it stays, and is refused by name with the reason


def _dequantized(x: Array, q: Quantization | None) -> Array:
    """A constant's real values; `x` is float16, or integers with scales."""
    if q is None or x.dtype.kind == "f":
        if x.dtype.kind != "f":
            raise ValueError("integers without a scale")
        return x.astype(np.float32)
    along = [-1 if i == q.axis else 1 for i in range(x.ndim)]
    scale, zero = (np.array(v).reshape(along if q.axis is not None else ()) for v in (q.scale, q.zero_point))
    real: Array = (x.astype(np.float64) - zero) * scale
    return real.astype(np.float32)


def _evaluated(o: FileOperator, inputs: list[FileTensor], outputs: list[FileTensor], spot: str) -> tuple[Array, ...]:
    """An operator's own reference on constants, read as pictures without batch."""
    op, form = from_tflite(o.name) or (None, None)
    if op is None or form is None or sum(values(t, spot).size for t in inputs) > MOST_VALUES:
        raise ValueError(o.name)
    arrays = [_narrow(values(t, spot)) for t in inputs]
    data = [i for i in range(len(inputs)) if i == 0 or o.name in ALL_DATA]
    tensors = [Tensor.constant(f"c{i}", x, t.quantization) for i, (x, t) in enumerate(zip(arrays, inputs, strict=True))]
    operands = [replace(t, data=None) if i in data else t for i, t in enumerate(tensors)]
    ys = tuple(Tensor(f"y{i}", t.shape, _type(t), t.quantization) for i, t in enumerate(outputs))
    options, operands_ = with_batch(o.name, o.options, operands)
    attrs, decoded = form.decode(options, operands_, ys)
    given = [arrays[int(t.name[1:])][None] for t in decoded if t.data is None]
    results = op.reference(Call(attrs, (*(t for t in decoded),), ys), *given)
    if any(y.size > MOST_VALUES or y.shape[1:] != t.shape for y, t in zip(results, outputs, strict=True)):
        raise ValueError(o.name)
    return tuple(y[0] for y in results)


def _narrow(x: Array) -> Array:
    """Shapes of 64 bits are computed in 32."""
    return x.astype(np.int32) if x.dtype == np.int64 else x


def _type(t: FileTensor) -> DType:
    kind = "int32" if t.type == "INT64" else NUMPY[t.type]
    return cast(DType, kind)
