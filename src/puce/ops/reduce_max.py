# SPDX-License-Identifier: Apache-2.0
"""The largest value over axes of a picture; over rows and columns it is GlobalMaxPooling2D, and streams.

LiteRT's rule, found by experiment: integers are compared as they stand; the output keeps the input's quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..ir import Array, Call
from . import Op, Rule, register
from ._reduce import (
    axes_are_of_a_picture,
    batch_axes,
    form,
    from_keras,
    infer,
    is_unsigned,
    kernels,
    random_use,
    windows,
)


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        a, x = random_use(rng)
        yield Call(a, (x,), infer(a, (x,)))


def operator(name: str, summary: str, sign: int, **names: Any) -> Op:
    """The largest (sign 1) or the smallest (sign -1)."""

    def reference(call: Call, x: Array) -> tuple[Array, ...]:
        choose = np.max if sign > 0 else np.min
        return (choose(x, axis=batch_axes(call.attrs)).reshape(len(x), *call.y.shape),)

    return Op(
        name=name, summary=summary,
        infer=infer, reference=reference, windows=windows, samples=samples,
        kernels=kernels(
            "reduce_extreme", lambda call: call.y.nbytes,
            lambda call: f"{is_unsigned(call)}, /*sign*/ {sign}", lambda call: f"/*sign*/ {sign}",
        ),
        formula=lambda call: f"out is the {'largest' if sign > 0 else 'smallest'} of in over the axes {list(call.attrs.axes)}",
        macc=lambda call: call.x.size,
        limits=(axes_are_of_a_picture,),
        rule=Rule("same"),
        tflite=form(name.upper(), lambda call: call.x.quantization == call.y.quantization),
        **names,
    )  # fmt: skip


OP = register(operator(
    "reduce_max", "The largest value over axes of a picture; global max pooling among them.", 1,
    keras={"GlobalMaxPooling2D": from_keras, "GlobalMaxPooling1D": from_keras}, onnx=("GlobalMaxPool", "ReduceMax"),
))  # fmt: skip
