# SPDX-License-Identifier: Apache-2.0
"""Gather: the places of an axis that a constant list names, in its order. LiteRT moves the values, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import ROW, WHOLE, Constant, Kernel, Op, Rule, TfliteForm, Window, register
from .concatenation import own_axis
from .transpose import KINDS


@dataclass(frozen=True)
class Attrs:
    axis: int  # of one picture, without batch
    places: tuple[int, ...]
    shape: tuple[int, ...]  # of the list: () drops the axis, (n,) keeps it


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x = inputs[0]
    shape = (*x.shape[: a.axis], *a.shape, *x.shape[a.axis + 1 :])
    return (Tensor("y", shape, x.dtype, x.quantization),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    return (x.take(np.array(a.places).reshape(a.shape), a.axis + 1),)


def windows(call: Call) -> tuple[Window, ...]:
    by_rows = len(call.x.shape) == len(call.y.shape) == 3 and call.attrs.axis > 0
    return (ROW if by_rows else WHOLE,)


def constants(call: Call) -> tuple[Constant, ...]:
    return (Constant("places", np.array(call.attrs.places, np.uint16), "which place of the input"),)


def arguments(call: Call) -> str:
    shape, a = call.x.shape, call.attrs
    first = 1 if windows(call)[0] == ROW else 0
    inner = call.x.itemsize * prod(shape[a.axis + 1 :])
    return f"/*outer*/ {prod(shape[first : a.axis])}, /*places in, out*/ {shape[a.axis]}, {len(a.places)}, /*bytes*/ {inner}"


def places_exist(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The axis must be one of a picture, and the places must lie on it: 0 to its length, below 65 536."
    shape = inputs[0].shape
    if not 0 <= a.axis < len(shape) or len(shape) - 1 + len(a.shape) < 1:
        return False
    return prod(a.shape) == len(a.places) >= 1 and all(0 <= p < min(shape[a.axis], 2**16) for p in a.places)


def file_constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("places", np.array(call.attrs.places, np.int32).reshape(call.attrs.shape))


def encode(call: Call) -> Mapping[str, Any]:
    return {"Axis": call.attrs.axis + 1, "BatchDims": 0}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    (x, places), where = inputs, outputs[0].name
    if x.data is not None or places.data is None:
        fact = "places that are computed cannot be gathered."
        raise Unsupported(where, fact, "Use constant places, or feed the looked-up vectors as input.")
    axis = options.Axis() if options is not None else 0
    if options is not None and options.BatchDims() not in (0, 1 if places.shape[:1] == (1,) else 0):
        raise Unsupported(where, "each row has a list of its own.", "Gather with one list for all.")
    shape = places.shape[1:] if options is not None and options.BatchDims() else places.shape
    a = Attrs(own_axis(axis, len(x.shape), where), tuple(int(p) for p in places.data.reshape(-1)), shape)
    return a, (x,)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = (3, 3, 3, 2, 1)[sampling.integer(rng, 0, 4)]
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, 9) for _ in range(rank)), KINDS)
        axis = sampling.integer(rng, 0, rank - 1)
        shape = () if rank > 1 and rng.random() < 0.2 else (sampling.integer(rng, 1, 8),)
        a = Attrs(axis, tuple(sampling.integer(rng, 0, x.shape[axis] - 1) for _ in range(prod(shape))), shape)
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="gather",
    summary="The places of an axis that a constant list names.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=(Kernel("puce_gather", "gather.h", lambda call: True, arguments, constants),),
    formula=lambda call: f"place j of axis {call.attrs.axis} of out is place places[j] of in",
    limits=(places_exist,),
    rule=Rule("same"),
    tflite=TfliteForm(
        "GATHER", "GatherOptions", encode, decode, file_constants,
        version=lambda call: {"int8": 2, "int16": 4}.get(call.x.dtype, 1),
    ),
    onnx=("Gather",),
))  # fmt: skip
