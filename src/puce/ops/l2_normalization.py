# SPDX-License-Identifier: Apache-2.0
"""Each vector along the last axis divided by its length.

LiteRT's rule, found by experiment: with d = x - zero point, 1 / sqrt(sum of d * d) in fixed point by five steps of
Newton's method (a sum of 0 counts as 1), by which d is requantised to 1/128; zero point 0 or 128. In uint8 d is shifted
left by 7 before, in int8 the shift of the requantisation has the 7. In float32 the sum is 1e-6 at least.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..fixedpoint import requantize
from ..ir import Array, Call, Quantization, Tensor
from . import ROW, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register
from ._fractions import inverse_root
from ._pairs import is_float, is_quantized, quantization, random_kind
from ._reduce import is_unsigned
from ._single import clamped

SMALLEST = 1e-6


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        wide = x.astype(np.float64)
        return ((wide / np.sqrt(np.maximum((wide**2).sum(axis=-1, keepdims=True), SMALLEST))).astype(np.float32),)
    d = x.astype(np.int64) - call.x.q.z
    totals = (d**2).sum(axis=-1, keepdims=True)
    roots = [inverse_root(int(total)) for total in totals.ravel()]
    multiplier, shift = (np.array(side, np.int64).reshape(totals.shape) for side in zip(*roots, strict=True))
    if call.x.dtype == "uint8":
        return (clamped(call, requantize(d << 7, multiplier, shift) + call.y.q.z),)
    return (clamped(call, requantize(d, multiplier, shift + 7) + call.y.q.z),)


def vectors(call: Call) -> str:
    """How many vectors a firing computes, and how long they are."""
    c = call.y.shape[-1]
    return f"/*vectors*/ {call.y.size // call.y.rows // c}, {c}"


KERNELS = (
    Kernel(
        "puce_l2_normalization_8", "l2_normalization.h", is_quantized,
        lambda call: f"{vectors(call)}, {is_unsigned(call)}, /*zero point*/ {call.x.q.z}",
    ),
    Kernel("puce_l2_normalization_f32", "l2_normalization.h", is_float, vectors),
)  # fmt: skip


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of squares must fit 32 bits: vectors of at most 33 000 bytes."
    return inputs[0].dtype == "float32" or inputs[0].shape[-1] <= 33_000


def encode(call: Call) -> Mapping[str, Any]:
    return {"FusedActivationFunction": 0}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = random_kind(rng)
        picture = tuple(sampling.integer(rng, 1, 6) for _ in range(2 if rng.random() < 0.5 else 0))
        shape = (*picture, sampling.integer(rng, 1, 40))
        x = Tensor("x", shape, kind, None if kind == "float32" else quantization(rng, kind))
        q = None if kind == "float32" else Quantization((1 / 128,), (0 if kind == "int8" else 128,))
        yield Call(Attrs(), (x,), (Tensor("y", shape, kind, q),))


OP = register(Op(
    name="l2_normalization",
    summary="Each vector along the last axis divided by its length.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = in[i] / sqrt(sum over k of in[k] * in[k])",
    macs=lambda call: call.x.size,
    macc=lambda call: 2 * call.x.size,
    limits=(sums_fit_32_bits,),
    rule=Rule((1 / 128, 0)),
    in_place=True,
    tflite=TfliteForm(
        "L2_NORMALIZATION", "L2NormOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    keras={"UnitNormalization": from_keras},
))  # fmt: skip
