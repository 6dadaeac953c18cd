# SPDX-License-Identifier: Apache-2.0
"""Reshape, Flatten, Squeeze, ExpandDims: the same bytes under another shape, so no code and no memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import WHOLE, Imported, KerasLayer, Op, Rule, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    shape: tuple[int, ...]  # of one picture, without batch


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", a.shape),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (x.reshape(len(x), *call.attrs.shape),)


def sizes_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The new shape must hold as many values as the old one."
    return prod(a.shape) == inputs[0].size and min(a.shape, default=0) >= 1


def constants(call: Call) -> tuple[Tensor, ...]:
    # -1 for the batch, so that the file can be run with any
    return call.x, Tensor.constant("shape", np.array([-1, *call.attrs.shape], np.int32))


def encode(call: Call) -> Mapping[str, Any]:
    return {"NewShape": [-1, *call.attrs.shape]}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    # The output's own shape says it all: the shape input may be absent, computed, or hold a -1.
    return Attrs(outputs[0].shape), (inputs[0],)


def from_flatten(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs((inputs[0].size,)))


def from_reshape(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    shape = [int(n) for n in layer.config["target_shape"]]
    if -1 in shape:
        shape[shape.index(-1)] = inputs[0].size // max(-prod(shape), 1)
    return Imported(Attrs(tuple(shape)))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        sizes = tuple(sampling.integer(rng, 1, 7) for _ in range(3))
        shapes = (sizes, sizes[::-1], (prod(sizes),), (sizes[0] * sizes[1], sizes[2]))
        before, after = (shapes[sampling.integer(rng, 0, 3)] for _ in range(2))
        x, a = sampling.activation(rng, "x", before, sampling.dtype(rng)), Attrs(after)
        yield Call(a, (x,), infer(a, (x,)))


def never(call: Call) -> bool:
    """These are read; what is written is RESHAPE."""
    return False


FORMS = (
    TfliteForm("RESHAPE", "ReshapeOptions", encode, decode, constants),
    TfliteForm("SQUEEZE", "SqueezeOptions", encode, decode, fits=never),
    TfliteForm("EXPAND_DIMS", "ExpandDimsOptions", encode, decode, fits=never),
)


OP = register(Op(
    name="reshape",
    summary="The same values under another shape; costs nothing.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    formula=lambda call: "out is in, under another shape",
    limits=(sizes_match,),
    rule=Rule("same"),
    view=True,
    tflite=FORMS,
    keras={"Flatten": from_flatten, "Reshape": from_reshape},
    onnx=("Reshape", "Flatten", "Squeeze", "Unsqueeze"),
))  # fmt: skip
