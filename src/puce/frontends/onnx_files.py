# SPDX-License-Identifier: Apache-2.0
"""Opens .onnx files as plain records (nodes, attributes, constants), with every size checked; executes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, MissingExtra, Unsupported
from ..ir import Array

FILE_LIMIT = 1 << 28  # bytes; the largest microcontroller network we know has 4 MB
NODE_LIMIT = 1 << 14
RANK_LIMIT = 8
AGAIN = "Export the model again, and check it with onnx.checker.check_model."
# TensorProto.DataType -> NumPy, of the types that stand in networks
TYPES: Mapping[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
    12: "uint32", 13: "uint64", 4: "uint16",
}  # fmt: skip


@dataclass(frozen=True)
class FileNode:
    """One node: `name` is the user's, `index` its place in the file; absent inputs are ""."""

    op: str
    domain: str
    name: str
    index: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def number(self, key: str, default: int = 0) -> int:
        return int(self.attributes.get(key, default))

    def real(self, key: str, default: float = 0.0) -> float:
        return float(self.attributes.get(key, default))

    def text(self, key: str, default: str = "") -> str:
        value = self.attributes.get(key, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def ints(self, key: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        value = self.attributes.get(key)
        return tuple(int(v) for v in (default if value is None else value))


@dataclass(frozen=True)
class FileInput:
    """An input of the model: -1 where a size is a name or missing."""

    name: str
    shape: tuple[int, ...]
    type: str


@dataclass(frozen=True, eq=False)
class File:
    name: str
    opset: int
    nodes: tuple[FileNode, ...]
    inputs: tuple[FileInput, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]


def read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise BadInput(path.name, f"the file has {size} bytes.", "It is no model for a microcontroller.")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(str(path), f"the file cannot be read: {error.strerror}.", "Check the path.") from error


def parse(data: bytes, place: str) -> File:
    """Read a model from its bytes. Raises BadInput for what no exporter writes, Unsupported for external data."""
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra.of("onnx", f"reading {place}", "onnx") from None
    if len(data) > FILE_LIMIT:
        raise BadInput(place, f"the file has {len(data)} bytes.", "It is no model for a microcontroller.")
    try:
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, RuntimeError, MemoryError) as error:
        raise BadInput(place, "the file is no ONNX model, or damaged or cut short.", AGAIN) from error
    try:
        return records(model, place)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, UnicodeError) as error:
        raise BadInput(place, f"the file is damaged: {error or type(error).__name__}.", AGAIN) from error


def records(model: Any, place: str) -> File:
    graph = model.graph
    if not graph.node and not graph.output:
        raise BadInput(place, "the file is no ONNX model: it has no graph.", AGAIN)
    if len(graph.node) > NODE_LIMIT:
        raise BadInput(place, f"the model has {len(graph.node)} nodes.", "It is no model for a microcontroller.")
    if graph.sparse_initializer:
        raise Unsupported(place, "sparse weights are not supported.", "Export the model with dense weights.")
    constants = {t.name: array_of(t, place) for t in graph.initializer}
    opset = max((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
    inputs = tuple(input_of(v, place) for v in graph.input if v.name not in constants)
    nodes = tuple(node_of(n, i, place) for i, n in enumerate(graph.node))
    return File(graph.name or "model", opset, nodes, inputs, tuple(v.name for v in graph.output), constants)


def node_of(node: Any, index: int, place: str) -> FileNode:
    if not node.output:
        raise ValueError(f"node {index} has no output")
    attributes = {a.name: attribute_of(a, place) for a in node.attribute}
    domain = "" if node.domain == "ai.onnx" else node.domain
    return FileNode(node.op_type, domain, node.name, index, tuple(node.input), tuple(node.output), attributes)


def attribute_of(attribute: Any, place: str) -> Any:
    """Numbers, bytes, lists of them, arrays; whatever else (a graph, a type) is None, and its operator unsupported."""
    # AttributeProto.AttributeType
    fields: Mapping[int, Callable[[Any], Any]] = {
        1: lambda a: a.f, 2: lambda a: a.i, 3: lambda a: a.s, 4: lambda a: array_of(a.t, place),
        6: lambda a: tuple(a.floats), 7: lambda a: tuple(a.ints), 8: lambda a: tuple(a.strings),
    }  # fmt: skip
    kind = attribute.type
    if kind == 0:  # files of IR version 1 do not say it
        kind = next((k for k, name in ((1, "f"), (2, "i"), (3, "s"), (4, "t")) if attribute.HasField(name)), 7)
    return fields[kind](attribute) if kind in fields else None


def input_of(value: Any, place: str) -> FileInput:
    spot = f"{value.name} ({place})"
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise Unsupported(spot, "an input must be a tensor whose shape the file gives.", "Export with fixed input shapes.")
    kind = value.type.tensor_type
    shape = tuple(int(d.dim_value) if d.WhichOneof("value") == "dim_value" else -1 for d in kind.shape.dim)
    if len(shape) > RANK_LIMIT or any(n != -1 and not 0 < n < 1 << 31 for n in shape):
        raise ValueError(f"the input {value.name} has the shape {list(shape)}")
    names = {**TYPES, 16: "bfloat16"}
    return FileInput(value.name, shape, names.get(kind.elem_type, f"type {kind.elem_type}"))


def array_of(tensor: Any, place: str) -> Array:
    """A constant's values. Sizes are compared before anything is allocated."""
    from onnx import numpy_helper

    spot = f"{tensor.name or 'a constant'} ({place})"
    if tensor.data_location == 1 or tensor.external_data:
        fact = "its values lie in another file, which is not read: an .onnx file could name any file of this computer."
        raise Unsupported(
            spot, fact, "Save it in one file: onnx.save_model(onnx.load(path), path, save_as_external_data=False)."
        )
    if tensor.data_type not in TYPES:
        raise Unsupported(spot, f"values of the type {tensor.data_type} are not supported.", "Export in float32 or int8.")
    shape = tuple(int(n) for n in tensor.dims)
    if len(shape) > RANK_LIMIT or min(shape, default=0) < 0:
        raise ValueError(f"{tensor.name} has the shape {list(shape)}")
    kind = np.dtype(TYPES[tensor.data_type])
    stored = len(tensor.raw_data) // kind.itemsize
    if not tensor.raw_data:
        stored = max(
            len(f) for f in (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
        )
    if prod(shape) != stored:
        raise ValueError(f"{tensor.name} should hold {prod(shape)} values, and has {stored}")
    array: Array = np.asarray(numpy_helper.to_array(tensor))
    return array.astype(np.float32) if kind.kind == "f" else array
