# SPDX-License-Identifier: Apache-2.0
"""ONNX's paddings and resizings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir import Array, Tensor
from ..ops.gather import Attrs as GatherAttrs
from ..ops.mirror_pad import Attrs as MirrorAttrs
from ..ops.pad import Attrs as PadAttrs
from ..ops.resize import Attrs as ResizeAttrs
from .onnx_elementwise import Handler, array_of, given, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_values import Value
from .onnx_windows import Pair, picture, result


def pad(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v, mode = value_of(b, x[0]), n.text("mode", "constant")
    rank = len(v.shape)
    pads = n.ints("pads") or n.ints("paddings") or tuple(int(p) for p in array_of(b, given(x, 1), "paddings").ravel())
    axes = list(range(rank))
    if (chosen := given(x, 3)) is not None:
        axes = [int(a) % rank for a in array_of(b, chosen, "axes").ravel()]
    fill = n.real("value")
    if (constant := given(x, 2)) is not None:
        fill = float(array_of(b, constant, "values").ravel()[0])
    if len(pads) != 2 * len(axes):
        raise b.refuse(f"{len(pads)} paddings do not belong to {len(axes)} axes.", "Export the model again.")
    sides = {a: (pads[i], pads[len(axes) + i]) for i, a in enumerate(axes) if pads[i] or pads[len(axes) + i]}
    if not sides:
        return (v,)
    tensor, order = b.natural(v)
    if not set(sides) <= set(order[-3:]):
        order = (*(a for a in order if a not in sides), *(a for a in order if a in sides))
        tensor = b.arranged(v, order)
    if not set(sides) <= set(order[-3:]):
        raise b.refuse("padding the batch, or more than three axes, is not computed.", "Pad rows and columns only.")
    places = [sides.get(a, (0, 0)) for a in (-1, -1, -1, *order)[-3:]]
    padding, channels = (*places[0], *places[1]), places[2]
    attrs: Any = PadAttrs(padding, channels, fill_of(v, fill))
    if mode == "reflect":
        attrs = MirrorAttrs(padding, channels, "reflect")
    elif mode != "constant":
        raise b.refuse(f"padding by the word {mode} is not computed.", "Use a constant or reflected padding.")
    y = b.node("pad" if mode == "constant" else "mirror_pad", (tensor,), attrs)
    shape = tuple(size + sum(sides.get(a, (0, 0))) for a, size in enumerate(v.shape))
    return (Value.plain(y, shape, order, v.real),)


def fill_of(v: Value, fill: float) -> float | int | None:
    """As it lies in memory."""
    if fill == 0 or v.tensor.quantization is None:
        return fill or None
    return int(np.clip(np.rint(fill / v.tensor.q.s) + v.tensor.q.z, -128, 127))


def resize(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.floats(value_of(b, x[0]))
    rank = len(v.shape)
    if rank != 4:
        return resize_line(b, n, x, v)
    size = new_size(b, n, x, v)
    if size[:2] != v.shape[:2]:
        raise b.refuse("only rows and columns can be resized.", "Resize pictures [n, c, h, w].")
    t = picture(b, v)
    return (result(resized(b, n, t, (size[2], size[3])), v, v.shape[1], False),)


def resize_line(b: Builder, n: FileNode, x: Sequence[Operand | None], v: Value) -> Sequence[Operand]:
    """The last axis alone, as the columns of a picture."""
    size = new_size(b, n, x, v)
    if size[:-1] != v.shape[:-1]:
        raise b.refuse("only rows and columns of a picture, or the last axis, can be resized.", "Resize [n, c, h, w].")
    rows = int(np.prod(v.shape[:-1]))
    t = b.view(b.arranged(v, tuple(range(len(v.shape)))), (rows, v.shape[-1], 1))
    return (Value.plain(resized(b, n, t, (rows, size[-1])), size),)


def resized(b: Builder, n: FileNode, t: Tensor, size: Pair) -> Tensor:
    if n.text("mode", "nearest") == "nearest":
        return taken(b, n, t, size)
    return b.node("resize", (t,), resize_attrs(b, n, size))


def new_size(b: Builder, n: FileNode, x: Sequence[Operand | None], v: Value) -> tuple[int, ...]:
    """From sizes or from scales, which stand elsewhere in each opset."""
    rank = len(v.shape)
    axes = [a % rank for a in n.ints("axes")] or list(range(rank))
    sizes, scales = given(x, 3), given(x, 2) if len(x) > 2 else given(x, 1)
    factors = list(n.attributes.get("scales", ()))
    if sizes is not None and array_of(b, sizes, "sizes").size:
        wanted = [int(s) for s in array_of(b, sizes, "sizes").ravel()]
        if n.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise b.refuse("a resize that keeps the aspect ratio is not computed.", "Give the exact sizes.")
    else:
        factors = factors or [float(s) for s in array_of(b, scales, "scales").ravel()]
        wanted = [int(np.floor(v.shape[a] * np.float32(f))) for a, f in zip(axes, factors, strict=True)]
        odd = [f for a, w, f in zip(axes, wanted, factors, strict=True) if abs(w - v.shape[a] * f) > 1e-4 * w]
        if odd:
            raise b.refuse(f"the scale {odd[0]} does not give a whole size, and would not be kept.", "Give the exact sizes.")
    result = list(v.shape)
    for a, size in zip(axes, wanted, strict=True):
        result[a] = size
    if min(result) < 1 or np.prod(result, dtype=object) > 1 << 26:
        raise b.refuse(f"the size {result} is no picture of a microcontroller.", "Export the model again.")
    return tuple(result)


def transformation_of(b: Builder, n: FileNode) -> str:
    """Upsample and the first Resize, of opset 10, know one only."""
    old = n.op == "Upsample" or b.opset < 11
    return "asymmetric" if old else n.text("coordinate_transformation_mode", "half_pixel")


def resize_attrs(b: Builder, n: FileNode, size: Pair) -> ResizeAttrs:
    """Linear between pixels."""
    word = transformation_of(b, n)
    if n.text("mode", "nearest") == "linear" and not n.number("antialias"):
        if word == "half_pixel" or (word == "pytorch_half_pixel" and min(size) > 1):
            return ResizeAttrs(size, "bilinear", half_pixel_centers=True)
        if word in ("asymmetric", "align_corners"):
            return ResizeAttrs(size, "bilinear", align_corners=word == "align_corners")
    fact = f"resizing with mode {n.text('mode')} and {word} is not computed."
    raise b.refuse(fact, "Use mode nearest or linear, with half_pixel, asymmetric or align_corners.")


ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def nearest_places(b: Builder, n: FileNode, before: int, size: int) -> tuple[int, ...]:
    """For each place of the resized axis, the one that it takes."""
    word, i, ratio = transformation_of(b, n), np.arange(size, dtype=np.float64), size / before
    formulas: Mapping[str, Callable[[], Array]] = {
        "asymmetric": lambda: i / ratio,
        "half_pixel": lambda: (i + 0.5) / ratio - 0.5,
        "pytorch_half_pixel": lambda: (i + 0.5) / ratio - 0.5 if size > 1 else i * 0,
        "align_corners": lambda: i * (before - 1) / max(size - 1, 1),
    }
    rounding = "floor" if n.op == "Upsample" or b.opset < 11 else n.text("nearest_mode", "round_prefer_floor")
    if word not in formulas or rounding not in ROUNDINGS:
        fact = f"resizing to the nearest pixel with {word} and {rounding} is not computed."
        raise b.refuse(fact, "Use coordinate_transformation_mode asymmetric and nearest_mode floor.")
    places = ROUNDINGS[rounding](formulas[word]()).clip(0, before - 1)
    return tuple(int(p) for p in places)


def taken(b: Builder, n: FileNode, t: Tensor, size: Pair) -> Tensor:
    """Nearest pixels of rows and columns: whole factors of two by our own operator, others by their places."""
    rows, columns = (nearest_places(b, n, before, after) for before, after in zip(t.shape[:2], size, strict=True))
    simple = all(
        places == tuple(i * before // after for i in range(after))
        for places, before, after in zip((rows, columns), t.shape[:2], size, strict=True)
    )
    if simple:
        return b.node("resize", (t,), ResizeAttrs(size, "nearest"))
    for axis, places in ((0, rows), (1, columns)):
        if places != tuple(range(t.shape[axis])):
            t = b.node("gather", (t,), GatherAttrs(axis, places, (len(places),)), name=f"{b.name}/axis{axis}")
    return t


PICTURES: Mapping[str, Handler] = {"Pad": pad, "Resize": resize, "Upsample": resize}
