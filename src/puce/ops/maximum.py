# SPDX-License-Identifier: Apache-2.0
"""Maximum: the larger of two operands, broadcast; one of them may be constant.

LiteRT's rule, found by experiment: integers are compared as they stand, so its files give all three tensors the same
quantisation. Where ours differ, each operand is first requantised to the output's, as `quantize` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..fixedpoint import quantize_multiplier, requantize, type_range
from ..ir import Array, Call, Tensor
from . import Imported, KerasLayer, Op, TfliteForm, register
from ._pairs import (
    infer,
    is_float,
    is_quantized,
    is_unsigned,
    kernels,
    operands,
    ordered,
    random_inputs,
    random_kind,
    random_output,
    shapes_broadcast,
    two_operands,
    version,
    windows,
    with_batch,
)


@dataclass(frozen=True)
class Attrs:
    pass


def multiplier(t: Tensor, y: Tensor) -> tuple[int, int]:
    """(0, 0) where nothing changes."""
    return (0, 0) if t.quantization == y.quantization else quantize_multiplier(t.q.s / y.q.s)


def rescaled(q: Array, t: Tensor, y: Tensor) -> Array:
    if t.quantization == y.quantization:
        return q.astype(np.int64)
    result: Array = np.clip(requantize(q.astype(np.int64) - t.q.z, *multiplier(t, y)) + y.q.z, *type_range(y.dtype))
    return result


def chooser(choose: Callable[[Array, Array], Array]) -> Callable[..., tuple[Array, ...]]:
    def reference(call: Call, *arrays: Array) -> tuple[Array, ...]:
        pair = operands(call, arrays)
        if not is_float(call):
            first, second = (rescaled(q, t, call.y) for q, t in zip(pair, call.inputs, strict=True))
            pair = first, second
        return (choose(*pair).astype(call.y.dtype),)

    return reference


def integer_arguments(call: Call, sign: int) -> str:
    zeros = ", ".join(str(t.q.z) for t in (*call.inputs, call.y))
    pairs = ", ".join("{}, {}".format(*multiplier(t, call.y)) for t in call.inputs)
    return f"{is_unsigned(call)}, /*sign*/ {sign}, /*zero points*/ {zeros}, /*multipliers*/ {pairs}"


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        inputs, _ = random_inputs(rng, random_kind(rng))
        y = random_output(rng, inputs, 1.0 if inputs[0].quantization is None else max(t.q.s for t in inputs))
        if rng.random() < 0.6:
            inputs = inputs[0], replace(inputs[1], quantization=inputs[0].quantization)
            y = replace(y, quantization=inputs[0].quantization)
        yield Call(Attrs(), inputs, (y,))


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    return Attrs(), ordered(inputs)[0]


def same_quantization(call: Call) -> bool:
    return all(t.quantization == call.y.quantization for t in call.inputs)


def operator(name: str, summary: str, sign: int, keras: str, onnx: str) -> Op:
    """Maximum (sign 1) or minimum (sign -1)."""
    choose: Callable[[Array, Array], Array] = np.maximum if sign > 0 else np.minimum
    return Op(
        name=name, summary=summary,
        infer=infer, reference=chooser(choose), windows=windows, samples=samples,
        kernels=(
            *kernels("puce_extreme_8", "pairs.h", is_quantized, lambda call: integer_arguments(call, sign)),
            *kernels("puce_extreme_f32", "pairs.h", is_float, lambda call: f"/*sign*/ {sign}"),
        ),
        formula=lambda call: f"out[i] = {name} of first[i], second[i]",
        macc=lambda call: call.y.size,
        limits=(two_operands, shapes_broadcast),
        in_place=True,
        tflite=TfliteForm(
            name.upper(), "MaximumMinimumOptions", lambda call: {}, decode, lambda call: with_batch(call.inputs),
            version, same_quantization,
        ),
        keras={keras: from_keras},
        onnx=(onnx,),
    )  # fmt: skip


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


OP = register(operator("maximum", "The larger of two operands, the smaller shape repeated.", 1, "Maximum", "Max"))
