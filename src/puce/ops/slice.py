# SPDX-License-Identifier: Apache-2.0
"""Slice, StridedSlice and Cropping2D: every n-th value of each axis from a first one on, by constant bounds.

LiteRT moves the values as they are. Its masks are resolved on reading: a bound that a mask frees is the axis's end, an
ellipsis stands for whole axes, an axis that shrinks or is new changes the shape only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import WHOLE, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, Window, register
from .transpose import KINDS, LOOPS, walk


@dataclass(frozen=True)
class Attrs:
    """Of each axis without batch, `size` values from `begin` on, `stride` (which may be negative) apart."""

    begin: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    shape: tuple[int, ...]  # of the output: `size`, with axes of 1 dropped or added


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (Tensor("y", a.shape, inputs[0].dtype, inputs[0].quantization),)


def taken(a: Attrs, x: Array) -> Array:
    """The view, of the last axes of an array, that is copied."""
    for axis, (begin, size, stride) in enumerate(zip(a.begin, a.size, a.stride, strict=True), x.ndim - len(a.begin)):
        end: int | None = begin + size * stride
        x = x[(slice(None),) * axis + (slice(begin, end if end is not None and end >= 0 else None, stride),)]
    return x


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (np.ascontiguousarray(taken(call.attrs, x)).reshape(len(x), *call.attrs.shape),)


def streams(call: Call) -> bool:
    """Whether output row y is part of an input row: a picture that stays one, and is not turned upside down."""
    a: Attrs = call.attrs
    return len(call.x.shape) == len(a.shape) == 3 and a.shape == a.size and a.stride[0] > 0


def windows(call: Call) -> tuple[Window, ...]:
    a: Attrs = call.attrs
    return (Window(stride=a.stride[0], top=-a.begin[0]),) if streams(call) else (WHOLE,)


def arguments(call: Call) -> str:
    a: Attrs = call.attrs
    shape = call.x.shape
    if streams(call):
        a, shape = Attrs(a.begin[1:], a.size[1:], a.stride[1:], ()), shape[1:]
    return walk(shape, call.x.itemsize, lambda x: taken(a, x)).arguments


def bounds_are_inside(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "A slice must begin and end inside the input and hold at least one value of each of its axes, at most four."
    shape = inputs[0].shape
    if not len(shape) == len(a.begin) == len(a.size) == len(a.stride) <= LOOPS or min(a.size, default=0) < 1:
        return False
    ends = [b + (n - 1) * s for b, n, s in zip(a.begin, a.size, a.stride, strict=True)]
    inside = all(0 <= i < n for side in (a.begin, ends) for i, n in zip(side, shape, strict=True))
    return inside and prod(a.shape) == prod(a.size)


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def dropped(a: Attrs) -> tuple[int, ...] | None:
    """The axes of size 1 that the output lacks; None where it is not `size` without some."""
    axes, rest = [], list(a.shape)
    for axis, n in enumerate(a.size):
        if rest[:1] == [n] and (n > 1 or len(a.size) - axis == len(rest)):
            rest.pop(0)
        elif n == 1:
            axes.append(axis)
        else:
            return None
    return None if rest else tuple(axes)


def vectors(*columns: tuple[int, ...]) -> tuple[Tensor, ...]:
    names = ("begin", "end", "strides")
    return tuple(Tensor.constant(n, np.array(v, np.int32)) for n, v in zip(names, columns, strict=False))


def slice_constants(call: Call) -> tuple[Tensor, ...]:
    a: Attrs = call.attrs
    return call.x, *vectors((0, *a.begin), (-1, *a.size))


def strided_constants(call: Call) -> tuple[Tensor, ...]:
    a: Attrs = call.attrs
    ends = tuple(b + n * s for b, n, s in zip(a.begin, a.size, a.stride, strict=True))
    return call.x, *vectors((0, *a.begin), (1, *ends), (1, *a.stride))


def encode(call: Call) -> Mapping[str, Any]:
    """An end before the first value of an axis cannot be written as a number: a mask says it."""
    a: Attrs = call.attrs
    free = sum(2 << i for i, (b, n, s) in enumerate(zip(a.begin, a.size, a.stride, strict=True)) if b + n * s < 0)
    return {"BeginMask": 1, "EndMask": 1 | free, "ShrinkAxisMask": sum(2 << i for i in dropped(a) or ())}


def resolved(index: Sequence[slice | int | None], shape: tuple[int, ...], where: str) -> Attrs:
    """Attributes of a NumPy index of [1, *shape], batch in front."""
    whole = (1, *shape)
    axes = [i for i in index if i is not None]
    axes += [slice(None)] * (len(whole) - len(axes))
    if isinstance(axes[0], int) or (index and index[0] is None) or range(1)[axes[0]] != range(1):
        raise Unsupported(where, "the pictures of a batch cannot be sliced.", "Slice rows, columns or channels.")
    spans = [range(n)[i : i + 1 or None] if isinstance(i, int) else range(n)[i] for i, n in zip(axes, whole, strict=True)][1:]
    out, n = list[int](), 0
    for i in (*index, *[slice(None)] * (len(whole) - sum(i is not None for i in index))):
        if i is None:
            out.append(1)
            continue
        if not isinstance(i, int) and n > 0:
            out.append(len(spans[n - 1]))
        n += 1
    return Attrs(tuple(r.start for r in spans), tuple(map(len, spans)), tuple(r.step for r in spans), tuple(out))


def numbers(t: Tensor, where: str) -> list[int]:
    if t.data is None:
        raise Unsupported(where, "bounds that are computed cannot be compiled.", "Use constant bounds.")
    return [int(v) for v in t.data.reshape(-1)]


def decode_slice(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, where = inputs[0], outputs[0].name
    begin, size = (numbers(t, where) for t in inputs[1:3])
    index = [slice(b, None if n == -1 else b + n) for b, n in zip(begin, size, strict=True)]
    return resolved(index, x.shape, where), (x,)


def decode_strided(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, where = inputs[0], outputs[0].name
    begin, end, stride = (numbers(t, where) for t in inputs[1:4])
    new, shrink, ellipsis = options.NewAxisMask(), options.ShrinkAxisMask(), options.EllipsisMask()
    index: list[slice | int | None] = []
    count = sum(not (new | ellipsis) >> i & 1 for i in range(len(begin)))
    for i, (b, e, s) in enumerate(zip(begin, end, stride, strict=True)):
        if ellipsis >> i & 1:
            index += [slice(None)] * (len(x.shape) + 1 - count)
        elif new >> i & 1:
            index.append(None)
        elif shrink >> i & 1:
            index.append(b)
        else:
            e = b + e if options.Offset() else e
            index.append(slice(None if options.BeginMask() >> i & 1 else b, None if options.EndMask() >> i & 1 else e, s))
    return resolved(index, x.shape, where), (x,)


def from_cropping(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    h, w, c = inputs[0].shape
    value = layer.config.get("cropping", 0)
    rows, columns = (value, value) if isinstance(value, int) else value
    (top, bottom), (left, right) = ((n, n) if isinstance(n, int) else n for n in (rows, columns))
    size = (h - top - bottom, w - left - right, c)
    return Imported(Attrs((top, left, 0), size, (1, 1, 1), size))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = (3, 3, 3, 2, 1)[sampling.integer(rng, 0, 4)]
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, 12) for _ in range(rank)), KINDS)
        plain = rng.random() < 0.5
        spans = []
        for n in x.shape:
            first, last = sorted(sampling.integer(rng, 0, n - 1) for _ in range(2))
            stride = 1 if plain else sampling.integer(rng, 1, 3) * (-1 if rng.random() < 0.2 else 1)
            spans.append(range(first, last + 1, stride) if stride > 0 else range(last, first - 1, stride))
        size = tuple(map(len, spans))
        # a stride that never steps is 1, and backwards one that shrinks: files say it otherwise
        stride_ = tuple(r.step for r in spans)
        drop = not plain and rng.random() < 0.3 and all(s > 0 for s in stride_)
        shape = tuple(n for n in size if n > 1) if drop else size
        a = Attrs(tuple(r.start for r in spans), size, stride_, shape or (1,))
        if drop and dropped(a) is None:
            continue
        yield Call(a, (x,), infer(a, (x,)))


def is_plain(call: Call) -> bool:
    return set(call.attrs.stride) <= {1} and call.attrs.shape == call.attrs.size


OP = register(Op(
    name="slice",
    summary="A part of each axis, with any stride; cropping.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=(Kernel("puce_copy", "copy.h", lambda call: True, arguments),),
    formula=lambda call: f"out[i] = in[begin + i * stride], begin {list(call.attrs.begin)}, stride {list(call.attrs.stride)}",
    limits=(bounds_are_inside,),
    rule=Rule("same"),
    tflite=(
        TfliteForm("SLICE", "SliceOptions", lambda call: {}, decode_slice, slice_constants, fits=is_plain),
        TfliteForm(
            "STRIDED_SLICE", "StridedSliceOptions", encode, decode_strided, strided_constants,
            version=lambda call: 2 if call.x.dtype == "int8" else 1, fits=lambda call: dropped(call.attrs) is not None,
        ),
    ),
    keras={"Cropping2D": from_cropping},
    onnx=("Slice",),
))  # fmt: skip
