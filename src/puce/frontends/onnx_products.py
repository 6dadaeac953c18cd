# SPDX-License-Identifier: Apache-2.0
"""ONNX's matrix products: with constant weights a dense layer of a vector, a 1x1 convolution of anything longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..ir import Array, Tensor
from ..ops._pairs import Attrs as PairAttrs
from ..ops._reduce import Attrs as ReduceAttrs
from ..ops.concatenation import Attrs as JoinAttrs
from ..ops.conv_2d import Attrs as ConvAttrs
from ..ops.dense import Attrs as DenseAttrs
from .onnx_elementwise import Handler, add, array_of, given, scaled, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_shapes import MOST, part
from .onnx_values import Constant, Value, default_axes, reshaped, transposed
from .onnx_windows import Weights, constants, weights

MOST_PRODUCTS = 64  # of computed matrices in one node; each is four nodes of ours


def swapped(rank: int) -> tuple[int, ...]:
    return (*range(rank - 2), rank - 1, rank - 2)


def turned(k: Constant) -> Constant:
    """A constant matrix, rows and columns exchanged."""
    q = k.q
    if q is not None and q.axis is not None:
        q = type(q)(q.scale, q.zero_point, 1 - q.axis)
    return Constant(k.data.T, None if k.raw is None else k.raw.T, q)


def linear(b: Builder, v: Value, matrix: Constant, bias: Operand | None) -> Value:
    """Every vector along the last axis times [in, out], plus one bias an output or none."""
    k, oc = matrix.data.shape
    if v.shape[-1:] != (k,):
        raise b.refuse(f"{list(v.shape)} and a matrix of {k} x {oc} do not fit.", "Export the model again.")
    integers = b.in_integers(v)
    v = v if integers else b.floats(v)
    w = weights(b, (v, matrix, bias), v, integers, oc, axis=1)
    shape = (*v.shape[:-1], oc)
    if len(w.bias) != oc:
        w = Weights(w.data, w.scales, np.broadcast_to(w.bias, (oc,)))
    if prod(v.shape[:-1]) == 1:
        columns = np.empty_like(w.data)
        columns[:, v.places()] = w.data
        t = b.view(v.tensor, (k,))
        y = b.node("dense", (t, *constants(b, w, columns, 0, t)), DenseAttrs(), b.target)
        return Value.plain(y, shape, real=integers)
    last = len(v.shape) - 1
    _, axes = b.natural(v)
    if axes[-1] != last or len(axes) != 3:
        axes = (*(a for a in (axes if axes[-1] == last else default_axes(v.shape)) if a != last), last)
    t = b.arranged(v, axes)
    if len(axes) != 3:
        t = b.view(t, (1, prod(v.shape[:-1]), k))
    pair = constants(b, w, w.data[:, None, None], 0, t)
    y = b.node("conv_2d", (t, *pair), ConvAttrs(), b.target)
    return Value.plain(y, shape, axes, real=integers)


def matmul(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    first, second = given(x, 0), given(x, 1)
    if isinstance(first, Value) and isinstance(second, Constant):
        k = second.data
        if k.ndim == 1:
            y = linear(b, first, Constant(k[:, None]), None)
            return (reshaped(y, y.shape[:-1]),)
        return (linear(b, first, matrix_of(b, second), None),)
    if isinstance(second, Value) and isinstance(first, Constant):
        if len(second.shape) == 1:
            y = linear(b, second, turned(matrix_of(b, first)), None)
            return (y,)
        matrix = turned(matrix_of(b, first))
        settled = b.settled(second)
        y = linear(b, transposed(settled, swapped(len(second.shape))), matrix, None)
        return (transposed(y, swapped(len(y.shape))),)
    return (of_two(b, b.settled(value_of(b, first)), b.settled(value_of(b, second))),)


def of_two(b: Builder, first: Value, second: Value) -> Value:
    """Two computed operands of any rank: vectors become matrices, and every matrix of the batch its own product."""
    row, column = len(first.shape) == 1, len(second.shape) == 1
    first = reshaped(first, (1, *first.shape)) if row else first
    second = reshaped(second, (*second.shape, 1)) if column else second
    batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    (m, k), n = first.shape[-2:], second.shape[-1]
    if second.shape[-2] != k or prod(batch) > MOST_PRODUCTS:
        fact = f"the product of {list(first.shape)} and {list(second.shape)} is not computed."
        raise b.refuse(fact, f"Multiply matrices that fit, at most {MOST_PRODUCTS} in one node.")
    parts = []
    for index in np.ndindex(*batch):
        name = b.name if prod(batch) == 1 else f"{b.name}/{'_'.join(map(str, index))}"
        parts.append(summed(b, picked(b, first, index), picked(b, second, index), name))
    rows = [b.view(p, (1, m, n)) for p in parts]
    while len(rows) > 1:
        several = [rows[i : i + MOST] for i in range(0, len(rows), MOST)]
        rows = [r[0] if len(r) == 1 else b.node("concatenation", r, JoinAttrs(0), name=f"{b.name}/all") for r in several]
    y = rows[0]
    shape = (*batch, *(() if row else (m,)), *(() if column else (n,)))
    return reshaped(Value.plain(y, (prod(batch), m, n)), shape)


def picked(b: Builder, v: Value, index: Sequence[int]) -> Value:
    """One matrix of the batch; sizes of one are repeated."""
    extra = len(v.shape) - 2
    own = index[len(index) - extra :] if extra else ()
    bounds = {a: range(i, i + 1) for a, i in enumerate(own) if v.shape[a] > 1}
    name = f"{v.tensor.name}/{'_'.join(map(str, own))}"
    return reshaped(part(b, v, bounds, name), v.shape[-2:])


def summed(b: Builder, first: Value, second: Value, name: str) -> Tensor:
    """[m, k] by [k, n]: every product of a value and a value, then sums over k, in the order in which the second lies."""
    (m, k), n = first.shape, second.shape[1]
    x = b.arranged(b.floats(first), (0, 1))
    second = b.floats(second)
    across = b.fits(second, (1, 0)) and not b.fits(second, (0, 1))
    y = b.arranged(second, (1, 0) if across else (0, 1))
    x = b.view(x, (m, 1, k) if across else (m, k, 1))
    products = b.node("mul", (x, y), PairAttrs(), name=f"{name}/products")
    total = b.node("sum", (products,), ReduceAttrs(True, (2,) if across else (1,)), name=name)
    return b.view(total, (m, n))


def matrix_of(b: Builder, k: Constant) -> Constant:
    """A constant of two axes; more only where they are of size 1."""
    if k.data.ndim < 2 or prod(k.data.shape[:-2]) != 1:
        raise b.refuse(f"a matrix a picture of the batch is not computed: {list(k.data.shape)}.", "Use one matrix for all.")
    shape, extra = k.data.shape[-2:], k.data.ndim - 2
    q = k.q
    if q is not None and q.axis is not None:
        q = type(q)(q.scale, q.zero_point, q.axis - extra)
    return Constant(k.data.reshape(shape), None if k.raw is None else k.raw.reshape(shape), q)


def gemm(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    """alpha * A' B' + beta * C."""
    first, second, third = given(x, 0), given(x, 1), given(x, 2)
    alpha, beta = n.real("alpha", 1.0), n.real("beta", 1.0)
    if isinstance(third, Constant) and beta != 1:
        third = Constant(third.data * np.float32(beta))
    if isinstance(first, Value) and isinstance(second, Constant):
        v = transposed(b.settled(first), (1, 0)) if n.number("transA") else first
        matrix = turned(matrix_of(b, second)) if n.number("transB") else matrix_of(b, second)
        y = product(b, v, scaled_matrix(matrix, alpha), third)
    elif isinstance(second, Value) and isinstance(first, Constant):
        v = b.settled(second) if n.number("transB") else transposed(b.settled(second), (1, 0))
        matrix = matrix_of(b, first) if n.number("transA") else turned(matrix_of(b, first))
        y = transposed(linear(b, v, scaled_matrix(matrix, alpha), None), (1, 0))
        y = with_terms(b, y, third)
    else:
        pair = [b.settled(value_of(b, v)) for v in (first, second)]
        a, m = (transposed(v, (1, 0)) if n.number(key) else v for v, key in zip(pair, ("transA", "transB"), strict=True))
        y = of_two(b, a, m)
        if alpha != 1:
            y = times(b, y, alpha)
        y = with_terms(b, y, third)
    if isinstance(third, Value):
        (total,) = add(b, n, (y, third if beta == 1 else times(b, third, beta)))
        y = value_of(b, total)
    return (y,)


def times(b: Builder, v: Value, factor: float) -> Value:
    result = scaled(b, v, factor, 0.0)
    assert result is not None
    return result


def scaled_matrix(matrix: Constant, alpha: float) -> Constant:
    return matrix if alpha == 1 else Constant(matrix.data * np.float32(alpha))


def product(b: Builder, v: Value, matrix: Constant, c: Operand | None) -> Value:
    """With C as the bias where it has one value an output."""
    if isinstance(c, Constant) and c.data.size in (1, matrix.data.shape[1]) and (c.data.ndim < 2 or c.data.shape[0] == 1):
        bias = c if c.raw is not None else Constant(np.broadcast_to(flat(c.data), (matrix.data.shape[1],)))
        return linear(b, v, matrix, bias)
    return with_terms(b, linear(b, v, matrix, None), c)


def flat(values: Array) -> Array:
    return values.ravel()


def with_terms(b: Builder, y: Value, c: Operand | None) -> Value:
    """Plus a constant of any other shape."""
    if not isinstance(c, Constant):
        return y
    total = scaled(b, y, 1.0, array_of(b, c, "terms"))
    if total is None:
        raise b.refuse(f"its third input, {list(c.data.shape)}, is larger than the result.", "Export the model again.")
    return total


PRODUCTS: Mapping[str, Handler] = {"Gemm": gemm, "MatMul": matmul}
