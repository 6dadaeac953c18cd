# SPDX-License-Identifier: Apache-2.0
"""ONNX's element-wise operators: constants become one scale and one offset a channel, clamps become activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import Array, Tensor
from ..ops._pairs import Attrs as PairAttrs
from ..ops._pairs import OrderedAttrs
from ..ops._single import Attrs as SingleAttrs
from ..ops.batch_norm import Attrs as ScaleAttrs
from ..ops.leaky_relu import Attrs as LeakyAttrs
from ..ops.maximum import Attrs as ExtremeAttrs
from ..ops.prelu import Attrs as PreluAttrs
from ..ops.relu import Attrs as ReluAttrs
from ..ops.softmax import OUTPUT as SOFTMAX_OUTPUT
from ..ops.softmax import Attrs as SoftmaxAttrs
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_values import Axes, Constant, Value, channels_last, default_axes, reshaped

Handler = Callable[[Builder, FileNode, Sequence[Operand | None]], Sequence[Operand]]


def value_of(b: Builder, x: Operand | None) -> Value:
    """An input that must be computed."""
    if not isinstance(x, Value):
        raise b.refuse("its first input is missing or constant.", "Remove the node, or export the model again.")
    return x


def array_of(b: Builder, x: Operand | None, what: str) -> Array:
    """An input that must be constant."""
    if not isinstance(x, Constant):
        raise b.refuse(f"its {what} are computed, not constant.", f"Export the model with constant {what}.")
    return x.data


def given(x: Sequence[Operand | None], index: int) -> Operand | None:
    return x[index] if index < len(x) else None


# ── constants: scale and offset ───────────────────────────────────────────────────────────────────────────────────


def laid_out(v: Value, values: Array) -> Array | None:
    """A constant in the order of our memory, one value for each of ours; None where the value itself would be repeated."""
    try:
        if np.broadcast_shapes(values.shape, v.shape) != v.shape:
            return None
    except ValueError:
        return None
    full = np.empty(v.tensor.size, np.float32)
    full[v.places()] = np.broadcast_to(values, v.shape).ravel()
    return full


def scaled(b: Builder, v: Value, scale: Array | float, offset: Array | float) -> Value | None:
    """v * scale + offset; None where a constant has more values than v."""
    pair = [laid_out(v, np.asarray(values, np.float32)) for values in (scale, offset)]
    first, second = pair
    if first is None or second is None:
        return None
    v = b.floats(v)
    c = v.base[v.axes[-1]] if v.axes else 1
    if v.tensor.size == 1 or all((k.reshape(-1, c) == k[:c]).all() for k in (first, second)):
        x = v.tensor if v.tensor.shape[-1] == c else b.view(v.tensor, (v.tensor.size // c, c))
        names = b.numbers("scale", first[:c]), b.numbers("offset", second[:c])
        return v.holding(b.node("batch_norm", (x, *names), ScaleAttrs()))
    x = v.tensor
    if (first != 1).any():
        x = b.node("mul", (x, b.numbers("factors", first.reshape(x.shape))), PairAttrs())
    if (second != 0).any():
        x = b.node("add", (x, b.numbers("terms", second.reshape(x.shape))), PairAttrs())
    return v.holding(x)


# ── two operands ──────────────────────────────────────────────────────────────────────────────────────────────────


def pair(op: str, attrs: Any) -> Handler:
    """Both computed, or a constant that repeats the other: NumPy's rules, in the layout of the larger one."""

    def handler(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
        return (combined(b, op, attrs, *operands(b, x)),)

    return handler


def operands(b: Builder, x: Sequence[Operand | None]) -> tuple[Operand, Operand]:
    first, second = given(x, 0), given(x, 1)
    if first is None or second is None:
        raise b.refuse("it has fewer than two inputs.", "Export the model again.")
    return first, second


def combined(b: Builder, op: str, attrs: Any, first: Operand, second: Operand) -> Value:
    """One node for two operands, of which one at least is computed."""
    values = [v for v in (first, second) if isinstance(v, Value)]
    integers = len(values) == 2 and op in ("add", "mul", "sub") and b.in_integers(*values)
    sides = [o if not isinstance(o, Value) or integers else b.floats(o) for o in (first, second)]
    shapes = [o.shape if isinstance(o, Value) else o.data.shape for o in sides]
    shape = tuple(int(s) for s in np.broadcast_shapes(*shapes))
    sides = [wide(o, len(shape)) for o in sides]
    largest = max((o for o in sides if isinstance(o, Value)), key=lambda v: v.tensor.size)
    _, axes = b.natural(largest)
    axes = (*(a for a, size in enumerate(shape) if size > 1 and a not in axes), *axes)
    inputs = [side(b, o, axes) for o in sides]
    if not isinstance(sides[0], Value):
        inputs.reverse()
        attrs = replace(attrs, reverse=True) if hasattr(attrs, "reverse") else attrs
    y = b.node(op, inputs, attrs, b.target if integers else None)
    return Value.plain(y, shape, axes, real=integers)


def wide(o: Operand, rank: int) -> Operand:
    """With axes of one in front, until it has this rank."""
    if isinstance(o, Value):
        return reshaped(o, (1,) * (rank - len(o.shape)) + o.shape)
    return Constant(o.data.reshape((1,) * (rank - o.data.ndim) + o.data.shape))


def side(b: Builder, o: Operand, axes: Axes) -> Tensor:
    """An operand as a tensor with these axes."""
    if isinstance(o, Value):
        return b.arranged(o, axes)
    kept = [a for a in axes if a >= 0]
    rest = [a for a in range(o.data.ndim) if a not in kept]
    moved = o.data.transpose(*rest, *kept).reshape([1 if a < 0 else o.data.shape[a] for a in axes])
    return b.numbers("operand", moved)


def add(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    first, second = operands(b, x)
    v, k = (first, second) if isinstance(first, Value) else (second, first)
    if isinstance(v, Value) and isinstance(k, Constant):
        result = scaled(b, v, 1.0, k.data)
        if result is not None:
            return (result,)
    return (combined(b, "add", PairAttrs(), first, second),)


def mul(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    first, second = operands(b, x)
    v, k = (first, second) if isinstance(first, Value) else (second, first)
    if isinstance(v, Value) and isinstance(k, Constant):
        result = scaled(b, v, k.data, 0.0)
        if result is not None:
            return (result,)
    return (combined(b, "mul", PairAttrs(), first, second),)


def sub(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    first, second = operands(b, x)
    result = None
    if isinstance(first, Value) and isinstance(second, Constant):
        result = scaled(b, first, 1.0, -second.data)
    elif isinstance(second, Value) and isinstance(first, Constant):
        result = scaled(b, second, -1.0, first.data)
    return (result or combined(b, "sub", OrderedAttrs(), first, second),)


def div(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    first, second = operands(b, x)
    if isinstance(first, Value) and isinstance(second, Constant) and second.data.all():
        result = scaled(b, first, (1 / second.data.astype(np.float64)).astype(np.float32), 0.0)
        if result is not None:
            return (result,)
    return (combined(b, "div", OrderedAttrs(), first, second),)


def power(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v, exponents = value_of(b, x[0]), set(array_of(b, given(x, 1), "exponents").ravel().tolist())
    if exponents == {2}:
        return (combined(b, "mul", PairAttrs(), v, v),)
    if exponents == {1}:
        return (v,)
    raise b.refuse(f"only squares are computed. Got the powers {sorted(exponents)[:4]}.", "Use x * x.")


def extreme(op: str) -> Handler:
    """Min and Max take any number of inputs."""

    def handler(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
        total, *others = (o for o in x if o is not None)
        for other in others:
            total = combined(b, op, ExtremeAttrs(), total, other)
        return (total,)

    return handler


def mean_of_several(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    total = sum_of_several(b, n, x)[0]
    result = scaled(b, value_of(b, total), 1 / len(x), 0.0)
    assert result is not None
    return (result,)


def sum_of_several(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    total = x[0]
    for other in x[1:]:
        (total,) = add(b, n, (total, other))
    return (value_of(b, total),)


# ── one operand ───────────────────────────────────────────────────────────────────────────────────────────────────


def unary(op: str, attrs: Callable[[FileNode], Any] = lambda n: SingleAttrs()) -> Handler:
    def handler(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
        v = b.floats(value_of(b, x[0]))
        return (v.holding(b.node(op, (v.tensor,), attrs(n))),)

    return handler


def clamped(b: Builder, v: Value, attrs: ReluAttrs) -> Value:
    """In int8 without rounding: the result keeps the scale of what it reads."""
    return v.holding(b.node("relu", (v.tensor,), attrs, v.tensor.quantization))


def relu(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    return (clamped(b, value_of(b, x[0]), ReluAttrs("relu")),)


CLAMPS = {(0.0, np.inf): ReluAttrs("relu"), (0.0, 6.0): ReluAttrs("relu6")}


def clip(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    low, high = n.real("min", -np.inf), n.real("max", np.inf)
    if (bound := given(x, 1)) is not None:
        low = float(array_of(b, bound, "bounds").ravel()[0])
    if (bound := given(x, 2)) is not None:
        high = float(array_of(b, bound, "bounds").ravel()[0])
    largest = float(np.finfo(np.float32).max)
    bounds = (-np.inf if low <= -largest else low, np.inf if high >= largest else high)
    if bounds in CLAMPS:
        return (clamped(b, v, CLAMPS[bounds]),)
    return (between(b, v, *bounds),)


def between(b: Builder, v: Value, low: float, high: float) -> Value:
    """Any bounds, as maximum and minimum with a constant."""
    v = b.floats(v)
    for op, bound in (("maximum", low), ("minimum", high)):
        if np.isfinite(bound):
            x = v.tensor
            v = v.holding(b.node(op, (x, b.numbers("bound", np.full((1,) * len(x.shape), bound))), ExtremeAttrs()))
    return v


def elu(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Below zero alpha * (exp(x) - 1): that of alpha 1, then another slope."""
    v, alpha = b.floats(value_of(b, x[0])), n.real("alpha", 1.0)
    v = v.holding(b.node("elu", (v.tensor,), SingleAttrs()))
    if alpha == 1:
        return (v,)
    slope = b.numbers("slope", np.full(v.tensor.shape[-1:], alpha))
    return (v.holding(b.node("prelu", (v.tensor, slope), PreluAttrs())),)


def hard_sigmoid(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """max(0, min(1, alpha * x + beta))."""
    line = scaled(b, value_of(b, x[0]), n.real("alpha", 0.2), n.real("beta", 0.5))
    assert line is not None
    return (between(b, line, 0.0, 1.0),)


def absolute(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = value_of(b, x[0])
    minus = scaled(b, v, -1.0, 0.0)
    assert minus is not None
    return (combined(b, "maximum", ExtremeAttrs(), v, minus),)


def negated(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    result = scaled(b, value_of(b, x[0]), -1.0, 0.0)
    assert result is not None
    return (result,)


def reciprocal(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    return (combined(b, "div", OrderedAttrs(), Constant(np.ones((), np.float32)), value_of(b, x[0])),)


def square_root(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """1 / rsqrt(x): right for zero too, whose rsqrt is infinite."""
    v = b.floats(value_of(b, x[0]))
    inverse = v.holding(b.node("rsqrt", (v.tensor,), SingleAttrs()))
    return (combined(b, "div", OrderedAttrs(), Constant(np.ones((), np.float32)), inverse),)


def prelu(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v, slopes = b.floats(value_of(b, x[0])), array_of(b, given(x, 1), "slopes")
    tensor, axes = b.natural(v)
    constant = side(b, wide(Constant(slopes), len(v.shape)), axes)
    return (Value.plain(b.node("prelu", (tensor, constant), PreluAttrs()), v.shape, axes),)


def softmax(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """Before opset 13 over all axes from one on, since then over that one."""
    v = value_of(b, x[0])
    rank = len(v.shape)
    axis = n.number("axis", -1 if b.opset >= 13 else 1) % max(rank, 1)
    over = [a for a in range(axis, rank if b.opset < 13 else axis + 1) if v.shape[a] > 1] or [axis]
    if len(over) > 1:
        flat = reshaped(v, (*v.shape[:axis], int(np.prod(v.shape[axis:]))))
        return (reshaped(over_axis(b, flat, axis), v.shape),)
    return (over_axis(b, v, over[0]),)


def over_axis(b: Builder, v: Value, last: int) -> Value:
    """Softmax over one axis, which comes last in ours."""
    rank = len(v.shape)
    integers = b.in_integers(v) and b.target == SOFTMAX_OUTPUT
    v = v if integers else b.floats(v)
    tensor, axes = b.natural(v)
    if axes[-1] != last:
        kept = channels_last(rank) if rank == 4 and last == 1 else default_axes(v.shape)
        axes = (*(a for a in kept if a != last), last)
        tensor = b.arranged(v, axes)
    y = b.node("softmax", (tensor,), SoftmaxAttrs(), SOFTMAX_OUTPUT if integers else None)
    return Value.plain(y, v.shape, axes, real=integers)


def batch_norm(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    if n.number("training_mode"):
        raise b.refuse("this normalisation still trains.", "Export the model for inference: model.eval().")
    v = value_of(b, x[0])
    gamma, beta, mean, variance = (array_of(b, given(x, i), "statistics").astype(np.float64) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + n.real("epsilon", 1e-5))
    shape = (-1,) + (1,) * max(len(v.shape) - 2, 0)
    result = scaled(b, v, scale.reshape(shape), (beta - mean * scale).reshape(shape))
    if result is None:
        raise b.refuse("its statistics are not one a channel.", "Export the model again.")
    return (result,)


def identity(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    return (value_of(b, x[0]),)


def dropout(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    training = given(x, 2)
    if training is not None and array_of(b, training, "modes").any():
        raise b.refuse("this dropout still trains.", "Export the model for inference: model.eval().")
    return (value_of(b, x[0]),)


ELEMENTWISE: Mapping[str, Handler] = {
    "Abs": absolute, "Add": add, "BatchNormalization": batch_norm, "Clip": clip, "Div": div, "Dropout": dropout,
    "Elu": elu, "Exp": unary("exp"),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary("hard_swish"),
    "Identity": identity,
    "LeakyRelu": unary("leaky_relu", lambda n: LeakyAttrs(float(np.float32(n.real("alpha", 0.01))))),
    "Max": extreme("maximum"), "Mean": mean_of_several, "Min": extreme("minimum"), "Mul": mul, "Neg": negated,
    "PRelu": prelu, "Pow": power, "Reciprocal": reciprocal, "Relu": relu,
    "Sigmoid": unary("logistic"), "Softmax": softmax, "Sqrt": square_root, "Sub": sub, "Sum": sum_of_several,
    "Tanh": unary("tanh"),
}  # fmt: skip
