# SPDX-License-Identifier: Apache-2.0
"""Softmax over the last axis.

LiteRT's rule, found by experiment: its reference kernel computes in fixed point (gemmlowp's), not by a table of floats:
exponentials as fractions of 2^31, their sum with 12 integer bits, its reciprocal by three steps of Newton's method.
An int8 exponential depends on the distance from the largest value only, so it becomes a table of at most 256 entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import float_literal
from ..fixedpoint import doubling_high_multiply, quantize_multiplier, rounding_shift
from ..ir import Array, Call, Quantization, Tensor
from . import ROW, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register
from ._fractions import ONE, exp_of_negative, furthest, inverse_of_half

OUTPUT = Quantization((1 / 256,), (-128,))  # fixed by TFLite's specification
INTEGER_BITS = 5  # of an argument of exp: its range is -32 .. 0


@dataclass(frozen=True)
class Attrs:
    beta: float = 1.0


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def exponentials(call: Call) -> Array:
    """exp(-d * scale * beta) as fractions of 2^31, for d = 0, 1 ... as long as they are not zero."""
    beta = float(np.float32(call.attrs.beta))
    multiplier, left = quantize_multiplier(min(beta * call.x.q.s * 2**26, 2.0**31 - 1))
    distance = np.arange(min(furthest(INTEGER_BITS, left), 255) + 1, dtype=np.int64)
    y = exp_of_negative(doubling_high_multiply(-distance << left, multiplier), INTEGER_BITS)
    return y[: np.flatnonzero(y)[-1] + 1]


def reciprocal(total: Array) -> tuple[Array, Array]:
    """1 / total as (fraction of 2^31, how far it is still to be shifted right beyond 31 bits); totals have 19 fraction bits."""
    zeros = 31 - np.floor(np.log2(total.astype(np.float64))).astype(np.int64)
    return np.minimum(2 * inverse_of_half((total << zeros) >> 1), ONE), 12 - zeros


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    top = x.max(axis=-1, keepdims=True)
    if x.dtype == np.float32:
        e = np.exp((x - top).astype(np.float64) * float(np.float32(call.attrs.beta)))
        return ((e / e.sum(axis=-1, keepdims=True)).astype(np.float32),)
    known = exponentials(call)
    e = np.pad(known, (0, 256 - len(known)))[top.astype(np.int64) - x]
    inverse, right = reciprocal(rounding_shift(e, 12).sum(axis=-1, keepdims=True))
    y = rounding_shift(doubling_high_multiply(inverse, e), right + 31 - 8) - 128
    return (np.clip(y, -128, 127).astype(np.int8),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def vectors(call: Call) -> str:
    """How many vectors a firing computes, and how long they are."""
    c = call.y.shape[-1]
    return f"/*vectors*/ {call.y.size // call.y.rows // c}, {c}"


def table(call: Call) -> tuple[Constant, ...]:
    note = "exp(-d * scale * beta) * 2^31, for d = 0, 1 ... below the largest"
    return (Constant("exps", exponentials(call).astype(np.int32), note),)


KERNELS = (
    Kernel(
        "puce_softmax_s8", "softmax.h", lambda call: call.x.dtype == "int8",
        lambda call: f"{vectors(call)}, /*entries*/ {len(exponentials(call))}", table,
    ),
    Kernel(
        "puce_softmax_f32", "softmax.h", lambda call: call.x.dtype == "float32",
        lambda call: f"{vectors(call)}, /*beta*/ {float_literal(call.attrs.beta)}",
    ),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def beta_is_positive(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Beta must be positive."
    return a.beta > 0


def sum_fits_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of exponentials must fit 32 bits: at most 4 095 classes in int8."
    return inputs[0].dtype == "float32" or inputs[0].shape[-1] <= 4095


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"Beta": call.attrs.beta}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(float(options.Beta())), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        picture = tuple(sampling.integer(rng, 1, 6) for _ in range(2 if rng.random() < 0.3 else 0))
        shape = (*picture, sampling.integer(rng, 1, 120 if rng.random() < 0.2 else 12))
        x = sampling.activation(rng, "x", shape, kind)
        a = Attrs(1.0 if rng.random() < 0.7 else float(np.float32(rng.uniform(0.3, 3))))
        yield Call(a, (x,), (Tensor("y", shape, kind, OUTPUT if kind == "int8" else None),))


OP = register(Op(
    name="softmax",
    summary="Softmax over the last axis.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = exp(beta * in[i]) / sum over k of exp(beta * in[k])",
    macc=lambda call: 15 * call.y.size,
    limits=(beta_is_positive, sum_fits_32_bits),
    rule=Rule((OUTPUT.s, OUTPUT.z)),
    in_place=True,
    tflite=TfliteForm(
        "SOFTMAX", "SoftmaxOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    keras={"Softmax": from_keras, "Activation:softmax": from_keras},
    onnx=("Softmax",),
))  # fmt: skip
