# SPDX-License-Identifier: Apache-2.0
"""The place of the largest value along an axis, as int32; the first of several equal ones, as LiteRT has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import WHOLE, Kernel, Op, TfliteForm, register
from ._pairs import is_float, is_quantized, quantization, random_kind
from ._reduce import is_unsigned

INT32 = 2  # TensorType of the TFLite schema


@dataclass(frozen=True)
class Attrs:
    axis: int = 0  # of one picture


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return (Tensor("y", shape[: a.axis] + shape[a.axis + 1 :], "int32"),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (x.argmax(axis=call.attrs.axis + 1).astype(np.int32).reshape(len(x), *call.y.shape),)


def walk(call: Call) -> str:
    shape, axis = call.x.shape, call.attrs.axis
    return f"/*in*/ {prod(shape[:axis])}, {shape[axis]}, {prod(shape[axis + 1 :])}"


KERNELS = (
    Kernel("puce_arg_max_8", "reduce.h", is_quantized, lambda call: f"{walk(call)}, {is_unsigned(call)}"),
    Kernel("puce_arg_max_f32", "reduce.h", is_float, walk),
)


def axis_is_of_a_picture(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The axis must be one of a picture, not the batch."
    return 0 <= a.axis < len(inputs[0].shape)


def encode(call: Call) -> Mapping[str, Any]:
    return {"OutputType": INT32}


def constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("axis", np.array(call.attrs.axis + 1, np.int32))


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, axis = inputs
    if axis.data is None:
        raise Unsupported(outputs[0].name, "the axis is computed, not constant.", "Name the axis in the model.")
    return Attrs(int(axis.data.ravel()[0]) % (len(x.shape) + 1) - 1), (x,)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, rank = random_kind(rng), sampling.integer(rng, 2, 3)
        shape = tuple(sampling.integer(rng, 1, 9) for _ in range(rank))
        x = Tensor("x", shape, kind, None if kind == "float32" else quantization(rng, kind))
        a = Attrs(sampling.integer(rng, 0, rank - 1))
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="arg_max",
    summary="The place of the largest value along an axis.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: f"out is the place of the largest in along axis {call.attrs.axis}",
    macc=lambda call: call.x.size,
    limits=(axis_is_of_a_picture,),
    tflite=TfliteForm("ARG_MAX", "ArgMaxOptions", encode, decode, constants, lambda call: 2 if call.x.dtype == "int8" else 1),
    onnx=("ArgMax",),
))  # fmt: skip
