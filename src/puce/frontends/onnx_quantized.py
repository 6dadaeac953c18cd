# SPDX-License-Identifier: Apache-2.0
"""ONNX's quantised forms: QuantizeLinear and DequantizeLinear round float operators, and QLinear* written as these.

Our graph is int8 where a float operator stands between both; it then rounds as TFLite does (see docs/design/onnx.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..ir import Array, Quantization
from .onnx_elementwise import Handler, given, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_values import Constant, Value

Find = Callable[[str], Array | None]  # the constant of this name
# Operators that pass the quantisation of what follows them on to what stands before: they change no scale.
PASSING = frozenset({
    "Relu", "Clip", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "GlobalMaxPool", "Identity",
    "Dropout",
})  # fmt: skip


def int8_form(scale: Array, zero: Array | None, axis: int | None) -> Quantization:
    """A file's scale and zero point as those of int8: unsigned bytes have theirs 128 lower."""
    scales = tuple(float(s) for s in np.ravel(scale))
    zeros = np.zeros(len(scales), np.int64) if zero is None else np.ravel(zero).astype(np.int64)
    if zero is None or zero.dtype == np.uint8:
        zeros = zeros - 128
    return Quantization(scales, tuple(int(z) for z in zeros), axis if len(scales) > 1 else None)


def legal(scale: Array, zero: Array | None) -> bool:
    values = np.ravel(scale)
    types = zero is None or zero.dtype in (np.int8, np.uint8, np.int32)
    return (
        bool(values.size and np.isfinite(values).all() and (values > 0).all())
        and types
        and (zero is None or zero.size in (1, values.size))
    )


def target_of(name: str, readers: Mapping[str, Sequence[FileNode]], find: Find, depth: int = 0) -> Quantization | None:
    """The quantisation that the file gives this tensor, where its only reader is (or passes on) a QuantizeLinear."""
    nodes = readers.get(name, ())
    if len(nodes) != 1 or depth > 16:
        return None
    (node,) = nodes
    if node.op in PASSING and not node.domain:
        return target_of(node.outputs[0], readers, find, depth + 1)
    if node.op != "QuantizeLinear" or len(node.inputs) < 2:
        return None
    scale, zero = find(node.inputs[1]), find(node.inputs[2]) if len(node.inputs) > 2 else None
    if scale is None or scale.size != 1 or not legal(scale, zero) or (zero is not None and zero.dtype == np.int32):
        return None
    return int8_form(scale, zero, None)


def settings(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> tuple[Array, Array | None]:
    scale, zero = given(x, 1), given(x, 2)
    if not isinstance(scale, Constant) or isinstance(zero, Value):
        raise b.refuse("its scale or zero point is computed: dynamic quantisation has no fixed ranges.", "Use quantize_static.")
    found = scale.data, None if zero is None else zero.data
    if not legal(*found):
        raise b.refuse("its scale and zero point are not those of int8 or uint8.", "Quantise to QInt8 or QUInt8.")
    return found


def quantize_linear(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    scale, zero = settings(b, n, x)
    source = given(x, 0)
    if isinstance(source, Constant):
        low, high = (0, 255) if zero is None or zero.dtype == np.uint8 else (-128, 127)
        along = shaped(source.data, n.number("axis", 1))
        q = np.rint(source.data / along(scale)) + (0 if zero is None else along(zero).astype(np.int64))
        return (Constant(q.clip(low, high).astype(np.uint8 if low == 0 else np.int8)),)
    v = value_of(b, source)
    if scale.size != 1:
        raise b.refuse("activations with a scale a channel are not computed.", "Quantise activations per tensor.")
    if zero is not None and zero.dtype == np.int32:
        raise b.refuse("activations of int32 are not computed.", "Quantise to QInt8 or QUInt8.")
    q8 = int8_form(scale, zero, None)
    return (replace(v.holding(b.quantized(v.tensor, q8)), real=False, unsigned=zero is None or zero.dtype == np.uint8),)


def dequantize_linear(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    scale, zero = settings(b, n, x)
    source = given(x, 0)
    if isinstance(source, Constant):
        return (real_constant(b, source.data, scale, zero, n.number("axis", 1)),)
    v = value_of(b, source)
    unsigned = v.tensor.dtype == "uint8"
    wanted = int8_form(scale, zero if zero is not None or unsigned else np.zeros(1, np.int8), None)
    if v.tensor.dtype not in ("int8", "uint8") or scale.size != 1:
        raise b.refuse(
            f"{v.tensor.dtype} with {scale.size} scales is not computed.", "Quantise activations to int8 per tensor."
        )
    if unsigned:
        v = v.holding(b.quantized(v.tensor, wanted))
    if v.tensor.quantization != wanted:
        raise b.refuse("it gives integers another meaning than where they were made.", "Export the model again.")
    return (replace(v, real=True, unsigned=False),)


def shaped(data: Array, axis: int) -> Callable[[Array], Array]:
    """One value for all, or one a slice along the axis."""

    def along(values: Array) -> Array:
        if values.size == 1 or not data.ndim:
            return values.reshape(())
        return values.reshape([-1 if i == axis % data.ndim else 1 for i in range(data.ndim)])

    return along


def real_constant(b: Builder, data: Array, scale: Array, zero: Array | None, axis: int) -> Constant:
    """What integers mean, and the integers themselves, as int8 where they are bytes."""
    along = shaped(data, axis)
    if scale.size > 1 and (not data.ndim or data.shape[axis % data.ndim] != scale.size):
        raise b.refuse(f"{scale.size} scales do not fit {list(data.shape)} along axis {axis}.", "Export the model again.")
    real = (data.astype(np.float64) - (0 if zero is None else along(zero).astype(np.float64))) * along(scale.astype(np.float64))
    q = int8_form(scale, np.zeros(1, np.int8) if zero is None else zero, axis % max(data.ndim, 1))
    raw = data
    if data.dtype == np.uint8:
        raw = (data.astype(np.int16) - 128).astype(np.int8)
        q = int8_form(scale, np.zeros(1, np.uint8) if zero is None else zero, axis % max(data.ndim, 1))
    zeros = q.zero_point * len(q.scale) if len(q.zero_point) == 1 else q.zero_point
    return Constant(real.astype(np.float32), raw, Quantization(q.scale, zeros, q.axis))


# ── QLinear* as QDQ ───────────────────────────────────────────────────────────────────────────────────────────────


def expanded(nodes: Sequence[FileNode]) -> tuple[FileNode, ...]:
    """Operators on integers, written as float ones between DequantizeLinear and QuantizeLinear."""
    result: list[FileNode] = []
    for n in nodes:
        rule = QLINEAR.get((n.domain, n.op))
        result += [n] if rule is None or len(n.inputs) < rule[1] else between(n, *rule)
    return tuple(result)


def between(n: FileNode, op: str, least: int, operands: int) -> list[FileNode]:
    """`operands` triples of (values, scale, zero point), the pair of the result, then perhaps a bias of int32."""
    made, inputs = [], []
    for i in range(operands):
        name = f"{n.outputs[0]}/input{i}"
        axis = 0 if op == "Conv" else 1
        made.append(
            replace(
                n,
                op="DequantizeLinear",
                domain="",
                inputs=n.inputs[3 * i : 3 * i + 3],
                outputs=(name,),
                attributes={"axis": axis},
            )
        )
        inputs.append(name)
    rest = n.inputs[3 * operands :]
    if op == "Conv" and len(rest) > 2 and rest[2]:
        # Its scale is that of the input times that of the weights: the product of two nodes' constants.
        scale, bias = f"{n.outputs[0]}/biasscale", f"{n.outputs[0]}/bias"
        made.append(replace(n, op="Mul", domain="", inputs=(n.inputs[1], n.inputs[4]), outputs=(scale,), attributes={}))
        made.append(
            replace(n, op="DequantizeLinear", domain="", inputs=(rest[2], scale), outputs=(bias,), attributes={"axis": 0})
        )
        inputs.append(bias)
    real = f"{n.outputs[0]}/real"
    made.append(replace(n, op=op, domain="", inputs=tuple(inputs), outputs=(real,)))
    made.append(replace(n, op="QuantizeLinear", domain="", inputs=(real, *rest[:2]), outputs=n.outputs, attributes={}))
    return made


# (domain, operator) -> the float operator, the least number of inputs, how many of them are quantised operands
QLINEAR: Mapping[tuple[str, str], tuple[str, int, int]] = {
    ("", "QLinearConv"): ("Conv", 8, 2),
    ("", "QLinearMatMul"): ("MatMul", 8, 2),
    ("com.microsoft", "QLinearAdd"): ("Add", 8, 2),
    ("com.microsoft", "QLinearMul"): ("Mul", 8, 2),
    ("com.microsoft", "QLinearSigmoid"): ("Sigmoid", 5, 1),
    ("com.microsoft", "QLinearLeakyRelu"): ("LeakyRelu", 5, 1),
    ("com.microsoft", "QLinearAveragePool"): ("AveragePool", 5, 1),
    ("com.microsoft", "QLinearGlobalAveragePool"): ("GlobalAveragePool", 5, 1),
}

QUANTIZED: Mapping[str, Handler] = {"DequantizeLinear": dequantize_linear, "QuantizeLinear": quantize_linear}
