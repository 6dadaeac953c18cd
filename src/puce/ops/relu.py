# SPDX-License-Identifier: Apache-2.0
"""ReLU that stands alone: a clamp at zero, perhaps also at six, or at -1 and 1; of bytes also a change of scale.

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
from ._pairs import random_kind
from ._single import free, lookup, random_input, values

ACTIVATIONS: tuple[Activation, ...] = ("relu", "relu6", "relu_n1_to_1")


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


def affine_arguments(call: Call) -> str:
    form, (low, high) = affine_form(call), clamp_range(call.y, call.attrs.activation)
    assert form is not None
    return f"{values(call)}, /*factor, offset, shift*/ {form.factors[0]}, {form.offset}, {form.shift}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{values(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


KERNELS = (
    Kernel("puce_relu_affine_s8", "relu.h", is_affine, affine_arguments),
    lookup(reference),
    Kernel("puce_relu_f32", "relu.h", lambda call: call.x.dtype == "float32", float_arguments),
)


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def form(operator: str, activation: Activation) -> TfliteForm:
    """TFLite has one operator for each clamp, none with options."""

    def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
        return Attrs(activation), tuple(inputs)

    return TfliteForm(
        operator, "", lambda call: {}, decode,
        version=lambda call: 2 if call.x.dtype == "int8" and activation != "relu_n1_to_1" else 1,
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
        a = Attrs(ACTIVATIONS[sampling.integer(rng, 0, 2)])
        x = random_input(rng, random_kind(rng))
        q = None
        if x.quantization is not None:
            q = x.q if rng.random() < 0.3 else free(rng, x)
            if rng.random() < 0.3:  # ties
                q = Quantization((x.q.s * 2.0 ** sampling.integer(rng, -2, 2),), q.zero_point)
        yield Call(a, (x,), (Tensor("y", x.shape, x.dtype, q),))


OP = register(Op(
    name="relu",
    summary="A clamp at zero (relu), at zero and six (relu6) or at -1 and 1 (relu_n1_to_1), where no other operator does it.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: f"out[i] = {call.attrs.activation}(in[i])",
    macc=lambda call: call.y.size,
    in_place=True,
    tflite=(form("RELU", "relu"), form("RELU6", "relu6"), form("RELU_N1_TO_1", "relu_n1_to_1")),
    keras={
        "ReLU": from_layer,
        "Activation:relu": lambda layer, inputs: Imported(Attrs("relu")),
        "Activation:relu6": lambda layer, inputs: Imported(Attrs("relu6")),
    },
    onnx=("Relu", "Clip"),
))  # fmt: skip
