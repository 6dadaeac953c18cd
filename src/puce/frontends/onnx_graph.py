# SPDX-License-Identifier: Apache-2.0
"""Builds our graph for the ONNX reader: nodes checked against their limits, layouts brought about, types kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal

import numpy as np

from ..errors import Unsupported
from ..ir import Array, DType, Graph, Node, Quantization, Tensor
from ..ops import REGISTRY
from ..ops.dequantize import Attrs as DequantizeAttrs
from ..ops.quantize import Attrs as QuantizeAttrs
from ..ops.reshape import Attrs as ReshapeAttrs
from ..ops.transpose import Attrs as TransposeAttrs
from .onnx_values import Axes, Constant, Shape, Value, channels_last, default_axes, gathered, renamed, sizes

# Move values as they are, whatever their type.
MOVERS = frozenset(
    {"reshape", "transpose", "slice", "split", "concatenation", "pack", "unpack", "gather", "cast", "pad", "mirror_pad"}
)
Preference = Literal["channels_last", "file"]


class Builder:
    """One import. `place` is the node at hand, for messages; `transposes` counts what layouts cost."""

    def __init__(self, preference: Preference, opset: int) -> None:
        self.preference, self.opset = preference, opset
        self.place, self.origin, self.name = "", "", ""
        self.target: Quantization | None = None  # of the node's result, where the file quantises it
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[str] = []
        self.views: dict[tuple[str, Shape], Tensor] = {}
        self.turns: dict[tuple[str, Shape, Axes], Tensor] = {}

    @property
    def transposes(self) -> int:
        return len(self.turns)

    def refuse(self, fact: str, remedy: str) -> Unsupported:
        return Unsupported(self.place, fact, remedy)

    # ── tensors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def unique(self, name: str) -> str:
        found, n = name, 1
        while found in self.tensors:
            found, n = f"{name}_{n}", n + 1
        return found

    def constant(self, name: str, values: Array, q: Quantization | None = None) -> Tensor:
        """Ours, called after the node that reads it."""
        tensor = Tensor.constant(self.unique(f"{self.name}/{name}"), np.ascontiguousarray(values), q)
        self.tensors[tensor.name] = tensor
        return tensor

    def numbers(self, name: str, values: Array) -> Tensor:
        return self.constant(name, np.asarray(values, np.float32))

    def input(self, name: str, shape: Shape, dtype: DType, q: Quantization | None) -> Value:
        axes = self.input_axes(shape)
        tensor = Tensor(self.unique(name), sizes(shape, axes), dtype, q)
        self.tensors[tensor.name] = tensor
        self.inputs.append(tensor.name)
        return Value.plain(tensor, shape, axes)

    def input_axes(self, shape: Shape) -> Axes:
        batch_of_one = len(shape) in (3, 4) and shape[0] == 1
        if batch_of_one and self.preference == "channels_last":
            return channels_last(4) if len(shape) == 4 else (2, 1)
        return default_axes(shape)

    def node(
        self,
        op: str,
        inputs: Sequence[Tensor],
        attrs: Any,
        q: Quantization | None = None,
        name: str = "",
    ) -> Tensor:
        """The result of one operator; int8 results get the quantisation `q`, or their first input's."""
        return self.nodes_outputs(op, inputs, attrs, (name or self.name,), q)[0]

    def nodes_outputs(
        self, op: str, inputs: Sequence[Tensor], attrs: Any, names: Sequence[str], q: Quantization | None = None
    ) -> tuple[Tensor, ...]:
        known = REGISTRY.get(op)
        if known is None:
            raise self.refuse(f"no operator computes it ({op}).", "See `puce ops` for those that are there.")
        allowed = MOVERS | {"quantize", "dequantize"}
        odd = next((t.dtype for t in inputs if t.data is None and t.dtype not in ("float32", "int8")), None)
        if op not in allowed and odd is not None:
            raise self.refuse(f"it computes with values of type {odd}.", "Export the model in float32, or quantise it to int8.")
        known.check(attrs, inputs, self.place)
        results = []
        for name, y in zip(names, known.infer(attrs, inputs), strict=True):
            given = y.quantization if q is None or y.dtype == "float32" else q
            tensor = replace(y, name=self.unique(name), quantization=given if y.dtype != "float32" else None, data=None)
            self.tensors[tensor.name] = tensor
            results.append(tensor)
        outputs = tuple(t.name for t in results)
        self.nodes.append(Node(known, outputs[0], tuple(t.name for t in inputs), outputs, attrs, self.origin))
        return tuple(results)

    # ── layouts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, t: Tensor, shape: Shape) -> Tensor:
        """The same memory under another shape."""
        if t.shape == shape:
            return t
        if (t.name, shape) not in self.views:
            self.views[t.name, shape] = self.node("reshape", (t,), ReshapeAttrs(shape), name=f"{t.name}/shaped")
        return self.views[t.name, shape]

    def moved(self, t: Tensor, shape: Shape, order: Axes) -> Tensor:
        """Values in another order: a transpose that costs time."""
        if list(order) == sorted(order):
            return t
        if (t.name, shape, order) not in self.turns:
            self.turns[t.name, shape, order] = self.node(
                "transpose", (self.view(t, shape),), TransposeAttrs(order), name=f"{t.name}/moved"
            )
        return self.turns[t.name, shape, order]

    def arranged(self, v: Value, axes: Axes) -> Tensor:
        """Ours with exactly these axes of the file's shape (-1: one of size 1), moved only where names do not do."""
        wanted = sizes(v.shape, axes)
        if prod(wanted) != prod(v.shape):
            batch = f"a batch of {v.shape[0]} pictures, or axes that no operator of ours has: the shape is {list(v.shape)}."
            raise self.refuse(f"this has {batch}", "Export the model with a batch of 1.")
        settled = self.settled(v)
        have, need = list(settled.axes), [a for a in axes if a >= 0 and v.shape[a] > 1]
        order = tuple(have.index(a) for a in need)
        moved = self.moved(settled.tensor, sizes(v.shape, have), order)
        return self.view(moved, wanted)

    def settled(self, v: Value) -> Value:
        """The value without a pending reshape: its values moved where other names do not do."""
        if not v.waits:
            return v
        wanted = gathered(v)
        tensor = self.moved(v.tensor, sizes(v.base, v.axes), tuple(v.axes.index(a) for a in wanted))
        axes = renamed(v.base, wanted, v.shape)
        assert axes is not None, (v.base, v.axes, v.shape)
        return Value.plain(tensor, v.shape, axes, v.real)

    def fits(self, v: Value, axes: Axes) -> bool:
        """Whether `arranged` would move nothing."""
        return not v.waits and list(v.axes) == [a for a in axes if a >= 0 and v.shape[a] > 1]

    def natural(self, v: Value) -> tuple[Tensor, Axes]:
        """Ours in the layout that costs least: as it is, as a picture, as the file has it."""
        v = self.settled(v)
        batch = {0} if len(v.shape) > 1 and v.shape[0] == 1 else set()
        for axes in (default_axes(v.shape), channels_last(len(v.shape)) if len(v.shape) == 4 else (), v.axes):
            if axes and set(range(len(v.shape))) - set(axes) <= batch and self.fits(v, axes):
                return self.arranged(v, axes), axes
        missing = [a for a in default_axes(v.shape) if a >= 0 and v.shape[a] == 1]
        axes = (*missing, *v.axes) or (-1,)
        return self.arranged(v, axes), axes

    # ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def floats(self, v: Value) -> Value:
        """The value in float32, where it is int8 that stands for real numbers."""
        if not v.real:
            return v
        tensor = self.node("dequantize", (v.tensor,), DequantizeAttrs(), name=f"{v.tensor.name}/real")
        return replace(v, tensor=tensor, real=False)

    def in_integers(self, *values: Value) -> bool:
        """Whether this node reads int8 that stands for real numbers, and the file quantises its result to int8."""
        return self.target is not None and all(v.real and v.tensor.dtype == "int8" for v in values)

    def quantized(self, t: Tensor, q: Quantization, dtype: DType = "int8") -> Tensor:
        """Float or other integers under this quantisation."""
        if t.dtype == dtype and t.quantization == q:
            return t
        return self.node("quantize", (t,), QuantizeAttrs(dtype), q, name=f"{t.name}/quantized")

    def copied(self, t: Tensor) -> Tensor:
        """An input that is an output too, by a node that costs nothing."""
        return self.node("reshape", (t,), ReshapeAttrs(t.shape), name=f"{t.name}/same")

    def graph(self, outputs: Sequence[str], name: str) -> Graph:
        used = {*self.inputs, *outputs, *(t for n in self.nodes for t in (*n.inputs, *n.outputs))}
        tensors = {k: t for k, t in self.tensors.items() if k in used}
        return Graph(tuple(self.nodes), tensors, tuple(self.inputs), tuple(outputs), name)


Operand = Value | Constant
