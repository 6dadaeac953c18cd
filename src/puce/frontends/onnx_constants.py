# SPDX-License-Identifier: Apache-2.0
"""Nodes whose inputs are all constant, computed while reading: shapes, weights that an exporter left unfolded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from ..errors import BadInput
from ..ir import Array
from .onnx_files import AGAIN, TYPES, FileNode

LIMIT = 1 << 24  # values; a file of some bytes could ask for any number of them

Fold = Callable[[FileNode, Sequence[Array]], Array]


def fold(n: FileNode, inputs: Sequence[Array | None], place: str) -> Array | None:
    """The value of a node of constants; None where nobody knows the operator. Raises BadInput for what cannot be."""
    known = FOLDS.get(n.op)
    if known is None or n.domain:
        return None
    arrays = [x for x in inputs if x is not None]
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(known(n, arrays))
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError, ZeroDivisionError) as error:
        raise BadInput(place, f"its constants do not belong together: {error}.", AGAIN) from error
    return result.astype(np.float32) if result.dtype.kind == "f" else result


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a result, where it is no attempt to fill the memory."""
    sizes = tuple(int(s) for s in shape)
    if min(sizes, default=0) < 0 or prod(sizes) > LIMIT:
        raise ValueError(f"a constant of {list(sizes)}")
    return sizes


def elementwise(function: Callable[..., Array]) -> Fold:
    def folded(n: FileNode, x: Sequence[Array]) -> Array:
        bounded(np.broadcast_shapes(*(a.shape for a in x)))
        return function(*x)

    return folded


def divided(x: Array, y: Array) -> Array:
    """Integers towards zero."""
    if x.dtype.kind == "f":
        return np.asarray(x / y)
    return np.asarray(np.trunc(x.astype(np.float64) / y).astype(x.dtype))


def constant(n: FileNode, x: Sequence[Array]) -> Array:
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if key in n.attributes:
            return np.asarray(n.attributes[key], None if key == "value" else np.float32 if "float" in key else np.int64)
    raise ValueError("a constant without a value")


def filled(n: FileNode, x: Sequence[Array]) -> Array:
    value = np.asarray(n.attributes.get("value", np.zeros(1, np.float32))).ravel()
    return np.full(bounded(x[0].ravel().tolist()), value[0], value.dtype)


def axes_of(n: FileNode, x: Sequence[Array], index: int = 1) -> tuple[int, ...]:
    return n.ints("axes") if "axes" in n.attributes else tuple(int(a) for a in x[index].ravel()) if len(x) > index else ()


def unsqueezed(n: FileNode, x: Sequence[Array]) -> Array:
    return np.expand_dims(x[0], axes_of(n, x))


def squeezed(n: FileNode, x: Sequence[Array]) -> Array:
    axes = axes_of(n, x)
    return np.squeeze(x[0], axes) if axes else np.squeeze(x[0])


def sliced(n: FileNode, x: Sequence[Array]) -> Array:
    if "starts" in n.attributes:
        starts, ends = n.ints("starts"), n.ints("ends")
        axes, steps = n.ints("axes", range(len(starts))), (1,) * len(starts)
    else:
        columns = [tuple(int(i) for i in a.ravel()) for a in x[1:]]
        starts, ends = columns[0], columns[1]
        axes = columns[2] if len(columns) > 2 else tuple(range(len(starts)))
        steps = columns[3] if len(columns) > 3 else (1,) * len(starts)
    index = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, None if step < 0 and end < -x[0].shape[axis] else end, step)
    return np.asarray(x[0][tuple(index)])


def reshaped(n: FileNode, x: Sequence[Array]) -> Array:
    wanted = [int(s) for s in (x[1].ravel() if len(x) > 1 else n.ints("shape"))]
    sizes = [x[0].shape[i] if s == 0 and not n.number("allowzero") else s for i, s in enumerate(wanted)]
    return x[0].reshape(sizes)


def cast(n: FileNode, x: Sequence[Array]) -> Array:
    return x[0].astype(TYPES[n.number("to")])


def counted(n: FileNode, x: Sequence[Array]) -> Array:
    start, end, step = (a.ravel()[0] for a in x[:3])
    bounded((int(np.ceil((end - start) / step)) if step else -1,))
    return np.arange(start, end, step, dtype=x[0].dtype)


def expanded(n: FileNode, x: Sequence[Array]) -> Array:
    return np.broadcast_to(x[0], bounded(np.broadcast_shapes(x[0].shape, tuple(int(s) for s in x[1].ravel()))))


def tiled(n: FileNode, x: Sequence[Array]) -> Array:
    repeats = [int(r) for r in x[1].ravel()]
    bounded([s * r for s, r in zip(x[0].shape, repeats, strict=True)])
    return np.tile(x[0], repeats)


def gathered(n: FileNode, x: Sequence[Array]) -> Array:
    bounded((x[0].size // max(x[0].shape[n.number("axis")], 1) * x[1].size,))
    return np.take(x[0], x[1].astype(np.int64), axis=n.number("axis"))


def reduced(function: Callable[..., Array]) -> Fold:
    def folded(n: FileNode, x: Sequence[Array]) -> Array:
        axes = axes_of(n, x) or tuple(range(x[0].ndim))
        return np.asarray(function(x[0], axis=axes, keepdims=bool(n.number("keepdims", 1))))

    return folded


def multiplied(n: FileNode, x: Sequence[Array]) -> Array:
    bounded((x[0].size // max(x[0].shape[-1], 1) * x[1].size // max(x[1].shape[-1 if x[1].ndim < 2 else -2], 1),))
    return np.asarray(x[0] @ x[1])


FOLDS: Mapping[str, Fold] = {
    "Abs": elementwise(np.abs), "Add": elementwise(np.add), "And": elementwise(np.logical_and), "Cast": cast,
    "Ceil": elementwise(np.ceil),
    "Concat": lambda n, x: np.concatenate(x, axis=n.number("axis")),
    "Constant": constant, "ConstantOfShape": filled, "Div": elementwise(divided),
    "Equal": elementwise(np.equal), "Exp": elementwise(np.exp), "Expand": expanded,
    "Flatten": lambda n, x: x[0].reshape(prod(x[0].shape[: n.number("axis", 1)]), -1),
    "Floor": elementwise(np.floor), "Gather": gathered, "Greater": elementwise(np.greater),
    "Identity": lambda n, x: x[0], "Less": elementwise(np.less), "MatMul": multiplied,
    "Max": elementwise(lambda *x: np.asarray(np.maximum.reduce(np.broadcast_arrays(*x)))),
    "Min": elementwise(lambda *x: np.asarray(np.minimum.reduce(np.broadcast_arrays(*x)))),
    "Mod": elementwise(np.mod), "Mul": elementwise(np.multiply), "Neg": elementwise(np.negative),
    "Not": elementwise(np.logical_not), "Or": elementwise(np.logical_or), "Pow": elementwise(np.power),
    "Range": counted, "Reciprocal": elementwise(np.reciprocal), "ReduceMax": reduced(np.max),
    "ReduceMean": reduced(np.mean), "ReduceMin": reduced(np.min), "ReduceProd": reduced(np.prod),
    "ReduceSum": reduced(np.sum), "Reshape": reshaped,
    "Shape": lambda n, x: np.asarray(x[0].shape[n.number("start") : n.number("end", x[0].ndim)], np.int64),
    "Size": lambda n, x: np.asarray(x[0].size, np.int64), "Slice": sliced, "Sqrt": elementwise(np.sqrt),
    "Squeeze": squeezed, "Sub": elementwise(np.subtract), "Tile": tiled,
    "Transpose": lambda n, x: x[0].transpose(n.ints("perm") or None),
    "Unsqueeze": unsqueezed, "Where": elementwise(lambda c, x, y: np.asarray(np.where(c, x, y))),
}  # fmt: skip
