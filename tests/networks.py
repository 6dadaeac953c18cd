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
    conv_2d,
    dense,
    make,
    max_pool_2d,
    mean,
    pad,
    reshape,
    softmax,
)
from puce.spatial import NO_PADDING, same_padding


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


def pictures(graph: Graph, count: int, seed: int = 0) -> Array:
    """Random pictures for the graph's first input: [count, *shape]."""
    rng, t = np.random.default_rng(seed), graph.tensors[graph.inputs[0]]
    if t.dtype == "float32":
        return rng.normal(size=(count, *t.shape)).astype(np.float32)
    return rng.integers(-128, 128, (count, *t.shape)).astype(t.dtype)
