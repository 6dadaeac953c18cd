# SPDX-License-Identifier: Apache-2.0
"""What the element-wise operators of two operands share: broadcasting, streaming, a constant operand, random uses.

A kernel sees its operands as a and b: a is computed, b is computed too or lies in flash. Sizes of one and sizes that
agree are merged, so that what is left of any broadcast that networks use is three nested loops, mostly one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import sampling
from ..activation import ACTIVATION_OF_TFLITE, TFLITE_ACTIVATION, Activation
from ..fixedpoint import type_range
from ..ir import Array, Call, DType, Quantization, Tensor
from . import ROW, WHOLE, Constant, Imported, KerasLayer, Kernel, TfliteForm, Window

LOOPS = 3
Decoded = tuple[Any, tuple[Tensor, ...]]


@dataclass(frozen=True)
class Attrs:
    activation: Activation = "none"


@dataclass(frozen=True)
class OrderedAttrs:
    """For operators whose operands may not change places."""

    activation: Activation = "none"
    reverse: bool = False  # the constant comes first: constant - x, constant / x


def common_shape(inputs: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.broadcast_shapes(*(t.shape for t in inputs)))


def infer(a: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    x = inputs[0]
    return (Tensor("y", common_shape(inputs), x.dtype, x.quantization),)


def operands(call: Call, arrays: Sequence[Array]) -> tuple[Array, Array]:
    """Both operands on a batch, the constant one too, ready for NumPy's broadcasting."""
    rank, rest = len(call.y.shape), iter(arrays)

    def aligned(t: Tensor) -> Array:
        batch = next(rest) if t.data is None else t.data[None]
        return batch.reshape(len(batch), *(1,) * (rank - len(t.shape)), *t.shape)

    first, second = (aligned(t) for t in call.inputs)
    return first, second


# ── streaming ─────────────────────────────────────────────────────────────────────────────────────────────────────


def by_rows(y: tuple[int, ...], t: Tensor) -> bool:
    """Whether an operand has a row for each row of the output."""
    return len(y) == len(t.shape) == 3 and y[0] == t.shape[0]


def windows(call: Call) -> tuple[Window, ...]:
    """Rows for what has as many as the output; whole for vectors and what else is broadcast."""
    return tuple(ROW if by_rows(call.y.shape, t) else WHOLE for t in call.data)


def steps_of(t: Tensor, y: tuple[int, ...]) -> list[int]:
    """How far apart in `t` neighbours along each axis of the output lie: 0 where `t` is broadcast."""
    shape = (1,) * (len(y) - len(t.shape)) + t.shape
    result, step = [0] * len(y), 1
    for i in range(len(y) - 1, -1, -1):
        result[i], step = (step if shape[i] > 1 else 0), step * shape[i]
    return result


def loops(inputs: Sequence[Tensor]) -> list[tuple[int, int, int]]:
    """What one firing computes, the outermost loop first: size, step of the first operand, step of the second."""
    y = common_shape(inputs)
    axes = list(zip(y, steps_of(inputs[0], y), steps_of(inputs[1], y), strict=True))
    if any(by_rows(y, t) for t in inputs if t.data is None):
        axes = axes[1:]
    found: list[tuple[int, int, int]] = []
    for n, a, b in reversed(axes):
        if n == 1:
            continue
        if found and (a, b) == (found[0][0] * found[0][1], found[0][0] * found[0][2]):
            found[0] = (n * found[0][0], *found[0][1:])
        else:
            found.insert(0, (n, a, b))
    return found


def row_step(call: Call) -> int:
    """Values of the constant operand that belong to one firing, where each firing has its own."""
    x, b = call.inputs
    return steps_of(b, call.y.shape)[0] if b.data is not None and by_rows(call.y.shape, x) else 0


def geometry(call: Call) -> str:
    """The C literal of the loops."""
    found = loops(call.inputs)
    full = [(1, 0, 0)] * (LOOPS - len(found)) + found
    sizes, a, b = ("{" + ", ".join(str(axis[i]) for axis in full) + "}" for i in range(3))
    return f"(puce_pairs){{{sizes}, {a}, {b}, {row_step(call)}}}"


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_quantized(call: Call) -> bool:
    return call.x.dtype in ("int8", "uint8")


def is_float(call: Call) -> bool:
    return call.x.dtype == "float32"


def is_unsigned(call: Call) -> str:
    return f"/*unsigned*/ {int(call.x.dtype == 'uint8')}"


def operand(call: Call) -> tuple[Constant, ...]:
    return (Constant("operand", call.constant(1), f"the second operand, {list(call.inputs[1].shape)}"),)


def kernels(name: str, header: str, accepts: Callable[[Call], bool], arguments: Callable[[Call], str]) -> tuple[Kernel, Kernel]:
    """The kernel of two computed operands, and the one whose second operand is a table in flash."""
    stem, _, suffix = name.rpartition("_")

    def all_arguments(call: Call) -> str:
        return f"{geometry(call)}, {arguments(call)}".rstrip(", ")

    return (
        Kernel(name, header, lambda call: len(call.data) == 2 and accepts(call), all_arguments),
        Kernel(
            f"{stem}_constant_{suffix}", header, lambda call: len(call.data) == 1 and accepts(call), all_arguments, operand,
            takes_y=True,
        ),
    )  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def two_operands(a: Any, inputs: Sequence[Tensor]) -> bool:
    "There must be two operands of the same type, one of them constant at most."
    return len(inputs) == 2 and inputs[0].data is None and inputs[0].dtype == inputs[1].dtype


def shapes_broadcast(a: Any, inputs: Sequence[Tensor]) -> bool:
    "The shapes must be equal, or sizes of one be repeated: [h, w, c] with [c], [1, 1, c], [h, w, 1] or a single value."
    try:
        return len(loops(inputs)) <= LOOPS
    except ValueError:
        return False


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def without_batch(t: Tensor, rank: int) -> Tensor:
    """A constant of a file may have a batch of one."""
    if t.data is None or len(t.shape) <= rank or t.shape[0] != 1:
        return t
    return Tensor.constant(t.name, t.data[0], t.quantization)


def ordered(inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], bool]:
    """Operands with the constant one last, and whether that changed their places."""
    rank = max((len(t.shape) for t in inputs if t.data is None), default=0)
    operands = [without_batch(t, rank) for t in inputs]
    reverse = len(operands) == 2 and operands[0].data is not None
    return tuple(reversed(operands) if reverse else operands), reverse


def with_batch(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A constant of more dimensions than its partner needs a batch of its own in a file."""
    x, *rest = inputs

    def wide(t: Tensor) -> Tensor:
        if t.data is None or len(t.shape) <= len(x.shape):
            return t
        return Tensor.constant(t.name, t.data[None], t.quantization)

    return x, *map(wide, rest)


def form(operator: str, options: str) -> TfliteForm:
    """The form of an operator whose operands may change places; with an activation where the options have one."""

    def encode(call: Call) -> Mapping[str, Any]:
        activation = getattr(call.attrs, "activation", None)
        return {} if activation is None else {"FusedActivationFunction": TFLITE_ACTIVATION[activation]}

    def decode(file_options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Decoded:
        return Attrs(activation_of(file_options)), ordered(inputs)[0]

    return TfliteForm(operator, options, encode, decode, lambda call: with_batch(call.inputs), version)


def ordered_form(operator: str, options: str) -> TfliteForm:
    """The form of an operator whose operands may not."""

    def encode(call: Call) -> Mapping[str, Any]:
        return {"FusedActivationFunction": TFLITE_ACTIVATION[call.attrs.activation]}

    def decode(file_options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Decoded:
        operands, reverse = ordered(inputs)
        return OrderedAttrs(activation_of(file_options), reverse), operands

    def in_order(call: Call) -> tuple[Tensor, ...]:
        inputs = with_batch(call.inputs)
        return inputs[::-1] if call.attrs.reverse else inputs

    return TfliteForm(operator, options, encode, decode, in_order, version)


def activation_of(options: Any) -> Activation:
    return ACTIVATION_OF_TFLITE[0 if options is None else options.FusedActivationFunction()]


def version(call: Call) -> int:
    return 2 if call.x.dtype == "int8" else 1


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    return Imported(Attrs())


# ── random uses ───────────────────────────────────────────────────────────────────────────────────────────────────


def quantization(rng: np.random.Generator, kind: DType) -> Quantization:
    return Quantization((sampling.scale(rng),), (sampling.integer(rng, *type_range(kind)),))


def random_kind(rng: np.random.Generator) -> DType:
    kinds: tuple[DType, ...] = ("int8", "uint8", "float32")
    return kinds[int(rng.choice(3, p=(0.6, 0.15, 0.25)))]


def random_shapes(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of a full operand and of another that broadcasts to it: mostly pictures, equal or a value a channel."""
    h, w, c = (sampling.integer(rng, 1, 10) for _ in range(3))
    full: tuple[int, ...] = (h, w, c)
    if rng.random() < 0.25:
        full = ((c,), (w, c), (2, h, 1, c))[sampling.integer(rng, 0, 2)]
    if rng.random() < 0.4:
        return full, full
    if rng.random() < 0.5:
        return full, (full[-1],) if rng.random() < 0.5 else (1,) * (len(full) - 1) + full[-1:]
    some = tuple(n if rng.random() < 0.5 else 1 for n in full[-3:])
    return full, some[sampling.integer(rng, 0, len(some) - 1) :]


def random_inputs(rng: np.random.Generator, kind: DType, ordered_operands: bool = False) -> tuple[tuple[Tensor, Tensor], bool]:
    """Two operands, and whether they are in reverse order; a constant one is never the first."""
    full, other = random_shapes(rng)
    shapes = (full, other) if rng.random() < 0.6 else (other, full)
    qs = [None if kind == "float32" else quantization(rng, kind) for _ in shapes]
    if kind != "float32" and rng.random() < 0.2:  # ties: scales powers of two apart
        first, second = qs
        assert first is not None and second is not None
        qs[1] = Quantization((first.s * 2.0 ** sampling.integer(rng, -2, 2),), second.zero_point)
    x0, x1 = (Tensor(f"x{i}", shape, kind, q) for i, (shape, q) in enumerate(zip(shapes, qs, strict=True)))
    if rng.random() < 0.6:
        return (x0, x1), False
    if kind == "float32":
        sign = rng.choice([-1, 1], x1.shape)
        data = (sign * rng.uniform(0.3, 3, x1.shape)).astype(np.float32)
    else:
        low, high = type_range(kind)
        data = rng.integers(low, high + 1, x1.shape).astype(kind)
    return (x0, Tensor.constant("x1", np.asarray(data), x1.quantization)), ordered_operands and rng.random() < 0.4


def random_output(rng: np.random.Generator, inputs: Sequence[Tensor], typical: float) -> Tensor:
    """An output whose scale is `typical` or up to three times more or less, or a power of two away from the first's."""
    kind, shape = inputs[0].dtype, common_shape(inputs)
    if kind == "float32":
        return Tensor("y", shape)
    scale = inputs[0].q.s * 2.0 ** sampling.integer(rng, 0, 2) if rng.random() < 0.2 else typical * np.exp(rng.uniform(-0.5, 1))
    zero = sampling.integer(rng, *type_range(kind))
    return Tensor("y", shape, kind, Quantization((float(np.float32(scale)),), (zero,)))
