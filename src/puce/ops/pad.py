# SPDX-License-Identifier: Apache-2.0
"""ZeroPadding2D: a frame of real zeros round a picture; in int8 that is the zero point, as LiteRT has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling, spatial
from ..errors import Unsupported
from ..ir import Array, Call, Tensor
from ..spatial import NO_PADDING, Padding
from . import Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, Window, register


@dataclass(frozen=True)
class Attrs:
    padding: Padding = NO_PADDING  # top, bottom, left, right


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    h, w, c = inputs[0].shape
    top, bottom, left, right = a.padding
    return (inputs[0].like("y", (h + top + bottom, w + left + right, c)),)


def zero(call: Call) -> int:
    """What real zero is in this tensor."""
    return 0 if call.x.quantization is None else call.x.q.z


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (spatial.pad(x, call.attrs.padding, zero(call)),)


def row_window(call: Call) -> tuple[Window, ...]:
    return (Window(top=call.attrs.padding[0]),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def float_arguments(call: Call) -> str:
    _, w, c = call.x.shape
    _, _, left, right = call.attrs.padding
    return f"/*in*/ {w}, {c}, /*left, right*/ {left}, {right}"


def int8_arguments(call: Call) -> str:
    return f"{float_arguments(call)}, /*zero point*/ {zero(call)}"


KERNELS = (
    Kernel("puce_pad_s8", "pad.h", lambda call: call.x.dtype == "int8", int8_arguments),
    Kernel("puce_pad_f32", "pad.h", lambda call: call.x.dtype == "float32", float_arguments),
)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_has_rows_columns_channels(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c]."
    return len(inputs[0].shape) == 3


def padding_is_not_negative(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Padding must not be negative: cropping is not computed."
    return min(a.padding) >= 0


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def constants(call: Call) -> tuple[Tensor, ...]:
    top, bottom, left, right = call.attrs.padding
    paddings = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    return call.x, Tensor.constant("paddings", paddings)


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    x, paddings = inputs
    table = None if paddings.data is None else paddings.data.astype(int).tolist()
    if table is None or len(table) != 4 or any(table[0]) or any(table[3]):
        fact = f"only rows and columns of a picture can be padded. Got {table}."
        raise Unsupported(outputs[0].name, fact, "Use ZeroPadding2D in the model.")
    (top, bottom), (left, right) = table[1], table[2]
    return Attrs((top, bottom, left, right)), (x,)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    value = layer.config.get("padding", 1)
    rows, columns = (value, value) if isinstance(value, int) else value
    top, bottom = (rows, rows) if isinstance(rows, int) else rows
    left, right = (columns, columns) if isinstance(columns, int) else columns
    return Imported(Attrs((int(top), int(bottom), int(left), int(right))))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        shape = sampling.integer(rng, 1, 8), sampling.integer(rng, 1, 8), sampling.integer(rng, 1, 20)
        top, bottom, left, right = (sampling.integer(rng, 0, 3) for _ in range(4))
        a, x = Attrs((top, bottom, left, right)), sampling.activation(rng, "x", shape, sampling.dtype(rng))
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="pad",
    summary="A frame of zeros round a picture.",
    infer=infer, reference=reference, windows=row_window, samples=samples, kernels=KERNELS,
    formula=lambda call: "out[y + top][x + left][c] = in[y][x][c], zero elsewhere",
    limits=(input_has_rows_columns_channels, padding_is_not_negative),
    rule=Rule("same"),
    tflite=TfliteForm("PAD", "PadOptions", encode, decode, constants, lambda call: 2 if call.x.dtype == "int8" else 1),
    keras={"ZeroPadding2D": from_keras},
    onnx=("Pad",),
))  # fmt: skip
