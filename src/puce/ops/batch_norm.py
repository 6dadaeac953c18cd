# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization as it is after training: one scale and one offset a channel.

It has no kernel and no form in a .tflite file: a pass folds it into the weights of its neighbour, or turns it into a
1x1 depthwise convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .. import sampling
from ..ir import Array, Call, Tensor
from . import ROW, Imported, KerasLayer, Op, register


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    y = x.astype(np.float64) * call.constant(1) + call.constant(2)
    return (y.astype(np.float32),)


def input_is_float(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be float32: batch normalisation is folded away before a model is quantised."
    return inputs[0].dtype == "float32"


def one_scale_and_offset_a_channel(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Scale and offset must have one value a channel, and channels must be the last axis."
    return all(t.shape == inputs[0].shape[-1:] for t in inputs[1:3])


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """Fold gamma, beta (each may be absent), mean, variance and epsilon into scale and offset, in double."""
    weights = [w.astype(np.float64) for w in layer.weights]
    variance, mean = weights.pop(), weights.pop()
    gamma = weights.pop(0) if layer.config.get("scale", True) else np.ones_like(mean)
    beta = weights.pop(0) if layer.config.get("center", True) else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + float(layer.config.get("epsilon", 1e-3)))
    offset = beta - mean * scale
    return Imported(Attrs(), (("scale", scale.astype(np.float32)), ("offset", offset.astype(np.float32))))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        h, w, c = (sampling.integer(rng, 1, 10) for _ in range(3))
        x = Tensor("x", (h, w, c) if rng.random() < 0.7 else (c,))
        scale = Tensor.constant("scale", rng.normal(1, 0.5, c).astype(np.float32))
        offset = Tensor.constant("offset", rng.normal(size=c).astype(np.float32))
        yield Call(Attrs(), (x, scale, offset), infer(Attrs(), (x,)))


OP = register(Op(
    name="batch_norm",
    summary="One scale and one offset a channel; always folded into a neighbour.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples,
    formula=lambda call: "out[y][x][c] = in[y][x][c] * scale[c] + offset[c]",
    macs=lambda call: call.y.size,
    macc=lambda call: call.y.size,
    limits=(input_is_float, one_scale_and_offset_a_channel),
    in_place=True,
    keras={"BatchNormalization": from_keras},
    onnx=("BatchNormalization",),
))  # fmt: skip
