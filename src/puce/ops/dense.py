# SPDX-License-Identifier: Apache-2.0
"""Dense: each output is the weighted sum of a whole vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation, activate, float_range
from ..fixedpoint import clamp_range
from ..ir import Array, Call, Tensor
from ..packing import dense_pair_tables, dense_pairs_fit, dense_requantization, dense_rounding, dense_rounding_fits, folded
from . import WHOLE, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register
from ._conv_quads import in_quads
from .conv_2d import weights_are_narrow, with_bias


@dataclass(frozen=True)
class Attrs:
    activation: Activation = "none"


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (*inputs[0].shape[:-1], inputs[1].shape[0])),)


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


def vectors(call: Call) -> int:
    """How many the input holds: all but its last axis."""
    return call.x.size // call.x.shape[-1]


def macs(call: Call) -> int:
    return vectors(call) * call.inputs[1].size


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
    return f"/*in, out*/ {call.x.shape[-1]}, {call.y.shape[-1]}"


def int8_arguments(call: Call) -> str:
    low, high = clamp_range(call.y, call.attrs.activation)
    return f"{sizes(call)}, /*clamp*/ {low}, {high}"


def float_arguments(call: Call) -> str:
    return f"{sizes(call)}, /*clamp*/ {float_range(call.attrs.activation)}"


def rows_arguments(arguments: Callable[[Call], str]) -> Callable[[Call], str]:
    return lambda call: f"/*vectors*/ {vectors(call)}, {arguments(call)}"


def accepts(kind: str, weights: str, one: bool = True) -> Callable[[Call], bool]:
    """Of one vector, or of several: two C functions."""
    return lambda call: (call.x.dtype, call.inputs[1].dtype, len(call.x.shape) == 1) == (kind, weights, one)


def dsp_accepts(filled: bool) -> Callable[[Call], bool]:
    """Vectors of a multiple of 8 are read where they lie, others from a copy that is filled up: two C functions."""
    return lambda call: accepts("int8", "int8")(call) and (call.x.size % 8 != 0) == filled and dense_pairs_fit(call)


def rounds_each(call: Call) -> bool:
    """Whether each output has a rounding of its own: weights with several scales, or a scale that no one rounding serves."""
    if len(call.inputs[1].q.scale) > 1:
        return True
    return len(dense_rounding(call, *clamp_range(call.y, call.attrs.activation))[1]) > 1


def dsp_constants(call: Call) -> tuple[Constant, ...]:
    pairs, rounding = dense_pair_tables(call, *clamp_range(call.y, call.attrs.activation))
    note = "8 outputs a step, then 2: where sums start, weights of two outputs a halfword, inputs 0 2, then 1 3"
    return Constant("pairs", pairs, note), Constant("rounding", rounding, "multiplier, offset, shift: of all or of each")


def dsp_arguments(call: Call) -> str:
    return f"{int8_arguments(call)}, /*rounding each*/ {int(rounds_each(call))}"


def quads_accept(call: Call) -> bool:
    """A word of fewer than three outputs would cost more than the outputs one by one."""
    return accepts("int8", "int8")(call) and call.y.size >= 3 and dense_rounding_fits(call)


def quad_constants(call: Call) -> tuple[Constant, ...]:
    moved, rounding = dense_rounding(call, *clamp_range(call.y, call.attrs.activation))
    start = folded(call, call.constant(1)) + moved
    assert np.abs(start).max() < 2**31, "dense_rounding_fits bounds it"
    return (
        Constant("quads", in_quads(call.constant(1)), "[out / 4][in] words: weights of four outputs in bytes"),
        Constant("start", start.astype(np.int32), "[out]: where sums start"),
        Constant("rounding", rounding, "multiplier, offset, shift: of all or of each"),
    )


def quad_arguments(call: Call) -> str:
    return f"{int8_arguments(call)}, /*rounding each*/ {int(rounds_each(call))}"


DSP = frozenset({"dsp"})
KERNELS = (
    Kernel("puce_dense_s8_dsp", "dense_dsp.h", dsp_accepts(False), dsp_arguments, dsp_constants, needs=DSP),
    Kernel(
        "puce_dense_padded_s8_dsp", "dense_dsp.h", dsp_accepts(True), dsp_arguments, dsp_constants,
        scratch=lambda call: call.x.size + -call.x.size % 8, needs=DSP,
    ),
    Kernel("puce_dense_s8_quads", "dense_quads.h", quads_accept, quad_arguments, quad_constants),
    Kernel("puce_dense_s8", "dense.h", accepts("int8", "int8"), int8_arguments, int8_constants),
    Kernel("puce_dense_s8_wide", "wide_weights.h", accepts("int8", "int16"), int8_arguments, int8_constants),
    Kernel("puce_dense_f32", "dense.h", accepts("float32", "float32"), float_arguments, float_constants),
    Kernel("puce_dense_rows_s8", "dense.h", accepts("int8", "int8", False), rows_arguments(int8_arguments), int8_constants),
    Kernel(
        "puce_dense_rows_f32", "dense.h", accepts("float32", "float32", False), rows_arguments(float_arguments),
        float_constants,
    ),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def sizes_match(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The weights must have one column for each value of a vector [n]; of [..., n], every vector is multiplied."
    return len(inputs[1].shape) == 2 and inputs[0].shape[-1:] == inputs[1].shape[1:]


def many_vectors_have_narrow_weights(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Weights of 16 bits, those of an old uint8 network, are multiplied with one vector only."
    return inputs[1].dtype != "int16" or len(inputs[0].shape) == 1


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 65 000 int8 inputs, 33 000 with weights of 16 bits."
    most = 33000 if inputs[1].dtype == "int16" else 65000
    return inputs[0].dtype == "float32" or inputs[1].shape[1] <= most


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {
        "FusedActivationFunction": TFLITE_ACTIVATION[call.attrs.activation], "KeepNumDims": len(call.x.shape) > 1,
    }  # fmt: skip


def version(call: Call) -> int:
    """What TensorFlow's converter writes: 4 since int8, 12 since one scale an output, 5 with dimensions kept."""
    if call.x.dtype != "int8":
        return 1 if len(call.x.shape) == 1 else 5
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
        before = () if rng.random() < 0.7 else tuple(sampling.integer(rng, 1, 4) for _ in range(sampling.integer(rng, 1, 2)))
        x = sampling.activation(rng, "x", (*before, n), kind)
        w = sampling.weights(rng, (out, n), kind, 0 if rng.random() < 0.5 else None)
        w = w if before else sampling.sometimes_wide(rng, w)
        a = Attrs(sampling.fused(rng))
        inputs = (x, w, sampling.bias(rng, out, x, w))
        q = sampling.spread(rng, x, w, n) if kind == "int8" else None
        yield Call(a, inputs, (Tensor("y", (*before, out), kind, q),))


OP = register(Op(
    name="dense",
    summary="Fully connected layer on a vector or several, weights with one scale or one an output, ReLU fused.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[o] = bias[o] + sum over i of w[o][i] * in[i]",
    macs=macs, macc=lambda call: macs(call) + call.y.size,
    limits=(sizes_match, many_vectors_have_narrow_weights, sums_fit_32_bits),
    rule=Rule("calibrated", weights=1, axis=0, bias=2),
    tflite=TfliteForm(
        "FULLY_CONNECTED", "FullyConnectedOptions", encode, decode, version=version, fits=weights_are_narrow,
    ),
    keras={"Dense": from_keras},
    onnx=("Gemm",),
))  # fmt: skip
