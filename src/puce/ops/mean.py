# SPDX-License-Identifier: Apache-2.0
"""Mean over axes of a picture; over rows and columns it is GlobalAveragePooling2D, and streams.

LiteRT's rule, found by experiment: the sum of all (q - zero point) is requantised once, by a multiplier into which
1 / n is folded in integers, n values becoming one: with k = floor(log2 n), multiplier = floor(multiplier * 2^k / n) and
shift = shift - k. It is not brought back to 31 bits, so the first of the two roundings stands elsewhere than with a
multiplier computed in floating point: that one gave other bytes in 131 of 300 random cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import sampling
from ..fixedpoint import quantize_multiplier, requantize, type_range
from ..ir import Array, Call, Quantization, Tensor
from . import Op, register
from ._pairs import is_float
from ._reduce import (
    Attrs,
    axes_are_of_a_picture,
    batch_axes,
    form,
    from_keras,
    infer,
    is_unsigned,
    kernels,
    places,
    random_use,
    windows,
)


def folded_multiplier(call: Call, n: int) -> tuple[int, int]:
    """Multiplier and shift of x scale / y scale / n, rounded as LiteRT's QuantizedMeanOrSum does."""
    multiplier, shift = quantize_multiplier(call.x.q.s / call.y.q.s)
    k = min(n.bit_length() - 1, 32, 31 + shift)
    return (multiplier << k) // n, shift - k


def requantized(call: Call, x: Array, n: int) -> Array:
    """The sum of real values over the axes, divided by n, in the type of x."""
    total = x.astype(np.int64).sum(axis=batch_axes(call.attrs)) - call.x.q.z * places(call)
    y = np.clip(requantize(total, *folded_multiplier(call, n)) + call.y.q.z, *type_range(str(x.dtype)))
    result: Array = y.astype(x.dtype).reshape(len(x), *call.y.shape)
    return result


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    if is_float(call):
        y = x.astype(np.float64).mean(axis=batch_axes(call.attrs)).astype(np.float32)
        return (y.reshape(len(x), *call.y.shape),)
    return (requantized(call, x, places(call)),)


def integer_arguments(call: Call, n: int) -> str:
    multiplier, shift = folded_multiplier(call, n)
    return f"/*zero points*/ {call.x.q.z}, {call.y.q.z}, /*multiplier*/ {multiplier}, {shift}"


def sums_bytes(call: Call) -> int:
    return 4 * call.y.size


def sums_fit_32_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The sum of all values that become one must fit 32 bits: at most 8 million of int8."
    return inputs[0].dtype == "float32" or int(np.prod([inputs[0].shape[i] for i in a.axes])) <= 8_000_000


def samples(rng: np.random.Generator, of_sums: bool = False) -> Iterator[Call]:
    while True:
        a, x = random_use(rng)
        (y,) = infer(a, (x,))
        q = None
        if x.quantization is not None:
            typical = np.sqrt(x.size / y.size) if of_sums else 1.0
            way = sampling.integer(rng, 0, 2)
            factor = 1.0 if way == 0 else float(typical * np.exp(rng.uniform(-3 + 3 * of_sums, 1)))
            zero = x.q.z if way < 2 else sampling.integer(rng, *type_range(x.dtype))
            q = Quantization((float(np.float32(x.q.s * factor)),), (zero,))
        yield Call(a, (x,), (Tensor("y", y.shape, x.dtype, q),))


OP = register(Op(
    name="mean",
    summary="Mean over axes of a picture; global average pooling among them.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=kernels(
        "mean", sums_bytes, lambda call: f"{is_unsigned(call)}, {integer_arguments(call, places(call))}",
        lambda call: f"/*values*/ {places(call)}",
    ),
    formula=lambda call: f"out is the mean of in over the axes {list(call.attrs.axes)}",
    macc=lambda call: call.x.size,
    limits=(axes_are_of_a_picture, sums_fit_32_bits),
    tflite=form("MEAN"),
    keras={"GlobalAveragePooling2D": from_keras, "GlobalAveragePooling1D": from_keras},
    onnx=("GlobalAveragePool", "ReduceMean"),
))  # fmt: skip
