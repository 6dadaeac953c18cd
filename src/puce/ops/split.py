# SPDX-License-Identifier: Apache-2.0
"""Split: one tensor cut along an axis into several. LiteRT moves the values as they are, and so do we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import ROW, WHOLE, Kernel, Op, Rule, TfliteForm, Window, register
from .concatenation import own_axis
from .transpose import KINDS

MOST = 8  # outputs: split.h has a function for each number of them


@dataclass(frozen=True)
class Attrs:
    axis: int  # of one picture, without batch
    sizes: tuple[int, ...]  # of the outputs along that axis


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return tuple(inputs[0].like(f"y{i}", (*shape[: a.axis], n, *shape[a.axis + 1 :])) for i, n in enumerate(a.sizes))


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    return tuple(np.ascontiguousarray(y) for y in np.split(x, np.cumsum(a.sizes)[:-1], axis=a.axis + 1))


def windows(call: Call) -> tuple[Window, ...]:
    return (ROW if len(call.x.shape) == 3 and call.attrs.axis > 0 else WHOLE,)


def arguments(call: Call) -> str:
    shape, a = call.x.shape, call.attrs
    first = 1 if windows(call)[0] == ROW else 0
    inner = call.x.itemsize * prod(shape[a.axis + 1 :])
    sizes = ", ".join(str(n * inner) for n in a.sizes)
    return f"/*outer, step*/ {prod(shape[first : a.axis])}, {shape[a.axis] * inner}, /*bytes*/ {sizes}"


def cuts(count: int) -> Kernel:
    return Kernel(f"puce_split_{count}", "split.h", lambda call: len(call.outputs) == count, arguments)


def sizes_add_up(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The parts must be one to eight, none empty, and together as long as the axis that is cut."
    shape = inputs[0].shape
    inside = 0 <= a.axis < len(shape) and 1 <= len(a.sizes) <= MOST
    return inside and min(a.sizes) >= 1 and sum(a.sizes) == shape[a.axis]


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def axis_of(call: Call) -> Tensor:
    return Tensor.constant("axis", np.array(call.attrs.axis + 1, np.int32))


def constants_with_sizes(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("sizes", np.array(call.attrs.sizes, np.int32)), axis_of(call)


def encode(call: Call) -> Mapping[str, Any]:
    return {"NumSplits": len(call.outputs)}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    """SPLIT_V reads x, sizes, axis; SPLIT reads axis, x. The sizes that the file gives the outputs say it all."""
    x, where, axis = next(t for t in inputs if t.data is None), outputs[0].name, inputs[0 if len(inputs) == 2 else 2].data
    if axis is None:
        raise Unsupported(where, "an axis that is computed cannot be compiled.", "Use a constant axis.")
    own = own_axis(int(axis.reshape(-1)[0]), len(x.shape), where)
    return Attrs(own, tuple(t.shape[own] for t in outputs)), (x,)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = (3, 3, 3, 2, 1)[sampling.integer(rng, 0, 4)]
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, 12) for _ in range(rank)), KINDS)
        axis = sampling.integer(rng, 0, rank - 1)
        sizes = tuple(sampling.integer(rng, 1, 5) for _ in range(sampling.integer(rng, 1, MOST)))
        a = Attrs(axis, (sizes[0],) * len(sizes) if rng.random() < 0.5 else sizes)
        x = x.like("x", (*x.shape[:axis], sum(a.sizes), *x.shape[axis + 1 :]))
        yield Call(a, (x,), infer(a, (x,)))


def version(call: Call) -> int:
    return 2 if call.x.dtype == "int8" else 1


OP = register(Op(
    name="split",
    summary="One tensor cut into several along any axis.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=tuple(cuts(n) for n in range(1, MOST + 1)),
    formula=lambda call: f"the outputs are {list(call.attrs.sizes)} along axis {call.attrs.axis} of in",
    limits=(sizes_add_up,),
    rule=Rule("same"),
    tflite=(
        TfliteForm(
            "SPLIT", "SplitOptions", encode, decode, lambda call: (axis_of(call), call.x), version,
            fits=lambda call: len(set(call.attrs.sizes)) == 1,
        ),
        TfliteForm("SPLIT_V", "SplitVOptions", encode, decode, constants_with_sizes, version),
    ),
    onnx=("Split",),
))  # fmt: skip
