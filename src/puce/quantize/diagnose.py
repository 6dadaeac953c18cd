# SPDX-License-Identifier: Apache-2.0
"""Which layer loses how much in int8, under the names of the user's own layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10

import numpy as np

from ..fixedpoint import dequantize, quantize
from ..ir import Array, Graph, Node, Tensor

BATCH = 32


@dataclass(frozen=True)
class LayerNoise:
    """Signal to noise, in dB: 6 dB are one bit. Below about 10 dB a layer's output is mostly noise.

    `snr_db` is of the output as it is, with the noise of all layers before; `own_snr_db` of this layer alone, given
    inputs from the float model; `weights_snr_db` of its weights, None where it has none. inf is: exact.
    """

    name: str
    op: str
    snr_db: float
    weights_snr_db: float | None
    own_snr_db: float


def diagnose(float_graph: Graph, int8_graph: Graph, pictures: Array | Sequence[Array]) -> list[LayerNoise]:
    """Compare the two graphs layer by layer, in order, on float32 pictures [n, *shape], one array an input."""
    arrays = [pictures] if isinstance(pictures, np.ndarray) else list(pictures)
    sums = {n.name: np.zeros(3) for n in int8_graph.nodes}  # signal, noise, own noise
    for start in range(0, len(arrays[0]), BATCH):
        for name, powers in one_batch(float_graph, int8_graph, [x[start : start + BATCH] for x in arrays]):
            sums[name] += powers
    return [
        LayerNoise(
            n.origin, n.op.name, ratio(*sums[n.name][:2]), weights_snr(float_graph, int8_graph, n), ratio(*sums[n.name][::2])
        )
        for n in int8_graph.nodes
        if n.outputs[0] in float_graph.tensors
    ]


def one_batch(float_graph: Graph, int8_graph: Graph, arrays: Sequence[Array]) -> list[tuple[str, Array]]:
    wanted = float_graph.evaluate_all(*arrays)
    ends = zip(int8_graph.inputs, arrays, strict=True)
    got = int8_graph.evaluate_all(*(in_type_of(x, int8_graph.tensors[name]) for name, x in ends))
    found = []
    for node in int8_graph.nodes:
        name = node.outputs[0]
        if name not in wanted:
            continue
        call = int8_graph.call(node)
        inputs = [in_type_of(wanted[t.name], t) if t.name in wanted else got[t.name] for t in call.data]
        alone = node.op.reference(call, *inputs)[0]
        real = wanted[name].astype(np.float64)
        noises = [((real - in_reals(y, call.y)) ** 2).sum() for y in (got[name], alone)]
        found.append((node.name, np.array([(real**2).sum(), *noises])))
    return found


def in_type_of(x: Array, t: Tensor) -> Array:
    return x if t.quantization is None else quantize(x, t)


def in_reals(y: Array, t: Tensor) -> Array:
    return y if t.quantization is None else dequantize(y, t)


def weights_snr(float_graph: Graph, int8_graph: Graph, node: Node) -> float | None:
    index = node.op.rule.weights
    same = next((n for n in float_graph.nodes if n.name == node.name), None)
    if index is None or same is None:
        return None
    real = float_graph.call(same).constant(index).astype(np.float64)
    t = int8_graph.call(node).inputs[index]
    q = int8_graph.call(node).constant(index)
    shape = [-1 if i == t.q.axis else 1 for i in range(q.ndim)]
    stored = q * np.array(t.q.scale).reshape(shape if t.q.axis is not None else [1] * q.ndim)
    return ratio(float((real**2).sum()), float(((real - stored) ** 2).sum()))


def ratio(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal > 0 else -inf
