# SPDX-License-Identifier: Apache-2.0
"""Sum over axes of a picture.

LiteRT's rule, found by experiment: mean's, without the division. Its kernel takes int8 for uint8, though: it adds the
bytes as 0 .. 255, takes off the zero point of the int8 tensor, clamps to 0 .. 255 and hands the byte back as int8. A
file's int8 sum is computed so too, `as_unsigned`; that of a model quantised here is the real sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir import Array, Call, Tensor
from . import Op, _reduce, mean, register
from ._pairs import is_float
from ._reduce import axes_are_of_a_picture, batch_axes, form, infer, kernels, windows


@dataclass(frozen=True)
class Attrs(_reduce.Attrs):
    as_unsigned: bool = False  # int8 as LiteRT adds it


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        y = x.astype(np.float64).sum(axis=batch_axes(call.attrs)).astype(np.float32)
        return (y.reshape(len(x), *call.y.shape),)
    seen = x.view(np.uint8) if call.attrs.as_unsigned else x
    return (mean.requantized(call, seen, 1).view(x.dtype),)


def integer_arguments(call: Call) -> str:
    unsigned = call.x.dtype == "uint8" or call.attrs.as_unsigned
    return f"/*unsigned*/ {int(unsigned)}, {mean.integer_arguments(call, 1)}"


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    a, tensors = _reduce.decode(options, inputs, outputs)
    return Attrs(a.keep_dims, a.axes, tensors[0].dtype == "int8"), tensors


def is_what_litert_adds(call: Call) -> bool:
    return call.x.dtype != "int8" or bool(call.attrs.as_unsigned)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    for call in mean.samples(rng, of_sums=True):
        a = Attrs(call.attrs.keep_dims, call.attrs.axes, call.x.dtype == "int8" and bool(rng.random() < 0.5))
        yield replace(call, attrs=a)


OP = register(Op(
    name="sum",
    summary="Sum over axes of a picture.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=kernels("mean", mean.sums_bytes, integer_arguments, lambda call: "/*values*/ 1"),
    formula=lambda call: f"out is the sum of in over the axes {list(call.attrs.axes)}",
    macc=lambda call: call.x.size,
    limits=(axes_are_of_a_picture, mean.sums_fit_32_bits),
    tflite=replace(form("SUM", is_what_litert_adds), decode=decode),
    onnx=("ReduceSum",),
))  # fmt: skip
