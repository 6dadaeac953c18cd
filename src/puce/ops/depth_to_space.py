# SPDX-License-Identifier: Apache-2.0
"""DepthToSpace: the channels of each pixel become a block of pixels. LiteRT moves the values, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import WHOLE, Kernel, Op, Rule, TfliteForm, register
from .space_to_depth import COPIED
from .transpose import walk


@dataclass(frozen=True)
class Attrs:
    block: int  # rows and columns of a block


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    (h, w, c), b = inputs[0].shape, a.block
    return (inputs[0].like("y", (h * b, w * b, c // (b * b))),)


def spread(x: Array, b: int) -> Array:
    """[..., h, w, c * b * b] as a view [..., h, b, w, b, c]."""
    *n, h, w, c = x.shape
    return np.moveaxis(x.reshape(*n, h, w, b, b, c // (b * b)), -3, -4)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (np.ascontiguousarray(spread(x, call.attrs.block)).reshape(len(x), *call.y.shape),)


def arguments(call: Call) -> str:
    return walk(call.x.shape, call.x.itemsize, lambda x: spread(x, call.attrs.block)).arguments


def channels_fill_the_blocks(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c] with channels for whole blocks."
    shape = inputs[0].shape
    return len(shape) == 3 and a.block >= 1 and shape[2] % (a.block * a.block) == 0


def encode(call: Call) -> Mapping[str, Any]:
    return {"BlockSize": call.attrs.block}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(options.BlockSize()), tuple(inputs)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        a = Attrs(sampling.integer(rng, 1, 4))
        h, w, c = sampling.integer(rng, 1, 4), sampling.integer(rng, 1, 4), sampling.integer(rng, 1, 5) * a.block**2
        x = sampling.anything(rng, "x", (h, w, c), COPIED)
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="depth_to_space",
    summary="The channels of each pixel become a block of pixels.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    kernels=(Kernel("puce_copy", "copy.h", lambda call: True, arguments),),
    formula=lambda call: "out[y * b + i][x * b + j][c] = in[y][x][(i * b + j) * channels + c]",
    limits=(channels_fill_the_blocks,),
    rule=Rule("same"),
    tflite=TfliteForm("DEPTH_TO_SPACE", "DepthToSpaceOptions", encode, decode),
    onnx=("DepthToSpace",),
))  # fmt: skip
