# SPDX-License-Identifier: Apache-2.0
"""Pack (stack): tensors of one shape along an axis that is new. LiteRT moves the values as they are, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import WHOLE, Kernel, Op, Rule, TfliteForm, register
from .concatenation import MOST, own_axis, two_to_eight_computed_inputs
from .transpose import KINDS


@dataclass(frozen=True)
class Attrs:
    axis: int  # of the output, without batch


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return (Tensor("y", (*shape[: a.axis], len(inputs), *shape[a.axis :]), inputs[0].dtype, inputs[0].quantization),)


def reference(call: Call, *inputs: Array) -> tuple[Array, ...]:
    return (np.stack(inputs, axis=call.attrs.axis + 1),)


def arguments(call: Call) -> str:
    size, n = prod(call.x.shape[call.attrs.axis :]) * call.x.itemsize, len(call.inputs)
    outer = prod(call.x.shape[: call.attrs.axis])
    return f"/*no table*/ 0, /*outer, step*/ {outer}, {n * size}, /*bytes*/ {', '.join([str(size)] * n)}"


def joins(count: int) -> Kernel:
    return Kernel(f"puce_concatenate_{count}", "concatenation.h", lambda call: len(call.inputs) == count, arguments)


def all_alike(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "All inputs must have the same shape, type, scale and zero point."
    kinds = {(t.shape, t.dtype, t.quantization) for t in inputs}
    return len(kinds) == 1 and 0 <= a.axis <= len(inputs[0].shape)


def encode(call: Call) -> Mapping[str, Any]:
    return {"ValuesCount": len(call.inputs), "Axis": call.attrs.axis + 1}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(own_axis(options.Axis(), len(inputs[0].shape) + 1, outputs[0].name)), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = sampling.integer(rng, 1, 2)
        first = sampling.anything(rng, "x0", tuple(sampling.integer(rng, 1, 8) for _ in range(rank)), KINDS)
        inputs = tuple(first.like(f"x{i}") for i in range(sampling.integer(rng, 2, MOST)))
        a = Attrs(sampling.integer(rng, 0, rank))
        yield Call(a, inputs, infer(a, inputs))


OP = register(Op(
    name="pack",
    summary="Tensors of one shape, stacked along a new axis.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,) * len(call.inputs), samples=samples,
    kernels=tuple(joins(n) for n in range(2, MOST + 1)),
    formula=lambda call: f"out is the inputs, stacked along a new axis {call.attrs.axis}",
    limits=(two_to_eight_computed_inputs, all_alike),
    rule=Rule("calibrated", alike=True),
    tflite=TfliteForm(
        "PACK", "PackOptions", encode, decode, version=lambda call: {"int8": 2, "int16": 3}.get(call.x.dtype, 1),
    ),
))  # fmt: skip
