# SPDX-License-Identifier: Apache-2.0
"""Exponential. LiteRT's rule, found by experiment, is elu's: a table of the 256 bytes, each computed in float32."""

from __future__ import annotations

import numpy as np

from ..ir import Array, Call
from . import register
from ._pairs import is_float
from ._single import form, from_keras, kernels, operator, real, samples, to_bytes


def exp(x: Array) -> Array:
    with np.errstate(over="ignore"):
        result: Array = np.exp(x.astype(np.float64)).astype(np.float32)
    return result


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (exp(x) if is_float(call) else to_bytes(call, exp(real(call, x))),)


OP = register(operator(
    "exp", "The exponential.", reference, "out[i] = exp(in[i])", form("EXP", "ExpOptions"),
    kernels=kernels(reference, "puce_exponential_f32"),
    samples=samples(kind=lambda rng: "int8" if rng.random() < 0.7 else "float32"),
    macc=10,
    keras={"Activation:exponential": from_keras},
    onnx=("Exp",),
))  # fmt: skip
