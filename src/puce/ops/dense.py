# SPDX-License-Identifier: Apache-2.0
"""Dense: each output is the weighted sum of a whole vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..fixedpoint import clamp_range
from ..ir import Array, Call, Tensor
from ..packing import dense_in_pairs, dense_pairs_fit, dense_requantization, pair_order
from . import WHOLE, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register
from .conv_2d import with_bias


@dataclass(frozen=True)
class Attrs:
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (inputs[1].shape[0],)),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    w, b = call.constant(1), call.constant(2)
    offset = call.x.q.z if x.dtype != np.float32 else 0
    acc = (x.astype(np.float64) - offset) @ w.T.astype(np.float64) + b
    if x.dtype == np.float32:
        return (activate(acc.astype(np.float32), a.activation),)
    # LiteRT's reference kernel rounds this product of doubles once, ties away from zero: no fixed point, unlike conv_2d.
    real = acc * np.array([call.x.q.s * s / call.y.q.s for s in call.inputs[1].q.scale])
    y = np.copysign(np.floor(np.abs(real) + 0.5), real) + call.y.q.z
    return (np.clip(y, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def macs(call: Call) -> int:
    return call.inputs[1].size


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_constants(call: Call) -> tuple[Constant, ...]:
    table = dense_requantization(call, *clamp_range(call.y, call.attrs.activation))
    return (
        Constant("weights", call.constant(1), "[out][in]"),
        Constant("requant", table, "an output: multiplier, shift - 32, offset (low, high word)"),
    )


def float_constants(call: Call) -> tuple[Constant, ...]:
    return Constant("weights", call.constant(1), "[out][in]"), Constant("bias", call.constant(2), "[out]")


def sizes(call: Call) -> str:
    return f"/*in, out*/ {call.x.size}, {call.y.size}"


def int8_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{sizes(call)}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{sizes(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


def dsp_accepts(filled: bool) -> Callable[[Call], bool]:
    """Vectors of a multiple of 8 are read where they lie, others from a copy that is filled up: two C functions."""
    return lambda call: call.x.dtype == "int8" and (call.x.size % 8 != 0) == filled and dense_pairs_fit(call)


def dsp_constants(call: Call) -> tuple[Constant, ...]:
    note = "two outputs a halfword; inputs 0 2, then 1 3; four pairs side by side while there are four"
    (_, requant), w = int8_constants(call), call.constant(1)
    ordered = replace(requant, values=requant.values[pair_order(len(w)).ravel()])
    return Constant("pairs", dense_in_pairs(w), note), ordered


DSP = frozenset({"dsp"})
KERNELS = (
    Kernel("puce_dense_s8_dsp", "dense_dsp.h", dsp_accepts(False), int8_arguments, dsp_constants, needs=DSP),
    Kernel(
        "puce_dense_padded_s8_dsp", "dense_dsp.h", dsp_accepts(True), int8_arguments, dsp_constants,
        scratch=lambda call: call.x.size + -call.x.size % 8, needs=DSP,
    ),
    Kernel("puce_dense_s8", "dense.h", lambda call: call.x.dtype == "int8", int8_arguments, int8_constants),
    Kernel("puce_dense_f32", "dense.h", lambda call: call.x.dtype == "float32", float_arguments, float_constants),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_is_a_vector(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a vector [n]: flatten a picture first."
    return len(inputs[0].shape) == 1


def sizes_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The weights must have one column for each input."
    return inputs[0].shape[-1] == inputs[1].shape[-1]


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 65 000 int8 inputs."
    return inputs[0].dtype == "float32" or inputs[1].shape[1] <= 65000


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"FusedActivationFunction": TFLITE_ACTIVATION[call.attrs.activation]}


def version(call: Call) -> int:
    """What TensorFlow's converter writes: 4 since int8, 12 since one scale an output."""
    if call.x.dtype != "int8":
        return 1
    return 4 if call.inputs[1].q.axis is None else 12


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(ACTIVATION_OF_TFLITE[options.FusedActivationFunction()]), with_bias(inputs, inputs[1].shape[0])


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    kernel, *rest = layer.weights  # [in, out]
    bias = rest[0] if rest else np.zeros(kernel.shape[1], np.float32)
    return Imported(Attrs(), (("weights", np.ascontiguousarray(kernel.T)), ("bias", bias)))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        n, out = sampling.integer(rng, 1, 90), sampling.integer(rng, 1, 20)
        x = sampling.activation(rng, "x", (n,), kind)
        w = sampling.weights(rng, (out, n), kind, 0 if rng.random() < 0.5 else None)
        a = Attrs(sampling.fused(rng))
        inputs = (x, w, sampling.bias(rng, out, x, w))
        q = sampling.spread(rng, x, w, n) if kind == "int8" else None
        yield Call(a, inputs, (Tensor("y", (out,), kind, q),))


OP = register(Op(
    name="dense",
    summary="Fully connected layer on a vector, weights with one scale or one an output, ReLU fused.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[o] = bias[o] + sum over i of w[o][i] * in[i]",
    macs=macs, macc=lambda call: macs(call) + call.y.size,
    limits=(input_is_a_vector, sizes_match, sums_fit_32_bits),
    rule=Rule("calibrated", weights=1, axis=0, bias=2),
    tflite=TfliteForm("FULLY_CONNECTED", "FullyConnectedOptions", encode, decode, version=version),
    keras={"Dense": from_keras},
    onnx=("Gemm",),
))  # fmt: skip
