# SPDX-License-Identifier: Apache-2.0
"""Small int8 and float32 graphs made without any training framework, for the tests of everything behind the front ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from puce import sampling
from puce.activation import Activation
from puce.ir import Array, DType, Graph, Node, Quantization, Tensor
from puce.ops import (
    REGISTRY,
    add,
    average_pool_2d,
    concatenation,
    conv_2d,
    dense,
    make,
    max_pool_2d,
    mean,
    pad,
    relu,
    reshape,
    softmax,
)
from puce.spatial import NO_PADDING, same_padding, span


@dataclass
class Builder:
    """Adds one random layer after the other; every method takes and returns the name of a tensor."""

    rng: np.random.Generator
    kind: DType = "int8"
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def input(self, *shape: int, name: str = "picture") -> str:
        self.tensors[name] = Tensor(name, shape, self.kind, Quantization((1 / 64,), (-3,)) if self.kind == "int8" else None)
        return name

    def append(self, op: str, inputs: tuple[Tensor, ...], attrs: Any, quantization: Quantization | None) -> str:
        name = f"{op}_{len(self.nodes)}"
        REGISTRY[op].check(attrs, inputs, name)
        (y,) = REGISTRY[op].infer(attrs, inputs)
        renamed = tuple(
            t if t.data is None else Tensor.constant(f"{name}.{i}", t.data, t.quantization) for i, t in enumerate(inputs)
        )
        self.tensors |= {t.name: t for t in renamed}
        self.tensors[f"{name}.out"] = Tensor(f"{name}.out", y.shape, y.dtype, quantization if self.kind == "int8" else None)
        self.nodes.append(make(op, name, tuple(t.name for t in renamed), (f"{name}.out",), attrs))
        return f"{name}.out"

    def conv(self, x: str, oc: int, k: int = 3, stride: int = 1, same: bool = True, fused: Activation = "none") -> str:
        t = self.tensors[x]
        w = sampling.weights(self.rng, (oc, k, k, t.shape[2]), self.kind, 0)
        padding = same_padding(t.shape[:2], (k, k), (stride, stride)) if same else NO_PADDING
        attrs = conv_2d.Attrs((stride, stride), padding, (1, 1), fused)
        return self.append("conv_2d", (t, w, sampling.bias(self.rng, oc, t, w)), attrs, self._after(t, w, k * k * t.shape[2]))

    def depthwise(self, x: str, k: int = 3, stride: int = 1, fused: Activation = "relu") -> str:
        t = self.tensors[x]
        c = t.shape[2]
        w = sampling.weights(self.rng, (k, k, c), self.kind, 2)
        attrs = conv_2d.Attrs((stride, stride), same_padding(t.shape[:2], (k, k), (stride, stride)), (1, 1), fused)
        return self.append("depthwise_conv_2d", (t, w, sampling.bias(self.rng, c, t, w)), attrs, self._after(t, w, k * k))

    def dense(self, x: str, n: int, fused: Activation = "none") -> str:
        t = self.tensors[x]
        w = sampling.weights(self.rng, (n, t.size), self.kind, 0)
        return self.append("dense", (t, w, sampling.bias(self.rng, n, t, w)), dense.Attrs(fused), self._after(t, w, t.size))

    def add(self, a: str, b: str, fused: Activation = "none") -> str:
        ins = (self.tensors[a], self.tensors[b])
        return self.append("add", ins, add.Attrs(fused), sampling.quantization(self.rng) if self.kind == "int8" else None)

    def max_pool(self, x: str, k: int = 2) -> str:
        return self.append("max_pool_2d", (self.tensors[x],), max_pool_2d.Attrs((k, k), (k, k)), self.tensors[x].quantization)

    def average_pool(self, x: str, k: int = 2) -> str:
        attrs = average_pool_2d.Attrs((k, k), (k, k))
        return self.append("average_pool_2d", (self.tensors[x],), attrs, self.tensors[x].quantization)

    def mean(self, x: str) -> str:
        return self.append("mean", (self.tensors[x],), mean.Attrs(), self.tensors[x].quantization)

    def pad(self, x: str, *padding: int) -> str:
        top, bottom, left, right = padding
        return self.append("pad", (self.tensors[x],), pad.Attrs((top, bottom, left, right)), self.tensors[x].quantization)

    def relu(self, x: str) -> str:
        t = self.tensors[x]
        return self.append("relu", (t,), relu.Attrs(), t.quantization)

    def concatenation(self, *xs: str) -> str:
        """Side by side along the channels, all in the first one's quantisation."""
        ins = tuple(self.tensors[x] for x in xs)
        return self.append("concatenation", ins, concatenation.Attrs(2), ins[0].quantization)

    def window(self, x: str, op: str, oc: int = 0) -> str:
        """A convolution or a pooling whose window, stride, dilation and padding are drawn apart for rows and columns."""
        t, rng, pool = self.tensors[x], self.rng, op.endswith("pool_2d")
        size, sides = t.shape[:2], list[tuple[int, int, int, int, int]]()
        for n in size:
            k = int(rng.choice([1, 2, 3, 3, 5]))
            d = 1 if pool or rng.random() < 0.7 else int(rng.integers(2, 4))
            least = max(span(k, d) - n, 0)  # the window must fit once
            before = int(rng.integers(0, min(k, 3))) if rng.random() < 0.6 else 0
            before, behind = (
                min(before, k - 1),
                max(least - before, int(rng.integers(0, min(k, 3))) if rng.random() < 0.6 else 0),
            )
            if behind >= k or least > before + behind:  # a window that sees no pixel is not legal: take a single tap
                k, d, before, behind = 1, 1, 0, 0
            sides.append((k, int(rng.choice([1, 1, 2, 3])), d, before, behind))
        (kh, sh, dh, top, bottom), (kw, sw, dw, left, right) = sides
        padding = (top, bottom, left, right)
        if pool:
            pools = {"max_pool_2d": max_pool_2d.Attrs, "average_pool_2d": average_pool_2d.Attrs}
            return self.append(op, (t,), pools[op]((kh, kw), (sh, sw), padding), t.quantization)
        depthwise = op == "depthwise_conv_2d"
        c = t.shape[2]
        w = sampling.weights(rng, (kh, kw, c) if depthwise else (oc, kh, kw, c), self.kind, 2 if depthwise else 0)
        attrs = conv_2d.Attrs((sh, sw), padding, (dh, dw), sampling.fused(rng))
        after = self._after(t, w, kh * kw * (1 if depthwise else c))
        return self.append(op, (t, w, sampling.bias(rng, c if depthwise else oc, t, w)), attrs, after)

    def flatten(self, x: str) -> str:
        t = self.tensors[x]
        return self.append("reshape", (t,), reshape.Attrs((t.size,)), t.quantization)

    def softmax(self, x: str) -> str:
        return self.append("softmax", (self.tensors[x],), softmax.Attrs(), Quantization((1 / 256,), (-128,)))

    def graph(self, *outputs: str, inputs: tuple[str, ...] = ("picture",), name: str = "net") -> Graph:
        """The layers that lead to the outputs; the others are left out, as passes would."""
        wanted, nodes = set(outputs), list[Node]()
        for node in reversed(self.nodes):
            if wanted & {*node.outputs}:
                wanted |= {*node.inputs}
                nodes.insert(0, node)
        return Graph((), self.tensors, inputs, outputs, name).replaced(nodes)

    def _after(self, x: Tensor, w: Tensor, taps: int) -> Quantization | None:
        return sampling.spread(self.rng, x, w, taps) if self.kind == "int8" else None


def residual(seed: int = 0, kind: DType = "int8", size: int = 16) -> Graph:
    """Convolutions with a strided skip connection, depthwise, pools, mean, dense, softmax: one of everything that streams."""
    b = Builder(np.random.default_rng(seed), kind)
    x = b.conv(b.input(size, size, 3), 8, fused="relu")
    x = b.add(x, b.conv(b.conv(x, 8, fused="relu"), 8), fused="relu")
    x = b.add(b.conv(b.conv(x, 12, stride=2, fused="relu"), 12), b.conv(x, 12, k=1, stride=2), fused="relu")
    x = b.max_pool(b.conv(b.depthwise(x), 16, k=1, fused="relu6"))
    return b.graph(b.softmax(b.dense(b.mean(x), 10)), name="residual")


def random_graph(seed: int, kind: DType | None = None) -> Graph:
    """A random legal network with branches, odd sizes and several kinds of layer."""
    rng = np.random.default_rng(seed)
    b = Builder(rng, kind or ("int8" if rng.random() < 0.8 else "float32"))
    x = b.input(*(int(v) for v in rng.integers((5, 5, 1), (15, 15, 6))))
    alive = [x]
    for _ in range(int(rng.integers(2, 9))):
        x = alive[-1] if rng.random() < 0.8 else str(rng.choice(alive))
        alive.append(_random_layer(b, x, alive))
    x = alive[-1]
    ends = rng.integers(0, 3)
    if len(b.tensors[x].shape) == 3:
        x = b.mean(x) if ends == 0 else b.flatten(x) if ends == 1 else x
    if len(b.tensors[x].shape) == 1 and rng.random() < 0.8:
        x = b.dense(x, int(rng.integers(2, 12)))
        x = b.softmax(x) if rng.random() < 0.5 else x
    return b.graph(x, name=f"random_{seed}")


def _random_layer(b: Builder, x: str, alive: list[str]) -> str:
    h, w, c = b.tensors[x].shape
    choice = b.rng.integers(0, 10)
    twins = [t for t in alive if b.tensors[t].shape == (h, w, c) and t != x]
    if twins and choice < 4:
        return b.add(x, str(b.rng.choice(twins)), fused=sampling.fused(b.rng))
    if choice == 4 and min(h, w) >= 4:
        return b.max_pool(x) if b.rng.random() < 0.5 else b.average_pool(x)
    if choice == 5 and h * w < 200:
        return b.pad(x, *(int(v) for v in b.rng.integers(0, 3, 4)))
    if choice == 6:
        return b.depthwise(x, k=int(b.rng.choice([3, 5])), stride=int(b.rng.integers(1, 3)))
    k, stride = int(b.rng.choice([1, 3, 5])), int(b.rng.choice([1, 1, 2]))
    same = bool(b.rng.random() < 0.7 or min(h, w) < k)
    return b.conv(x, int(b.rng.integers(1, 14)), k, stride, same, sampling.fused(b.rng))


def random_network(seed: int, kind: DType | None = None) -> Graph:
    """The same with everything that a network may hold.

    Several inputs and outputs, concatenation, residuals, unequal windows, strides and dilations, pads, pictures of one
    pixel or one row, channels that are no multiple of 4.
    """
    rng = np.random.default_rng([seed, 1])
    b = Builder(rng, kind or ("int8" if rng.random() < 0.7 else "float32"))
    inputs = [b.input(*_picture(rng))]
    if rng.random() < 0.25:  # beside the first, so that both can be joined; or apart
        shape = b.tensors[inputs[0]].shape if rng.random() < 0.7 else _picture(rng)
        inputs.append(b.input(*shape, name="picture_2"))
    alive = list(inputs)
    for _ in range(int(rng.integers(1, 10))):
        x = alive[-1] if rng.random() < 0.75 else str(rng.choice(alive))
        alive.append(_any_layer(b, x, alive) if rng.random() < 0.7 else _random_layer(b, x, alive))
    ends = [_head(b, alive[-1])]
    if rng.random() < 0.3:
        ends += [e for e in (_head(b, str(rng.choice(alive))),) if e not in ends and e not in inputs]
    net = b.graph(*dict.fromkeys(ends), inputs=tuple(inputs))
    for unread in set(inputs) - {t for n in net.nodes for t in n.inputs}:
        ends.append(_head(b, b.conv(unread, 3, 1)))
    return b.graph(*dict.fromkeys(ends), inputs=tuple(inputs), name=f"network_{seed}")


def _picture(rng: np.random.Generator) -> tuple[int, int, int]:
    """Mostly small and odd; now and then one row, one column, one pixel."""
    h, w, c = (int(v) for v in rng.integers((1, 1, 1), (20, 20, 9)))
    lot = rng.random()
    return (1, 1, c) if lot < 0.06 else (1, w, c) if lot < 0.12 else (h, 1, c) if lot < 0.18 else (h, w, c)


def _head(b: Builder, x: str) -> str:
    """Mean, flatten and dense, softmax, or the picture as it is."""
    if len(b.tensors[x].shape) == 3:
        lot = b.rng.random()
        x = b.mean(x) if lot < 0.35 else b.flatten(x) if lot < 0.7 else x
    if len(b.tensors[x].shape) == 1 and b.rng.random() < 0.8:
        x = b.dense(x, int(b.rng.integers(1, 12)), sampling.fused(b.rng))
        x = b.softmax(x) if b.rng.random() < 0.4 else x
    return b.relu(x) if b.tensors[x].name in ("picture", "picture_2") else x


def _any_layer(b: Builder, x: str, alive: list[str]) -> str:
    """What `_random_layer` never makes."""
    h, w, c = b.tensors[x].shape
    beside = [t for t in alive if b.tensors[t].shape[:2] == (h, w) and t != x]
    choice = b.rng.integers(0, 9)
    if choice < 2 and beside and c < 24:
        return b.concatenation(x, str(b.rng.choice(beside)))
    if choice == 2:
        return b.relu(x)
    if choice == 3:
        return b.window(x, "max_pool_2d" if b.rng.random() < 0.5 else "average_pool_2d")
    if choice == 4:
        return b.window(x, "depthwise_conv_2d")
    if choice == 5:
        return b.add(x, b.conv(b.conv(x, c, 3, fused="relu"), c, 3), fused=sampling.fused(b.rng))
    return b.window(x, "conv_2d", int(b.rng.integers(1, 18)))


def pictures(graph: Graph, count: int, seed: int = 0, of: int = 0) -> Array:
    """Random pictures for one of the graph's inputs: [count, *shape]."""
    rng, t = np.random.default_rng([seed, of] if of else seed), graph.tensors[graph.inputs[of]]
    if t.dtype == "float32":
        return rng.normal(size=(count, *t.shape)).astype(np.float32)
    return rng.integers(-128, 128, (count, *t.shape)).astype(t.dtype)
