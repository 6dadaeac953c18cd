# SPDX-License-Identifier: Apache-2.0
"""Unpack (unstack): an axis taken apart, one tensor for each of its places. LiteRT moves the values, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import WHOLE, Kernel, Op, Rule, TfliteForm, register
from .concatenation import own_axis
from .split import MOST
from .transpose import KINDS


@dataclass(frozen=True)
class Attrs:
    axis: int  # of one picture, without batch
    count: int


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x = inputs[0]
    shape = (*x.shape[: a.axis], *x.shape[a.axis + 1 :])
    return tuple(Tensor(f"y{i}", shape, x.dtype, x.quantization) for i in range(a.count))


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return tuple(np.ascontiguousarray(x.take(i, call.attrs.axis + 1)) for i in range(call.attrs.count))


def arguments(call: Call) -> str:
    shape, a = call.x.shape, call.attrs
    inner = call.x.itemsize * prod(shape[a.axis + 1 :])
    sizes = ", ".join([str(inner)] * a.count)
    return f"/*outer, step*/ {prod(shape[: a.axis])}, {a.count * inner}, /*bytes*/ {sizes}"


def cuts(count: int) -> Kernel:
    return Kernel(f"puce_split_{count}", "split.h", lambda call: len(call.outputs) == count, arguments)


def one_output_a_place(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The axis must have one to eight places, all of which are outputs, and must not be the only one."
    shape = inputs[0].shape
    return 0 <= a.axis < len(shape) > 1 and shape[a.axis] == a.count <= MOST


def encode(call: Call) -> Mapping[str, Any]:
    return {"Num": call.attrs.count, "Axis": call.attrs.axis + 1}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(own_axis(options.Axis(), len(inputs[0].shape), outputs[0].name), options.Num()), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = sampling.integer(rng, 2, 3)
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, MOST) for _ in range(rank)), KINDS)
        axis = sampling.integer(rng, 0, rank - 1)
        a = Attrs(axis, x.shape[axis])
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="unpack",
    summary="An axis taken apart: one tensor for each of its places.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    kernels=tuple(cuts(n) for n in range(1, MOST + 1)),
    formula=lambda call: f"output i is place i of axis {call.attrs.axis} of in",
    limits=(one_output_a_place,),
    rule=Rule("same"),
    tflite=TfliteForm(
        "UNPACK", "UnpackOptions", encode, decode, version=lambda call: {"int8": 2, "int16": 4}.get(call.x.dtype, 1),
    ),
))  # fmt: skip
