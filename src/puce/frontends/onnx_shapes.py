# SPDX-License-Identifier: Apache-2.0
"""ONNX's operators that only move or rename values: most become other names for axes, and cost nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..ir import Tensor
from ..ops._pairs import Attrs as PairAttrs
from ..ops.cast import Attrs as CastAttrs
from ..ops.concatenation import Attrs as JoinAttrs
from ..ops.depth_to_space import Attrs as BlockAttrs
from ..ops.gather import Attrs as GatherAttrs
from ..ops.slice import Attrs as SliceAttrs
from ..ops.space_to_depth import Attrs as ToDepthAttrs
from ..ops.split import Attrs as SplitAttrs
from .onnx_elementwise import Handler, array_of, combined, given, value_of
from .onnx_files import TYPES, FileNode
from .onnx_graph import Builder, Operand
from .onnx_values import Axes, Constant, Shape, Value, channels_last, reshaped, transposed

MOST = 8  # what split and concatenation have functions for


def integers(b: Builder, x: Operand | None, what: str) -> tuple[int, ...]:
    return tuple(int(i) for i in array_of(b, x, what).ravel())


def axis_of(b: Builder, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise b.refuse(f"there is no axis {axis} of {rank}.", "Export the model again.")
    return axis % rank


def axes_of(b: Builder, n: FileNode, x: Sequence[Operand | None], rank: int, index: int = 1) -> tuple[int, ...] | None:
    """The axes of a node, an attribute in old opsets and an input in new ones; None where there are none."""
    values = n.ints("axes") if "axes" in n.attributes else ()
    if (chosen := given(x, index)) is not None:
        values = integers(b, chosen, "axes")
    return tuple(sorted(axis_of(b, a, rank) for a in values)) if values else None


# ── other names ───────────────────────────────────────────────────────────────────────────────────────────────────


def reshape(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    wanted = list(n.ints("shape") if "shape" in n.attributes else integers(b, given(x, 1), "shapes"))
    for i, size in enumerate(wanted):
        if size == 0 and not n.number("allowzero") and i < len(v.shape):
            wanted[i] = v.shape[i]
    if wanted.count(-1) == 1:
        wanted[wanted.index(-1)] = prod(v.shape) // max(prod(s for s in wanted if s != -1), 1)
    return (reshaped(v, checked(b, v, wanted)),)


def checked(b: Builder, v: Value, wanted: Sequence[int]) -> Shape:
    """A batch of one may have been written as any number; else both shapes must hold as many values."""
    if wanted and prod(wanted) != prod(v.shape) and wanted[0] > 0 and prod(wanted[1:]) == prod(v.shape):
        wanted = (1, *wanted[1:])
    if prod(wanted) != prod(v.shape) or min(wanted, default=1) < 1 or len(wanted) > 12:
        raise b.refuse(f"{list(v.shape)} cannot be reshaped to {list(wanted)}.", "Export the model with a batch of 1.")
    return tuple(wanted)


def flatten(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    axis = n.number("axis", 1)
    axis += len(v.shape) if axis < 0 else 0
    return (reshaped(v, (prod(v.shape[:axis]), prod(v.shape[axis:]))),)


def squeeze(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    axes = axes_of(b, n, x, len(v.shape)) or tuple(a for a, size in enumerate(v.shape) if size == 1)
    if any(v.shape[a] != 1 for a in axes):
        raise b.refuse(f"axes {list(axes)} of {list(v.shape)} are not all of size 1.", "Export the model with a batch of 1.")
    return (reshaped(v, tuple(size for a, size in enumerate(v.shape) if a not in axes)),)


def unsqueeze(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    values = n.ints("axes") if "axes" in n.attributes else integers(b, given(x, 1), "axes")
    shape, rank = list(v.shape), len(v.shape) + len(values)
    for axis in sorted(axis_of(b, a, rank) for a in values):
        shape.insert(axis, 1)
    return (reshaped(v, tuple(shape)),)


def transpose(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    order = n.ints("perm") or tuple(reversed(range(len(v.shape))))
    if sorted(order) != list(range(len(v.shape))):
        raise b.refuse(f"{list(order)} is no order of {len(v.shape)} axes.", "Export the model again.")
    return (transposed(v, order),)


def cast(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Between float types nothing happens: all are float32 here."""
    v, kind = value_of(b, x[0]), TYPES.get(n.number("to"), "")
    kind = "float32" if kind in ("float16", "float64") else kind
    if kind == v.tensor.dtype or (v.real and kind == "float32"):
        return (v,)
    if kind not in ("float32", "int32") or v.tensor.dtype not in ("float32", "int32"):
        raise b.refuse(f"a cast from {v.tensor.dtype} to {kind or 'an unknown type'} is not computed.", "Remove the cast.")
    return (v.holding(b.node("cast", (v.tensor,), CastAttrs("float32" if kind == "float32" else "int32"))),)


def expand(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Repeats by adding zeros of the larger shape."""
    v, wanted = b.floats(value_of(b, x[0])), integers(b, given(x, 1), "shapes")
    shape = np.broadcast_shapes(v.shape, wanted)
    if prod(shape) > 1 << 24:
        raise b.refuse(f"the shape {list(shape)} is no tensor of a microcontroller.", "Export the model again.")
    if shape == v.shape:
        return (v,)
    return (combined(b, "add", PairAttrs(), v, Constant(np.zeros(shape, np.float32))),)


# ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_axes(b: Builder, v: Value, wanted: Sequence[int]) -> tuple[Tensor, Axes]:
    """Ours with all of these axes of the file, in the layout that costs least."""
    tensor, axes = b.natural(v)
    missing = tuple(a for a in wanted if a not in axes)
    return (tensor, axes) if not missing else (b.arranged(v, (*missing, *axes)), (*missing, *axes))


def part(b: Builder, v: Value, bounds: Mapping[int, range], name: str = "") -> Value:
    """Some places of some axes."""
    bounds = {a: r for a, r in bounds.items() if r != range(v.shape[a])}
    if not bounds:
        return v
    if any(len(r) == 0 for r in bounds.values()):
        raise b.refuse("the part is empty.", "Export the model again.")
    tensor, axes = on_axes(b, v, list(bounds))
    spans = [bounds.get(a, range(size)) for a, size in zip(axes, tensor.shape, strict=True)]
    size = tuple(map(len, spans))
    attrs = SliceAttrs(tuple(r.start for r in spans), size, tuple(r.step for r in spans), size)
    y = b.node("slice", (tensor,), attrs, name=name)
    return Value.plain(y, tuple(len(bounds[a]) if a in bounds else n for a, n in enumerate(v.shape)), axes, v.real)


def slice_(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    rank = len(v.shape)
    if "starts" in n.attributes:
        starts, ends = n.ints("starts"), n.ints("ends")
        axes, steps = n.ints("axes", range(len(starts))), (1,) * len(starts)
    else:
        starts, ends = integers(b, given(x, 1), "bounds"), integers(b, given(x, 2), "bounds")
        axes, steps = tuple(range(len(starts))), (1,) * len(starts)
        if (chosen := given(x, 3)) is not None:
            axes = integers(b, chosen, "axes")
        if (chosen := given(x, 4)) is not None:
            steps = integers(b, chosen, "steps")
    bounds = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(b, axis, rank)
        bounds[axis] = range(*slice(start, bound(end, step, v.shape[axis]), step).indices(v.shape[axis]))
    return (part(b, b.settled(v), bounds),)


def bound(end: int, step: int, size: int) -> int | None:
    """ONNX's end of a slice as Python's: backwards, any number below the first place is all of it."""
    return None if step < 0 and end < -size else end


def split(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    axis = axis_of(b, n.number("axis"), len(v.shape))
    count, size = len(n.outputs), v.shape[axis]
    parts = n.ints("split")
    if (chosen := given(x, 1)) is not None:
        parts = integers(b, chosen, "sizes")
    if not parts:
        each = -(-size // count)
        parts = (*(each,) * (count - 1), size - each * (count - 1))
    if sum(parts) != size or len(parts) != count or min(parts) < 1:
        raise b.refuse(f"{list(parts)} are no parts of an axis of {size} for {count} outputs.", "Export the model again.")
    if count == 1:
        return (v,)
    names = [name or f"{b.name}/unused{i}" for i, name in enumerate(n.outputs)]
    if count > MOST:
        starts = np.cumsum((0, *parts))
        return [part(b, v, {axis: range(starts[i], starts[i + 1])}, names[i]) for i in range(count)]
    tensor, axes = on_axes(b, v, (axis,))
    results = b.nodes_outputs("split", (tensor,), SplitAttrs(axes.index(axis), parts), names)
    shapes = [(*v.shape[:axis], size, *v.shape[axis + 1 :]) for size in parts]
    return [Value.plain(y, shape, axes, v.real) for y, shape in zip(results, shapes, strict=True)]


def concat(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """In the layout of the largest; in int8 all get the scale of the result."""
    values = [b.settled(constant_value(b, o)) for o in x if o is not None]
    if not values:
        raise b.refuse("it has no inputs.", "Export the model again.")
    axis = axis_of(b, n.number("axis", 1), len(values[0].shape))
    integer = b.in_integers(*values)
    values = values if integer else [b.floats(v) for v in values]
    shape = (*values[0].shape[:axis], sum(v.shape[axis] for v in values), *values[0].shape[axis + 1 :])
    _, axes = on_axes(b, max(values, key=lambda v: v.tensor.size), [a for a, size in enumerate(shape) if size > 1 or a == axis])
    tensors = [b.arranged(v, axes) for v in values]
    if integer and b.target is not None:
        tensors = [b.quantized(t, b.target) for t in tensors]
    while len(tensors) > MOST:
        joined = b.node("concatenation", tensors[:MOST], JoinAttrs(axes.index(axis)), name=f"{b.name}/part")
        tensors = [joined, *tensors[MOST:]]
    y = tensors[0] if len(tensors) == 1 else b.node("concatenation", tensors, JoinAttrs(axes.index(axis)))
    return (Value.plain(y, shape, axes, integer),)


def constant_value(b: Builder, o: Operand) -> Value:
    if isinstance(o, Value):
        return o
    raise b.refuse("a constant is joined to what is computed.", "Add it to a later layer, or drop it.")


def gather(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(value_of(b, x[0]))
    indices = array_of(b, given(x, 1), "indices")
    axis = axis_of(b, n.number("axis"), len(v.shape))
    size = v.shape[axis]
    places = tuple(int(i) + (size if i < 0 else 0) for i in indices.ravel())
    if any(not 0 <= p < size for p in places) or not places:
        raise b.refuse(f"its indices do not lie on an axis of {size}.", "Export the model again.")
    shape = (*v.shape[:axis], *indices.shape, *v.shape[axis + 1 :])
    first = places[0]
    if places == tuple(range(first, first + len(places))):
        return (reshaped(part(b, v, {axis: range(first, first + len(places))}), shape),)
    tensor, axes = on_axes(b, v, (axis,))
    y = b.node("gather", (tensor,), GatherAttrs(axes.index(axis), places, (len(places),)))
    flat = (*v.shape[:axis], len(places), *v.shape[axis + 1 :])
    return (reshaped(Value.plain(y, flat, axes, v.real), shape),)


def blocks(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """DepthToSpace and SpaceToDepth. In the mode CRD (PyTorch's PixelShuffle) channels change places first."""
    v, s = b.settled(value_of(b, x[0])), n.number("blocksize")
    if len(v.shape) != 4 or s < 1:
        raise b.refuse("its input must be a picture [n, c, h, w].", "Export the model again.")
    one, c, h, w = v.shape
    t = b.arranged(v, channels_last(4))
    if n.op == "SpaceToDepth":
        y = b.node("space_to_depth", (t,), ToDepthAttrs(s))
        if n.text("mode", "DCR") == "CRD":
            order = tuple(int(i) for i in np.arange(c * s * s).reshape(s * s, c).T.ravel())
            y = b.node("gather", (y,), GatherAttrs(2, order, (len(order),)), name=f"{b.name}/channels")
        return (Value.plain(y, (one, c * s * s, h // s, w // s), channels_last(4), v.real),)
    if c % (s * s):
        raise b.refuse(f"{c} channels are not blocks of {s} x {s}.", "Export the model again.")
    if n.text("mode", "DCR") == "CRD" and c > s * s:
        order = tuple(int(i) for i in np.arange(c).reshape(-1, s * s).T.ravel())
        t = b.node("gather", (t,), GatherAttrs(2, order, (c,)), name=f"{b.name}/channels")
    y = b.node("depth_to_space", (t,), BlockAttrs(s))
    return (Value.plain(y, (one, c // s // s, h * s, w * s), channels_last(4), v.real),)


SHAPES: Mapping[str, Handler] = {
    "Cast": cast, "Concat": concat, "DepthToSpace": blocks, "Expand": expand, "Flatten": flatten,
    "Gather": gather, "Reshape": reshape, "Slice": slice_, "SpaceToDepth": blocks, "Split": split,
    "Squeeze": squeeze, "Transpose": transpose, "Unsqueeze": unsqueeze,
}  # fmt: skip
