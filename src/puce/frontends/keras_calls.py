# SPDX-License-Identifier: Apache-2.0
"""Functions called on tensors in a Keras model (a + b, x / 255): those whose meaning is a layer's, with constants in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import Unsupported
from ..ops import KerasLayer
from .keras_files import Json
from .keras_layers import Names, Writer, computed, scale_and_offset

# The function of a TFOpLambda, or the class of an operation of Keras 3, by what it does.
FUNCTIONS: Mapping[str, str] = {
    "__operators__.add": "add", "math.add": "add", "math.multiply": "multiply", "math.subtract": "subtract",
    "math.truediv": "divide", "math.divide": "divide", "compat.v1.math.divide": "divide", "nn.relu": "relu",
    "nn.relu6": "relu6", "nn.sigmoid": "sigmoid", "math.sigmoid": "sigmoid", "math.tanh": "tanh", "nn.silu": "silu",
    "nn.softmax": "softmax", "concat": "concatenate", "math.maximum": "maximum", "math.minimum": "minimum", "cast": "cast",
    "Add": "add", "Multiply": "multiply", "Subtract": "subtract", "TrueDivide": "divide", "Divide": "divide",
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Silu": "silu",
}  # fmt: skip
PAIRS = {"add": "Add", "multiply": "Multiply", "subtract": "Subtract", "maximum": "Maximum", "minimum": "Minimum"}
REMEDY = "Use layers: keras.layers.Add()([a, b]) instead of a + b, Rescaling instead of x / 255."


def is_call(entry: Json) -> bool:
    """Whether an entry is a function, not a layer."""
    return entry["class_name"] in ("TFOpLambda", "SlicingOpLambda") or str(entry.get("module", "")).startswith("keras.src.ops")


def called(w: Writer, entry: Json, name: str, inputs: Names, arguments: Any) -> Names:
    """The function of an entry, applied to `inputs`; `arguments` are the call as the file has it, with its constants."""
    config = entry["config"] if isinstance(entry["config"], Mapping) else {}
    word = str(config.get("function") or entry["class_name"])
    kind = FUNCTIONS.get(word)
    if kind is None:
        raise Unsupported(w.place, f"the function {word} is not supported.", REMEDY)
    if kind == "cast":
        return inputs
    layer = KerasLayer(PAIRS.get(kind, kind), name, {}, ())
    if kind in PAIRS or kind == "divide":
        return pair(w, layer, kind, inputs, arguments)
    if kind == "concatenate":
        return computed(w, KerasLayer("Concatenate", name, {"axis": axis_of(arguments)}, ()), inputs)
    return computed(w, KerasLayer(f"Activation:{kind}", name, {}, ()), inputs[:1])


def axis_of(arguments: Any) -> int:
    found = [v for k, v in settings(arguments) if k == "axis" and isinstance(v, int)]
    return found[0] if found else -1


def settings(arguments: Any) -> Sequence[tuple[str, Any]]:
    """Every named value in a call."""
    if isinstance(arguments, Mapping):
        if arguments.get("class_name") == "__keras_tensor__":
            return []
        return [pair for k, v in arguments.items() for pair in ((k, v), *settings(v))]
    if isinstance(arguments, list | tuple):
        return [pair for v in arguments for pair in settings(v)]
    return []


def pair(w: Writer, layer: KerasLayer, kind: str, inputs: Names, arguments: Any) -> Names:
    """Two tensors, or a tensor and a number or a list of numbers, one a channel."""
    if len(inputs) == 2 and kind != "divide":
        return computed(w, layer, inputs)
    found = constant(arguments)
    if len(inputs) != 1 or found is None or kind in ("maximum", "minimum"):
        raise Unsupported(w.place, f"{kind} of these operands is not supported.", REMEDY)
    value, first = found
    if kind == "add":
        return scale_and_offset(w, layer, inputs, 1.0, value)
    if kind == "multiply":
        return scale_and_offset(w, layer, inputs, value, 0.0)
    if kind == "subtract":
        return scale_and_offset(w, layer, inputs, *((-1.0, value) if first else (1.0, -value)))
    if first or not np.all(value):
        raise Unsupported(w.place, "a constant divided by a tensor is not supported.", REMEDY)
    return scale_and_offset(w, layer, inputs, 1 / value, 0.0)


def constant(arguments: Any) -> tuple[Any, bool] | None:
    """The constant operand of a call, and whether it comes first."""
    if isinstance(arguments, Mapping) and "args" in arguments:  # Keras 3
        operands = [*arguments["args"], *arguments.get("kwargs", {}).values()]
        numbers = [(i, numeric(v)) for i, v in enumerate(operands[:2])]
        return next(((v, i == 0) for i, v in numbers if v is not None), None)
    # Keras 2: [[layer, call, output, {"y": 255.0}]], or ["_CONSTANT_VALUE", -1, value, {"y": [layer, call, output]}]
    flat = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else arguments
    if len(flat) < 4:
        return None
    if flat[0] == "_CONSTANT_VALUE":
        value = numeric(flat[2])
        return None if value is None else (value, True)
    value = numeric(flat[3].get("y")) if isinstance(flat[3], Mapping) else None
    return None if value is None else (value, False)


def numeric(value: Any) -> Any:
    """A number or a list of numbers in double; None for anything else."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        value = value["config"].get("value")
    if isinstance(value, bool) or value is None or isinstance(value, str | Mapping):
        return None
    try:
        array = np.asarray(value, np.float64)
    except (ValueError, TypeError):
        return None
    return array if array.size and np.isfinite(array).all() else None
