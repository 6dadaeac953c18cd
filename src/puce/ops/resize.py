# SPDX-License-Identifier: Apache-2.0
"""Resizing a picture, to the nearest pixel or bilinearly: TensorFlow's ResizeNearestNeighbor, ResizeBilinear, UpSampling2D.

LiteRT's rule, from its reference kernels and checked by experiment. Nearest: place floor((i + half) * n / on) in float32,
with aligned corners round(i * (n - 1) / (on - 1)), values unchanged. Bilinear in int8: the scale of an axis is
(1024 n + on / 2) / on in integers, places count in 1/1024, and the sum of four products of parts is rounded half away from
zero; in float32 the same with real parts. Input and output share one scale and zero point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, DType, Tensor
from ..spatial import Pair
from . import WHOLE, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register

Method = Literal["nearest", "bilinear"]


@dataclass(frozen=True)
class Attrs:
    size: Pair  # rows, columns of the output
    method: Method = "nearest"
    align_corners: bool = False
    half_pixel_centers: bool = False


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", (*a.size, inputs[0].shape[2])),)


def nearest(a: Attrs, n: int, on: int) -> Array:
    """The place on an axis of n that each of on places takes; float32, as LiteRT counts."""
    i, half = np.arange(on, dtype=np.float32), np.float32(0.5 if a.half_pixel_centers else 0)
    if a.align_corners and on > 1:
        real = (i + half) * (np.float32(n - 1) / np.float32(on - 1))
    else:
        real = (i + half) * (np.float32(n) / np.float32(on))
    place = np.floor(real.astype(np.float64) + 0.5) if a.align_corners else np.floor(real)
    return np.clip(place, 0, n - 1).astype(np.int64)


def between_in_1024(a: Attrs, n: int, on: int) -> tuple[Array, Array]:
    """Of each of on places: the two of n between which it lies, and how far from the first in 1/1024."""
    scale = (1024 * n + on // 2) // on
    if a.align_corners and on > 1:
        scale = (1024 * (n - 1) + (on - 1) // 2) // (on - 1)
    place = np.arange(on) * scale + ((scale // 2 - 512) if a.half_pixel_centers else 0)
    cut = np.trunc((place + 1023) / 1024).astype(np.int64)  # C's division
    lower, upper = np.maximum(np.trunc(place / 1024).astype(np.int64), 0), np.minimum(cut, n - 1)
    return np.stack([lower, upper], axis=1), place - 1024 * lower


def between(a: Attrs, n: int, on: int) -> tuple[Array, Array]:
    """The same in float32, parts of 1."""
    i = np.arange(on, dtype=np.float32)
    aligned = a.align_corners and on > 1
    scale = np.float32(n - 1) / np.float32(on - 1) if aligned else np.float32(n) / np.float32(on)
    place = (i + np.float32(0.5)) * scale - np.float32(0.5) if a.half_pixel_centers else i * scale
    lower, upper = np.maximum(np.floor(place), 0).astype(np.int64), np.minimum(np.ceil(place), n - 1).astype(np.int64)
    return np.stack([lower, upper], axis=1), (place - lower.astype(np.float32)).astype(np.float32)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    a: Attrs = call.attrs
    sizes = list(zip(call.x.shape[:2], a.size, strict=True))
    if a.method == "nearest":
        rows, columns = (nearest(a, n, on) for n, on in sizes)
        return (x[:, rows][:, :, columns],)
    integer = x.dtype != np.float32
    (rows, down), (columns, right) = (between_in_1024(a, *s) if integer else between(a, *s) for s in sizes)
    whole = 1024 if integer else np.float32(1)
    v, down, right = x.astype(np.int64) if integer else x, down[:, None, None], right[:, None]
    total = (
        v[:, rows[:, 0]][:, :, columns[:, 0]] * (whole - down) * (whole - right)
        + v[:, rows[:, 1]][:, :, columns[:, 0]] * down * (whole - right)
        + v[:, rows[:, 0]][:, :, columns[:, 1]] * (whole - down) * right
        + v[:, rows[:, 1]][:, :, columns[:, 1]] * down * right
    )
    if integer:
        total = np.sign(total) * ((np.abs(total) + (1 << 19)) >> 20)
    return (total.astype(x.dtype),)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def nearest_constants(call: Call) -> tuple[Constant, ...]:
    places = [nearest(call.attrs, n, on) for n, on in zip(call.x.shape, call.attrs.size, strict=False)]
    return (Constant("at", np.concatenate(places).astype(np.uint16), "the input's row of each row, column of each column"),)


def bilinear_constants(call: Call) -> tuple[Constant, ...]:
    rule = between if call.x.dtype == "float32" else between_in_1024
    axes = [rule(call.attrs, n, on) for n, on in zip(call.x.shape, call.attrs.size, strict=False)]
    parts = np.concatenate([part for _, part in axes])
    return (
        Constant(
            "at", np.concatenate([at for at, _ in axes]).astype(np.uint16), "two rows of each row, columns of each column"
        ),
        Constant("part", parts if call.x.dtype == "float32" else parts.astype(np.int16), "how far from the first of the two"),
    )


def nearest_arguments(call: Call) -> str:
    _, w, c = call.x.shape
    return f"/*in*/ {w}, /*out*/ {call.y.shape[0]}, {call.y.shape[1]}, /*bytes of a pixel*/ {c * call.x.itemsize}"


def bilinear_arguments(call: Call) -> str:
    _, w, c = call.x.shape
    return f"/*in*/ {w}, {c}, /*out*/ {call.y.shape[0]}, {call.y.shape[1]}"


def bilinear_of(kind: DType, ending: str) -> Kernel:
    return Kernel(
        f"puce_resize_bilinear_{ending}", "resize.h",
        lambda call: call.attrs.method == "bilinear" and call.x.dtype == kind, bilinear_arguments, bilinear_constants,
    )  # fmt: skip


KERNELS = (
    Kernel(
        "puce_resize_nearest", "resize.h", lambda call: call.attrs.method == "nearest", nearest_arguments, nearest_constants,
    ),
    bilinear_of("int8", "s8"),
    bilinear_of("float32", "f32"),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_has_rows_columns_channels(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a picture [h, w, c], and rows and columns of both sides between 1 and 4096."
    shape = inputs[0].shape
    return len(shape) == 3 and all(1 <= n <= 4096 for n in (*shape[:2], *a.size))


def corners_or_centers(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Either the corners of the pictures are aligned, or the centres of their pixels: not both."
    return not (a.align_corners and a.half_pixel_centers)


def bilinear_of_int8_or_float(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "Bilinear resizing must be of int8 or float32."
    return a.method == "nearest" or inputs[0].dtype in ("int8", "float32")


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("size", np.array(call.attrs.size, np.int32))


def encode(call: Call) -> Mapping[str, Any]:
    return {"AlignCorners": call.attrs.align_corners, "HalfPixelCenters": call.attrs.half_pixel_centers}


def form(operator: str, options_name: str, method: Method) -> TfliteForm:
    def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
        h, w, _ = outputs[0].shape
        return Attrs((h, w), method, bool(options.AlignCorners()), bool(options.HalfPixelCenters())), (inputs[0],)

    return TfliteForm(
        operator, options_name, encode, decode, constants,
        version=lambda call: 3 if call.attrs.half_pixel_centers else 2 if call.x.dtype == "int8" else 1,
        fits=lambda call: call.attrs.method == method,
    )  # fmt: skip


def from_up_sampling(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """Keras repeats pixels, or interpolates between their centres."""
    h, w, _ = inputs[0].shape
    rows, columns = layer.pair("size")
    word = layer.config.get("interpolation", "nearest")
    if word not in ("nearest", "bilinear"):
        raise Unsupported(layer.name, f"the interpolation {word} is not computed.", "Use nearest or bilinear.")
    return Imported(Attrs((h * rows, w * columns), word, half_pixel_centers=word == "bilinear"))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        method: Method = "nearest" if rng.random() < 0.4 else "bilinear"
        kinds: tuple[DType, ...] = ("int8", "float32", "uint8") if method == "nearest" else ("int8", "float32")
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, 9) for _ in range(3)), kinds)
        factor = sampling.integer(rng, 1, 3)
        size = (x.shape[0] * factor, x.shape[1] * factor)
        if rng.random() < 0.6:
            size = sampling.integer(rng, 1, 20), sampling.integer(rng, 1, 20)
        way = sampling.integer(rng, 0, 2)
        a = Attrs(size, method, way == 1, way == 2)
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="resize",
    summary="A picture of another size, by the nearest pixel or bilinear; aligned corners, half-pixel centres, or neither.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: f"out is in with {call.y.shape[0]} x {call.y.shape[1]} pixels, {call.attrs.method}",
    macc=lambda call: call.y.size * (8 if call.attrs.method == "bilinear" else 0),
    limits=(input_has_rows_columns_channels, corners_or_centers, bilinear_of_int8_or_float),
    rule=Rule("same"),
    tflite=(
        form("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", "nearest"),
        form("RESIZE_BILINEAR", "ResizeBilinearOptions", "bilinear"),
    ),
    keras={"UpSampling2D": from_up_sampling},
    onnx=("Resize", "Upsample"),
))  # fmt: skip
