# SPDX-License-Identifier: Apache-2.0
"""ONNX's means, sums and extremes over any axes, and the place of the largest value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir import Quantization, Tensor
from ..ops._reduce import Attrs as ReduceAttrs
from ..ops._single import Attrs as SingleAttrs
from ..ops.arg_max import Attrs as ArgMaxAttrs
from .onnx_elementwise import Handler, square_root, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_shapes import axes_of, axis_of, on_axes
from .onnx_values import Value, reshaped

OPERATORS: Mapping[str, str] = {
    "ReduceMax": "reduce_max", "ReduceMin": "reduce_min", "ReduceMean": "mean", "ReduceSum": "sum",
    "ReduceSumSquare": "sum", "ReduceL2": "sum",
}  # fmt: skip


def averaged(b: Builder, t: Tensor, q: Quantization | None) -> Tensor:
    """The mean of each channel of a picture, [h, w, c] -> [1, 1, c]."""
    return b.node("mean", (t,), ReduceAttrs(keep_dims=True), q)


def reduced(b: Builder, v: Value, op: str, axes: Sequence[int], integers: bool = False) -> Value:
    """One operator over these axes of the file, which stay, with one place."""
    shape = tuple(1 if a in axes else size for a, size in enumerate(v.shape))
    counted = [a for a in axes if v.shape[a] > 1]
    v = v if integers else b.floats(v)
    if not counted:
        return v
    t, order = on_axes(b, v, counted)
    places = tuple(sorted(order.index(a) for a in counted))
    y = b.node(op, (t,), ReduceAttrs(True, places), b.target if op == "mean" else t.quantization)
    return Value.plain(y, shape, order, integers)


def reduce(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    rank = len(v.shape)
    chosen = axes_of(b, n, x, rank)
    if chosen is None and n.number("noop_with_empty_axes"):
        return (v,)
    axes = tuple(range(rank)) if chosen is None else chosen
    shape = tuple(1 if a in axes else size for a, size in enumerate(v.shape) if n.number("keepdims", 1) or a not in axes)
    op = OPERATORS[n.op]
    integers = (op.startswith("reduce") and v.real) or (op == "mean" and b.in_integers(v))
    if n.op in ("ReduceSumSquare", "ReduceL2"):
        v = b.floats(v)
        v = v.holding(b.node("square", (v.tensor,), SingleAttrs(), name=f"{b.name}/square"))
    y = reduced(b, v, op, axes, integers)
    if n.op == "ReduceL2":
        y = value_of(b, square_root(b, n, (y,))[0])
    return (reshaped(y, shape),)


def arg_max(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Places as int32, where ONNX has int64."""
    v = b.settled(value_of(b, x[0]))
    v = v if v.real else b.floats(v)
    axis = axis_of(b, n.number("axis"), len(v.shape))
    if n.number("select_last_index"):
        raise b.refuse("the last of several equal values is not looked for.", "Use select_last_index=0.")
    t, order = on_axes(b, v, (axis,))
    y = b.node("arg_max", (t,), ArgMaxAttrs(order.index(axis)))
    kept = tuple(1 if a == axis else size for a, size in enumerate(v.shape))
    shape = kept if n.number("keepdims", 1) else tuple(size for a, size in enumerate(v.shape) if a != axis)
    return (reshaped(Value.plain(y, kept, order), shape),)


REDUCTIONS: Mapping[str, Handler] = {**dict.fromkeys(OPERATORS, reduce), "ArgMax": arg_max}
