# SPDX-License-Identifier: Apache-2.0
"""Reads .tflite files into a Graph; which operators exist, and what their options mean, is said by their own TfliteForm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, PuceError, Unsupported
from ..ir import Array, Call, DType, Graph, Node, Quantization, Tensor
from ..ops import Op, TfliteForm, from_tflite, make
from ..ops.reshape import Attrs as ReshapeAttrs
from .model import ImportedModel
from .tflite_axes import with_batch
from .tflite_file import AGAIN, DAMAGED, File, FileOperator, FileTensor, parse, unsupported_type, values
from .tflite_fold import folded
from .tflite_groups import ungrouped
from .tflite_unsigned import signed

DTYPES: dict[str, DType] = {"FLOAT32": "float32", "INT8": "int8", "UINT8": "uint8", "INT16": "int16", "INT32": "int32"}
MOVES = {
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "CONCATENATION", "PACK",
    "UNPACK", "GATHER", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
}  # fmt: skip
PLAIN = Quantization((1.0,))
"""Of integers that mean themselves: values that are only moved need no scale."""
INDICES = ("ARG_MAX", "ARG_MIN")  # may give int64, which is int32 here: no axis is longer
BOUNDS = ("SLICE", "STRIDED_SLICE")  # write "to the end" as the largest number there is
MOST_ROWS = 1 << 14
MOST_VALUES = 1 << 22  # of an activation: beyond it nothing fits a microcontroller, and planning takes minutes
MOST_OPERATORS = 1000  # ten times the deepest network for a microcontroller: a plan takes time with their square
MOST_MACS = 1 << 33  # of one operator
MOST_PRODUCTS = 1 << 27  # of one channel: what NumPy holds at once
MOST_CONSTANT_BYTES = 1 << 29
CONTROL_FLOW = {"IF", "WHILE", "CALL", "CALL_ONCE"}


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
    graph = to_graph(parse(data, place))
    counts: dict[str, int] = {}
    for node in graph.nodes:
        size = sum(t.size for t in graph.call(node).inputs if t.data is not None)
        if size:
            counts[node.origin] = counts.get(node.origin, 0) + size
    return ImportedModel(graph, place, sum(t.size for t in graph.constants()), counts)


def to_graph(file: File) -> Graph:
    """The graph of a file: constants folded, groups apart, and where uint8 is computed inside, in int8."""
    file = ungrouped(folded(file))
    try:
        return Importer(file).graph()
    except Unsupported:
        other = signed(file)
        if other is None:
            raise
        return Importer(other).graph()


@dataclass(frozen=True, eq=False)
class View:
    """A tensor as one operator sees it, and the reshape that it takes; none where it sees it as the graph has it."""

    tensor: Tensor
    bridge: Node | None = None


class Importer:
    """Turns records into nodes, one operator after the other.

    A computed tensor whose first dimension is 1 loses it: that is the batch. Others stay whole. An operator all of whose
    computed tensors have a batch decodes itself without it; if it cannot, or if they have none, it sees whole tensors
    behind a batch of one (`tflite_axes`). Reshapes, which are free, stand between where shapes then differ.
    """

    def __init__(self, file: File) -> None:
        self.file, self.names = file, unique_names(file.tensors)
        self.operators = live(file)
        used = {*file.inputs, *file.outputs, *(i for o in self.operators for i in (*o.inputs, *o.outputs) if i >= 0)}
        self.computed = {*file.inputs, *(i for o in self.operators for i in o.outputs)}
        indices = {i for o in self.operators if o.name in INDICES for i in o.outputs}
        bounds = {i for o in self.operators if o.name in BOUNDS for i in o.inputs}
        self.tensors: dict[int, Tensor] = {}
        self.moved = {i for i in used if all(o.name in MOVES for o in self.operators if i in (*o.inputs, *o.outputs))}
        self.bytes_left = MOST_CONSTANT_BYTES
        for i in sorted(used):
            t = file.tensors[i]
            self.tensors[i] = self.activation(t, i, i in indices) if i in self.computed else self.constant(t, i, i in bounds)
        self.known = {self.tensors[i].name: self.tensors[i] for i in file.inputs}
        self.nodes: list[Node] = []

    def graph(self) -> Graph:
        place, file = self.file.place, self.file
        for i in file.outputs:
            if i not in self.computed:
                fact = f"its output {self.names[i]} is a constant."
                raise Unsupported(place, fact, "Take this output out of the model: nothing computes it.")
        if not self.operators:
            raise Unsupported(place, "no operator computes its outputs.", "Convert a model with at least one layer.")
        for operator in self.operators:
            self.add(operator)
        for i in file.outputs:
            if self.tensors[i].name not in self.known:
                raise BadInput(place, f"its output {self.names[i]} is never computed.", AGAIN)
        inputs, outputs = (tuple(self.tensors[i].name for i in side) for side in (file.inputs, file.outputs))
        return Graph(tuple(self.nodes), self.known, inputs, outputs, file.name)

    # ── tensors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def activation(self, t: FileTensor, i: int, index: bool) -> Tensor:
        spot = f"{self.names[i]} ({self.file.place})"
        shape = own_shape(batched(t.shape))
        if min(shape, default=1) < 1:
            fact = f"a tensor must have a fixed size; this one has the shape {list(t.shape)}."
            raise Unsupported(spot, fact, "Convert the model with a fixed input shape and a batch of 1.")
        kind = "INT32" if index and t.type == "INT64" else t.type
        if kind not in DTYPES:
            raise unsupported_type(t, spot)
        if t.data is not None and i in self.file.inputs:
            raise BadInput(spot, "an input of the model has constant values.", AGAIN)
        if len(shape) == 3 and shape[0] > MOST_ROWS:
            raise Unsupported(spot, f"a picture has {shape[0]} rows; {MOST_ROWS} are the most.", "Use a smaller input.")
        if prod(shape) > MOST_VALUES:
            fact = f"it holds {prod(shape)} values; {MOST_VALUES} are the most."
            raise Unsupported(spot, fact, "Use a smaller input: no microcontroller holds this.")
        q = t.quantization or (PLAIN if kind in ("INT8", "UINT8") and i in self.moved else None)
        return Tensor(self.names[i], shape, DTYPES[kind], None if kind == "FLOAT32" else q)

    def constant(self, t: FileTensor, i: int, bound: bool) -> Tensor:
        """A constant in a type of ours: shapes, axes and biases of 64 bits become int32. A state starts at zero."""
        spot = f"{self.names[i]} ({self.file.place})"
        if t.sparse:
            raise Unsupported(spot, "sparse weights are not supported.", "Convert the model without sparsity.")
        if t.type not in (*DTYPES, "INT64"):
            raise unsupported_type(t, spot)
        if min(t.shape, default=0) < 0:
            raise BadInput(spot, f"a constant has the shape {list(t.shape)}.", AGAIN)
        data = np.zeros(t.shape, t.type.lower()) if t.variable and t.data is None else values(t, spot)
        self.bytes_left -= data.nbytes
        if self.bytes_left < 0:
            raise BadInput(spot, "the constants of this model take more than half a gigabyte.", "It is no model for a chip.")
        if data.dtype == np.int64:
            data = narrowed(data, bound, spot)
        return Tensor.constant(self.names[i], data, None if t.type == "FLOAT32" else t.quantization)

    # ── operators ─────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, o: FileOperator) -> None:
        """Add the nodes of one operator: decoded with a batch where all its tensors have one, else, or else, without."""
        origin = self.file.tensors[o.outputs[0]].name.partition(";")[0]
        spot = f"{origin or o.name} ({self.file.place}, operator {o.number})"
        op, form = operator_of(o.name, spot)
        data = [i for i in (*o.inputs, *o.outputs) if i in self.computed]
        for i in o.inputs:
            if i in self.computed and self.tensors[i].name not in self.known:
                raise BadInput(spot, f"it reads {self.names[i]}, which nothing before it computes.", AGAIN)
        if any(self.tensors[i].name in self.known for i in o.outputs) or len(set(o.outputs)) < len(o.outputs):
            raise BadInput(spot, "it computes a tensor that is there already.", AGAIN)
        if not any(i in self.computed for i in o.inputs):
            raise Unsupported(spot, f"{o.name} of constants only is not computed.", "Take it out of the model.")
        shapes = [batched(self.file.tensors[i].shape) for i in data]
        ways = [True, False] if all(s[:1] == (1,) for s in shapes) else [False]
        refusals: list[PuceError] = []
        for way in ways:
            try:
                self.attempt(o, op, form, way, origin, spot)
                return
            except (BadInput, Unsupported) as error:
                refusals.append(error)
        raise many_pictures(shapes, refusals[0], op, spot)

    def attempt(self, o: FileOperator, op: Op, form: TfliteForm, batch: bool, origin: str, spot: str) -> None:
        ins = [self.view(i, batch, f"{self.names[o.outputs[0]]}/in{k}") for k, i in enumerate(present(o.inputs))]
        outs = [self.view(i, batch, f"{self.names[i]}/out") for i in o.outputs]
        inputs, outputs = [v.tensor for v in ins], [v.tensor for v in outs]
        options = o.options
        if not batch:
            try:
                options, inputs[:] = with_batch(o.name, options, inputs)
            except DAMAGED as error:
                raise BadInput(spot, f"its options or inputs are not those of {o.name}: {error}.", AGAIN) from error
        bridges = {v.tensor.name: v.bridge for v in ins if v.bridge is not None}
        shape = flattened(inputs) if op.name == "dense" else None
        if shape is not None:
            x = self.tensors[o.inputs[0]]
            inputs[0] = flat = x.like(f"{self.names[o.outputs[0]]}/flat", shape)
            bridges = {flat.name: reshape(x, flat, "")}
        attrs, decoded, wanted = decode(op, form, options, inputs, outputs, spot)
        after = list[Node]()
        for k, (shape, i) in enumerate(zip(wanted, o.outputs, strict=True)):
            y = self.tensors[i]
            if shape != y.shape:
                outputs[k] = replace(y, name=f"{y.name}/out", shape=shape)
                after.append(reshape(outputs[k], y, ""))
            else:
                outputs[k] = y
        names = {t.name for t in decoded}
        before = [b for name, b in bridges.items() if name in names]
        node = Node(op, outputs[0].name, tuple(t.name for t in decoded), tuple(t.name for t in outputs), attrs, origin)
        self.nodes += [replace(n, origin=origin) for n in (*before, node, *after)]
        self.known.update({t.name: t for t in (*decoded, *outputs, *(self.tensors[i] for i in o.outputs))})

    def view(self, i: int, batch: bool, name: str) -> View:
        """A tensor with or without its batch, and the reshape to it from what the graph has."""
        if i < 0:
            return View(ABSENT)
        t = self.tensors[i]
        if i not in self.computed:
            return View(t)
        shape = batched(self.file.tensors[i].shape)
        seen = (shape[1:] if batch else shape) or (1,)
        if seen == t.shape:
            return View(t)
        other = t.like(name, seen)
        return View(other, reshape(t, other, ""))


ABSENT = Tensor.constant("", np.zeros(0, np.float32))
"""Stands for an optional input that is absent while later ones are there."""


def present(inputs: Sequence[int]) -> Sequence[int]:
    """The inputs up to the last one that is there."""
    return inputs[: max((k + 1 for k, i in enumerate(inputs) if i >= 0), default=0)]


def reshape(x: Tensor, y: Tensor, origin: str) -> Node:
    return make("reshape", y.name, (x.name,), (y.name,), ReshapeAttrs(y.shape), origin)


def batched(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A file's shape, with 1 for a batch of any size."""
    return (1, *shape[1:]) if shape[:1] == (-1,) else shape


def own_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one picture: without a batch of 1, and a single number as a vector of one."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)


def flattened(inputs: Sequence[Tensor]) -> tuple[int, ...] | None:
    """The vector or vectors that FULLY_CONNECTED makes of its input without saying so; None where it gets them anyway."""
    if len(inputs) < 2 or len(inputs[1].shape) != 2:
        return None
    x, columns = inputs[0], inputs[1].shape[1]
    if x.shape[-1] == columns or columns < 1 or x.size % columns:
        return None
    return (columns,) if x.size == columns else (x.size // columns, columns)


def narrowed(data: Array, bound: bool, spot: str) -> Array:
    """int64 as int32: bounds of slices are cut off at its ends, anything else must fit."""
    info = np.iinfo(np.int32)
    cut: Array = np.clip(data, info.min, info.max).astype(np.int32)
    if not bound and not np.array_equal(cut, data):
        raise Unsupported(spot, "its values of 64 bits do not fit 32.", "Convert the model to int8 or float32.")
    return cut


def live(file: File) -> tuple[FileOperator, ...]:
    """The operators that the outputs depend on, in the file's order. One without outputs acts on what we do not have.

    A RESHAPE's second input is no dependency: TensorFlow computes the shape (SHAPE, STRIDED_SLICE, PACK) from a batch
    that may vary; here it is 1, and the shape that the file gives the output says it all.
    """
    needed, found = set(file.outputs), list[FileOperator]()
    for o in reversed(file.operators):
        if o.name in CONTROL_FLOW or not o.outputs:
            fact = f"the operator {o.name} is control flow or has a side effect: neither is supported."
            spot = f"{file.place}, operator {o.number}"
            raise Unsupported(spot, fact, "Convert a model without loops, conditions and state.")
        if needed.intersection(o.outputs):
            if not o.inputs or o.inputs[0] < 0:
                spot = f"{file.tensors[o.outputs[0]].name} ({file.place}, operator {o.number})"
                operator_of(o.name, spot)
                raise BadInput(spot, "it has no input.", AGAIN)
            read_ = o.inputs[:1] if o.name == "RESHAPE" else o.inputs
            found.append(replace(o, inputs=read_))
            needed.update(read_)
    if len(found) > MOST_OPERATORS:
        fact = f"it has {len(found)} operators; {MOST_OPERATORS} are the most."
        raise Unsupported(file.place, fact, "Use a smaller network.")
    return tuple(reversed(found))


def unique_names(tensors: Sequence[FileTensor]) -> list[str]:
    """Our own writer's `origin;name` gives the name back; others' names stay as they are, numbered where they repeat."""
    seen: set[str] = set()
    names = []
    for i, t in enumerate(tensors):
        base = t.name.rpartition(";")[2] or f"tensor_{i}"
        name = base if base not in seen else f"{base}_{i}"
        while name in seen:
            name += "_"
        seen.add(name)
        names.append(name)
    return names


def operator_of(name: str, spot: str) -> tuple[Op, TfliteForm]:
    if known := from_tflite(name):
        return known
    fact = f"the operator {name} is not supported."
    raise Unsupported(spot, fact, "Replace it by operators that `puce ops` lists, and convert again.")


def many_pictures(shapes: Iterable[tuple[int, ...]], refusal: PuceError, op: Op, spot: str) -> PuceError:
    """A refusal of several pictures at once names that as its reason."""
    n = max((s[0] for s in shapes if len(s) == 4), default=1)
    if n > 1 and op.limits and "picture [h, w, c]" in refusal.fact:
        return Unsupported(spot, f"it computes {n} pictures at once.", "Convert the model with a batch of 1.")
    return refusal


def decode(
    op: Op, form: TfliteForm, options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], spot: str
) -> tuple[Any, tuple[Tensor, ...], list[tuple[int, ...]]]:
    """Attributes, inputs as the operator reads them, within its limits, and the shapes of its outputs.

    These may differ from the file's by dimensions of 1.
    """
    try:
        attrs, constants = form.decode(options, inputs, outputs)
        decoded = (*(t for t in inputs if t.data is None), *(t for t in constants if t.data is not None))
        op.check(attrs, decoded, spot)
        wanted = op.infer(attrs, decoded)
    except (*DAMAGED, KeyError, ZeroDivisionError, AssertionError) as error:
        fact = f"its options or inputs are not those of {form.operator}: {error or type(error).__name__}."
        raise BadInput(spot, fact, AGAIN) from error
    except Unsupported as error:
        raise Unsupported(spot, error.fact, error.remedy) from error
    got = [(essence(t.shape), t.dtype) for t in outputs]
    if [(essence(t.shape), t.dtype) for t in wanted] != got:
        raise BadInput(
            spot,
            f"the file gives its outputs as {[(t.shape, t.dtype) for t in outputs]}, "
            f"they should be {[(t.shape, t.dtype) for t in wanted]}.",
            AGAIN,
        )
    for t in (*decoded, *outputs):
        check_quantization(t, spot)
    if op.rule.weights is not None and (q := decoded[op.rule.weights].quantization) is not None and any(q.zero_point):
        fact = f"its weights {decoded[op.rule.weights].name} have a zero point other than 0."
        raise Unsupported(spot, fact, "Quantise the model again, with symmetric int8 weights.")
    outs = tuple(replace(t, shape=w.shape) for t, w in zip(outputs, wanted, strict=True))
    call = Call(attrs, decoded, outs)
    check_types(op, call, spot)
    check_work(op, call, spot)
    return attrs, decoded, [t.shape for t in outs]


def essence(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its dimensions of 1."""
    return tuple(n for n in shape if n != 1)


def check_types(op: Op, call: Call, spot: str) -> None:
    """Refuse what would otherwise be computed wrongly: types that no kernel takes, int8 weights under float32 values."""
    if call.x.dtype == "float32" and any(t.dtype in ("int8", "uint8") for t in call.inputs):
        fact = 'its weights are int8, but its input is float32 ("dynamic range" quantisation).'
        raise Unsupported(spot, fact, "Convert with full integer quantisation, or without any.")
    try:
        computed = not op.kernels or any(k.accepts(call) for k in op.kernels)
    except (*DAMAGED, AssertionError) as error:
        raise BadInput(spot, f"its inputs are not those of {op.name}: {error or type(error).__name__}.", AGAIN) from error
    if not computed:
        fact = f"{op.name} of {call.x.dtype} is not computed."
        raise Unsupported(spot, fact, "Convert the model to int8 or float32.")


def check_work(op: Op, call: Call, spot: str) -> None:
    """Refuse what would take minutes and gigabytes to compute even here, where the generated self-test needs it once."""
    macs = op.macs(call)
    channels = max(call.y.shape[-1:], default=1)
    if macs > MOST_MACS or macs // channels > MOST_PRODUCTS:
        fact = f"it takes {macs} multiply-accumulates, more than any microcontroller does in a minute."
        raise Unsupported(spot, fact, "Use a smaller input or fewer channels.")


def check_quantization(t: Tensor, spot: str) -> None:
    q = t.quantization
    if t.dtype in ("int8", "uint8") and q is None:
        raise BadInput(spot, f"{t.name} is {t.dtype}, but has no scale.", AGAIN)
    if q is None or q.axis is None:
        return
    if t.data is None or not 0 <= q.axis < len(t.shape) or len(q.scale) != t.shape[q.axis]:
        raise BadInput(spot, f"{t.name} has {len(q.scale)} scales, which do not fit the shape {t.shape}.", AGAIN)
