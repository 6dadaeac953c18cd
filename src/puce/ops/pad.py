# SPDX-License-Identifier: Apache-2.0
"""Padding: a frame of one value round a picture, and channels of it before and behind.

LiteRT's rule: PAD writes real zero, in int8 and uint8 the zero point; PADV2 writes its constant as it stands in the file,
a quantised one unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..fixedpoint import quantize, type_range
from ..ir import Array, Call, Tensor
from ..spatial import NO_PADDING, Padding, Pair
from . import Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, Window, register
from .transpose import KINDS


@dataclass(frozen=True)
class Attrs:
    padding: Padding = NO_PADDING  # top, bottom, left, right
    channels: Pair = (0, 0)  # before, behind
    value: float | None = None  # a real number, which a quantised input rounds to its own steps; None is zero

    @property
    def is_a_frame_of_zeros(self) -> bool:
        """Whether this is what convolutions know as their own padding."""
        return self.value is None and not any(self.channels)

    @property
    def sides(self) -> tuple[Pair, Pair, Pair]:
        """What stands before and behind rows, columns, channels."""
        top, bottom, left, right = self.padding
        return (top, bottom), (left, right), self.channels


def as_picture(shape: Sequence[int]) -> tuple[int, int, int]:
    """A matrix is one row of a picture, a vector one pixel."""
    h, w, c = (1, 1, 1, *shape)[-3:]
    return h, w, c


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return (inputs[0].like("y", tuple(n + sum(side) for n, side in zip(shape, a.sides[-len(shape) :], strict=True))),)


def value(call: Call) -> float | int:
    """What fills the frame, as it lies in memory."""
    real = call.attrs.value or 0.0
    if call.x.quantization is None:
        return real if call.x.dtype == "float32" else int(real)
    return int(quantize(np.array(real), call.x))


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (np.pad(x, ((0, 0), *call.attrs.sides[-len(call.x.shape) :]), constant_values=value(call)),)


def row_window(call: Call) -> tuple[Window, ...]:
    return (Window(top=call.attrs.padding[0]),)


def arguments(call: Call) -> str:
    _, w, c = as_picture(call.x.shape)
    _, (left, right), (first, last) = call.attrs.sides
    bits = int(np.array(value(call), call.x.dtype).view(f"u{call.x.itemsize}"))
    return (
        f"/*in*/ {w}, {c}, /*left, right*/ {left}, {right}, /*before, behind*/ {first}, {last}, "
        f"/*value, its bytes*/ {bits:#x}u, {call.x.itemsize}"
    )


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def padded_axes_exist(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "A vector has only channels to pad, a matrix columns and channels, a picture also rows."
    rank = len(inputs[0].shape)
    return 1 <= rank <= 3 and not any(n for side in a.sides[:-rank] for n in side)


def padding_is_not_negative(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Padding must not be negative: cropping is another operator (slice)."
    return min(*a.padding, *a.channels) >= 0


def value_is_of_the_type(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Integers that have no scale can be padded with integers of their own type only."
    if inputs[0].dtype == "float32" or inputs[0].quantization is not None or a.value is None:
        return True
    low, high = type_range(inputs[0].dtype)
    return low <= a.value <= high and a.value == int(a.value)


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def paddings(call: Call) -> Tensor:
    table = [(0, 0), *call.attrs.sides[-len(call.x.shape) :]]
    return Tensor.constant("paddings", np.array(table, np.int32))


def constants_with_value(call: Call) -> tuple[Tensor, ...]:
    fill = np.array([value(call)], call.x.dtype)
    return call.x, paddings(call), Tensor.constant("value", fill, call.x.quantization)


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def sides_of(t: Tensor, where: str) -> tuple[Pair, Pair, Pair]:
    """Of the table in the file: [rank with batch, 2]."""
    table = None if t.data is None else [(int(a), int(b)) for a, b in t.data.reshape(-1, 2)]
    if table is None or not 2 <= len(table) <= 4 or any(table[0]):
        fact = f"only rows, columns and channels of a picture can be padded. Got {table}."
        raise Unsupported(where, fact, "Use ZeroPadding2D in the model.")
    rows, columns, channels = [*[(0, 0)] * (4 - len(table)), *table[1:]]
    return rows, columns, channels


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    where, fill = outputs[0].name, None
    rows, columns, channels = sides_of(inputs[1], where)
    if len(inputs) > 2:
        data = inputs[2].data
        if data is None or data.size != 1:
            raise Unsupported(where, "the value of a padding must be one constant.", "Use ZeroPadding2D in the model.")
        fill = real_value(inputs[0], data.reshape(-1)[0].item())
    return Attrs((*rows, *columns), channels, fill), (inputs[0],)


def real_value(x: Tensor, raw: float) -> float:
    """What a value in the memory of this tensor stands for."""
    return float(raw) if x.quantization is None else (raw - x.q.z) * x.q.s


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    setting = layer.config.get("padding", 1)
    rows, columns = (setting, setting) if isinstance(setting, int) else setting
    top, bottom = (rows, rows) if isinstance(rows, int) else rows
    left, right = (columns, columns) if isinstance(columns, int) else columns
    return Imported(Attrs((int(top), int(bottom), int(left), int(right))))


def from_one_dimension(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    setting = layer.config.get("padding", 1)
    left, right = (setting, setting) if isinstance(setting, int) else setting
    return Imported(Attrs((0, 0, int(left), int(right))))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    rank = (3, 3, 3, 2, 1)[sampling.integer(rng, 0, 4)]
    return tuple(sampling.integer(rng, 1, n) for n in (8, 8, 20)[-rank:])


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        x = sampling.anything(rng, "x", random_shape(rng), KINDS)
        frame = [sampling.integer(rng, 0, 3) if len(x.shape) > i // 2 else 0 for i in (4, 5, 2, 3)]
        channels = (sampling.integer(rng, 0, 3), sampling.integer(rng, 0, 3)) if rng.random() < 0.3 else (0, 0)
        fill: float | None = None
        if rng.random() < 0.3:
            infinite = rng.random() < 0.3
            floating = -np.inf if infinite else float(np.float32(rng.normal()))
            fill = floating if x.dtype == "float32" else real_value(x, sampling.integer(rng, *type_range(x.dtype)))
        a = Attrs((frame[0], frame[1], frame[2], frame[3]), channels, fill)
        yield Call(a, (x,), infer(a, (x,)))


def version(call: Call) -> int:
    return {"int8": 2, "int16": 3}.get(call.x.dtype, 1)


OP = register(Op(
    name="pad",
    summary="A frame of one value, zero unless the file says otherwise, round rows, columns and channels.",
    infer=infer, reference=reference, windows=row_window, samples=samples,
    kernels=(Kernel("puce_pad", "pad.h", lambda call: True, arguments),),
    formula=lambda call: f"out[y + top][x + left][c] = in[y][x][c], {value(call)} elsewhere",
    limits=(padded_axes_exist, padding_is_not_negative, value_is_of_the_type),
    rule=Rule("same"),
    tflite=(
        TfliteForm(
            "PAD", "PadOptions", encode, decode, lambda call: (call.x, paddings(call)), version,
            fits=lambda call: call.attrs.value is None,
        ),
        TfliteForm("PADV2", "PadV2Options", encode, decode, constants_with_value, version),
    ),
    keras={"ZeroPadding2D": from_keras, "ZeroPadding1D": from_one_dimension},
    onnx=("Pad",),
))  # fmt: skip
