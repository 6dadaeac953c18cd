# SPDX-License-Identifier: Apache-2.0
"""Keras models -> Graph, from .keras, .h5 or a live object: a white list of layers, and no line of the model's code.

What a layer computes is said by the operator that registered its class, or by keras_layers where it is several; this
file knows how layers are wired, nested and shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, Unsupported
from ..ir import Array, Graph, Node, Tensor
from ..ops import REGISTRY, KerasDecoder, KerasLayer, Op
from .keras_calls import called, is_call
from .keras_files import MODELS, Json, Path_, Source, entry_name, layer_entries, open_source
from .keras_layers import LAYERS, Names, computed
from .keras_legacy import modern
from .keras_words import ACTIVATION_LAYERS, DROPPED, remedy_for
from .model import ImportedModel

INSIDE = frozenset({"Bidirectional", "GRU", "LSTM", "SimpleRNN"})  # layers whose activation is no step of its own


def read(source: str | Path | Any) -> Graph:
    """Return the graph of a .keras or .h5 file or of a Keras model object; see `load`."""
    return load(source).graph


def load(source: str | Path | Any) -> ImportedModel:
    """Import a .keras or .h5 file, or a Keras model object. Raises BadInput or Unsupported, naming the layer."""
    opened = open_source(source)
    reader = _Reader(opened)
    try:
        outputs = reader.model(opened.config, None, ())
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
        fact = f"its configuration is not one that Keras writes: {type(error).__name__} {error}."
        raise BadInput(reader.place or opened.name, fact, "Save it again with a current version of Keras.") from error
    counts = {"/".join(path): sum(w.size for w in ws) for path, ws in reader.used.items() if ws}
    return ImportedModel(reader.graph(outputs), opened.name, sum(counts.values()), counts)


def decoder_of(class_name: str) -> tuple[Op, KerasDecoder] | None:
    return next(((op, op.keras[class_name]) for op in REGISTRY.values() if class_name in op.keras), None)


class _Reader:
    """One import. `place` is the layer at hand, for messages; `used` the weights of each layer met, for the count."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.place = ""
        self.used: dict[Path_, tuple[Array, ...]] = {}
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[str] = []

    def graph(self, outputs: Names) -> Graph:
        config = self.source.config["config"]
        name = config.get("name", "model") if isinstance(config, dict) else "model"
        return Graph(tuple(self.nodes), self.tensors, tuple(self.inputs), outputs, str(name))

    # ── models: how layers are wired ──────────────────────────────────────────────────────────────────────────────

    def model(self, entry: Json, inputs: Names | None, path: Path_) -> Names:
        """The tensors that a model returns; `inputs` are None for the outermost, which makes its own."""
        if entry["class_name"] == "Sequential":
            return self.sequential(entry, inputs, path)
        if entry["class_name"] in MODELS:
            return self.functional(entry, inputs, path)
        fact = f"a model of the class {entry['class_name']} is code, not a description of layers."
        raise Unsupported(self.source.name, fact, "Build it with keras.Sequential or keras.Model(inputs, outputs).")

    def sequential(self, model: Json, inputs: Names | None, path: Path_) -> Names:
        entries = layer_entries(model)
        if inputs is None:
            build = model.get("build_config") or {}
            config = model["config"] if isinstance(model["config"], dict) else {}
            shape = input_shape(entries[0]["config"]) or build.get("input_shape") or config.get("build_input_shape")
            name = entry_name(entries[0]) if entries[0]["class_name"] == "InputLayer" else "input"
            inputs = (self.input(name, shape),)
        for index, entry in enumerate(entries, 1):
            if entry["class_name"] != "InputLayer":
                inputs = self.layer(entry, inputs, path, index)
        return inputs

    def functional(self, model: Json, inputs: Names | None, path: Path_) -> Names:
        """Every layer may be called several times: `known` holds what each call returned."""
        config = model["config"]
        known: dict[tuple[str, int], Names] = {}
        ends = [name for name, *_ in histories(config["input_layers"])]
        entries = {entry_name(e): e for e in layer_entries(model)}
        for i, name in enumerate(ends):
            known[name, 0] = (inputs[i],) if inputs else (self.input(name, input_shape(entries[name]["config"])),)
        if inputs is not None and len(inputs) != len(ends):
            raise ValueError(f"{len(ends)} inputs wanted, {len(inputs)} given")
        calls = [
            (entry, index, number, call)
            for index, entry in enumerate(entries.values(), 1)
            for number, call in enumerate(entry.get("inbound_nodes", ()))
            if entry_name(entry) not in ends
        ]
        only = {name: sum(entry_name(c[0]) == name for c in calls) == 1 for name in entries}

        def find(history: tuple[str, int, int]) -> str | None:
            # Keras 2 counts the first call of a nested model as its second: where there is one call, it is meant.
            name, node, output = history
            results = known.get((name, 0 if only[name] else node))
            return None if results is None else results[output]

        while calls:
            waiting = []
            for entry, index, number, call in calls:
                data = [find(h) for h in histories(call)]
                ready = tuple(name for name in data if name is not None)
                if len(ready) == len(data):
                    known[entry_name(entry), number] = self.layer(entry, ready, path, index, call)
                else:
                    waiting.append((entry, index, number, call))
            if len(waiting) == len(calls):
                raise ValueError(f"the layer {entry_name(waiting[0][0])} waits for one that never comes")
            calls = waiting
        found = [find(h) for h in histories(config["output_layers"])]
        return tuple(name for name in found if name is not None)

    def input(self, name: str, shape: Any) -> str:
        self.place = f"{name} ({self.source.name})"
        if not isinstance(shape, list | tuple) or len(shape) < 2:
            fact = "the model has never been built: its input has no shape."
            raise BadInput(self.place, fact, "Add keras.Input(shape=(height, width, channels)) as its first layer.")
        sizes = tuple(shape[1:])
        if not all(isinstance(n, int) and n > 0 for n in sizes):
            fact = f"the input's shape is not fixed: {'x'.join('?' if n is None else str(n) for n in sizes)}."
            remedy = "Build the model again with keras.Input(shape=...) of fixed sizes, and load the same weights into it."
            raise Unsupported(self.place, fact, remedy)
        unique = self.unique(name)
        self.tensors[unique] = Tensor(unique, sizes)
        self.inputs.append(unique)
        return unique

    # ── layers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def layer(self, entry: Json, inputs: Names, path: Path_, index: int, arguments: Any = ()) -> Names:
        entry = modern(entry)
        kind, here, config = entry["class_name"], (*path, entry_name(entry)), entry["config"]
        self.place = f"{'/'.join(here)} ({self.source.name}, layer {index})"
        if kind in MODELS:
            return self.model(entry, inputs, here)
        if kind in DROPPED:
            return inputs
        if isinstance(config, Mapping) and config.get("data_format") == "channels_first":
            remedy = "Train with data_format='channels_last', which Keras uses unless told otherwise."
            raise Unsupported(self.place, "channels come before rows and columns.", remedy)
        if is_call(entry):
            return called(self, entry, "/".join(here), inputs, arguments)
        if kind not in LAYERS and kind != "Activation" and decoder_of(kind) is None:
            raise Unsupported(self.place, f"a {kind} layer is not supported.", remedy_for(kind))
        weights = self.source.weights.get(here, ())
        self.used[here] = weights
        return self.recurrent_layer(KerasLayer(kind, "/".join(here), config, weights), inputs)

    def recurrent_layer(self, layer: KerasLayer, inputs: Names) -> Names:
        """A layer with its activation, which in recurrent ones is inside."""
        kind = layer.class_name
        if kind == "Activation":
            return self.activation(layer, inputs)
        results = computed(self, layer, inputs)
        inner = layer.config.get("layer") if kind == "TimeDistributed" else None
        if isinstance(inner, Mapping):
            layer = KerasLayer(kind, layer.name, inner["config"], ())
        return results if kind in INSIDE else self.activation(layer, results)

    def operator(self, layer: KerasLayer, inputs: Names) -> Names:
        """The node of a layer whose class an operator has registered."""
        found = decoder_of(layer.class_name)
        if found is None:
            raise Unsupported(self.place, f"a {layer.class_name} layer is not supported.", remedy_for(layer.class_name))
        op, decode = found
        data = [self.tensors[name] for name in inputs]
        if layer.class_name == "BatchNormalization":
            self.check_last_axis(layer.config.get("axis", -1), data[0])
        imported = decode(layer, data)
        return self.node(op.name, layer.name, inputs, imported.attrs, imported.constants)

    def node(self, op: str, name: str, inputs: Names, attrs: Any, constants: Sequence[tuple[str, Array]] = ()) -> Names:
        """One operator, checked against its limits; several outputs are numbered."""
        more = tuple(self.constant(f"{name}/{end}", values) for end, values in constants)
        every = [self.tensors[t] for t in (*inputs, *more)]
        REGISTRY[op].check(attrs, every, self.place)
        made = REGISTRY[op].infer(attrs, every)
        names = []
        for i, y in enumerate(made):
            unique = self.unique(name if len(made) == 1 else f"{name}/{i}")
            self.tensors[unique] = y.like(unique)
            names.append(unique)
        origin = self.place.partition(" (")[0]
        self.nodes.append(Node(REGISTRY[op], names[0], (*inputs, *more), tuple(names), attrs, origin))
        return tuple(names)

    def constant(self, name: str, values: Array) -> str:
        """The name of a constant; a layer that is called twice has its weights once."""
        values = np.asarray(values)
        known = self.tensors.get(name)
        if known is None or known.data is None or not np.array_equal(known.data, values):
            name = self.unique(name)
            self.tensors[name] = Tensor.constant(name, values)
        return name

    def unique(self, name: str) -> str:
        found, n = name, 1
        while found in self.tensors:
            found, n = f"{name}_{n}", n + 1
        return found

    def check_last_axis(self, axis: Any, x: Tensor) -> None:
        axes = axis if isinstance(axis, list | tuple) else [axis]
        if list(axes) not in ([-1], [len(x.shape)]):
            fact = f"normalisation over the axis {axes} is not supported."
            raise Unsupported(self.place, fact, "Normalise over channels, the last axis: axis=-1, Keras's default.")

    def activation(self, layer: KerasLayer, inputs: Names) -> Names:
        """The activation of a layer, as a node of its own; a pass fuses it."""
        kind, config = activation_of(layer.config.get("activation"))
        if kind == "linear":
            return inputs
        word = f"Activation:{kind}"
        known, settings = (word, {}) if word in LAYERS or decoder_of(word) else ACTIVATION_LAYERS.get(kind, (kind, {}))
        if known not in LAYERS and decoder_of(known) is None:
            raise Unsupported(self.place, f"the activation {kind} is not supported.", remedy_for(known))
        name = layer.name if layer.class_name == "Activation" else f"{layer.name}/{kind}"
        settings = {**settings, **config, "keras_3": self.source.version >= 3}
        return computed(self, KerasLayer(known, name, settings, ()), inputs)


def input_shape(config: Json) -> Any:
    return config.get("batch_shape") or config.get("batch_input_shape")


def activation_of(value: Any) -> tuple[str, Json]:
    """The name and settings of an `activation`: a word, or a serialised function or layer of some Keras version."""
    if value is None:
        return "linear", {}
    if isinstance(value, str):
        return value, {}
    inner = value["config"]
    return (inner, {}) if isinstance(inner, str) else (str(value["class_name"]), inner)


def histories(value: Any) -> Sequence[tuple[str, int, int]]:
    """The (layer, call, output) of every tensor in a call's arguments, in order: nested lists or __keras_tensor__."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return histories(value["config"]["keras_history"])
        return [h for key in value for h in histories(value[key])]
    if not isinstance(value, list | tuple):
        return []
    if len(value) >= 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:3]):
        rest = [h for v in value[3:] for h in histories(v)]  # keyword arguments of Keras 2
        return [(value[0], value[1], value[2]), *rest]
    return [h for v in value for h in histories(v)]
