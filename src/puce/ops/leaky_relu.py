# SPDX-License-Identifier: Apache-2.0
"""Leaky ReLU: x where it is not negative, else x times a slope.

LiteRT's rule, found by experiment: (x - zero point) is requantised by x scale / y scale where it is not negative, by
x scale * slope / y scale where it is; both factors are computed in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..activation import float_literal
from ..fixedpoint import quantize_multiplier, requantize
from ..ir import Array, Call, Tensor
from . import Imported, KerasLayer, TfliteForm, register
from ._pairs import is_float
from ._single import clamped, kernels, operator, samples, version


@dataclass(frozen=True)
class Attrs:
    slope: float = 0.2  # a float32 value


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    slope = np.float32(call.attrs.slope)
    if is_float(call):
        return (np.where(x >= 0, x, x * slope),)
    scale, y_scale = np.float32(call.x.q.s), np.float32(call.y.q.s)
    factor = float(scale * slope / y_scale)
    wide = x.astype(np.int64) - call.x.q.z
    positive = requantize(wide, *quantize_multiplier(float(scale / y_scale)))
    multiplier, shift = quantize_multiplier(abs(factor))
    negative = requantize(wide, multiplier if factor >= 0 else -multiplier, shift)
    return (clamped(call, np.where(wide >= 0, positive, negative) + call.y.q.z),)


def encode(call: Call) -> Mapping[str, Any]:
    return {"Alpha": call.attrs.slope}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(float(options.Alpha()) if options is not None else 0.0), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """`alpha` in Keras 2, `negative_slope` since; the activation's default is 0.2, the layer's 0.3."""
    default = 0.3 if layer.class_name == "LeakyReLU" else 0.2
    slope = layer.config.get("negative_slope", layer.config.get("alpha", default))
    return Imported(Attrs(float(np.float32(slope))))


OP = register(operator(
    "leaky_relu", "x where it is not negative, else x times a constant slope.", reference,
    "out[i] = in[i] if in[i] >= 0, else in[i] * slope",
    TfliteForm("LEAKY_RELU", "LeakyReluOptions", encode, decode, version=version),
    kernels=kernels(reference, "puce_leaky_relu_f32", lambda call: f"/*slope*/ {float_literal(call.attrs.slope)}"),
    samples=samples(attrs=lambda rng: Attrs(float(np.float32(rng.choice([0.01, 0.1, 0.3, rng.uniform(0, 1)]))))),
    keras={"LeakyReLU": from_keras, "Activation:leaky_relu": from_keras},
    onnx=("LeakyRelu",),
))  # fmt: skip
