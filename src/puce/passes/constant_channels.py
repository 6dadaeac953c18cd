# SPDX-License-Identifier: Apache-2.0
"""Channels that are the same for every picture go: what they add is folded into the biases behind them, bit for bit.

After the .tflite has been written, whose layers keep the shapes that the user gave them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Call, Graph, Node
from ..spatial import pad, windows
from .channels import SUMS, Families, families, with_channels
from .edit import Linear, linear
from .intervals import Interval, fixed_channels, intervals, stays_in_int32


@dataclass(frozen=True)
class ConstantChannels:
    """Remove what no picture can change and what nobody looks at. Numbered cases, for a channel c read by a sum

        acc[p][o] = bias[o] + sum over taps k, channels c of w[o][k][c] * (x[p + k][c] - zero point)

    1  nobody looks: w[o][k][c] = 0 for every k and every output o that stays: c adds nothing
    2  constant: x[.][c] is known at each position, from bounds that hold for all inputs (see intervals.py), and its part
       D[p][o] = sum over k of w[o][k][c] * (x[p + k][c] - zero point) is the same at every p, padding counted as the zero
       it is. Then bias[o] + D[o] takes its place: int32 sums are exact in any order, and |bias + D| is not above the
       bound that the sum had before. So without padding, in 1x1 windows, in dense layers, and where the constant is the
       zero point; under 'same' padding any other constant adds less at the border than inside, and the channel stays
    3  float32: sums round, so only a constant 0 goes

    Elementwise operators, pools and depthwise convolutions tie channels together: a family goes whole or not at all, and
    those of the graph's inputs and outputs stay. Round a depthwise convolution a multiple of `multiple` stays where there
    was one before, because its fastest kernel takes channels in fours; of every tensor at least one.
    """

    multiple: int = 4
    name: str = "constant-channels"

    def __call__(self, graph: Graph) -> Graph:
        known = intervals(graph)
        readers = {n.name: parts(n, graph.call(n), known) for n in graph.nodes if n.op.name in SUMS and graph.call(n).data}
        groups = families(graph)
        gone = removable(graph, groups, readers, groups.kept)
        kept = groups.kept
        while (more := self.spare(graph, groups, gone)) is not None:
            kept = kept.copy()
            kept[more] = True
            gone = removable(graph, groups, readers, kept)
        if not gone.any():
            return graph
        stay = {name: ~gone[family] for name, family in groups.of.items()}
        return with_channels(graph, stay, {n.name: bias(graph.call(n), readers[n.name], stay) for n in sums(graph, readers)})

    def spare(self, graph: Graph, groups: Families, gone: Array) -> Array | None:
        """Families to keep after all, so that a tensor has channels, and a depthwise convolution a round number of them."""
        depthwise = {t for n in graph.nodes if n.op.name == "depthwise_conv_2d" for t in (n.inputs[0], n.outputs[0])}
        for name, family in groups.of.items():
            left = int((~gone[family]).sum())
            round_to = self.multiple if name in depthwise and len(family) % self.multiple == 0 else 1
            wanted = max(-(-left // round_to) * round_to, round_to)
            if left < wanted:
                candidates: Array = family[gone[family]]
                return candidates[: wanted - left]
        return None


@dataclass(frozen=True, eq=False)
class Parts:
    """Of each input channel c in each sum o, [o, c]: whether it is needed, and the constant that it adds where not."""

    needed: Array
    adds: Array


def sums(graph: Graph, readers: Mapping[str, Parts]) -> list[Node]:
    return [n for n in graph.nodes if n.name in readers]


def parts(node: Node, call: Call, known: Mapping[str, Interval]) -> Parts:
    """Cases 1 to 3 of the pass, for every input channel of a convolution or dense layer."""
    places = linear(node)
    assert places is not None and places.axis == 0
    w = call.constant(places.weights)
    rows = w.reshape(len(w), -1, w.shape[-1])  # [o, taps, c]
    needed = np.asarray((rows != 0).any(axis=1))
    adds = np.zeros(needed.shape, np.int64)
    low = known[call.x.name].low
    fixed = fixed_channels(known, call.x)
    if call.x.dtype not in ("float32", "int8"):  # weights may have a zero point of their own
        needed[:] = True
    elif call.x.dtype == "float32":
        zero = (low == 0).reshape(-1, low.shape[-1]).all(axis=0)
        needed[:, fixed & zero] = False
    elif call.x.dtype == "int8" and stays_in_int32(node, call):
        for c in np.flatnonzero(fixed & needed.any(axis=0)):
            seen = taps(call, places, low[..., c : c + 1].astype(np.float64) - call.x.q.z)
            part = seen @ rows[:, :, c].T.astype(np.float64)  # [positions, o], exact: below 2^31
            needed[:, c] = (part != part[0]).any(axis=0)
            adds[:, c] = np.where(needed[:, c], 0, part[0])
    return Parts(needed, adds)


def taps(call: Call, places: Linear, channel: Array) -> Array:
    """What each window sees of one channel, zero point off: [positions, taps]."""
    if len(call.x.shape) == 1:
        return channel.reshape(1, 1)
    a, (kh, kw) = call.attrs, call.inputs[places.weights].shape[1:3]
    return windows(pad(channel[None], a.padding, 0), (kh, kw), a.stride, a.dilation).reshape(-1, kh * kw)


def removable(graph: Graph, groups: Families, readers: Mapping[str, Parts], kept: Array) -> Array:
    """Which families can go, [family]: those that no sum needs for an output that stays; repeated until no more go."""
    gone = np.zeros(len(groups), bool)
    while True:
        stuck = kept.copy()
        for node in sums(graph, readers):
            x, y = (groups.of[t] for t in (node.inputs[0], node.outputs[0]))
            stuck[x[readers[node.name].needed[~gone[y]].any(axis=0)]] = True
        if np.array_equal(gone, ~stuck):
            return gone
        gone = ~stuck


def bias(call: Call, part: Parts, stay: Mapping[str, Array]) -> Array:
    """The bias of every old output channel, with what the removed input channels add."""
    b = call.constant(2)
    total: Array = (b + part.adds[:, ~stay[call.x.name]].sum(axis=1)).astype(b.dtype)
    return b if b.dtype == np.float32 else total
