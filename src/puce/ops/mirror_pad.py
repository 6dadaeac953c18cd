# SPDX-License-Identifier: Apache-2.0
"""Padding by the picture's own mirror image, with the edge once (reflect) or twice (symmetric), as in NumPy's pad.

LiteRT moves the values as they are, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from ..spatial import NO_PADDING, Padding, Pair
from . import WHOLE, Kernel, Op, Rule, TfliteForm, register
from .pad import Attrs as PadAttrs
from .pad import as_picture, padded_axes_exist, paddings, random_shape, sides_of
from .transpose import KINDS


@dataclass(frozen=True)
class Attrs:
    padding: Padding = NO_PADDING  # top, bottom, left, right
    channels: Pair = (0, 0)  # before, behind
    mode: Literal["reflect", "symmetric"] = "reflect"

    @property
    def sides(self) -> tuple[Pair, Pair, Pair]:
        return PadAttrs(self.padding, self.channels).sides


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return (inputs[0].like("y", tuple(n + sum(side) for n, side in zip(shape, a.sides[-len(shape) :], strict=True))),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    return (np.pad(x, ((0, 0), *a.sides[-len(call.x.shape) :]), mode=a.mode),)


def arguments(call: Call) -> str:
    a: Attrs = call.attrs
    whole, out = (", ".join(map(str, as_picture(t.shape))) for t in (call.x, call.y))
    first = ", ".join(str(before) for before, _ in a.sides)
    once = int(a.mode == "reflect")
    return f"/*in*/ {whole}, /*out*/ {out}, /*before*/ {first}, /*the edge once*/ {once}, /*bytes*/ {call.x.itemsize}"


def mirror_is_long_enough(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "A mirrored padding must not be longer than the axis, without its edge where that is not repeated."
    edge = int(a.mode == "reflect")
    return all(0 <= p <= n - edge for n, side in zip(as_picture(inputs[0].shape), a.sides, strict=True) for p in side)


def encode(call: Call) -> Mapping[str, Any]:
    return {"Mode": ("reflect", "symmetric").index(call.attrs.mode)}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    rows, columns, channels = sides_of(inputs[1], outputs[0].name)
    return Attrs((*rows, *columns), channels, "symmetric" if options.Mode() else "reflect"), (inputs[0],)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        x = sampling.anything(rng, "x", random_shape(rng), KINDS)
        mode: Literal["reflect", "symmetric"] = "reflect" if rng.random() < 0.5 else "symmetric"
        most = [min(n - int(mode == "reflect"), 4) for n in as_picture(x.shape)]
        top, bottom, left, right, first, last = (sampling.integer(rng, 0, most[i // 2]) for i in range(6))
        a = Attrs((top, bottom, left, right), (first, last) if rng.random() < 0.3 else (0, 0), mode)
        if padded_axes_exist(PadAttrs(a.padding, a.channels), (x,)):
            yield Call(a, (x,), infer(a, (x,)))


def axes_exist(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "A vector has only channels to mirror, a matrix columns and channels, a picture also rows."
    return padded_axes_exist(PadAttrs(a.padding, a.channels), inputs)


OP = register(Op(
    name="mirror_pad",
    summary="A frame of the picture's own mirror image, with its edge once (reflect) or twice (symmetric).",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    kernels=(Kernel("puce_mirror_pad", "pad.h", lambda call: True, arguments),),
    formula=lambda call: f"out[y + top][x + left][c] = in[y][x][c], elsewhere in mirrored at its edges ({call.attrs.mode})",
    limits=(axes_exist, mirror_is_long_enough),
    rule=Rule("same"),
    tflite=TfliteForm(
        "MIRROR_PAD", "MirrorPadOptions", encode, decode, lambda call: (call.x, paddings(call)),
        version=lambda call: {"int8": 2, "int16": 3}.get(call.x.dtype, 1),
    ),
))  # fmt: skip
