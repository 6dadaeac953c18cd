# SPDX-License-Identifier: Apache-2.0
"""ReLU that stands alone: a clamp at zero, perhaps also at six; in int8 also a change of scale.

LiteRT's rule, found by experiment: (x - zero point) is requantised to the output's scale, then clamped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .. import sampling
from ..activation import Activation, activate, float_range
from ..affine import Affine, fit
from ..errors import Unsupported
from ..fixedpoint import clamp_range, quantize_multiplier, requantize
from ..ir import Array, Call, Quantization, Tensor
from . import ROW, Imported, KerasLayer, Kernel, Op, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    activation: Activation = "relu"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if x.dtype == np.float32:
        return (activate(x, call.attrs.activation),)
    y = requantize(x.astype(np.int64) - call.x.q.z, *quantize_multiplier(call.x.q.s / call.y.q.s)) + call.y.q.z
    return (np.clip(y, *clamp_range(call.y, call.attrs.activation)).astype(call.y.dtype),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def affine(slope: float, x_zero: int, y_zero: int, low: int, high: int) -> Affine | None:
    """The same bytes by one multiply-add, compared on all 256 inputs."""
    x = np.arange(-128, 128)
    y = np.clip(requantize(x - x_zero, *quantize_multiplier(slope)) + y_zero, low, high)
    return fit((slope,), (x,), y, low, high)


def affine_form(call: Call) -> Affine | None:
    return affine(call.x.q.s / call.y.q.s, call.x.q.z, call.y.q.z, *clamp_range(call.y, call.attrs.activation))


def is_affine(call: Call) -> bool:
    return call.x.dtype == "int8" and affine_form(call) is not None


def values(call: Call) -> int:
    """In a row."""
    return call.y.size // call.y.rows


def affine_arguments(call: Call) -> str:
    form, (low, high) = affine_form(call), clamp_range(call.y, call.attrs.activation)
    assert form is not None
    return f"{values(call)}, /*factor, offset, shift*/ {form.factors[0]}, {form.offset}, {form.shift}, /*clamp*/ {low}, {high}"


def int8_arguments(call: Call) -> str:
    multiplier, shift = quantize_multiplier(call.x.q.s / call.y.q.s)
    low, high = clamp_range(call.y, call.attrs.activation)
    return (
        f"{values(call)}, /*zero points*/ {call.x.q.z}, {call.y.q.z}, /*multiplier*/ {multiplier}, {shift}, "
        f"/*clamp*/ {low}, {high}"
    )


def float_arguments(call: Call) -> str:
    return f"{values(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    Kernel("puce_relu_affine_s8", "relu.h", is_affine, affine_arguments),
    Kernel("puce_relu_s8", "relu.h", lambda call: call.x.dtype == "int8", int8_arguments),
    Kernel("puce_relu_f32", "relu.h", lambda call: call.x.dtype == "float32", float_arguments),
)


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def form(operator: str, activation: Activation) -> TfliteForm:
    """TFLite has one operator for each clamp, none with options."""

    def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
        return Attrs(activation), tuple(inputs)

    return TfliteForm(
        operator, "", lambda call: {}, decode,
        version=lambda call: 2 if call.x.dtype == "int8" else 1,
        fits=lambda call: bool(call.attrs.activation == activation),
    )  # fmt: skip


def from_layer(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    top = layer.config.get("max_value")
    if layer.config.get("negative_slope") or layer.config.get("threshold"):
        fact = "a ReLU that leaks or starts above zero is not computed."
        raise Unsupported(layer.name, fact, "Use a plain ReLU in the model.")
    if top is not None and float(top) != 6:
        raise Unsupported(layer.name, f"a ReLU may end at 6 or not at all. Got max_value {top}.", "Use ReLU(6) in the model.")
    return Imported(Attrs("relu" if top is None else "relu6"))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, a = sampling.dtype(rng), Attrs("relu" if rng.random() < 0.5 else "relu6")
        shape = tuple(sampling.integer(rng, 1, 12) for _ in range(3 if rng.random() < 0.7 else 1))
        x, q = sampling.activation(rng, "x", shape, kind), None
        if x.quantization is not None:
            way = sampling.integer(rng, 0, 2)
            factor = (1.0, 2.0 ** sampling.integer(rng, -2, 2), float(np.exp(rng.uniform(-2, 2))))[way]
            q = Quantization((float(np.float32(x.q.s * factor)),), (x.q.z if way == 0 else sampling.integer(rng, -128, 127),))
        yield Call(a, (x,), (Tensor("y", shape, kind, q),))


OP = register(Op(
    name="relu",
    summary="A clamp at zero (relu), or between zero and six (relu6), where no other operator can do it on the way.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: f"out[i] = {call.attrs.activation}(in[i])",
    macc=lambda call: call.y.size,
    in_place=True,
    tflite=(form("RELU", "relu"), form("RELU6", "relu6")),
    keras={
        "ReLU": from_layer,
        "Activation:relu": lambda layer, inputs: Imported(Attrs("relu")),
        "Activation:relu6": lambda layer, inputs: Imported(Attrs("relu6")),
    },
    onnx=("Relu", "Clip"),
))  # fmt: skip
