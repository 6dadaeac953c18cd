# SPDX-License-Identifier: Apache-2.0
"""BatchMatMul: every vector of the last axis through one constant matrix, or two computed stacks of matrices multiplied.

LiteRT's rule, from its reference kernel and checked by experiment: sums of (x - zero point) * (w - zero point) in int32,
then one two-step requantisation for all; no bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..fixedpoint import quantize_multiplier, requantize
from ..ir import Array, Call, DType, Quantization, Tensor
from . import ROW, WHOLE, Constant, Kernel, Op, Rule, TfliteForm, Window, register


@dataclass(frozen=True)
class Attrs:
    transposed: bool = True  # the second operand is [..., out, in], as a constant always is; else [..., in, out]


def columns(a: Attrs, w: Tensor) -> int:
    return w.shape[-2 if a.transposed else -1]


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (*inputs[0].shape[:-1], columns(a, inputs[1]))),)


def reference(call: Call, x: Array, *computed: Array) -> tuple[Array, ...]:
    w = computed[0] if computed else call.constant(1)
    w = w.swapaxes(-1, -2) if call.attrs.transposed else w
    if x.dtype == np.float32:
        return ((x.astype(np.float64) @ w.astype(np.float64)).astype(np.float32),)
    acc = (x.astype(np.int64) - call.x.q.z) @ (w.astype(np.int64) - call.inputs[1].q.z)
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


def stack_sizes(call: Call) -> str:
    *lead, m, k = call.x.shape
    n = call.y.shape[-1]
    across, down = (k, 1) if call.attrs.transposed else (1, n)
    return f"/*batch, m, k, n*/ {prod(lead)}, {m}, {k}, {n}, /*across, down*/ {across}, {down}"


def stack_arguments(call: Call) -> str:
    scale, shift = multiplier(call)
    zeros = f"/*zero points*/ {call.x.q.z}, {call.inputs[1].q.z}, {call.y.q.z}"
    return f"{stack_sizes(call)}, {zeros}, /*multiplier*/ {scale}, {shift}"


def accepts(kind: DType, computed: bool) -> Callable[[Call], bool]:
    return lambda call: call.x.dtype == call.inputs[1].dtype == kind and (call.inputs[1].data is None) == computed


HEADER = "batch_matmul.h"
KERNELS = (
    Kernel("puce_batch_matmul_s8", HEADER, accepts("int8", False), int8_arguments, int8_constants),
    Kernel("puce_batch_matmul_f32", HEADER, accepts("float32", False), sizes, float_constants),
    Kernel("puce_batch_matmul_two_s8", HEADER, accepts("int8", True), stack_arguments),
    Kernel("puce_batch_matmul_two_f32", HEADER, accepts("float32", True), stack_sizes),
)


def windows(call: Call) -> tuple[Window, ...]:
    return (ROW,) if call.inputs[1].data is not None else (WHOLE, WHOLE)


def operands_fit(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The second operand must be one constant matrix, or computed with a matrix for each of the first, of matching sizes."
    x, w = (t.shape for t in inputs)
    if inputs[1].data is not None:
        return a.transposed and len(w) == 2 and w[1] == x[-1]
    return inputs[0].data is None and len(x) == len(w) >= 2 and x[:-2] == w[:-2] and x[-1] == w[-1 if a.transposed else -2]


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of products must fit 32 bits: at most 32 000 int8 values on the last axis."
    return inputs[0].dtype == "float32" or inputs[0].shape[-1] <= 32000


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def encode(call: Call) -> Mapping[str, Any]:
    return {"AdjX": False, "AdjY": call.attrs.transposed, "AsymmetricQuantizeInputs": False}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    (x, w), where = inputs, outputs[0].name
    if x.data is not None or options.AdjX() or (w.data is not None and any(n != 1 for n in w.shape[:-2])):
        fact = "a product with a constant on the left or one constant for each matrix, or a transposed left, is not computed."
        raise Unsupported(where, fact, "Multiply by one constant matrix, as Dense does.")
    if w.data is None:
        return Attrs(bool(options.AdjY())), (x, w)
    matrix = w.data.reshape(w.shape[-2:])
    matrix = matrix if options.AdjY() else matrix.T
    return Attrs(), (x, Tensor.constant(f"{w.name}/columns", np.ascontiguousarray(matrix), w.quantization))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind, rank = sampling.dtype(rng), sampling.integer(rng, 1, 3)
        shape = (*(sampling.integer(rng, 1, 7) for _ in range(rank - 1)), sampling.integer(rng, 1, 40))
        x = sampling.activation(rng, "x", shape, kind)
        if rank > 1 and rng.random() < 0.4:
            yield stacks(rng, x)
            continue
        w = sampling.weights(rng, (sampling.integer(rng, 1, 12), shape[-1]), kind, None)
        q = None
        if kind == "int8":
            assert w.data is not None
            zero = sampling.integer(rng, -5, 5) if rng.random() < 0.5 else 0
            w = Tensor.constant("w", w.data, Quantization((w.q.s,), (zero,)))
            q = sampling.spread(rng, x, w, shape[-1])
        yield Call(Attrs(), (x, w), (Tensor("y", (*shape[:-1], w.shape[0]), kind, q),))


def stacks(rng: np.random.Generator, x: Tensor) -> Call:
    """Two computed operands."""
    a, n, k = Attrs(rng.random() < 0.5), sampling.integer(rng, 1, 9), x.shape[-1]
    w = sampling.activation(rng, "w", (*x.shape[:-2], *((n, k) if a.transposed else (k, n))), x.dtype)
    q = None if x.dtype == "float32" else sampling.spread(rng, x, w, k)
    return Call(a, (x, w), (Tensor("y", (*x.shape[:-1], n), x.dtype, q),))


OP = register(Op(
    name="batch_matmul",
    summary="Every vector of the last axis times one constant matrix, or two stacks of matrices multiplied.",
    infer=infer, reference=reference, windows=windows, samples=samples, kernels=KERNELS,
    formula=lambda call: "out[...][o] = sum over i of in[...][i] * w[o][i]",
    macs=macs, macc=macs,
    limits=(operands_fit, sums_fit_32_bits),
    rule=Rule("calibrated"),
    tflite=TfliteForm(
        "BATCH_MATMUL", "BatchMatMulOptions", encode, decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    onnx=("MatMul",),
))  # fmt: skip
