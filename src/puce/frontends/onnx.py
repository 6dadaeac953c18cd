# SPDX-License-Identifier: Apache-2.0
"""ONNX files -> Graph: channels moved to the last axis, constants computed, each node handed to its reader.

What a node means is said by the other files onnx_*.py, each of which ends with a table of its operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from ..errors import BadInput, PuceError, Unsupported
from ..ir import Array, DType, Quantization
from . import onnx_quantized as quantized
from .model import ImportedModel
from .onnx_constants import FOLDS, fold
from .onnx_correlation import CORRELATION
from .onnx_elementwise import ELEMENTWISE, Handler
from .onnx_files import AGAIN, File, FileInput, FileNode, parse, read_bytes
from .onnx_graph import Builder, Operand, Preference
from .onnx_normalisations import NORMALISATIONS
from .onnx_pictures import PICTURES
from .onnx_products import PRODUCTS
from .onnx_recurrent import RECURRENT
from .onnx_reductions import REDUCTIONS
from .onnx_shapes import SHAPES
from .onnx_values import Constant, Value
from .onnx_windows import WINDOWS
from .onnx_words import remedy_for

HANDLERS: Mapping[str, Handler] = {
    **ELEMENTWISE, **WINDOWS, **CORRELATION, **PICTURES, **PRODUCTS, **SHAPES, **REDUCTIONS, **NORMALISATIONS, **RECURRENT,
    **quantized.QUANTIZED,
}  # fmt: skip
DAMAGED = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError, AttributeError, RecursionError)
KNOWN = HANDLERS.keys() | FOLDS.keys()
QUANTIZED_INPUTS = ("int8", "uint8")
ACTIVATION_LIMIT = 1 << 28  # values of one tensor


@dataclass(frozen=True, eq=False)
class Attempt:
    """One import: its graph, what its layout costs, and for each input and output which axes of the file it has."""

    builder: Builder
    outputs: tuple[str, ...]
    layouts: Mapping[str, tuple[int, ...]]


def load(source: Path | str | bytes) -> ImportedModel:
    """Import an .onnx file, given as a path or as its bytes. Raises BadInput, Unsupported or MissingExtra.

    `layouts` of the result says which axes of the file's tensor each input and output has.
    """
    place = "model.onnx" if isinstance(source, bytes) else Path(source).name
    file = parse(source if isinstance(source, bytes) else read_bytes(Path(source)), place)
    attempt = best(file, place)
    graph = attempt.builder.graph(attempt.outputs, file.name)
    counts: dict[str, int] = {}
    for node in graph.nodes:
        size = sum(t.size for t in graph.call(node).inputs if t.data is not None)
        if size:
            counts[node.origin] = counts.get(node.origin, 0) + size
    return ImportedModel(graph, place, sum(counts.values()), counts, attempt.layouts)


def best(file: File, place: str) -> Attempt:
    """Pictures come in with channels last, unless the file's own order saves transposes."""
    first: Preference = "file" if any(looks_like_channels_last(i) for i in file.inputs) else "channels_last"
    second: Preference = "channels_last" if first == "file" else "file"
    failed: PuceError | None = None
    found: list[Attempt] = []
    for preference in (first, second):
        try:
            found.append(attempted(file, place, preference))
        except Unsupported as error:
            failed = failed or error
        if found and found[-1].builder.transposes == 0:
            break
    if not found:
        assert failed is not None
        raise failed
    return min(found, key=lambda a: a.builder.transposes)


def looks_like_channels_last(i: FileInput) -> bool:
    few = (1, 2, 3, 4)
    return (len(i.shape) == 4 and i.shape[3] in few and i.shape[1] not in few) or len(i.shape) == 3


def attempted(file: File, place: str, preference: Preference) -> Attempt:
    reader = _Reader(file, place, preference)
    try:
        return reader.read()
    except DAMAGED as error:
        fact = f"its attributes or inputs are not those of the operator: {error or type(error).__name__}."
        raise BadInput(reader.builder.place or place, fact, AGAIN) from error


class _Reader:
    """One pass over the nodes that the outputs depend on; `known` holds what each of the file's tensors became."""

    def __init__(self, file: File, place: str, preference: Preference) -> None:
        self.file, self.place = file, place
        self.builder = Builder(preference, file.opset)
        self.nodes = live(quantized.expanded(file.nodes), file.outputs)
        self.known: dict[str, Operand] = {name: Constant(values) for name, values in file.constants.items()}
        self.readers: dict[str, list[FileNode]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        for name in file.outputs:
            self.readers.setdefault(name, []).append(FileNode("output", "", "", -1, (name,), ()))

    def read(self) -> Attempt:
        b = self.builder
        layouts: dict[str, tuple[int, ...]] = {}
        for node in self.nodes:
            self.check_known(node)
        for i in self.file.inputs:
            if i.name in self.readers:
                value = self.input(i)
                self.known[i.name] = value
                layouts[value.tensor.name] = b.input_axes(value.shape)
        if not b.inputs:
            raise BadInput(self.place, "its outputs depend on no input.", AGAIN)
        for node in self.nodes:
            self.node(node)
        outputs = []
        for name in self.file.outputs:
            tensor, axes = self.output(name)
            outputs.append(tensor)
            layouts[tensor] = axes
        return Attempt(b, tuple(outputs), layouts)

    # ── inputs and outputs ────────────────────────────────────────────────────────────────────────────────────────

    def input(self, i: FileInput) -> Value:
        """The first size is the batch: 1 where it is open. Bytes mean what the DequantizeLinear behind says."""
        self.builder.place = spot = f"{i.name} ({self.place})"
        shape = tuple(1 if n == -1 and axis == 0 else n for axis, n in enumerate(i.shape))
        if -1 in shape:
            sizes = "x".join("?" if n == -1 else str(n) for n in shape)
            fact = f"the input's shape is not fixed: {sizes}."
            raise Unsupported(spot, fact, "Export the model with fixed sizes (dynamic_axes for the batch only).")
        if prod(shape) > ACTIVATION_LIMIT:
            raise Unsupported(spot, f"the input has {prod(shape)} values.", "It is no model for a microcontroller.")
        kinds: Mapping[str, DType] = {
            "float32": "float32", "float64": "float32", "float16": "float32", "bfloat16": "float32",
            "int8": "int8", "uint8": "uint8", "int32": "int32",
        }  # fmt: skip
        if i.type not in kinds:
            fact = f"an input of the type {i.type} is not supported."
            raise Unsupported(spot, fact, "Export the model with float32 or int8 inputs, and weights as constants.")
        q = self.meaning(i.name, i.type) if i.type in QUANTIZED_INPUTS else None
        return self.builder.input(i.name, shape, kinds[i.type], q)

    def meaning(self, name: str, kind: str) -> Quantization:
        for node in self.readers[name]:
            if node.op == "DequantizeLinear" and node.inputs[0] == name and len(node.inputs) > 1:
                scale = self.file.constants.get(node.inputs[1])
                zero = self.file.constants.get(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(1, kind)
                if scale is not None and scale.size == 1 and zero is not None and quantized.legal(scale, zero):
                    return Quantization((float(scale.ravel()[0]),), (int(zero.ravel()[0]),))
        fact = f"nothing says what its {kind} values mean: no DequantizeLinear reads it."
        raise Unsupported(f"{name} ({self.place})", fact, "Export the model in float32, and quantise it with puce quantize.")

    def output(self, name: str) -> tuple[str, tuple[int, ...]]:
        b = self.builder
        b.place, b.name, b.origin, b.target = f"{name} ({self.place})", name, name, None
        found = self.known.get(name)
        if found is None:
            raise BadInput(b.place, "this output is never computed.", AGAIN)
        if isinstance(found, Constant):
            raise Unsupported(b.place, "this output is constant: it does not depend on the input.", "Drop it from the model.")
        tensor, axes = b.natural(b.floats(found))
        if found.unsigned and tensor.dtype == "int8":
            tensor = b.quantized(tensor, Quantization(tensor.q.scale, (tensor.q.z + 128,)), "uint8")
        if tensor.name in b.inputs:
            tensor = b.copied(tensor)
        return tensor.name, axes

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def locate(self, n: FileNode) -> None:
        b = self.builder
        b.origin = n.name or n.outputs[0] or n.op
        b.name = next((o for o in n.outputs if o), n.op)
        b.place = f"{b.origin} ({self.place}, node {n.index}, {n.op})"

    def check_known(self, n: FileNode) -> None:
        """Refuse an operator that nobody reads before anything else is said of the model."""
        standard = n.domain == "" or (n.domain, n.op) in ALIASES
        if not standard or n.op not in KNOWN:
            self.locate(n)
            name = f"{n.domain}.{n.op}" if n.domain else n.op
            raise Unsupported(self.builder.place, f"the operator {name} is not supported.", remedy_for(n.op, n.domain))

    def node(self, n: FileNode) -> None:
        b = self.builder
        self.locate(n)
        inputs = [self.operand(name) if name else None for name in n.inputs]
        if n.op == "Shape" and not n.domain and isinstance(inputs[0], Value):
            shape = inputs[0].shape
            inputs = [Constant(np.broadcast_to(np.int8(0), shape))]
        results = self.folded(n, inputs)
        if results is None:
            handler = HANDLERS.get(n.op)
            if handler is None:
                fact = f"the operator {n.op} is not supported."  # but of constants
                raise Unsupported(b.place, fact, remedy_for(n.op, n.domain))
            b.target = quantized.target_of(n.outputs[0], self.readers, self.array)
            results = handler(b, n, inputs)
        for name, result in zip(n.outputs, results, strict=False):
            if isinstance(result, Value) and prod(result.shape) > ACTIVATION_LIMIT:
                raise Unsupported(b.place, f"it has {prod(result.shape)} values.", "It is no model for a microcontroller.")
            self.known[name] = result

    def folded(self, n: FileNode, inputs: Sequence[Operand | None]) -> Sequence[Operand] | None:
        if any(isinstance(x, Value) for x in inputs) or n.op in quantized.QUANTIZED:
            return None
        result = fold(n, [None if x is None else x.data for x in inputs if not isinstance(x, Value)], self.builder.place)
        return None if result is None else (Constant(result),)

    def operand(self, name: str) -> Operand:
        found = self.known.get(name)
        if found is None:
            raise BadInput(self.builder.place, f"it reads {name}, which nothing before it computes.", AGAIN)
        return found

    def array(self, name: str) -> Array | None:
        found = self.known.get(name)
        return found.data if isinstance(found, Constant) else None


ALIASES = frozenset({("com.microsoft", "QuantizeLinear"), ("com.microsoft", "DequantizeLinear")})


def live(nodes: Sequence[FileNode], outputs: Sequence[str]) -> tuple[FileNode, ...]:
    """The nodes that the outputs depend on, each after those whose results it reads: some writers put constants last."""
    makers = {name: node for node in nodes for name in node.outputs if name}
    ordered: list[FileNode] = []
    started: set[int] = set()
    waiting = [(makers[name], False) for name in reversed(outputs) if name in makers]
    while waiting:
        node, complete = waiting.pop()
        if complete:
            ordered.append(node)
        if complete or id(node) in started:
            continue
        started.add(id(node))
        waiting.append((node, True))
        waiting += [(makers[name], False) for name in reversed(node.inputs) if name in makers]
    return tuple(ordered)
