# SPDX-License-Identifier: Apache-2.0
"""float32 graph and ranges -> int8 graph, after TFLite's quantisation specification; each operator states its own rule.

Symmetric weights in -127 .. 127, a scale a channel; asymmetric activations in which real zero is exact; int32 bias with
scale = input scale * weight scale; scales are float32, as the file format stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import Unsupported
from ..fixedpoint import quantize as quantize_array
from ..fixedpoint import round_away
from ..ir import Array, Call, Graph, Node, Quantization, Tensor
from ..ops import make
from ..ops.dequantize import Attrs as DequantizeAttrs
from ..ops.quantize import Attrs as QuantizeAttrs
from .calibrate import Range, inner_name

# A bias beyond this would leave no room in the 32-bit sum for the products.
BIAS_LIMIT = 2**30


def to_int8(graph: Graph, ranges: Mapping[str, Range], float_io: bool = False) -> Graph:
    """Return the int8 graph, with int8 inputs and outputs; `float_io` puts quantize and dequantize at its ends.

    The graph must have been through the passes: batch normalisation has no int8 form. Node and tensor names stay.
    """
    tensors: dict[str, Tensor] = {}
    ranges = united(graph, ranges)
    for name in graph.inputs:
        tensors[name] = replace(graph.tensors[name], dtype="int8", quantization=activation_quantization(ranges[name]))
    nodes = []
    for node in graph.nodes:
        call = graph.call(node)
        if call.x.dtype != "float32" or node.op.name == "batch_norm":
            fact = f"{node.op.name} of {call.x.dtype} cannot be quantised."
            raise Unsupported(node.origin, fact, "Quantise a float32 model, after puce.passes.run(graph).")
        inputs = quantised_inputs(graph, node, call, tensors)
        tensors.update({t.name: t for t in inputs})
        for t in call.outputs:
            tensors[t.name] = replace(t, dtype="int8", quantization=output_quantization(node, inputs[0], ranges[t.name]))
        if node.op.rule.alike:
            changes, inputs = rescaled(node, inputs, tensors[node.outputs[0]].q)
            tensors.update({t.name: t for t in inputs})
            nodes += changes
        nodes.append(replace(node, inputs=tuple(t.name for t in inputs), attrs=settled(node, ranges)))
    result = graph.replaced(nodes, tensors)
    return with_float_ends(result) if float_io else result


def settled(node: Node, ranges: Mapping[str, Range]) -> Any:
    """The attributes of the int8 operator, which may hold the scale of values that stay inside."""
    inner = node.op.rule.inner
    if inner is None:
        return node.attrs
    r = ranges[inner_name(node)]
    return inner.settle(node.attrs, max(-r.low, r.high))


def united(graph: Graph, ranges: Mapping[str, Range]) -> Mapping[str, Range]:
    """The ranges; a value that only an operator with one scale for all reads gets that of its output from the start."""
    result = dict(ranges)
    for node in reversed(graph.nodes):
        for t in graph.call(node).data if node.op.rule.alike else ():
            maker = graph.producer(t.name)
            alone = len(graph.readers(t.name)) == 1 and t.name not in graph.outputs
            if maker is not None and maker.op.rule.output == "calibrated" and alone:
                result[t.name] = result[node.outputs[0]]
    return result


def rescaled(node: Node, inputs: list[Tensor], q: Quantization) -> tuple[list[Node], list[Tensor]]:
    """The inputs with one scale and zero point, and the nodes that change those which have another."""
    nodes, alike = [], []
    for i, t in enumerate(inputs):
        if t.quantization != q:
            x, t = t, replace(t, name=f"{node.name}/input_{i}", quantization=q)
            nodes.append(make("quantize", t.name, (x.name,), (t.name,), QuantizeAttrs("int8"), node.origin))
        alike.append(t)
    return nodes, alike


def float32(x: float) -> float:
    return float(np.float32(x))


def activation_quantization(r: Range) -> Quantization:
    """The pair for a range: 256 steps from low to high, zero moved onto the nearest step."""
    low, high = min(r.low, 0.0), max(r.high, 0.0)
    scale = float32((high - low) / 255)
    if scale < np.finfo(np.float32).tiny:  # always zero: any scale is exact
        return Quantization((1.0,), (0,))
    return Quantization((scale,), (int(np.clip(round_away(-128 - low / scale), -128, 127)),))


def output_quantization(node: Node, x: Tensor, r: Range) -> Quantization:
    rule = node.op.rule.output
    if rule == "same":
        return x.q
    if rule == "calibrated":
        return activation_quantization(r)
    assert isinstance(rule, tuple)
    return Quantization((float32(rule[0]),), (rule[1],))


def quantised_inputs(graph: Graph, node: Node, call: Call, known: Mapping[str, Tensor]) -> list[Tensor]:
    """The inputs of a node in int8: computed ones as they already are, constants by the operator's rule."""
    rule, inputs = node.op.rule, [known.get(t.name, t) for t in call.inputs]
    if rule.weights is not None:
        bias = None if rule.bias is None or rule.bias >= len(inputs) else call.constant(rule.bias)
        w = weights_tensor(call.inputs[rule.weights], rule.axis, bias, inputs[0].q.s)
        inputs[rule.weights] = named(graph, node, w)
        if bias is not None and rule.bias is not None:
            inputs[rule.bias] = named(graph, node, bias_tensor(call.inputs[rule.bias], inputs[0].q.s, w.q))
    for i in rule.more:
        inputs[i] = named(graph, node, weights_tensor(call.inputs[i], rule.axis, None, inputs[0].q.s))
    for i, t in enumerate(inputs):
        if t.data is not None and t.dtype == "float32":
            q = activation_quantization(Range.around(t.data.min(), t.data.max()))
            kind = replace(t, dtype="int8", quantization=q, data=None)
            inputs[i] = named(graph, node, replace(kind, data=quantize_array(t.data, kind)))
    return inputs


def named(graph: Graph, node: Node, t: Tensor) -> Tensor:
    """A constant that several layers share becomes one each: their inputs differ in scale, hence their biases."""
    shared = len(graph.readers(t.name)) > 1
    return replace(t, name=f"{node.name}/{t.name.rpartition('/')[2]}") if shared else t


def weights_tensor(w: Tensor, axis: int | None, bias: Array | None, input_scale: float) -> Tensor:
    """Symmetric int8. A channel's scale is widened where its bias would not fit, or where its weights are all zero."""
    assert w.data is not None
    data = w.data.astype(np.float64)
    others = tuple(i for i in range(data.ndim) if i != axis)
    largest = np.abs(data).max(axis=None if axis is None else others).reshape(-1)
    scale = largest / 127
    if bias is not None:
        needed = np.abs(bias.astype(np.float64)).reshape(len(bias), -1).max(axis=1) / (input_scale * BIAS_LIMIT)
        scale = np.maximum(scale, needed if axis is not None else needed.max())
    smallest = float(np.finfo(np.float32).tiny) * 2**20  # so that the product with an input's scale is still normal
    spare = float(scale.max()) if scale.max() > smallest else 1 / 127
    scale = np.where(largest > smallest, np.maximum(scale, smallest), spare).astype(np.float32)
    zeros = (0,) * len(scale)
    q = Quantization(tuple(float(s) for s in scale), zeros, axis)
    steps = data / (scale.reshape([-1 if i == axis else 1 for i in range(data.ndim)]) if axis is not None else scale)
    return Tensor.constant(w.name, np.clip(nearest(steps), -127, 127).astype(np.int8), q)


def bias_tensor(b: Tensor, input_scale: float, weights: Quantization) -> Tensor:
    assert b.data is not None
    scales = tuple(float32(input_scale * s) for s in weights.scale)
    steps = b.data.astype(np.float64) / np.array(scales).reshape(-1, *[1] * (b.data.ndim - 1))
    q = Quantization(scales, (0,) * len(scales), None if weights.axis is None else 0)
    return Tensor.constant(b.name, np.clip(nearest(steps), -(2**31), 2**31 - 1).astype(np.int32), q)


def nearest(x: Array) -> Array:
    """Half away from zero, as everywhere in this specification."""
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def with_float_ends(graph: Graph) -> Graph:
    """The same graph between float32 inputs and outputs, for programs that know nothing of scales."""
    tensors, before, after = dict(graph.tensors), [], []
    for name in graph.inputs:
        tensors[f"{name}/float"] = Tensor(f"{name}/float", tensors[name].shape)
        before.append(make("quantize", f"{name}/quantize", (f"{name}/float",), (name,), QuantizeAttrs("int8"), name))
    for name in graph.outputs:
        tensors[f"{name}/float"] = Tensor(f"{name}/float", tensors[name].shape)
        after.append(make("dequantize", f"{name}/dequantize", (name,), (f"{name}/float",), DequantizeAttrs(), name))
    inputs, outputs = (tuple(f"{name}/float" for name in side) for side in (graph.inputs, graph.outputs))
    return Graph((*before, *graph.nodes, *after), tensors, inputs, outputs, graph.name)
