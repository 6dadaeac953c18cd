# SPDX-License-Identifier: Apache-2.0
"""The graph: the one data structure that every part reads and every pass returns.

Frozen on purpose: a pass takes a Graph and returns another. Facts *about* a graph (schedule, cost, measurements)
live in objects of their own, keyed by name, never on the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .text import table
from .units import count, size

if TYPE_CHECKING:
    from .ops import Op

DType = Literal["float32", "int8", "uint8", "int16", "int32"]
Array = np.ndarray[Any, np.dtype[Any]]

C_TYPE: dict[str, str] = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t"}


@dataclass(frozen=True)
class Quantization:
    """TFLite's meaning: real = scale * (q - zero_point); one pair, or one per slice along `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None

    def __post_init__(self) -> None:
        assert self.axis is not None or len(self.scale) == len(self.zero_point) == 1, self

    @property
    def s(self) -> float:
        """The scale of a tensor that has only one."""
        assert len(self.scale) == 1, self
        return self.scale[0]

    @property
    def z(self) -> int:
        """The zero point of a tensor that has only one."""
        assert len(self.zero_point) == 1, self
        return self.zero_point[0]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value. Shape of one picture, without batch, channels last: [h, w, c] or [n]. Constants have `data`."""

    name: str
    shape: tuple[int, ...]
    dtype: DType = "float32"
    quantization: Quantization | None = None
    data: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        assert self.data is None or (self.data.shape == self.shape and self.data.dtype == self.dtype), self

    @classmethod
    def constant(cls, name: str, data: Array, quantization: Quantization | None = None) -> Tensor:
        dtype: Any = str(data.dtype)
        return cls(name, tuple(data.shape), dtype, quantization, data)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        return int(np.dtype(self.dtype).itemsize)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def rows(self) -> int:
        """How many rows a kernel writes it in: the height of a [h, w, c] tensor, else 1."""
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def row_bytes(self) -> int:
        return self.nbytes // self.rows

    @property
    def q(self) -> Quantization:
        assert self.quantization is not None, f"{self.name} has no quantization"
        return self.quantization

    def like(self, name: str, shape: tuple[int, ...] | None = None, dtype: DType | None = None) -> Tensor:
        """Another value of the same kind: other name, perhaps other shape or type, no data."""
        return replace(self, name=name, shape=self.shape if shape is None else shape, dtype=dtype or self.dtype, data=None)


@dataclass(frozen=True, eq=False)
class Call:
    """One use of an operator, with its tensors at hand: what every function of an operator takes."""

    attrs: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> Tensor:
        """The first output."""
        return self.outputs[0]

    @property
    def data(self) -> tuple[Tensor, ...]:
        """The inputs that are computed, not constant."""
        return tuple(t for t in self.inputs if t.data is None)

    def constant(self, index: int) -> Array:
        """The values of a constant input."""
        values = self.inputs[index].data
        assert values is not None, f"{self.inputs[index].name} is not constant"
        return values


@dataclass(frozen=True, eq=False)
class Node:
    """One use of an operator. `origin` is the layer's name in the user's own file, for messages."""

    op: Op
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Any
    origin: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in execution order; `tensors` holds every name that a node mentions."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = "model"

    def call(self, node: Node) -> Call:
        """The node with its tensors looked up."""
        return Call(node.attrs, tuple(self.tensors[n] for n in node.inputs), tuple(self.tensors[n] for n in node.outputs))

    def producer(self, tensor: str) -> Node | None:
        return next((n for n in self.nodes if tensor in n.outputs), None)

    def readers(self, tensor: str) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if tensor in n.inputs)

    def constants(self) -> Iterator[Tensor]:
        return (t for t in self.tensors.values() if t.data is not None)

    def replaced(
        self,
        nodes: Sequence[Node],
        tensors: Mapping[str, Tensor] | None = None,
        outputs: tuple[str, ...] | None = None,
    ) -> Graph:
        """This graph with other nodes; tensors that nobody mentions any more are dropped."""
        outputs = self.outputs if outputs is None else outputs
        known = dict(self.tensors if tensors is None else tensors)
        used = {*self.inputs, *outputs, *(t for n in nodes for t in (*n.inputs, *n.outputs))}
        return replace(self, nodes=tuple(nodes), tensors={k: v for k, v in known.items() if k in used}, outputs=outputs)

    def evaluate(self, *pictures: Array) -> tuple[Array, ...]:
        """Run the NumPy reference on a batch: each input is [n, *shape]; returns the outputs as [n, *shape]."""
        values = self.evaluate_all(*pictures)
        return tuple(values[name] for name in self.outputs)

    def evaluate_all(self, *pictures: Array) -> dict[str, Array]:
        """Like `evaluate`, but every activation by name: for calibration and diagnosis."""
        values = dict(zip(self.inputs, pictures, strict=True))
        for name, x in values.items():
            want = self.tensors[name]
            assert x.shape[1:] == want.shape and x.dtype == want.dtype, (name, x.shape, x.dtype, want)
        for node in self.nodes:
            call = self.call(node)
            results = node.op.reference(call, *(values[t.name] for t in call.data))
            for name, y in zip(node.outputs, results, strict=True):
                t = self.tensors[name]
                assert y.shape[1:] == t.shape and y.dtype == t.dtype, (node.name, y.shape, y.dtype, t)
                values[name] = y
        return values

    def __str__(self) -> str:
        """A table a person can read: one line a node, then the sums."""
        head = ("layer", "operator", "inputs", "output", "type", "parameters", "MACs")
        rows = []
        for node in self.nodes:
            call, out = self.call(node), self.tensors[node.outputs[0]]
            weights = sum(t.size for t in call.inputs if t.data is not None)
            data = ", ".join(t.name for t in call.data)
            rows.append((
                node.name, node.op.name, data, "x".join(map(str, out.shape)), out.dtype,
                count(weights), count(node.op.macs(call)),
            ))  # fmt: skip
        parameters = sum(t.size for t in self.constants())
        total = size(sum(t.nbytes for t in self.constants()))
        macs = sum(n.op.macs(self.call(n)) for n in self.nodes)
        last = (self.name, f"{len(rows)} nodes", "", "", total, count(parameters), count(macs))
        return table(head, rows, last, right={5, 6})
