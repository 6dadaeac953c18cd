# SPDX-License-Identifier: Apache-2.0
"""Concatenate: several tensors side by side along an axis.

LiteRT's rule, found by experiment: values are moved as they are; int8 and int16 inputs must have the output's scale and
zero point; a uint8 input of another scale becomes round(q * r - z * r) + output zero point, clamped, where r is its scale
times 1 / the output's, product and sum in float32, ties away from zero. Old uint8 networks are read as int8 ones, so an
int8 input of another scale, which LiteRT refuses, follows the rule of the uint8 input that has the same real values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from . import ROW, WHOLE, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, Window, register
from .transpose import KINDS

MOST = 8  # inputs: concatenation.h has a function for each number of them


@dataclass(frozen=True)
class Attrs:
    axis: int  # of one picture, without batch


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = list(inputs[0].shape)
    shape[a.axis] = sum(t.shape[a.axis] for t in inputs)
    return (inputs[0].like("y", tuple(shape)),)


def rescaled(x: Tensor, y: Tensor) -> Array | None:
    """What each of the 256 bytes of an input becomes; None where it stays as it is."""
    if x.dtype not in ("uint8", "int8") or (x.q.s == y.q.s and x.q.z == y.q.z):
        return None
    shift = 128 if x.dtype == "int8" else 0  # from int8 to the uint8 of the same real value
    ratio = np.float32(x.q.s) * (np.float32(1) / np.float32(y.q.s))
    real = (np.arange(256, dtype=np.float32) * ratio + np.float32(-x.q.z - shift) * ratio).astype(np.float64)
    nearest = np.copysign(np.floor(np.abs(real) + 0.5), real)
    table: Array = np.clip(nearest + y.q.z + shift, 0, 255).astype(np.uint8)
    return np.roll(table, shift) ^ np.uint8(shift)


def reference(call: Call, *inputs: Array) -> tuple[Array, ...]:
    tables = [rescaled(t, call.y) for t in call.inputs]
    parts = [x if table is None else table[x.view(np.uint8)].view(x.dtype) for x, table in zip(inputs, tables, strict=True)]
    return (np.concatenate(parts, axis=call.attrs.axis + 1),)


def windows(call: Call) -> tuple[Window, ...]:
    by_rows = len(call.y.shape) == 3 and call.attrs.axis > 0
    return (ROW if by_rows else WHOLE,) * len(call.inputs)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def constants(call: Call) -> tuple[Constant, ...]:
    tables = [rescaled(t, call.y) for t in call.inputs]
    if all(t is None for t in tables):
        return ()
    same = np.arange(256, dtype=np.uint8)
    values = np.stack([same if t is None else t for t in tables])
    return (Constant("table", values, "what each byte of each input becomes"),)


def arguments(call: Call) -> str:
    shape, axis = call.y.shape, call.attrs.axis
    first = 1 if windows(call)[0] == ROW else 0
    sizes = [t.itemsize * prod(t.shape[axis:]) for t in call.inputs]
    table = "" if constants(call) else "/*no table*/ 0, "
    return f"{table}/*outer, step*/ {prod(shape[first:axis])}, {sum(sizes)}, /*bytes*/ {', '.join(map(str, sizes))}"


def joins(count: int) -> Kernel:
    return Kernel(
        f"puce_concatenate_{count}", "concatenation.h", lambda call: len(call.inputs) == count, arguments, constants,
    )  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def two_to_eight_computed_inputs(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Two to eight tensors can be joined, none of them constant."
    return 2 <= len(inputs) <= MOST and all(t.data is None for t in inputs)


def shapes_agree(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "All inputs must have the same type, and the same shape but for the axis along which they are joined."
    rest = {(t.dtype, t.shape[: a.axis], t.shape[a.axis + 1 :], len(t.shape)) for t in inputs}
    return len(rest) == 1 and 0 <= a.axis < len(inputs[0].shape)


def scales_agree(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "All int16 inputs must have one scale: no value is changed."
    return inputs[0].dtype != "int16" or len({t.quantization for t in inputs}) == 1


def litert_knows(call: Call) -> bool:
    return call.x.dtype == "uint8" or all(t.quantization == call.y.quantization for t in call.inputs)


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def own_axis(axis: int, rank: int, where: str) -> int:
    """The axis without batch of an axis with batch, which may be counted from the end; `rank` is without batch."""
    axis = axis + rank + 1 if axis < 0 else axis
    if not 1 <= axis <= rank:
        raise Unsupported(where, f"the axis must lie within one picture. Got {axis}.", "Join rows, columns or channels.")
    return axis - 1


def encode(call: Call) -> Mapping[str, Any]:
    return {"Axis": call.attrs.axis + 1, "FusedActivationFunction": 0}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    where = outputs[0].name
    if options.FusedActivationFunction():
        raise Unsupported(where, "an activation within a concatenation is not computed.", "Put it before, or behind.")
    return Attrs(own_axis(options.Axis(), len(inputs[0].shape), where)), tuple(inputs)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs(own_axis(int(layer.config.get("axis", -1)), len(inputs[0].shape), layer.name)))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = (3, 3, 3, 2, 1)[sampling.integer(rng, 0, 4)]
        first = sampling.anything(rng, "x0", tuple(sampling.integer(rng, 1, 8) for _ in range(rank)), KINDS)
        a = Attrs(sampling.integer(rng, 0, rank - 1))
        inputs, mixed = [first], rng.random() < 0.5
        for i in range(1, sampling.integer(rng, 2, MOST)):
            n = sampling.integer(rng, 1, 8)
            t = first.like(f"x{i}", (*first.shape[: a.axis], n, *first.shape[a.axis + 1 :]))
            if mixed and t.dtype in ("int8", "uint8") and rng.random() < 0.5:
                t = sampling.anything(rng, t.name, t.shape, (t.dtype, t.dtype))
            inputs.append(t)
        yield Call(a, tuple(inputs), infer(a, inputs))


OP = register(Op(
    name="concatenation",
    summary="Tensors side by side along any axis.",
    infer=infer, reference=reference, windows=windows, samples=samples,
    kernels=tuple(joins(n) for n in range(2, MOST + 1)),
    formula=lambda call: f"out is the inputs, one behind the other along axis {call.attrs.axis}",
    limits=(two_to_eight_computed_inputs, shapes_agree, scales_agree),
    rule=Rule("calibrated", alike=True),
    tflite=TfliteForm(
        "CONCATENATION", "ConcatenationOptions", encode, decode,
        version=lambda call: {"int8": 2, "int16": 3}.get(call.x.dtype, 1), fits=litert_knows,
    ),
    keras={"Concatenate": from_keras},
    onnx=("Concat",),
))  # fmt: skip
