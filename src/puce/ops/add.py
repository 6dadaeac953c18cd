# SPDX-License-Identifier: Apache-2.0
"""Add: the sum of two tensors of the same shape, ReLU fused.

LiteRT's rule, found by experiment: each input less its zero point is shifted left by 20 and requantised to twice the
larger of the two scales; the sum is requantised to the output's scale. Multipliers are computed in double from float32
scales; each requantisation rounds twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..affine import Affine, fit
from ..fixedpoint import clamp_range, quantize_multiplier, requantize
from ..ir import Array, Call, Quantization, Tensor
from . import ROW, Imported, KerasLayer, Kernel, Op, TfliteForm, register

LEFT_SHIFT = 20


@dataclass(frozen=True)
class Attrs:
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


@dataclass(frozen=True)
class Scheme:
    """The numbers of one int8 addition: zero points, (multiplier, shift) of both inputs and of the output, clamp."""

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
        total = requantize(wide0, *self.first) + requantize(wide1, *self.second)
        y: Array = np.clip(requantize(total, *self.output) + zy, self.low, self.high)
        return y


def scheme(call: Call) -> Scheme:
    x0, x1 = call.inputs
    twice = 2 * max(x0.q.s, x1.q.s)
    return Scheme(
        (x0.q.z, x1.q.z, call.y.q.z),
        quantize_multiplier(x0.q.s / twice), quantize_multiplier(x1.q.s / twice),
        quantize_multiplier(twice / (2**LEFT_SHIFT * call.y.q.s)),
        *clamp_range(call.y, call.attrs.activation),
    )  # fmt: skip


def reference(call: Call, x0: Array, x1: Array) -> tuple[Array, ...]:
    if x0.dtype == np.float32:
        return (activate(x0 + x1, call.attrs.activation),)
    return (scheme(call)(x0, x1).astype(call.y.dtype),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def affine(s: Scheme, slope0: float, slope1: float) -> Affine | None:
    """The same bytes by two multiply-adds, compared on all 65 536 pairs of inputs."""
    values = np.arange(-128, 128)
    x0, x1 = (v.ravel() for v in np.meshgrid(values, values, indexing="ij"))
    return fit((slope0, slope1), (x0, x1), s(x0, x1), s.low, s.high)


def affine_form(call: Call) -> Affine | None:
    x0, x1 = call.inputs
    return affine(scheme(call), x0.q.s / call.y.q.s, x1.q.s / call.y.q.s)


def is_affine(call: Call) -> bool:
    return call.x.dtype == "int8" and affine_form(call) is not None


def values(call: Call) -> int:
    """In a row."""
    return call.y.size // call.y.rows


def affine_arguments(call: Call) -> str:
    form, s = affine_form(call), scheme(call)
    assert form is not None
    return (
        f"{values(call)}, /*factors*/ {form.factors[0]}, {form.factors[1]}, /*offset, shift*/ {form.offset}, {form.shift}, "
        f"/*clamp*/ {s.low}, {s.high}"
    )


def int8_arguments(call: Call) -> str:
    s = scheme(call)
    pairs = ", ".join(f"{m}, {e}" for m, e in (s.first, s.second, s.output))
    zeros = ", ".join(map(str, s.zeros))
    return f"{values(call)}, /*zero points*/ {zeros}, /*multipliers*/ {pairs}, /*clamp*/ {s.low}, {s.high}"


def float_arguments(call: Call) -> str:
    return f"{values(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    Kernel("puce_add_affine_s8", "add.h", is_affine, affine_arguments),
    Kernel("puce_add_s8", "add.h", lambda call: call.x.dtype == "int8", int8_arguments),
    Kernel("puce_add_f32", "add.h", lambda call: call.x.dtype == "float32", float_arguments),
)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def two_inputs(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Two tensors can be added, both computed: neither one, nor three, nor a constant."
    return len(inputs) == 2 and all(t.data is None for t in inputs)


def shapes_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Both inputs must have the same shape: nothing is broadcast."
    return inputs[0].shape == inputs[1].shape


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"FusedActivationFunction": TFLITE_ACTIVATION[call.attrs.activation]}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    code = 0 if options is None else options.FusedActivationFunction()
    return Attrs(ACTIVATION_OF_TFLITE[code]), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, a = sampling.dtype(rng), Attrs(sampling.fused(rng))
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        x0 = sampling.activation(rng, "x0", shape, kind)
        x1, q = sampling.activation(rng, "x1", shape, kind), None
        if x0.quantization is not None:
            way = sampling.integer(rng, 0, 3)
            if way == 0:  # ties: all scales powers of two apart
                x1 = Tensor("x1", shape, kind, Quantization((x0.q.s * 2.0 ** sampling.integer(rng, -2, 2),), x1.q.zero_point))
                q = Quantization((x0.q.s * 2.0 ** sampling.integer(rng, 0, 2),), (sampling.integer(rng, -128, 127),))
            else:
                real = float(np.hypot(x0.q.s, x1.q.s) * np.exp(rng.uniform(-0.5, 1)))
                q = Quantization((float(np.float32(real)),), (sampling.integer(rng, -128, 127),))
        yield Call(a, (x0, x1), (Tensor("y", shape, kind, q),))


OP = register(Op(
    name="add",
    summary="Sum of two tensors of the same shape, ReLU fused.",
    infer=infer, reference=reference, windows=lambda call: (ROW, ROW), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[i] = first[i] + second[i]",
    macc=lambda call: call.y.size,
    limits=(two_inputs, shapes_match),
    in_place=True,
    tflite=TfliteForm("ADD", "AddOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1),
    keras={"Add": from_keras},
    onnx=("Add",),
))  # fmt: skip
