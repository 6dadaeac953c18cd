# SPDX-License-Identifier: Apache-2.0
"""What the element-wise operators of one operand share: a byte has 256 values, so its operator is a table of 256 bytes.

The table is the operator's own exact reference, computed by the compiler; the float kernels compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..fixedpoint import type_range
from ..ir import Array, Call, DType, Quantization, Tensor
from . import ROW, Constant, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm
from ._pairs import is_float, is_quantized, quantization, random_kind

Reference = Callable[..., tuple[Array, ...]]
CALIBRATED = Rule()
Output = Callable[[np.random.Generator, Tensor], Quantization]


@dataclass(frozen=True)
class Attrs:
    pass


def infer(a: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y"),)


def real(call: Call, x: Array) -> Array:
    """The real values of bytes, in float32 as TFLite computes them."""
    result: Array = np.float32(call.x.q.s) * (x.astype(np.int32) - call.x.q.z).astype(np.float32)
    return result


def to_bytes(call: Call, values: Array) -> Array:
    """Real values times the float32 inverse of the output's scale, rounded half away from zero, and clamped."""
    ratio = (values.astype(np.float32) * (np.float32(1) / np.float32(call.y.q.s))).astype(np.float64)
    return clamped(call, np.copysign(np.floor(np.abs(ratio) + 0.5), ratio) + call.y.q.z)


def clamped(call: Call, y: Array) -> Array:
    result: Array = np.clip(y, *type_range(call.y.dtype)).astype(call.y.dtype)
    return result


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def values(call: Call) -> int:
    """In a row."""
    return call.y.size // call.y.rows


def lookup(reference: Reference) -> Kernel:
    """The kernel of bytes."""

    def table(call: Call) -> tuple[Constant, ...]:
        (y,) = reference(call, np.arange(256).astype(np.uint8).view(call.x.dtype))
        return (Constant("table", y.view(np.uint8), "what each byte becomes, by its bits"),)

    return Kernel("puce_lookup", "lookup.h", is_quantized, lambda call: f"{values(call)}", table)


def kernels(reference: Reference, floats: str, settings: Callable[[Call], str] = lambda call: "") -> tuple[Kernel, ...]:
    """The table of bytes, and the named kernel of float32; `settings` are its arguments after the number of values."""

    def arguments(call: Call) -> str:
        return f"{values(call)}, {settings(call)}".rstrip(", ")

    return lookup(reference), Kernel(floats, "elementwise.h", is_float, arguments)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_is_float(a: Any, inputs: Sequence[Tensor]) -> bool:
    "The input must be float32: TFLite has no int8 form of this operator either."
    return inputs[0].dtype == "float32"


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def form(operator: str, options: str = "", int8_version: int = 2) -> TfliteForm:
    """An operator without settings."""

    def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
        return Attrs(), tuple(inputs)

    return TfliteForm(
        operator, options, lambda call: {}, decode, version=lambda call: int8_version if call.x.dtype == "int8" else 1
    )


def version(call: Call) -> int:
    return 2 if call.x.dtype == "int8" else 1


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


# ── random uses ───────────────────────────────────────────────────────────────────────────────────────────────────


def random_input(rng: np.random.Generator, kind: DType) -> Tensor:
    shape = tuple(sampling.integer(rng, 1, 10) for _ in range(3 if rng.random() < 0.7 else 1))
    return Tensor("x", shape, kind, None if kind == "float32" else quantization(rng, kind))


def free(rng: np.random.Generator, x: Tensor) -> Quantization:
    """Any output quantisation, near the input's."""
    scale = x.q.s * (1.0 if rng.random() < 0.2 else float(np.exp(rng.uniform(-2, 2))))
    return Quantization((float(np.float32(scale)),), (sampling.integer(rng, *type_range(x.dtype)),))


def samples(
    attrs: Callable[[np.random.Generator], Any] = lambda rng: Attrs(),
    output: Output = free,
    kind: Callable[[np.random.Generator], DType] = random_kind,
) -> Callable[[np.random.Generator], Iterator[Call]]:
    """Random uses, the output quantised by `output`."""

    def draw(rng: np.random.Generator) -> Iterator[Call]:
        while True:
            x = random_input(rng, kind(rng))
            q = None if x.quantization is None else output(rng, x)
            yield Call(attrs(rng), (x,), (Tensor("y", x.shape, x.dtype, q),))

    return draw


def operator(
    name: str,
    summary: str,
    reference: Reference,
    formula: str,
    tflite: TfliteForm,
    *,
    kernels: tuple[Kernel, ...],
    samples: Callable[[np.random.Generator], Iterator[Call]],
    macc: int = 1,
    limits: tuple[Callable[[Any, Sequence[Tensor]], bool], ...] = (),
    rule: Rule = CALIBRATED,
    keras: Mapping[str, Callable[[KerasLayer, Sequence[Tensor]], Imported]] | None = None,
    onnx: tuple[str, ...] = (),
) -> Op:
    """An operator of one operand that works in place, a row at a time."""
    return Op(
        name=name, summary=summary, infer=infer, reference=reference, windows=lambda call: (ROW,), samples=samples,
        kernels=kernels, formula=lambda call: formula, macc=lambda call: macc * call.y.size, limits=limits, rule=rule,
        in_place=True, tflite=tflite, keras=keras or {}, onnx=onnx,
    )  # fmt: skip
