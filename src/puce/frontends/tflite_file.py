# SPDX-License-Identifier: Apache-2.0
""".tflite bytes -> plain records, with every length checked; what the records mean is not known here."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ..errors import BadInput, Unsupported
from ..ir import Array, Quantization
from ..ops import from_tflite
from . import flatbuffer

FILE_LIMIT = 1 << 28  # bytes
VECTOR_LIMIT = 1 << 17  # entries of a list of tensors, operators, scales: a hundred times any network we know
VALUES_LIMIT = 1 << 28  # of one tensor
RANK_LIMIT = 8
LSTM_INPUTS = 24  # of every recurrent operator with intermediate tensors
DAMAGED = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, UnicodeDecodeError, MemoryError)
AGAIN = "Download or convert the file again."


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor as the file has it: with batch, and with its values where it is constant."""

    name: str
    shape: tuple[int, ...]
    type: str  # of the schema's TensorType
    data: Array | None  # its bytes
    quantization: Quantization | None
    sparse: bool = False
    variable: bool = False  # a state that lives from one inference to the next


@dataclass(frozen=True, eq=False)
class FileOperator:
    name: str  # of BuiltinOperator, or of the custom operator
    inputs: tuple[int, ...]  # -1 for an optional one that is absent
    outputs: tuple[int, ...]
    options: Any  # the generated table object, or None
    number: int  # its place in the file


@dataclass(frozen=True, eq=False)
class File:
    name: str
    place: str  # for messages
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse(data: bytes, place: str) -> File:
    """Read the parts of the file that a graph needs. Raises BadInput for whatever points outside the file.

    Of several graphs the first is read, as LiteRT does: others are other entry points, or the bodies of control flow,
    whose operators are refused by name.
    """
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise BadInput(place, "this is no .tflite file: the letters TFL3 are missing at byte 4.", AGAIN)
    if len(data) > FILE_LIMIT:
        raise BadInput(place, f"the file has {len(data)} bytes.", "It is no model for a microcontroller.")
    import tflite

    try:
        flatbuffer.verify(data)
        model = tflite.Model.GetRootAs(data, 0)
        if model.SubgraphsLength() < 1:
            raise ValueError("it holds no graph")
        graph = model.Subgraphs(0)
        codes = [_operator_name(model.OperatorCodes(i)) for i in _counted(model.OperatorCodesLength())]
        operators = [_operator(graph.Operators(i), codes, i) for i in _counted(graph.OperatorsLength())]
        tensors = [_tensor(model, graph.Tensors(i), data) for i in _counted(graph.TensorsLength())]
        inputs, outputs = _integers(graph.InputsAsNumpy()), _integers(graph.OutputsAsNumpy())
        _check_indices(operators, inputs, outputs, len(tensors))
        return File(_text(graph.Name()) or "model", place, tuple(tensors), tuple(operators), inputs, outputs)
    except DAMAGED as error:
        raise BadInput(place, f"the file is damaged or cut short: {error or type(error).__name__}.", AGAIN) from error


def _counted(length: int) -> range:
    if not 0 <= length <= VECTOR_LIMIT:
        raise ValueError(f"a list of {length} entries")
    return range(length)


def _integers(vector: Any) -> tuple[int, ...]:
    """A vector of the file, which flatbuffers gives as 0 where it is absent."""
    return () if isinstance(vector, int) else tuple(int(v) for v in vector[: len(_counted(len(vector)))])


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def _operator_name(code: Any) -> str:
    import tflite

    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    name = names.get(number, f"builtin operator {number}")
    custom = _text(code.CustomCode())
    return f"custom operator {custom}".strip() if name == "CUSTOM" or (custom and number > 127) else name


def _operator(operator: Any, codes: Sequence[str], number: int) -> FileOperator:
    import tflite

    index = operator.OpcodeIndex()
    if index >= len(codes):
        raise ValueError(f"operator code {index} of {len(codes)}")
    name = codes[index]
    known = from_tflite(name)
    form = known[1] if known else None
    options = None
    table = operator.BuiltinOptions()
    kind = operator.BuiltinOptionsType()
    if form is not None and form.options and table is not None and kind != tflite.BuiltinOptions.NONE:
        if kind != getattr(tflite.BuiltinOptions, form.options):
            raise ValueError(f"{name} has options of another operator")
        options = getattr(tflite, form.options)()
        options.Init(table.Bytes, table.Pos)
    scales = _integers(operator.IntermediatesAsNumpy())  # of recurrent operators: tensors that carry only a scale
    inputs, outputs = _integers(operator.InputsAsNumpy()), _integers(operator.OutputsAsNumpy())
    if scales:
        inputs = (*inputs, *(-1,) * (LSTM_INPUTS - len(inputs)), *scales)
    return FileOperator(name, inputs, outputs, options, number)


def _tensor(model: Any, tensor: Any, file: bytes) -> FileTensor:
    import tflite

    types = {v: k for k, v in vars(tflite.TensorType).items() if isinstance(v, int)}
    index = tensor.Buffer()
    if index >= model.BuffersLength():
        raise ValueError(f"buffer {index} of {model.BuffersLength()}")
    shape = _integers(tensor.ShapeAsNumpy())
    if len(shape) > RANK_LIMIT or prod(max(n, 1) for n in shape) > VALUES_LIMIT:
        raise ValueError(f"a tensor of the shape {list(shape)}")
    return FileTensor(
        _text(tensor.Name()),
        shape,
        types.get(tensor.Type(), f"type {tensor.Type()}"),
        _bytes(model.Buffers(index), file),
        _quantization(tensor.Quantization()),
        tensor.Sparsity() is not None,
        bool(tensor.IsVariable()),
    )


def _bytes(buffer: Any, file: bytes) -> Array | None:
    """A buffer's bytes where they lie; None for an empty one, which is TFLite's word for "not constant"."""
    if buffer.DataLength():
        values: Array = buffer.DataAsNumpy()
        return values
    if buffer.Offset() > 1:  # models above 2 GB keep their buffers after the flatbuffer
        return np.frombuffer(file, np.uint8, buffer.Size(), buffer.Offset())
    return None


def _quantization(q: Any) -> Quantization | None:
    if q is None or q.ScaleLength() == 0:
        return None
    _counted(q.ScaleLength())
    scales = tuple(float(s) for s in q.ScaleAsNumpy())
    zeros = _integers(q.ZeroPointAsNumpy()) or (0,) * len(scales)
    if len(zeros) == 1:
        zeros *= len(scales)
    if len(scales) == 1 and scales[0] == 0:  # converters write this for "not quantised"
        return None
    if len(zeros) != len(scales) or not all(0 < s < np.inf for s in scales):
        raise ValueError("scales and zero points of a tensor do not belong together")
    return Quantization(scales, zeros, int(q.QuantizedDimension()) if len(scales) > 1 else None)


def _check_indices(operators: Sequence[FileOperator], inputs: Sequence[int], outputs: Sequence[int], count: int) -> None:
    for name, indices, low in (
        *((o.name, o.inputs, -1) for o in operators),
        *((o.name, o.outputs, 0) for o in operators),
        ("the model", (*inputs, *outputs), 0),
    ):
        if any(not low <= i < count for i in indices):
            raise ValueError(f"{name} names a tensor that does not exist")
    if len(set(inputs)) != len(inputs):
        raise ValueError("the model names an input twice")


# ── constants ─────────────────────────────────────────────────────────────────────────────────────────────────────

NUMPY = {
    "FLOAT32": "float32", "FLOAT16": "float16", "FLOAT64": "float64", "INT8": "int8", "UINT8": "uint8", "INT16": "int16",
    "INT32": "int32", "INT64": "int64", "BOOL": "bool",
}  # fmt: skip


def values(t: FileTensor, spot: str) -> Array:
    """A constant's array in the file's own type and shape. Raises BadInput where its bytes do not fill the shape."""
    if t.type not in NUMPY:
        raise unsupported_type(t, spot)
    dtype = np.dtype(NUMPY[t.type]).newbyteorder("<")
    count = prod(t.shape)
    raw = np.zeros(0, np.uint8) if t.data is None else t.data
    if min(t.shape, default=0) < 0 or raw.nbytes != count * dtype.itemsize:
        fact = f"it should hold {count} values of type {t.type.lower()}, but has {raw.nbytes} bytes."
        raise BadInput(spot, fact, AGAIN)
    return np.frombuffer(raw.tobytes(), dtype).reshape(t.shape).astype(dtype.newbyteorder("="))


def constant(t: FileTensor, array: Array) -> FileTensor:
    """The tensor as a constant: with values that were computed on import."""
    kind = next(word for word, name in NUMPY.items() if name == array.dtype)
    raw = np.frombuffer(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes(), np.uint8)
    return replace(t, shape=tuple(array.shape), type=kind, data=raw, variable=False)


def unsupported_type(t: FileTensor, spot: str) -> Unsupported:
    return Unsupported(spot, f"values of type {t.type.lower()} are not supported.", "Convert the model to int8 or float32.")
