# SPDX-License-Identifier: Apache-2.0
"""Graph -> .tflite: writes what every operator's own TfliteForm says, and knows no operator by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import Unsupported
from ..ir import Array, Call, Graph, Node, Quantization, Tensor
from ..ops import TfliteForm

ALIGNMENT = 16  # bytes: what TFLM and LiteRT ask of a buffer in a file that is mapped, not copied
SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
TYPES = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "int16": "INT16", "int32": "INT32"}


def write(graph: Graph, path: Path) -> None:
    """Write the graph as a .tflite file, whole or not at all. The bytes depend on the graph and on puce's version only."""
    data = to_bytes(graph)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def to_bytes(graph: Graph) -> bytes:
    """Return the graph as a .tflite file. A leading batch dimension of 1 is added to everything that is not constant."""
    return _Writer(graph).finish()


def file_name(tensor: str, origin: str) -> str:
    """The name of a tensor in the file: `origin;tensor`, as TensorFlow's converter joins names; one where they agree."""
    return tensor if origin in ("", tensor) else f"{origin};{tensor}"


class _Writer:
    """One file. Flatbuffers grow backwards, children before parents, so vectors and tables are made strictly in turn."""

    def __init__(self, graph: Graph) -> None:
        import flatbuffers
        import tflite

        self.schema: Any = tflite
        self.builder: Any = flatbuffers.Builder(4096 + sum(t.nbytes + 256 for t in graph.constants()))
        self.graph = graph
        self.indices: dict[str, int] = {}  # name -> place in the list of tensors
        self.constants: dict[str, Tensor] = {}  # as they stand in the file
        self.tensors: list[int] = []  # offsets of finished tables
        self.buffers: list[bytes] = [b""]  # the first is TFLite's word for "no data"
        self.codes: dict[tuple[int, int], int] = {}  # (operator, version) -> place in the list of codes

    def finish(self) -> bytes:
        origins = {t: n.origin for n in self.graph.nodes for t in n.outputs}
        for name in (*self.graph.inputs, *(t for n in self.graph.nodes for t in n.outputs)):
            t = self.graph.tensors[name]
            self.indices[name] = self.tensor(file_name(name, origins.get(name, "")), (1, *t.shape), t, 0)
        operators = [self.operator(n) for n in self.graph.nodes]
        subgraph = self.table(
            "SubGraph",
            Tensors=self.offsets(self.tensors),
            Inputs=self.integers([self.indices[t] for t in self.graph.inputs]),
            Outputs=self.integers([self.indices[t] for t in self.graph.outputs]),
            Operators=self.offsets(operators),
            Name=self.builder.CreateString(self.graph.name),
        )
        metadata = self.table("Metadata", Name=self.builder.CreateString("puce"), Buffer=self.buffer(__version__.encode()))
        model = self.table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self.offsets([self.code(*key) for key in self.codes]),
            Subgraphs=self.offsets([subgraph]),
            Description=self.builder.CreateString(f"puce {__version__}"),
            Buffers=self.offsets([self.finished_buffer(b) for b in self.buffers]),
            Metadata=self.offsets([metadata]),
        )
        self.builder.Finish(model, IDENTIFIER)
        return bytes(self.builder.Output())

    def operator(self, node: Node) -> int:
        call = self.graph.call(node)
        form = node.op.form_of(call)
        if form is None:
            raise Unsupported(
                f"{node.origin} ({self.graph.name})",
                f"{node.op.name} has no form in a .tflite file.",
                "Run the passes first (puce.passes.run): they replace it by operators that have one.",
            )
        code = getattr(self.schema.BuiltinOperator, form.operator), form.version(call)
        index = self.codes.setdefault(code, len(self.codes))
        inputs = [self.input(node, t, i in form.variables) for i, t in enumerate(form.constants(call))]
        scales = [self.tensor(f"{node.name}/{t.name}", t.shape, t, 0) for t in form.intermediates(call)]
        fields: dict[str, Any] = {
            "OpcodeIndex": index,
            "Inputs": self.integers(inputs),
            "Outputs": self.integers([self.indices[t] for t in node.outputs]),
        }
        if scales:
            fields["Intermediates"] = self.integers(scales)
        settings = self.settings(node, form, call)
        if form.options:
            fields["BuiltinOptionsType"] = getattr(self.schema.BuiltinOptions, form.options)
            fields["BuiltinOptions"] = self.table(form.options, **settings)
        return self.table("Operator", **fields)

    def settings(self, node: Node, form: TfliteForm, call: Call) -> dict[str, Any]:
        """The fields of the options table: asked for even where there is none, so that the operator can object."""
        try:
            fields = dict(form.encode(call))
        except AssertionError as error:
            fact = f"a .tflite file has no words for this {node.op.name}: {error}."
            remedy = "Write the file before the lowering passes; or let the layer follow one that can take its activation."
            raise Unsupported(f"{node.origin} ({self.graph.name})", fact, remedy) from error
        for key, value in fields.items():
            if isinstance(value, Sequence | np.ndarray):
                fields[key] = self.integers([int(v) for v in value])
        return fields

    def input(self, node: Node, t: Tensor, variable: bool) -> int:
        """The place of an input; -1 for one that is absent. A state has no data in the file."""
        if not t.name:
            return -1
        if variable:
            return self.tensor(f"{node.name}/{t.name}", t.shape, t, 0, IsVariable=True)
        return self.indices[t.name] if t.data is None else self.constant(node, t)

    def constant(self, node: Node, t: Tensor) -> int:
        """The place of a constant: shared by name while equal, else renamed after the node (each has its `shape`, say)."""
        key = t.name if t.name in self.graph.tensors else f"{node.name}/{t.name}"
        if key in self.constants and not same(self.constants[key], t):
            key = f"{node.name}/{t.name}"
        if key not in self.constants:
            assert t.data is not None
            self.constants[key] = t
            self.indices[key] = self.tensor(key, t.shape, t, self.buffer(little_endian(t.data)))
        return self.indices[key]

    def buffer(self, data: bytes) -> int:
        self.buffers.append(data)
        return len(self.buffers) - 1

    def tensor(self, name: str, shape: tuple[int, ...], t: Tensor, buffer: int, **more: bool) -> int:
        fields: dict[str, Any] = {
            **more,
            "Name": self.builder.CreateString(name),
            "Shape": self.integers(shape),
            "Type": getattr(self.schema.TensorType, TYPES[t.dtype]),
            "Buffer": buffer,
        }
        if t.quantization is not None:
            fields["Quantization"] = self.quantization(t.quantization)
        self.tensors.append(self.table("Tensor", **fields))
        return len(self.tensors) - 1

    def quantization(self, q: Quantization) -> int:
        zeros = q.zero_point if len(q.zero_point) == len(q.scale) else q.zero_point * len(q.scale)
        return self.table(
            "QuantizationParameters",
            Scale=self.builder.CreateNumpyVector(np.array(q.scale, np.float32)),
            ZeroPoint=self.builder.CreateNumpyVector(np.array(zeros, np.int64)),
            QuantizedDimension=q.axis or 0,
        )

    def code(self, operator: int, version: int) -> int:
        # Readers of before 2020 know only the first field, a byte.
        return self.table("OperatorCode", DeprecatedBuiltinCode=min(operator, 127), BuiltinCode=operator, Version=version)

    def finished_buffer(self, data: bytes) -> int:
        if not data:
            return self.table("Buffer")
        self.builder.StartVector(1, len(data), ALIGNMENT)
        self.builder.head -= len(data)
        self.builder.Bytes[self.builder.head : self.builder.head + len(data)] = data
        return self.table("Buffer", Data=self.builder.EndVector())

    def integers(self, values: Sequence[int]) -> int:
        offset: int = self.builder.CreateNumpyVector(np.array(values, np.int32))
        return offset

    def offsets(self, tables: Sequence[int]) -> int:
        self.builder.StartVector(4, len(tables), 4)
        for t in reversed(tables):
            self.builder.PrependUOffsetTRelative(t)
        offset: int = self.builder.EndVector()
        return offset

    def table(self, kind: str, **fields: Any) -> int:
        """A table of the schema; a field that is an offset must be finished before."""
        self.call(f"{kind}Start")(self.builder)
        for key, value in fields.items():
            self.call(f"{kind}Add{key}")(self.builder, value)
        offset: int = self.call(f"{kind}End")(self.builder)
        return offset

    def call(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self.schema, name)
        return function


def same(a: Tensor, b: Tensor) -> bool:
    equal = a.quantization == b.quantization and a.dtype == b.dtype
    return equal and a.data is not None and b.data is not None and np.array_equal(a.data, b.data)


def little_endian(x: Array) -> bytes:
    return np.ascontiguousarray(x).astype(x.dtype.newbyteorder("<"), copy=False).tobytes()
