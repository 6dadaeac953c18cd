# SPDX-License-Identifier: Apache-2.0
"""Output channels whose weights are all zero get a scale like their neighbours', and a bias that gives the same byte."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Call, Graph, Node, Tensor
from .edit import exchanged, linear, unused_name
from .intervals import LINEAR


@dataclass(frozen=True)
class RescaleZeroRows:
    """The scale of zeros says nothing, but converters write absurd ones, which fast kernels cannot requantise by.

    Such a channel gives the byte v = requantise(bias) everywhere. With the median of the other channels' scales, the
    bias becomes (v - zero point) * output scale / (input scale * weight scale), rounded; it is taken only where the
    operator's own reference then gives v again.
    """

    name: str = "rescale-zero-rows"

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            call, places = graph.call(node), linear(node)
            if node.op.name not in LINEAR or places is None or call.data != (call.x,) or call.x.dtype != "int8":
                continue
            if call.inputs[places.weights].q.axis is None:
                continue
            w = call.constant(places.weights)
            zero = np.asarray(~np.moveaxis(w, places.axis, 0).reshape(w.shape[places.axis], -1).any(axis=1))
            if not zero.any() or zero.all():
                continue
            scale = np.array(call.inputs[places.weights].q.scale)
            scale[zero] = np.sort(scale[~zero])[np.count_nonzero(~zero) // 2]  # one of them, so float32 holds it
            if tuple(scale) == call.inputs[places.weights].q.scale:
                continue
            tensors = rescaled(graph, node, zero, scale)
            if tensors is not None:
                inputs = (node.inputs[0], *(t.name for t in tensors))
                return self(exchanged(graph, {node.name: [replace(node, inputs=inputs)]}, tensors))
        return graph


def rescaled(graph: Graph, node: Node, zero: Array, scale: Array) -> tuple[Tensor, Tensor] | None:
    """New weights and bias; None where some byte would change."""
    call = graph.call(node)
    _, w, b = call.inputs
    wanted = bytes_of_bias(node, call)
    bias = call.constant(2).copy()
    steps = (wanted.astype(np.float64) - call.y.q.z) * call.y.q.s / (call.x.q.s * scale)
    if np.abs(steps[zero]).max() >= 2**30:
        return None
    bias[zero] = np.rint(steps[zero])
    q = replace(w.q, scale=tuple(scale.tolist()))
    weights = replace(w, name=unused_name(graph, f"{node.name}/weights"), quantization=q)
    new = weights, replace(b, name=unused_name(graph, f"{node.name}/bias"), data=bias, quantization=None)
    got = bytes_of_bias(node, replace(call, inputs=(call.x, *new)))
    return new if np.array_equal(got[zero], wanted[zero]) else None


def bytes_of_bias(node: Node, call: Call) -> Array:
    """What each output channel is where every input is the zero point: [channels]."""
    (y,) = node.op.reference(call, np.full((1, *call.x.shape), call.x.q.z, np.int8))
    first: Array = y.reshape(-1, call.y.shape[-1])[0]
    return first
