# SPDX-License-Identifier: Apache-2.0
"""ELU: x where it is not negative, else exp(x) - 1.

LiteRT's rule, found by experiment: a table of the 256 bytes, each computed in float32 and rounded half away from zero
after multiplication by the inverse of the output's scale. It has an optimised kernel only, which the test asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import Imported, KerasLayer, register
from ._pairs import is_float
from ._single import Attrs, form, kernels, operator, real, samples, to_bytes


def elu(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.where(x >= 0, x, np.expm1(x.astype(np.float64)).astype(np.float32))


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (elu(x) if is_float(call) else to_bytes(call, elu(real(call, x))),)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    if layer.config.get("alpha", 1.0) != 1:
        fact = f"an ELU must saturate at -1. Got alpha {layer.config['alpha']}."
        raise Unsupported(layer.name, fact, "Use ELU(alpha=1.0) in the model.")
    return Imported(Attrs())


OP = register(operator(
    "elu", "x where it is not negative, else exp(x) - 1.", reference,
    "out[i] = in[i] if in[i] >= 0, else exp(in[i]) - 1", form("ELU", int8_version=1),
    kernels=kernels(reference, "puce_elu_f32"),
    samples=samples(kind=lambda rng: "int8" if rng.random() < 0.7 else "float32"),
    macc=10,
    keras={"ELU": from_keras, "Activation:elu": from_keras},
    onnx=("Elu",),
))  # fmt: skip
