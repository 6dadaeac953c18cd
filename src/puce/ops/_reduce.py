# SPDX-License-Identifier: Apache-2.0
"""What the reductions share: axes, shapes, streaming, the two walks of their kernels, random uses.

Over the rows and columns of a picture a reduction streams: a firing takes in one row, the last one writes. Over axes that
leave the rows (and their dimension) alone it computes a row from a row. Else it takes the whole input at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Call, Tensor
from . import REDUCE, ROW, WHOLE, Imported, KerasLayer, Kernel, TfliteForm, Window
from ._pairs import is_float, is_quantized, quantization, random_kind

PICTURE = (0, 1)  # rows and columns


@dataclass(frozen=True)
class Attrs:
    keep_dims: bool = False  # a reduced axis stays, with one place
    axes: tuple[int, ...] = PICTURE  # of one picture, ascending


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x = inputs[0]
    kept = [1 if i in a.axes else n for i, n in enumerate(x.shape) if i not in a.axes or a.keep_dims]
    return (Tensor("y", tuple(kept), x.dtype, x.quantization),)


def batch_axes(a: Attrs) -> tuple[int, ...]:
    """The axes on a batch."""
    return tuple(i + 1 for i in a.axes)


def places(call: Call) -> int:
    """How many values become one."""
    return prod(call.x.shape[i] for i in call.attrs.axes)


# ── streaming ─────────────────────────────────────────────────────────────────────────────────────────────────────


def streams(call: Call) -> bool:
    return len(call.x.shape) == 3 and call.attrs.axes == PICTURE


def by_rows(call: Call) -> bool:
    return len(call.x.shape) == 3 and call.attrs.keep_dims and 0 not in call.attrs.axes


def windows(call: Call) -> tuple[Window, ...]:
    return (REDUCE if streams(call) else ROW if by_rows(call) else WHOLE,)


def walk(call: Call) -> str:
    """The input as [k0][r0][k1][r1][k2], r summed over and k kept, of one firing: neighbours of a kind are merged."""
    sizes: list[int] = [1]
    for i, n in enumerate(call.x.shape):
        if n == 1 or (i == 0 and by_rows(call)):
            continue
        if (i in call.attrs.axes) != (len(sizes) % 2 == 0):
            sizes.append(n)
        else:
            sizes[-1] *= n
    sizes += [1] * (5 - len(sizes))
    return f"/*kept, reduced, ...*/ {', '.join(map(str, sizes))}"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_unsigned(call: Call) -> str:
    return f"/*unsigned*/ {int(call.x.dtype == 'uint8')}"


def picture(call: Call) -> str:
    return "/*in*/ " + ", ".join(map(str, call.x.shape))


def kernels(
    stem: str, state: Callable[[Call], int], integer: Callable[[Call], str], floats: Callable[[Call], str]
) -> tuple[Kernel, ...]:
    """Streaming and general, of bytes and of float32; `integer` and `floats` are arguments after the sizes."""

    def kernel(suffix: str, accepts: Callable[[Call], bool], more: Callable[[Call], str]) -> tuple[Kernel, Kernel]:
        return (
            Kernel(
                f"puce_{stem}_{suffix}", "reduce.h", lambda call: streams(call) and accepts(call),
                lambda call: f"{picture(call)}, {more(call)}", state=state, takes_y=True,
            ),
            Kernel(
                f"puce_{stem}_of_axes_{suffix}", "reduce.h", lambda call: not streams(call) and accepts(call),
                lambda call: f"{walk(call)}, {more(call)}",
            ),
        )  # fmt: skip

    return (*kernel("8", is_quantized, integer), *kernel("f32", is_float, floats))


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def axes_are_of_a_picture(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The axes must be different ones of a picture, which has at most four, and not the batch."
    return len(inputs[0].shape) <= 4 and bool(a.axes) and list(a.axes) == sorted({*a.axes} & {*range(len(inputs[0].shape))})


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def form(operator: str, fits: Callable[[Call], bool] = lambda call: True) -> TfliteForm:
    return TfliteForm(operator, "ReducerOptions", encode, decode, constants, version, fits)


def encode(call: Call) -> Mapping[str, Any]:
    return {"KeepDims": call.attrs.keep_dims}


def constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("axes", np.array(batch_axes(call.attrs), np.int32))


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, axes = inputs
    keep_dims = options is not None and bool(options.KeepDims())
    if axes.data is None:
        raise Unsupported(outputs[0].name, "the axes are computed, not constant.", "Name the axes in the model.")
    rank = len(x.shape) + 1
    found = sorted({int(v) % rank for v in axes.data.ravel()})
    if 0 in found and keep_dims:  # the batch is one picture
        found.remove(0)
    return Attrs(keep_dims, tuple(i - 1 for i in found)), (x,)


def version(call: Call) -> int:
    return 2 if call.x.dtype == "int8" else 1


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """Global pooling, over all but channels."""
    return Imported(Attrs(bool(layer.config.get("keepdims", False)), tuple(range(len(inputs[0].shape) - 1))))


# ── random uses ───────────────────────────────────────────────────────────────────────────────────────────────────


def random_use(rng: np.random.Generator) -> tuple[Attrs, Tensor]:
    kind = random_kind(rng)
    rank = 3 if rng.random() < 0.8 else (1, 2, 4)[sampling.integer(rng, 0, 2)]
    shape = tuple(sampling.integer(rng, 1, 9 if rank < 4 else 4) for _ in range(rank))
    x = Tensor("x", shape, kind, None if kind == "float32" else quantization(rng, kind))
    if rank == 3 and rng.random() < 0.4:
        return Attrs(bool(rng.random() < 0.3)), x
    if rank == 3 and rng.random() < 0.6:
        return Attrs(True, ((1,), (2,), (1, 2))[sampling.integer(rng, 0, 2)]), x
    chosen = rng.choice(rank, sampling.integer(rng, 1, rank), replace=False)
    keep_dims = len(chosen) == rank or bool(rng.random() < 0.5)  # a file has no tensor without dimensions
    return Attrs(keep_dims, tuple(sorted(int(i) for i in chosen))), x
