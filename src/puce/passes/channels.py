# SPDX-License-Identifier: Apache-2.0
"""Which channels of a graph hang together, so that one can only go with all the others, and the graph with fewer of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Call, Graph, Node, Tensor
from .edit import sole_reader, unused_name

# Sums over all input channels: each output channel is a row of weights of its own, each input channel a column.
SUMS = frozenset({"conv_2d", "dense"})
ONE_TO_ONE = frozenset({"average_pool_2d", "dequantize", "max_pool_2d", "mean", "quantize", "relu"})
OPERANDS = frozenset({"add", "maximum", "minimum", "mul", "sub"})


@dataclass(frozen=True, eq=False)
class Families:
    """Every channel of every computed tensor belongs to one family; `of[tensor]` is the family of each channel: [c].

    A family is what elementwise operators, pools, depthwise convolutions and reshapes tie together; it begins and ends
    at sums, and its number is one of its places. `kept` says which cannot go: those of inputs, of outputs, and of
    operators not known here.
    """

    of: Mapping[str, Array]
    kept: Array

    def __len__(self) -> int:
        return len(self.kept)


def families(graph: Graph) -> Families:
    computed = [t for t in graph.tensors.values() if t.data is None]
    starts = np.cumsum([0, *(channels(t) for t in computed)])
    own = {t.name: np.arange(channels(t)) + start for t, start in zip(computed, starts[:-1], strict=True)}
    pairs, bound = [np.zeros((2, 0), np.int64)], [np.zeros(0, np.int64)]
    for node in graph.nodes:
        found = ties(node, graph.call(node), own)
        pairs += [] if found is None else found
        bound += [own[t.name] for t in (*graph.call(node).data, *graph.call(node).outputs)] if found is None else []
    bound += [own[name] for name in (*graph.inputs, *graph.outputs)]
    family = joined(int(starts[-1]), np.concatenate(pairs, axis=1))
    kept = family != np.arange(len(family))  # numbers that name no family
    kept[family[np.concatenate(bound)]] = True
    return Families({name: family[places] for name, places in own.items()}, kept)


def channels(t: Tensor) -> int:
    return t.shape[-1] if t.shape else 1


def ties(node: Node, call: Call, own: Mapping[str, Array]) -> list[Array] | None:
    """Pairs [2, n] of places that go together; None where channels of this operator cannot go at all."""
    if not call.data:
        return None
    if node.op.name in SUMS:
        return []
    y = own[call.y.name]
    if node.op.name == "depthwise_conv_2d":
        return [np.stack([np.repeat(own[call.x.name], len(y) // call.x.shape[2]), y])]
    if node.op.name == "mean" and len(call.x.shape) - 1 in call.attrs.axes:
        return None  # over the channels themselves
    if node.op.name in ONE_TO_ONE or (node.op.name == "pad" and not any(call.attrs.channels)):
        return [np.stack([own[call.x.name], y])]
    if node.op.name in OPERANDS and all(t.shape[-1:] == call.y.shape[-1:] for t in call.inputs):
        return [np.stack([own[t.name], y]) for t in call.data]
    if node.op.name == "reshape":
        # The same elements in the same order: the channel of each before goes with its channel after.
        sides = (np.tile(own[t.name], t.size // len(own[t.name])) for t in (call.x, call.y))
        return [np.unique(np.stack(list(sides)), axis=1)]
    if node.op.name == "concatenation" and len({t.name for t in call.data}) == len(call.inputs):
        if call.attrs.axis == len(call.y.shape) - 1:
            return [np.stack([np.concatenate([own[t.name] for t in call.data]), y])]
        return [np.stack([own[t.name], y]) for t in call.data]
    return None


def joined(count: int, pairs: Array) -> Array:
    """The smallest place that each place hangs together with, through any number of pairs: [count]."""
    label = np.arange(count)
    while True:
        least = np.minimum(label[pairs[0]], label[pairs[1]])
        before = label.copy()
        for side in pairs:
            np.minimum.at(label, side, least)
        label = label[label]
        if np.array_equal(label, before):
            return label


# ── the graph with fewer channels ─────────────────────────────────────────────────────────────────────────────────


def with_channels(graph: Graph, stay: Mapping[str, Array], biases: Mapping[str, Array]) -> Graph:
    """The graph with those channels that `stay[tensor]` marks, [c]; `biases[node]` are new biases of all old channels."""
    tensors = {n: t if t.data is not None else narrower(t, stay[n]) for n, t in graph.tensors.items()}
    nodes = []
    for node in graph.nodes:
        call, inputs = graph.call(node), list(node.inputs)
        for index, t in enumerate(call.inputs):
            if t.data is None:
                continue
            values = biases[node.name] if index == 2 and node.name in biases else t.data
            cut = sliced(replace(t, data=values), cuts(node, call, index, stay))
            if cut.shape == t.shape and np.array_equal(values, t.data):
                continue
            name = t.name if sole_reader(graph, t.name) else unused_name(graph, f"{node.name}/constant_{index}")
            tensors[name], inputs[index] = replace(cut, name=name), name
        attrs = node.attrs
        if node.op.name == "reshape":
            attrs = replace(attrs, shape=tensors[node.outputs[0]].shape)
        nodes.append(replace(node, inputs=tuple(inputs), attrs=attrs))
    return graph.replaced(nodes, tensors)


def narrower(t: Tensor, stay: Array) -> Tensor:
    return t if stay.all() else replace(t, shape=(*t.shape[:-1], int(stay.sum())))


def cuts(node: Node, call: Call, index: int, stay: Mapping[str, Array]) -> Iterator[tuple[int, Array]]:
    """Along which axes of a constant input what stays."""
    if node.op.name in SUMS:
        yield 0, stay[call.y.name]
        if index == 1 and call.data:
            yield -1, stay[call.x.name]
    elif node.op.name == "depthwise_conv_2d" or node.op.name in OPERANDS:
        yield -1, stay[call.y.name]


def sliced(t: Tensor, along: Iterator[tuple[int, Array]]) -> Tensor:
    """A constant, and its scales, where the marks are true."""
    assert t.data is not None
    data, q = t.data, t.quantization
    for axis, marks in along:
        axis %= data.ndim
        if data.shape[axis] == 1 and len(marks) > 1:
            continue  # one value for all channels: it stays
        data = np.compress(marks, data, axis)
        if q is not None and q.axis == axis:
            chosen = np.flatnonzero(marks)
            q = replace(q, scale=tuple(q.scale[i] for i in chosen), zero_point=tuple(q.zero_point[i] for i in chosen))
    return replace(t, shape=data.shape, data=np.ascontiguousarray(data), quantization=q)
