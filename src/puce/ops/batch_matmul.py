# SPDX-License-Identifier: Apache-2.0
"""BatchMatMul with a constant second operand: the last axis of every vector of the input goes through one matrix.

LiteRT's rule, from its reference kernel and checked by experiment: sums of (x - zero point) * (w - zero point) in int32,
then one two-step requantisation for all; no bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..fixedpoint import quantize_multiplier, requantize
from ..ir import Array, Call, Quantization, Tensor
from . import ROW, Constant, Kernel, Op, Rule, TfliteForm, register


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (*inputs[0].shape[:-1], inputs[1].shape[0])),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    w = call.constant(1)
    if x.dtype == np.float32:
        return ((x.astype(np.float64) @ w.T.astype(np.float64)).astype(np.float32),)
    acc = (x.astype(np.int64) - call.x.q.z) @ (w.astype(np.int64) - call.inputs[1].q.z).T
    y = requantize(acc, *multiplier(call)) + call.y.q.z
    return (np.clip(y, -128, 127).astype(np.int8),)


def multiplier(call: Call) -> tuple[int, int]:
    return quantize_multiplier(call.x.q.s * call.inputs[1].q.s / call.y.q.s)


def macs(call: Call) -> int:
    return call.y.size * call.x.shape[-1]


def int8_constants(call: Call) -> tuple[Constant, ...]:
    w = call.constant(1)
    start = -call.x.q.z * (w.astype(np.int64) - call.inputs[1].q.z).sum(axis=1)
    return Constant("weights", w, "[out][in]"), Constant("start", start.astype(np.int32), "where the sum of an output starts")


def float_constants(call: Call) -> tuple[Constant, ...]:
    return (Constant("weights", call.constant(1), "[out][in]"),)


def sizes(call: Call) -> str:
    out, n = call.inputs[1].shape
    return f"/*vectors, in, out*/ {call.x.size // call.x.rows // n}, {n}, {out}"


def int8_arguments(call: Call) -> str:
    scale, shift = multiplier(call)
    return f"{sizes(call)}, /*zero points*/ {call.inputs[1].q.z}, {call.y.q.z}, /*multiplier*/ {scale}, {shift}"


KERNELS = (
    Kernel("puce_batch_matmul_s8", "batch_matmul.h", lambda call: call.x.dtype == "int8", int8_arguments, int8_constants),
    Kernel("puce_batch_matmul_f32", "batch_matmul.h", lambda call: call.x.dtype == "float32", sizes, float_constants),
)


def matrix_is_constant(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The second operand must be one constant matrix with a row for each value of the input's last axis."
    w = inputs[1]
    return w.data is not None and len(w.shape) == 2 and w.shape[1] == inputs[0].shape[-1]


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 32 000 int8 values on the last axis."
    return inputs[0].dtype == "float32" or inputs[0].shape[-1] <= 32000


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"AdjX": False, "AdjY": True, "AsymmetricQuantizeInputs": False}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    (x, w), where = inputs, outputs[0].name
    if w.data is None or x.data is not None or options.AdjX() or any(n != 1 for n in w.shape[:-2]):
        fact = "a product of two computed matrices, or with a matrix for each batch, is not computed."
        raise Unsupported(where, fact, "Multiply by one constant matrix, as Dense does.")
    matrix = w.data.reshape(w.shape[-2:])
    matrix = matrix if options.AdjY() else matrix.T
    return Attrs(), (x, Tensor.constant(f"{w.name}/columns", np.ascontiguousarray(matrix), w.quantization))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, rank = sampling.dtype(rng), sampling.integer(rng, 1, 3)
        shape = (*(sampling.integer(rng, 1, 7) for _ in range(rank - 1)), sampling.integer(rng, 1, 40))
        x = sampling.activation(rng, "x", shape, kind)
        w = sampling.weights(rng, (sampling.integer(rng, 1, 12), shape[-1]), kind, None)
        q = None
        if kind == "int8":
            assert w.data is not None
            zero = sampling.integer(rng, -5, 5) if rng.random() < 0.5 else 0
            w = Tensor.constant("w", w.data, Quantization((w.q.s,), (zero,)))
            q = sampling.spread(rng, x, w, shape[-1])
        yield Call(Attrs(), (x, w), (Tensor("y", (*shape[:-1], w.shape[0]), kind, q),))


OP = register(Op(
    name="batch_matmul",
    summary="Every vector of the last axis times one constant matrix.",
    infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples, kernels=KERNELS,
    formula=lambda call: "out[...][o] = sum over i of in[...][i] * w[o][i]",
    macs=macs, macc=macs,
    limits=(matrix_is_constant, sums_fit_32_bits),
    rule=Rule("calibrated", weights=1, axis=None),
    tflite=TfliteForm(
        "BATCH_MATMUL", "BatchMatMulOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    onnx=("MatMul",),
))  # fmt: skip
