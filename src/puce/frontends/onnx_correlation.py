# SPDX-License-Identifier: Apache-2.0
"""ONNX's Conv whose weights are computed too (a template sought in a picture): windows side by side, times a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ops.pad import Attrs as PadAttrs
from .onnx_elementwise import Handler, add, given, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_products import of_two
from .onnx_shapes import concat, part
from .onnx_values import Value, reshaped, transposed
from .onnx_windows import conv as conv_of_constants
from .onnx_windows import picture, result, window

MOST_TAPS = 64  # each is some nodes of ours


def conv(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    weights = given(x, 1)
    if not isinstance(weights, Value):
        return conv_of_constants(b, n, x)
    v, w = b.floats(value_of(b, x[0])), b.settled(b.floats(weights))
    if len(v.shape) != 4 or len(w.shape) != 4 or n.number("group", 1) != 1 or w.shape[1] != v.shape[1]:
        fact = "weights that are computed are only taken in two dimensions and one group."
        raise b.refuse(fact, "Export the model with constant weights.")
    oc, c, kh, kw = w.shape
    if kh * kw > MOST_TAPS:
        raise b.refuse(f"computed weights of {kh} x {kw} are not taken.", "Export the model with constant weights.")
    place = window(b, n, v.shape[2:], (kh, kw))
    t = picture(b, v)
    if any(place.padding):
        t = b.node("pad", (t,), PadAttrs(place.padding), name=f"{b.name}/padded")
    framed = result(t, v, c, False)
    spans = [(k - 1) * d for k, d in zip((kh, kw), place.dilation, strict=True)]
    oh, ow = ((size - reach - 1) // s + 1 for size, reach, s in zip(t.shape[:2], spans, place.stride, strict=True))
    if min(oh, ow) < 1:
        raise b.refuse("the kernel does not fit the padded picture.", "Export the model again.")
    seen = []
    for ky in range(kh):
        for kx in range(kw):
            places = {
                axis: range(k * d, k * d + (count - 1) * s + 1, s)
                for axis, k, d, count, s in zip((2, 3), (ky, kx), place.dilation, (oh, ow), place.stride, strict=True)
            }
            seen.append(part(b, framed, places, f"{b.name}/seen{ky}_{kx}"))
    (windows,) = concat(b, FileNode("Concat", "", n.name, n.index, (), n.outputs, {"axis": 1}), seen)
    pixels = transposed(b.settled(reshaped(value_of(b, windows), (kh * kw * c, oh * ow))), (1, 0))
    taps = b.settled(reshaped(transposed(w, (2, 3, 1, 0)), (kh * kw * c, oc)))
    summed = b.view(b.arranged(of_two(b, pixels, taps), (0, 1)), (oh, ow, oc))
    answer = result(summed, v, oc, False)
    bias = given(x, 2)
    if bias is None:
        return (answer,)
    column = reshaped(bias, (oc, 1, 1)) if isinstance(bias, Value) else type(bias)(bias.data.reshape(oc, 1, 1))
    return add(b, n, (answer, column))


CORRELATION: Mapping[str, Handler] = {"Conv": conv}
