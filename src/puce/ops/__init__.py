# SPDX-License-Identifier: Apache-2.0
"""An operator is one object: what it computes, what it needs, what it costs, which C it becomes.

Each file of this folder declares one; to add one, copy `add.py`. Nothing else in the package lists operators.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import Unsupported
from ..ir import Array, Call, Node, Tensor

Limit = Callable[[Any, Sequence[Tensor]], bool]


@dataclass(frozen=True)
class Window:
    """Which rows of one input a firing of the operator needs: all that streaming has to know.

    An operator fires once an output row. Firing y needs the rows y * stride - top + k * dilation, k = 0 .. size - 1;
    those outside the picture are padding. Two kinds need no numbers:
      whole    it fires once, when every row is there (dense, softmax over a picture)
      reduce   it fires once an input row, and its only output row stands after the last firing (global mean)
    """

    size: int = 1
    stride: int = 1
    top: int = 0
    dilation: int = 1
    kind: Literal["rows", "whole", "reduce"] = "rows"

    def rows(self, y: int, height: int) -> tuple[int, ...]:
        """The real rows, of a picture of `height` rows, that firing `y` reads."""
        if self.kind == "whole":
            return tuple(range(height))
        if self.kind == "reduce":
            return (y,)
        taps = (y * self.stride - self.top + k * self.dilation for k in range(self.size))
        return tuple(r for r in taps if 0 <= r < height)


ROW = Window()
WHOLE = Window(kind="whole")
REDUCE = Window(kind="reduce")


@dataclass(frozen=True)
class Constant:
    """A table that a kernel wants in flash: `name` is the end of its C name, `note` its comment.

    A `shared` one has the same values in every layer that names it, and stands in the firmware once.
    """

    name: str
    values: Array
    note: str
    shared: bool = False


def nothing(call: Call) -> int:
    return 0


def no_constants(call: Call) -> tuple[Constant, ...]:
    return ()


@dataclass(frozen=True)
class Kernel:
    """One C function that computes one firing.

    It is called as  name(inputs..., outputs..., constants..., [state], [scratch], [y], arguments).
    An input with a Window of size 1, `whole` or `reduce` is a pointer to its first byte, null for a padding row; one with
    a larger window is an array of `size` row pointers, null where a row is padding. `state` bytes live from the first
    firing to the last, `scratch` bytes during one firing; both are 4-byte aligned. `y` is the number of the firing.
    """

    name: str
    header: str
    accepts: Callable[[Call], bool]
    arguments: Callable[[Call], str]
    constants: Callable[[Call], tuple[Constant, ...]] = no_constants
    state: Callable[[Call], int] = nothing
    scratch: Callable[[Call], int] = nothing
    windows: Callable[[Call], tuple[Window, ...]] | None = None  # where they differ from the operator's own
    takes_y: bool = False
    needs: frozenset[str] = frozenset()  # features of a core: "dsp", "fpu"


@dataclass(frozen=True)
class KerasLayer:
    """A layer as a Keras file holds it: its class, name, configuration, and weights in Keras's order."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    weights: tuple[Array, ...]

    def pair(self, key: str) -> tuple[int, int]:
        """A setting that Keras writes as one number or as two: (rows, columns)."""
        value = self.config.get(key, 1)
        rows, columns = (value, value) if isinstance(value, int) else value
        return int(rows), int(columns)


@dataclass(frozen=True)
class Imported:
    """What a foreign layer means: our attributes, and constant inputs in our layout, which follow the data inputs."""

    attrs: Any
    constants: tuple[tuple[str, Array], ...] = ()


KerasDecoder = Callable[[KerasLayer, Sequence[Tensor]], Imported]


@dataclass(frozen=True)
class TfliteForm:
    """How the operator stands in a .tflite file.

    `operator` is the name in the schema's BuiltinOperator, `options` that of its options table ("" for none).
    `encode(call)` gives the fields of that table; `decode(options, inputs, outputs)` reads it back: `options` is the
    generated table object or None, and constant inputs come in TFLite's layout, which `decode` returns in ours.
    `constants(call)` gives the inputs in TFLite's order and the constant ones in its layout, a nameless one where an
    optional input is absent; `version(call)` the operator's version. Where one operator of ours is several of TFLite's,
    `fits(call)` says whether this is the one. `variables` are the places of inputs that are states, `intermediates(call)`
    tensors that carry only a scale: for recurrent operators, whose files list them behind the inputs.
    """

    operator: str
    options: str
    encode: Callable[[Call], Mapping[str, Any]]
    decode: Callable[[Any, Sequence[Tensor], Sequence[Tensor]], tuple[Any, tuple[Tensor, ...]]]
    constants: Callable[[Call], tuple[Tensor, ...]] = lambda call: call.inputs
    version: Callable[[Call], int] = lambda call: 1
    fits: Callable[[Call], bool] = lambda call: True
    variables: frozenset[int] = frozenset()
    intermediates: Callable[[Call], tuple[Tensor, ...]] = lambda call: ()


@dataclass(frozen=True)
class Inner:
    """Values inside an operator, a cell state: their range is calibrated as "node/name", like that of a tensor.

    `values(call, *arrays)` computes them in float on a batch, [n, ...]; `settle(attrs, most)` gives the attributes of the
    int8 operator for values from -most to most.
    """

    name: str
    values: Callable[..., Array]
    settle: Callable[[Any, float], Any]


@dataclass(frozen=True)
class Rule:
    """How the operator is quantised to int8 after TFLite's specification.

    output   "calibrated": range from data; "same": that of the first input; or (scale, zero point), fixed by the rule
    weights  index of the constant input that becomes symmetric int8, one scale a slice along `axis`
    bias     index of the constant input that becomes int32 with scale = input scale * weight scale
    alike    whether all computed inputs must have the output's scale and zero point
    more     indices of other constant inputs that become symmetric int8 along `axis`, without a bias of their own
    inner    values that stay inside the operator and whose range its attributes hold
    """

    output: Literal["calibrated", "same"] | tuple[float, int] = "calibrated"
    weights: int | None = None
    axis: int | None = 0
    bias: int | None = None
    alike: bool = False
    more: tuple[int, ...] = ()
    inner: Inner | None = None


@dataclass(frozen=True, eq=False)
class Op:
    """Everything the compiler knows of one operator. Functions take a `Call`: attributes and tensors of one use.

    infer(attrs, inputs)        output tensors: shape and type; names and quantisation are the caller's
    reference(call, *arrays)    NumPy, on a batch: [n, *shape] for each computed input, in order; constants from the call
    windows(call)               one for each computed input
    samples(rng)                endless random legal uses, int8 and float32, quantised, constants filled: for the tests
    """

    name: str
    summary: str
    infer: Callable[[Any, Sequence[Tensor]], tuple[Tensor, ...]]
    reference: Callable[..., tuple[Array, ...]]
    windows: Callable[[Call], tuple[Window, ...]]
    samples: Callable[[np.random.Generator], Iterator[Call]]
    kernels: tuple[Kernel, ...] = ()  # the best first
    formula: Callable[[Call], str] = lambda call: ""  # for the comment in the generated C
    macs: Callable[[Call], int] = nothing
    macc: Callable[[Call], int] = nothing  # Cube.AI's way of counting
    limits: tuple[Limit, ...] = ()
    rule: Rule = Rule()
    in_place: bool = False  # firing y may write where row y of the first input of the same size lies
    view: bool = False  # the output is the input's memory under another shape: no kernel
    tflite: TfliteForm | tuple[TfliteForm, ...] = ()
    keras: Mapping[str, KerasDecoder] = field(default_factory=dict)
    onnx: tuple[str, ...] = ()

    @property
    def forms(self) -> tuple[TfliteForm, ...]:
        """Every operator of TFLite that this one is."""
        return self.tflite if isinstance(self.tflite, tuple) else (self.tflite,)

    def form_of(self, call: Call) -> TfliteForm | None:
        """How one use stands in a .tflite file; None where the format has no word for it."""
        return next((form for form in self.forms if form.fits(call)), None)

    def check(self, attrs: Any, inputs: Sequence[Tensor], place: str) -> None:
        """Raise Unsupported with the first limit's own docstring where a use breaks it."""
        for limit in self.limits:
            if not limit(attrs, inputs):
                got = ", ".join("x".join(map(str, t.shape)) for t in inputs if t.data is None)
                fact = f"{limit.__doc__} Got {attrs} on {got}."
                raise Unsupported(place, fact, f"Change the layer, or see `puce ops {self.name}` for what is possible.")


REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    assert op.name not in REGISTRY, f"two operators are called {op.name}"
    REGISTRY[op.name] = op
    return op


def from_tflite(operator: str) -> tuple[Op, TfliteForm] | None:
    """The operator, and its form, that TFLite's schema calls by this name."""
    return next(((op, f) for op in REGISTRY.values() for f in op.forms if f.operator == operator), None)


def make(op: str, name: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Any, origin: str = "") -> Node:
    """A node of the operator with this name."""
    return Node(REGISTRY[op], name, tuple(inputs), tuple(outputs), attrs, origin or name)


for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
