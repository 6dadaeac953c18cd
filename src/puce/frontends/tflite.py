# SPDX-License-Identifier: Apache-2.0
"""Reads .tflite files: first the flatbuffer, with every length checked, into plain records; then those into a Graph.

Which operators exist, and what their options mean, is said by their own TfliteForm.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, Unsupported
from ..ir import Array, Call, DType, Graph, Node, Quantization, Tensor
from ..ops import Op, TfliteForm, from_tflite, make
from ..ops.reshape import Attrs as ReshapeAttrs
from .model import ImportedModel

FILE_LIMIT = 1 << 30  # bytes
VECTOR_LIMIT = 1 << 20  # entries of a list of tensors, operators, scales: a thousand times any network we know
DAMAGED = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, UnicodeDecodeError, MemoryError)
DTYPES: dict[str, DType] = {"FLOAT32": "float32", "INT8": "int8", "UINT8": "uint8", "INT16": "int16", "INT32": "int32"}
AGAIN = "Download or convert the file again."


@dataclass(frozen=True)
class FileTensor:
    """A tensor as the file has it: with batch, its raw bytes if it is constant."""

    name: str
    shape: tuple[int, ...]
    type: str
    data: bytes | None
    quantization: Quantization | None
    sparse: bool


@dataclass(frozen=True)
class FileOperator:
    name: str  # of BuiltinOperator, or of the custom operator
    inputs: tuple[int, ...]  # -1 for an optional one that is absent
    outputs: tuple[int, ...]
    options: Any  # the generated table object, or None


@dataclass(frozen=True)
class File:
    name: str
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(source: Path | str | bytes) -> Graph:
    """Return the graph of a .tflite file, given as a path or as its bytes; see `load`."""
    return load(source).graph


def load(source: Path | str | bytes) -> ImportedModel:
    """Import a .tflite file. Raises BadInput for a damaged file, Unsupported for what no operator computes."""
    place = "model.tflite" if isinstance(source, bytes) else Path(source).name
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise BadInput(str(source), f"the file cannot be read: {error.strerror}.", "Check the path.") from error
    graph = to_graph(parse(data, place), place)
    counts: dict[str, int] = {}
    for node in graph.nodes:
        size = sum(t.size for t in graph.call(node).inputs if t.data is not None)
        if size:
            counts[node.origin] = counts.get(node.origin, 0) + size
    return ImportedModel(graph, place, sum(t.size for t in graph.constants()), counts)


# ── flatbuffer -> records ─────────────────────────────────────────────────────────────────────────────────────────


def parse(data: bytes, place: str) -> File:
    """Read the parts of the file that a graph needs; whatever points outside the file makes it BadInput."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise BadInput(place, "this is no .tflite file: the letters TFL3 are missing at byte 4.", AGAIN)
    if len(data) > FILE_LIMIT:
        raise BadInput(place, f"the file has {len(data)} bytes.", "It is no model for a microcontroller.")
    import tflite

    try:
        model = tflite.Model.GetRootAs(data, 0)
        if model.SubgraphsLength() != 1:
            fact = f"the file holds {model.SubgraphsLength()} graphs: control flow is not supported."
            raise Unsupported(place, fact, "Convert a model without loops and conditions.")
        graph = model.Subgraphs(0)
        codes = [operator_name(model.OperatorCodes(i)) for i in counted(model.OperatorCodesLength())]
        operators = [parse_operator(graph.Operators(i), codes) for i in counted(graph.OperatorsLength())]
        tensors = [parse_tensor(model, graph.Tensors(i), data) for i in counted(graph.TensorsLength())]
        inputs, outputs = integers(graph.InputsAsNumpy()), integers(graph.OutputsAsNumpy())
        check_indices(operators, inputs, outputs, len(tensors))
        return File(text(graph.Name()) or "model", tuple(tensors), tuple(operators), inputs, outputs)
    except DAMAGED as error:
        raise BadInput(place, f"the file is damaged or cut short: {error or type(error).__name__}.", AGAIN) from error


def counted(length: int) -> range:
    if not 0 <= length <= VECTOR_LIMIT:
        raise ValueError(f"a list of {length} entries")
    return range(length)


def integers(vector: Any) -> tuple[int, ...]:
    """A vector of the file, which flatbuffers gives as 0 where it is absent."""
    return () if isinstance(vector, int) else tuple(int(v) for v in vector[: len(counted(len(vector)))])


def text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def operator_name(code: Any) -> str:
    import tflite

    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    name = names.get(number, f"builtin operator {number}")
    custom = text(code.CustomCode())
    return f"custom operator {custom}" if custom or name == "CUSTOM" else name


def parse_operator(operator: Any, codes: Sequence[str]) -> FileOperator:
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
    return FileOperator(name, integers(operator.InputsAsNumpy()), integers(operator.OutputsAsNumpy()), options)


def parse_tensor(model: Any, tensor: Any, file: bytes) -> FileTensor:
    import tflite

    types = {v: k for k, v in vars(tflite.TensorType).items() if isinstance(v, int)}
    index = tensor.Buffer()
    if index >= model.BuffersLength():
        raise ValueError(f"buffer {index} of {model.BuffersLength()}")
    buffer = model.Buffers(index)
    data = None
    if buffer.DataLength():
        data = buffer.DataAsNumpy().tobytes()
        if len(data) != buffer.DataLength():
            raise ValueError(f"buffer {index} ends outside the file")
    elif buffer.Offset() > 1:  # models above 2 GB keep their buffers after the flatbuffer
        data = file[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return FileTensor(
        text(tensor.Name()),
        integers(tensor.ShapeAsNumpy()),
        types.get(tensor.Type(), f"type {tensor.Type()}"),
        data,
        parse_quantization(tensor.Quantization()),
        tensor.Sparsity() is not None,
    )


def parse_quantization(q: Any) -> Quantization | None:
    if q is None or q.ScaleLength() == 0:
        return None
    counted(q.ScaleLength())
    scales = tuple(float(s) for s in q.ScaleAsNumpy())
    zeros = integers(q.ZeroPointAsNumpy()) or (0,) * len(scales)
    if len(zeros) == 1:
        zeros *= len(scales)
    if len(zeros) != len(scales) or not all(0 < s < np.inf for s in scales):
        raise ValueError("scales and zero points of a tensor do not belong together")
    return Quantization(scales, zeros, int(q.QuantizedDimension()) if len(scales) > 1 else None)


def check_indices(operators: Sequence[FileOperator], inputs: Sequence[int], outputs: Sequence[int], count: int) -> None:
    if any(not o.outputs for o in operators):
        raise ValueError("an operator has no output")
    for name, indices, low in (
        *((o.name, o.inputs, -1) for o in operators),
        *((o.name, o.outputs, 0) for o in operators),
        ("the model", (*inputs, *outputs), 0),
    ):
        if any(not low <= i < count for i in indices):
            raise ValueError(f"{name} names a tensor that does not exist")


# ── records -> graph ──────────────────────────────────────────────────────────────────────────────────────────────


def to_graph(file: File, place: str) -> Graph:
    """Strip the batch of every computed tensor, and let each operator decode its own options and constants."""
    names = unique_names(file.tensors)
    operators = live(file)
    computed = {*file.inputs, *(i for o in operators.values() for i in o.outputs)}
    wanted = {*file.inputs, *file.outputs, *(i for o in operators.values() for i in (*o.inputs, *o.outputs) if i >= 0)}
    tensors = {i: tensor_of(file.tensors[i], names[i], i in computed, place) for i in sorted(wanted)}
    known = {tensors[i].name: tensors[i] for i in file.inputs}
    nodes: list[Node] = []
    for number, operator in operators.items():
        origin = file.tensors[operator.outputs[0]].name.partition(";")[0]
        spot = f"{origin or operator.name} ({place}, operator {number})"
        op, form = operator_of(operator.name, spot)
        inputs, outputs = [tensors[i] for i in operator.inputs if i >= 0], [tensors[i] for i in operator.outputs]
        for t in inputs:
            if t.data is None and t.name not in known:
                raise BadInput(spot, f"it reads {t.name}, which nothing before it computes.", AGAIN)
        if any(t.name in known for t in outputs):
            raise BadInput(spot, "it computes a tensor that is there already.", AGAIN)
        flat = flattened(op, inputs, f"{outputs[0].name}/flat")
        if flat is not None:
            nodes.append(make("reshape", flat.name, (inputs[0].name,), (flat.name,), ReshapeAttrs(flat.shape), origin))
            known[flat.name] = inputs[0] = flat
        attrs, decoded = decode(op, form, operator.options, inputs, outputs, spot)
        known.update({t.name: t for t in (*decoded, *outputs)})
        ends = tuple(t.name for t in decoded), tuple(t.name for t in outputs)
        nodes.append(Node(op, outputs[0].name, *ends, attrs, origin))
    for i in file.outputs:
        if tensors[i].name not in known:
            raise BadInput(place, f"its output {tensors[i].name} is never computed.", AGAIN)
    inputs_, outputs_ = (tuple(tensors[i].name for i in side) for side in (file.inputs, file.outputs))
    return Graph(tuple(nodes), known, inputs_, outputs_, file.name)


def live(file: File) -> dict[int, FileOperator]:
    """The operators that the outputs depend on, by their number.

    A RESHAPE's second input is no dependency: TensorFlow computes the shape (SHAPE, STRIDED_SLICE, PACK) from a batch
    that may vary; here it is 1, and the shape that the file gives the output says it all.
    """
    needed, found = set(file.outputs), {}
    for number, operator in reversed(list(enumerate(file.operators))):
        if needed.intersection(operator.outputs):
            first = operator.inputs[:1] if operator.name == "RESHAPE" else operator.inputs
            found[number] = replace(operator, inputs=first)
            needed.update(first)
    return dict(sorted(found.items()))


def flattened(op: Op, inputs: Sequence[Tensor], name: str) -> Tensor | None:
    """The vector that FULLY_CONNECTED makes of a picture without saying so; None where it gets one anyway."""
    x = inputs[0] if inputs else None
    if op.name != "dense" or x is None or len(x.shape) == 1 or len(inputs) < 2 or inputs[1].shape[1:] != (x.size,):
        return None
    return x.like(name, (x.size,))


def unique_names(tensors: Sequence[FileTensor]) -> list[str]:
    """Our own writer's `origin;name` gives the name back; others' names stay as they are, numbered where they repeat."""
    seen: set[str] = set()
    names = []
    for i, t in enumerate(tensors):
        base = t.name.rpartition(";")[2] or f"tensor_{i}"
        name = base if base not in seen else f"{base}_{i}"
        seen.add(name)
        names.append(name)
    return names


def tensor_of(t: FileTensor, name: str, computed: bool, place: str) -> Tensor:
    spot = f"{name} ({place})"
    if t.sparse:
        raise Unsupported(spot, "sparse weights are not supported.", "Convert the model without sparsity.")
    if computed:
        if not t.shape or t.shape[0] != 1 or min(t.shape) < 1:
            fact = f"a tensor must hold one picture of a fixed size; this one has the shape {list(t.shape)}."
            raise Unsupported(spot, fact, "Convert the model with a fixed input shape and a batch of 1.")
        if t.type not in DTYPES:
            raise unsupported_type(t, spot)
        return Tensor(name, t.shape[1:], DTYPES[t.type], None if t.type == "FLOAT32" else t.quantization)
    data = constant_values(t, spot)
    return Tensor.constant(name, data, None if t.type == "FLOAT32" else t.quantization)


def constant_values(t: FileTensor, spot: str) -> Array:
    """A constant's array, in a type of ours; shapes and axes of 64 bits become int32."""
    if t.type not in DTYPES and t.type != "INT64":
        raise unsupported_type(t, spot)
    dtype = np.dtype(t.type.lower()).newbyteorder("<")
    count = int(np.prod(t.shape, dtype=object)) if t.shape else 1
    raw = t.data or b""
    if min(t.shape, default=0) < 0 or len(raw) != count * dtype.itemsize:
        fact = f"it should hold {count} values of type {t.type.lower()}, but has {len(raw)} bytes."
        raise BadInput(spot, fact, AGAIN)
    array = np.frombuffer(raw, dtype).reshape(t.shape)
    return array.astype(np.int32 if t.type == "INT64" else dtype.newbyteorder("="))


def unsupported_type(t: FileTensor, spot: str) -> Unsupported:
    return Unsupported(spot, f"values of type {t.type.lower()} are not supported.", "Convert the model to int8 or float32.")


def operator_of(name: str, spot: str) -> tuple[Op, TfliteForm]:
    if known := from_tflite(name):
        return known
    fact = f"the operator {name} is not supported."
    raise Unsupported(spot, fact, "Replace it by operators that `puce ops` lists, and convert again.")


def decode(
    op: Op, form: TfliteForm, options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], spot: str
) -> tuple[Any, tuple[Tensor, ...]]:
    """Attributes and inputs as the operator reads them, within its limits, and giving the outputs that the file names."""
    try:
        attrs, constants = form.decode(options, inputs, outputs)
        decoded = (*(t for t in inputs if t.data is None), *(t for t in constants if t.data is not None))
        op.check(attrs, decoded, spot)
        wanted = [(t.shape, t.dtype) for t in op.infer(attrs, decoded)]
    except (*DAMAGED, KeyError, ZeroDivisionError) as error:
        fact = f"its options or inputs are not those of {form.operator}: {error or type(error).__name__}."
        raise BadInput(spot, fact, AGAIN) from error
    except Unsupported as error:
        raise Unsupported(spot, error.fact, error.remedy) from error
    got = [(t.shape, t.dtype) for t in outputs]
    if wanted != got:
        raise BadInput(spot, f"the file gives its outputs as {got}, they should be {wanted}.", AGAIN)
    for t in (*decoded, *outputs):
        check_quantization(t, spot)
    check_types(op, Call(attrs, decoded, tuple(outputs)), spot)
    return attrs, decoded


def check_types(op: Op, call: Call, spot: str) -> None:
    """Refuse what would otherwise be computed wrongly: types that no kernel takes, int8 weights under float32 values."""
    if call.x.dtype == "float32" and any(t.dtype == "int8" for t in call.inputs):
        fact = 'its weights are int8, but its input is float32 ("dynamic range" quantisation).'
        raise Unsupported(spot, fact, "Convert with full integer quantisation, or without any.")
    if op.kernels and not any(k.accepts(call) for k in op.kernels):
        fact = f"{op.name} of {call.x.dtype} is not computed."
        raise Unsupported(spot, fact, "Convert the model to int8 or float32.")


def check_quantization(t: Tensor, spot: str) -> None:
    q = t.quantization
    if t.dtype in ("int8", "uint8") and q is None:
        raise BadInput(spot, f"{t.name} is {t.dtype}, but has no scale.", AGAIN)
    if q is None or q.axis is None:
        return
    if t.data is None or not 0 <= q.axis < len(t.shape) or len(q.scale) != t.shape[q.axis]:
        raise BadInput(spot, f"{t.name} has {len(q.scale)} scales, which do not fit the shape {t.shape}.", AGAIN)
