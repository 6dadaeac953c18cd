# SPDX-License-Identifier: Apache-2.0
"""SpaceToDepth: each block of pixels becomes the channels of one pixel. LiteRT moves the values, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import WHOLE, Kernel, Op, Rule, TfliteForm, register
from .transpose import KINDS, walk


@dataclass(frozen=True)
class Attrs:
    block: int  # rows and columns of a block


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    (h, w, c), b = inputs[0].shape, a.block
    return (inputs[0].like("y", (h // b, w // b, c * b * b)),)


def blocks(x: Array, b: int) -> Array:
    """[..., h, w, c] as a view [..., h/b, w/b, b, b, c]."""
    *n, h, w, c = x.shape
    return np.moveaxis(x.reshape(*n, h // b, b, w // b, b, c), -4, -3)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (np.ascontiguousarray(blocks(x, call.attrs.block)).reshape(len(x), *call.y.shape),)


def arguments(call: Call) -> str:
    return walk(call.x.shape, call.x.itemsize, lambda x: blocks(x, call.attrs.block)).arguments


def blocks_fill_the_picture(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c] of whole blocks."
    shape = inputs[0].shape
    return len(shape) == 3 and a.block >= 1 and shape[0] % a.block == shape[1] % a.block == 0


def encode(call: Call) -> Mapping[str, Any]:
    return {"BlockSize": call.attrs.block}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(options.BlockSize()), tuple(inputs)


# LiteRT has no kernel of it for int16
COPIED = tuple(kind for kind in KINDS if kind != "int16")


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        a = Attrs(sampling.integer(rng, 1, 4))
        h, w, c = sampling.integer(rng, 1, 4) * a.block, sampling.integer(rng, 1, 4) * a.block, sampling.integer(rng, 1, 8)
        x = sampling.anything(rng, "x", (h, w, c), COPIED)
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="space_to_depth",
    summary="Each block of pixels becomes the channels of one.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    kernels=(Kernel("puce_copy", "copy.h", lambda call: True, arguments),),
    formula=lambda call: "out[y][x][(i * b + j) * channels + c] = in[y * b + i][x * b + j][c]",
    limits=(blocks_fill_the_picture,),
    rule=Rule("same"),
    tflite=TfliteForm(
        "SPACE_TO_DEPTH", "SpaceToDepthOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    onnx=("SpaceToDepth",),
))  # fmt: skip
