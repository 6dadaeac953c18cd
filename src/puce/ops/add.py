# SPDX-License-Identifier: Apache-2.0
"""Add: the sum of two operands, broadcast, ReLU fused; one of them may be constant.

LiteRT's rule, found by experiment: each input less its zero point is shifted left by 20 and requantised to twice the
larger of the two scales; the sum is requantised to the output's scale. Multipliers are computed in double from float32
scales; each requantisation rounds twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import sampling
from ..activation import activate, float_range
from ..affine import Affine, fit
from ..fixedpoint import clamp_range, quantize_multiplier, requantize, type_range
from ..ir import Array, Call
from . import Op, register
from ._pairs import (
    Attrs,
    form,
    from_keras,
    infer,
    is_float,
    is_quantized,
    is_unsigned,
    kernels,
    operands,
    random_inputs,
    random_kind,
    random_output,
    shapes_broadcast,
    two_operands,
    windows,
)

LEFT_SHIFT = 20


@dataclass(frozen=True)
class Scheme:
    """The numbers of one integer sum: signs, zero points, (multiplier, shift) of both inputs and of the output, clamp."""

    signs: tuple[int, int]
    zeros: tuple[int, int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    output: tuple[int, int]
    low: int
    high: int

    def __call__(self, x0: Array, x1: Array) -> Array:
        z0, z1, zy = self.zeros
        wide0 = (x0.astype(np.int64) - z0) << LEFT_SHIFT
        wide1 = (x1.astype(np.int64) - z1) << LEFT_SHIFT
        total = self.signs[0] * requantize(wide0, *self.first) + self.signs[1] * requantize(wide1, *self.second)
        y: Array = np.clip(requantize(total, *self.output) + zy, self.low, self.high)
        return y


def scheme(call: Call, signs: tuple[int, int] = (1, 1)) -> Scheme:
    x0, x1 = call.inputs
    twice = 2 * max(x0.q.s, x1.q.s)
    return Scheme(
        signs, (x0.q.z, x1.q.z, call.y.q.z),
        quantize_multiplier(x0.q.s / twice), quantize_multiplier(x1.q.s / twice),
        quantize_multiplier(twice / (2**LEFT_SHIFT * call.y.q.s)),
        *clamp_range(call.y, call.attrs.activation),
    )  # fmt: skip


def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
    x0, x1 = operands(call, arrays)
    if is_float(call):
        return (activate(x0 + x1, call.attrs.activation),)
    return (scheme(call)(x0, x1).astype(call.y.dtype),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def affine(s: Scheme, dtype: str, slope0: float, slope1: float) -> Affine | None:
    """The same bytes by two multiply-adds, compared on all 65 536 pairs of inputs."""
    low, high = type_range(dtype)
    x0, x1 = (v.ravel() for v in np.meshgrid(np.arange(low, high + 1), np.arange(low, high + 1), indexing="ij"))
    return fit((slope0, slope1), (x0, x1), s(x0, x1), s.low, s.high)


def affine_form(call: Call, signs: tuple[int, int] = (1, 1)) -> Affine | None:
    slopes = (sign * t.q.s / call.y.q.s for sign, t in zip(signs, call.inputs, strict=True))
    return affine(scheme(call, signs), call.x.dtype, *slopes)


def affine_arguments(call: Call, signs: tuple[int, int] = (1, 1)) -> str:
    found, s = affine_form(call, signs), scheme(call)
    assert found is not None
    return (
        f"{is_unsigned(call)}, /*factors*/ {found.factors[0]}, {found.factors[1]}, "
        f"/*offset, shift*/ {found.offset}, {found.shift}, /*clamp*/ {s.low}, {s.high}"
    )


def integer_arguments(call: Call, signs: tuple[int, int] = (1, 1)) -> str:
    s = scheme(call, signs)
    pairs = ", ".join(f"{m}, {e}" for m, e in (s.first, s.second, s.output))
    return (
        f"{is_unsigned(call)}, /*signs*/ {signs[0]}, {signs[1]}, /*zero points*/ {', '.join(map(str, s.zeros))}, "
        f"/*multipliers*/ {pairs}, /*clamp*/ {s.low}, {s.high}"
    )


def float_arguments(call: Call, signs: tuple[int, int] = (1, 1)) -> str:
    return f"/*signs*/ {signs[0]}, {signs[1]}, /*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    *kernels("puce_add_affine_8", "add.h", lambda call: is_quantized(call) and affine_form(call) is not None, affine_arguments),
    *kernels("puce_add_8", "add.h", is_quantized, integer_arguments),
    *kernels("puce_add_f32", "add.h", is_float, float_arguments),
)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        inputs, _ = random_inputs(rng, random_kind(rng))
        typical = 1.0 if inputs[0].quantization is None else float(np.hypot(inputs[0].q.s, inputs[1].q.s))
        yield Call(Attrs(sampling.fused(rng)), inputs, (random_output(rng, inputs, typical),))


OP = register(Op(
    name="add",
    summary="Sum of two operands, the smaller one repeated, ReLU fused.",
    infer=infer, reference=reference, windows=windows, samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = first[i] + second[i]",
    macc=lambda call: call.y.size,
    limits=(two_operands, shapes_broadcast),
    in_place=True,
    tflite=form("ADD", "AddOptions"),
    keras={"Add": from_keras},
    onnx=("Add",),
))  # fmt: skip
