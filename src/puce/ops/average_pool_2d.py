# SPDX-License-Identifier: Apache-2.0
"""AveragePooling2D: each output is the mean of the pixels of a window, channel by channel; padding is not counted.

LiteRT's rule, found by experiment: the sum of the quantised values inside the picture, divided by their number and
rounded half away from the integer zero (not from the zero point), then the clamp of the fused activation. Input and
output share one scale and zero point. uint8 sums are never negative: the same network in int8 rounds some ties otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import sampling
from ..activation import activate
from ..fixedpoint import clamp_range
from ..ir import Array, Call
from ..spatial import NO_PADDING, pad, windows
from . import REDUCE, Kernel, Op, Rule, TfliteForm, register
from . import max_pool_2d as pool

Attrs = pool.Attrs  # the same window


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: pool.Attrs = call.attrs
    wide = np.float64 if x.dtype == np.float32 else np.int64
    total = windows(pad(x.astype(wide), a.padding, 0), a.kernel, a.stride).sum(axis=(-2, -1))
    inside = pad(np.ones((1, *call.x.shape[:2], 1), np.int64), a.padding, 0)
    number = windows(inside, a.kernel, a.stride).sum(axis=(-2, -1))
    if x.dtype == np.float32:
        return (activate((total / number).astype(np.float32), a.activation),)
    y = np.sign(total) * ((np.abs(total) + number // 2) // number)
    return (np.clip(y, *clamp_range(call.y, a.activation)).astype(call.y.dtype),)


def formula(call: Call) -> str:
    a: pool.Attrs = call.attrs
    rows, columns = f"y*{a.stride[0]}-{a.padding[0]}+ky", f"x*{a.stride[1]}-{a.padding[2]}+kx"
    return f"out[y][x][c] = the mean of in[{rows}][{columns}][c] over the pixels inside the picture"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def sums_bytes(call: Call) -> int:
    """One 4-byte sum for each output."""
    return 4 * call.y.size


def one_row_at_a_time_saves_memory(call: Call, kind: str) -> bool:
    """One output row over the whole height: its sums and one row take less than all the rows."""
    a: pool.Attrs = call.attrs
    whole = a.kernel[0] == call.x.rows and call.y.rows == 1 and not any(a.padding)
    return call.x.dtype == kind and whole and sums_bytes(call) + call.x.row_bytes < call.x.nbytes


def reduce_arguments(call: Call) -> str:
    a: pool.Attrs = call.attrs
    return (
        f"/*in*/ {call.x.shape[0]}, {call.x.shape[1]}, {call.x.shape[2]}, /*out*/ {call.y.shape[1]}, "
        f"/*kernel, stride*/ {a.kernel[1]}, {a.stride[1]}, {pool.clamp(call)}"
    )


def integer_kernels(kind: str, suffix: str) -> tuple[Kernel, ...]:
    return (
        Kernel(
            f"puce_average_pool_rows_{suffix}", "average_pool_2d.h", lambda call: one_row_at_a_time_saves_memory(call, kind),
            reduce_arguments, state=sums_bytes, windows=lambda call: (REDUCE,), takes_y=True,
        ),
        Kernel(
            f"puce_average_pool_2d_{suffix}", "average_pool_2d.h", lambda call: pool.reads_several_rows(call, kind),
            pool.rows_arguments,
        ),
        Kernel(
            f"puce_average_pool_1d_{suffix}", "average_pool_2d.h", lambda call: pool.reads_one_row(call, kind),
            pool.single_row_arguments,
        ),
    )  # fmt: skip


KERNELS = (
    *(k for kind, suffix in (("int8", "s8"), ("uint8", "u8")) for k in integer_kernels(kind, suffix)),
    Kernel(
        "puce_average_pool_rows_f32", "average_pool_2d.h",
        lambda call: one_row_at_a_time_saves_memory(call, "float32"),
        reduce_arguments, state=sums_bytes, windows=lambda call: (REDUCE,), takes_y=True,
    ),
    Kernel(
        "puce_average_pool_2d_f32", "average_pool_2d.h", lambda call: pool.reads_several_rows(call, "float32"),
        pool.rows_arguments,
    ),
    Kernel(
        "puce_average_pool_1d_f32", "average_pool_2d.h", lambda call: pool.reads_one_row(call, "float32"),
        pool.single_row_arguments,
    ),
)  # fmt: skip


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        h, w, c = (sampling.integer(rng, 1, n) for n in (12, 12, 20))
        kernel, stride, padding = pool.random_window(rng, (h, w))
        if rng.random() < 0.3:  # global, and one that is global in its rows only
            kernel, padding = (h, w if rng.random() < 0.5 else kernel[1]), NO_PADDING
        a = Attrs(kernel, stride, padding, sampling.fused(rng))
        x = sampling.anything(rng, "x", (h, w, c), ("int8", "float32", "uint8"))
        if all(limit(a, (x,)) for limit in pool.LIMITS):
            yield Call(a, (x,), pool.infer(a, (x,)))


OP = register(Op(
    name="average_pool_2d",
    summary="Mean of a window, any kernel, stride and padding, ReLU fused.",
    infer=pool.infer, reference=reference, windows=pool.row_window, samples=samples, kernels=KERNELS, formula=formula,
    macc=pool.taps,
    limits=pool.LIMITS,
    rule=Rule("same"),
    tflite=TfliteForm(
        "AVERAGE_POOL_2D", "Pool2DOptions", pool.encode, pool.decode, version=lambda call: 2 if call.x.dtype == "int8" else 1,
    ),
    keras={"AveragePooling2D": pool.from_keras},
    onnx=("AveragePool",),
))  # fmt: skip
