# SPDX-License-Identifier: Apache-2.0
"""Transpose and Permute: the axes of a picture in another order. LiteRT moves the values as they are, and so do we."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..errors import Unsupported
from ..ir import Array, Call, DType, Tensor
from . import WHOLE, Imported, KerasLayer, Kernel, Op, Rule, TfliteForm, register

KINDS: tuple[DType, ...] = ("int8", "float32", "uint8", "int16", "int32")  # the types that a copy may have
LOOPS = 4


@dataclass(frozen=True)
class Walk:
    """How to copy a view of x, block by block, into a dense y: what the kernel in copy.h wants. All but sizes in bytes."""

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    start: int
    block: int

    @property
    def arguments(self) -> str:
        blank = LOOPS - len(self.sizes)
        sizes, steps = (1,) * blank + self.sizes, (0,) * blank + self.steps
        text = (", ".join(map(str, part)) for part in (sizes, steps))
        return f"/*sizes*/ {{}}, /*steps*/ {{}}, /*start, block*/ {self.start}, {self.block}".format(*text)


def walk(shape: Sequence[int], itemsize: int, view: Callable[[Array], Array]) -> Walk:
    """The walk over a NumPy view of an array of this shape; neighbouring axes that lie one in the other become one."""
    x = np.empty(tuple(shape), f"V{itemsize}")
    v = view(x)
    axes = [(n, s) for n, s in zip(v.shape, v.strides, strict=True) if n > 1]
    merged: list[tuple[int, int]] = []
    for n, s in axes:
        if merged and merged[-1][1] == n * s:
            n *= merged.pop()[0]
        merged.append((n, s))
    block = itemsize
    if merged and merged[-1][1] == itemsize:
        block *= merged.pop()[0]
    assert len(merged) <= LOOPS, (shape, v.shape, v.strides)
    start = v.__array_interface__["data"][0] - x.__array_interface__["data"][0]
    return Walk(tuple(n for n, _ in merged), tuple(s for _, s in merged), start, block)


@dataclass(frozen=True)
class Attrs:
    order: tuple[int, ...]  # axis i of the output is axis order[i] of the input, both without batch


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (inputs[0].like("y", tuple(inputs[0].shape[i] for i in a.order)),)


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    return (np.ascontiguousarray(x.transpose(0, *(i + 1 for i in call.attrs.order))),)


def arguments(call: Call) -> str:
    return walk(call.x.shape, call.x.itemsize, lambda x: x.transpose(call.attrs.order)).arguments


def order_is_a_permutation(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The order must name each axis of a picture once, at most four of them."
    return sorted(a.order) == list(range(len(inputs[0].shape))) and len(a.order) <= LOOPS


def constants(call: Call) -> tuple[Tensor, ...]:
    return call.x, Tensor.constant("order", np.array([0, *(i + 1 for i in call.attrs.order)], np.int32))


def encode(call: Call) -> Mapping[str, Any]:
    return {}


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    order = None if inputs[1].data is None else [int(i) % len(inputs[1].data) for i in inputs[1].data]
    if not order or order[0] != 0:
        fact = f"the pictures of a batch cannot be transposed. Got the order {order}."
        raise Unsupported(outputs[0].name, fact, "Keep the batch as the first axis.")
    return Attrs(tuple(i - 1 for i in order[1:])), (inputs[0],)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs(tuple(int(i) - 1 for i in layer.config["dims"])))


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        rank = sampling.integer(rng, 1, 7) // 2 + 1  # 3 and 2 above all
        x = sampling.anything(rng, "x", tuple(sampling.integer(rng, 1, 9) for _ in range(rank)), KINDS)
        a = Attrs(tuple(int(i) for i in rng.permutation(rank)))
        yield Call(a, (x,), infer(a, (x,)))


OP = register(Op(
    name="transpose",
    summary="The axes in another order.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples,
    kernels=(Kernel("puce_copy", "copy.h", lambda call: True, arguments),),
    formula=lambda call: f"axis i of out is axis {list(call.attrs.order)}[i] of in",
    limits=(order_is_a_permutation,),
    rule=Rule("same"),
    tflite=TfliteForm(
        "TRANSPOSE", "TransposeOptions", encode, decode, constants,
        version=lambda call: 4 if len(call.x.shape) > 3 else {"int16": 4, "int8": 2}.get(call.x.dtype, 1),
    ),
    keras={"Permute": from_keras},
    onnx=("Transpose",),
))  # fmt: skip
