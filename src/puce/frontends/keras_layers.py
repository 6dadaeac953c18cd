# SPDX-License-Identifier: Apache-2.0
"""Keras layers that are several operators of ours, or one under another name: each is written in layers that operators know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..errors import Unsupported
from ..ir import Array, Tensor
from ..ops import KerasLayer

Names = tuple[str, ...]  # of tensors
MOST = 8  # what split and concatenation have functions for


class Writer(Protocol):
    """What a layer needs of the reader: the tensors so far, where it is, and the operator that knows a class."""

    tensors: dict[str, Tensor]
    place: str

    def operator(self, layer: KerasLayer, inputs: Names) -> Names: ...

    def node(self, op: str, name: str, inputs: Names, attrs: Any, constants: Sequence[tuple[str, Array]] = ()) -> Names: ...

    def recurrent_layer(self, layer: KerasLayer, inputs: Names) -> Names: ...


Composite = Callable[[Writer, KerasLayer, Names], Names]


def renamed(
    layer: KerasLayer, class_name: str, end: str = "", config: Mapping[str, Any] | None = None, *weights: Array
) -> KerasLayer:
    """Another class for a part of this layer, with its own settings and weights."""
    return KerasLayer(class_name, layer.name + end, layer.config if config is None else config, weights)


def computed(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """A layer of either kind, without its activation."""
    composite = LAYERS.get(layer.class_name)
    return w.operator(layer, inputs) if composite is None else composite(w, layer, inputs)


def shaped(w: Writer, layer: KerasLayer, inputs: Names, shape: Sequence[int], end: str) -> Names:
    """The same values under another shape; nothing where it is the same."""
    if w.tensors[inputs[0]].shape == tuple(shape):
        return inputs
    return w.operator(KerasLayer("Reshape", layer.name + end, {"target_shape": tuple(shape)}, ()), inputs)


def scale_and_offset(w: Writer, layer: KerasLayer, inputs: Names, scale: Any, offset: Any, end: str = "") -> Names:
    """A BatchNormalization of mean 0 and variance 1 is just that."""
    c = w.tensors[inputs[0]].shape[-1]
    gamma, beta = (np.broadcast_to(np.ravel(np.asarray(v, np.float64)), c).copy() for v in (scale, offset))
    return w.operator(renamed(layer, "BatchNormalization", end, {"epsilon": 0.0}, gamma, beta, np.zeros(c), np.ones(c)), inputs)


# ── dense and convolution ─────────────────────────────────────────────────────────────────────────────────────────


def dense(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """On more than a vector, Dense is a 1x1 convolution."""
    shape = w.tensors[inputs[0]].shape
    if len(shape) == 1:
        return w.operator(layer, inputs)
    kernel, *bias = layer.weights
    picture = shape if len(shape) == 3 else (1, int(np.prod(shape[:-1])), shape[-1])
    x = shaped(w, layer, inputs, picture, "/row")
    y = w.operator(renamed(layer, "Conv2D", "", {}, kernel[None, None], *bias), x)
    return shaped(w, layer, y, (*shape[:-1], kernel.shape[1]), "/flat")


def conv(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """A convolution in groups is a split, a convolution a group, and a concatenation; a group a channel is depthwise."""
    groups, (kernel, *bias) = int(layer.config.get("groups") or 1), layer.weights
    if groups == 1:
        return w.operator(layer, inputs)
    c, oc = w.tensors[inputs[0]].shape[-1], kernel.shape[-1]
    if c == groups and oc % c == 0:
        filters = kernel.reshape(*kernel.shape[:2], c, oc // c)
        return w.operator(renamed(layer, "DepthwiseConv2D", "", None, filters, *bias), inputs)
    if groups > MOST or c % groups or oc % groups:
        fact = f"a convolution of {c} channels in {groups} groups is not computed."
        raise Unsupported(w.place, fact, f"Use at most {MOST} groups, or SeparableConv2D.")
    from ..ops.split import Attrs as SplitAttrs

    parts = w.node("split", f"{layer.name}/groups", inputs, SplitAttrs(2, (c // groups,) * groups))
    results: Names = ()
    for i, part in enumerate(parts):
        own = slice(i * oc // groups, (i + 1) * oc // groups)
        weights = (kernel[..., own], *(v[own] for v in bias))
        results += w.operator(renamed(layer, "Conv2D", f"/group{i + 1}", None, *weights), (part,))
    return w.operator(renamed(layer, "Concatenate", "", {"axis": -1}), results)


def separable_conv(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """A depthwise convolution without bias, then a 1x1 convolution."""
    depthwise, pointwise, *bias = layer.weights
    first = w.operator(renamed(layer, "DepthwiseConv2D", "/depthwise", None, depthwise), inputs)
    return w.operator(renamed(layer, "Conv2D", "/pointwise", {}, pointwise, *bias), first)


# ── one dimension: a picture of one row ───────────────────────────────────────────────────────────────────────────


def one(value: Any, default: int = 1) -> int:
    """A setting of one dimension, which Keras writes as a number or as a list of one."""
    found = default if value is None else value
    return int(found[0] if isinstance(found, list | tuple) else found)


def as_row(class_name: str, settings: Sequence[str], weights: int = 0) -> Composite:
    """The layer of two dimensions on [1, t, c], whose `settings` get a row of 1; the first `weights` arrays too."""

    def composite(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
        t, c = w.tensors[inputs[0]].shape
        config: dict[str, Any] = dict(layer.config)
        for key in settings:
            if config.get(key) is not None:
                config[key] = ((0, 0), sides(config[key])) if key == "cropping" else (1, one(config[key]))
        arrays = tuple(k[None] if i < weights else k for i, k in enumerate(layer.weights))
        x = shaped(w, layer, inputs, (1, t, c), "/row")
        if config.get("padding") == "causal":
            reach = (layer.weights[0].shape[0] - 1) * one(layer.config.get("dilation_rate"))
            config["padding"] = "valid"
            x = w.operator(renamed(layer, "ZeroPadding2D", "/causal", {"padding": ((0, 0), (reach, 0))}), x)
        two = KerasLayer(class_name, layer.name, config, arrays)
        y = computed(w, two, x)
        return shaped(w, layer, y, w.tensors[y[0]].shape[1:], "/sequence")

    return composite


def sides(value: Any) -> tuple[int, int]:
    """(before, behind) of a cropping."""
    first, last = (value, value) if isinstance(value, int) else value
    return int(first), int(last)


# ── several inputs ────────────────────────────────────────────────────────────────────────────────────────────────


def chained(class_name: str) -> Composite:
    """More than two are taken one after another, as Keras does."""

    def composite(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
        total = inputs[:1]
        for i, other in enumerate(inputs[1:]):
            end = "" if i == len(inputs) - 2 else f"/{i + 1}"
            total = w.operator(renamed(layer, class_name, end), (*total, other))
        return total

    return composite


def average(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    total = chained("Add")(w, replace(layer, name=f"{layer.name}/sum"), inputs)
    return scale_and_offset(w, layer, total, 1 / len(inputs), 0.0)


def concatenate(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """At most eight at once."""
    for i in range(len(inputs)):
        if len(inputs) <= MOST:
            break
        inputs = (*w.operator(renamed(layer, "Concatenate", f"/{i + 1}"), inputs[:MOST]), *inputs[MOST:])
    return inputs if len(inputs) == 1 else w.operator(layer, inputs)


# ── scaling ───────────────────────────────────────────────────────────────────────────────────────────────────────


def rescaling(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    return scale_and_offset(w, layer, inputs, layer.config.get("scale", 1.0), layer.config.get("offset", 0.0))


def normalization(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """(x - mean) / sqrt(variance), from what adapt() stored or the layer was given; one a channel, or one for all."""
    axis = layer.config.get("axis", -1)
    axes = list(axis) if isinstance(axis, list | tuple) else [] if axis is None else [axis]
    if axes not in ([], [-1], [len(w.tensors[inputs[0]].shape)]):
        fact = f"normalisation over the axis {axes} is not supported."
        raise Unsupported(w.place, fact, "Normalise over channels, the last axis: axis=-1, Keras's default.")
    pair = (layer.config.get("mean"), layer.config.get("variance"))
    mean, variance = pair if None not in pair else layer.weights[:2]
    deviation = np.maximum(np.sqrt(np.asarray(variance, np.float64)), 1e-7)  # keras.config.epsilon()
    if layer.config.get("invert"):
        return scale_and_offset(w, layer, inputs, deviation, mean)
    return scale_and_offset(w, layer, inputs, 1 / deviation, -np.asarray(mean, np.float64) / deviation)


def layer_normalization(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """(x - mean) / sqrt(variance + epsilon) over the last axis, as the operators that it is; float32 only."""
    from ..ops._pairs import Attrs as PairAttrs
    from ..ops._pairs import OrderedAttrs
    from ..ops._reduce import Attrs as ReduceAttrs
    from ..ops._single import Attrs as SingleAttrs

    rank = len(w.tensors[inputs[0]].shape)
    axis = layer.config.get("axis", -1)
    if (list(axis) if isinstance(axis, list | tuple) else [axis]) not in ([-1], [rank]):
        fact = f"normalisation over the axis {axis} is not supported."
        raise Unsupported(w.place, fact, "Normalise over channels, the last axis: axis=-1, Keras's default.")
    over, name = ReduceAttrs(True, (rank - 1,)), layer.name
    mean = w.node("mean", f"{name}/mean", inputs, over)
    centred = w.node("sub", f"{name}/centred", (*inputs, *mean), OrderedAttrs())
    square = w.node("square", f"{name}/square", centred, SingleAttrs())
    variance = w.node("mean", f"{name}/variance", square, over)
    shifted = scale_and_offset(w, layer, variance, 1.0, float(layer.config.get("epsilon", 1e-3)), "/epsilon")
    inverse = w.node("rsqrt", f"{name}/rsqrt", shifted, SingleAttrs())
    y = w.node("mul", f"{name}/product", (*centred, *inverse), PairAttrs())
    weights = list(layer.weights)
    gamma = weights.pop(0) if layer.config.get("scale", True) else 1.0
    beta = weights.pop(0) if layer.config.get("center", True) else 0.0
    return scale_and_offset(w, layer, y, gamma, beta)


# ── activations ───────────────────────────────────────────────────────────────────────────────────────────────────


def relu(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """ReLU(6) is an activation of that name, ReLU(1) an operator; a slope below zero is a LeakyReLU, another end a minimum."""
    config = layer.config
    slope = config.get("negative_slope", config.get("alpha")) or 0.0
    top, threshold = config.get("max_value"), config.get("threshold") or 0.0
    if threshold:
        fact = "a ReLU that starts above zero is not computed."
        raise Unsupported(w.place, fact, "Use a plain ReLU in the model.")
    if top is not None and float(top) == 6 and not slope:
        return w.operator(renamed(layer, "Activation:relu6", "", {}), inputs)
    if top is not None and float(top) == 1 and not slope:
        from ..ops._single import Attrs as SingleAttrs

        return w.node("relu_0_to_1", layer.name, inputs, SingleAttrs())
    end = "" if top is None else "/start"
    kind = ("LeakyReLU", {"negative_slope": slope}) if slope else ("Activation:relu", {})
    y = w.operator(renamed(layer, kind[0], end, kind[1]), inputs)
    return y if top is None else clamped(w, layer, y, "minimum", float(top))


def clamped(w: Writer, layer: KerasLayer, inputs: Names, op: str, bound: float, end: str = "") -> Names:
    from ..ops.maximum import Attrs as ExtremeAttrs

    value = np.full((1,) * len(w.tensors[inputs[0]].shape), bound, np.float32)
    return w.node(op, layer.name + end, inputs, ExtremeAttrs(), (("bound", value),))


def swish(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """x * sigmoid(x)."""
    gate = w.operator(renamed(layer, "Activation:sigmoid", "/sigmoid", {}), inputs)
    return w.operator(renamed(layer, "Multiply", "", {}), (*inputs, *gate))


def hard_sigmoid(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """relu6(x + 3) / 6 in Keras 3, max(0, min(1, x / 5 + 1 / 2)) before: both as a clamp between two scalings."""
    slope = 1.0 if layer.config.get("keras_3") else 1.2
    x = scale_and_offset(w, layer, inputs, slope, 3.0, "/line")
    y = w.operator(renamed(layer, "Activation:relu6", "/clamp", {}), x)
    return scale_and_offset(w, layer, y, 1 / 6, 0.0)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., Self-Normalizing Neural Networks


def selu(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """Scaled elu with another slope below zero."""
    y = elu(w, renamed(layer, "ELU", "/elu", {"alpha": SELU_ALPHA}), inputs)
    return scale_and_offset(w, layer, y, SELU_SCALE, 0.0)


def elu(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """Below zero alpha * (exp(x) - 1): that of alpha 1, then another slope."""
    alpha = float(np.asarray(layer.config.get("alpha", 1.0)))
    if alpha == 1:
        return w.operator(renamed(layer, "Activation:elu", "", {}), inputs)
    y = w.operator(renamed(layer, "Activation:elu", "/one", {}), inputs)
    slopes = np.full(w.tensors[y[0]].shape[-1:], alpha, np.float32)
    return w.operator(renamed(layer, "PReLU", "", {}, slopes), y)


def softmax(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    axis, rank = layer.config.get("axis", -1), len(w.tensors[inputs[0]].shape)
    if (list(axis) if isinstance(axis, list | tuple) else [axis]) not in ([-1], [rank]):
        raise Unsupported(w.place, f"softmax over the axis {axis} is not computed.", "Use axis=-1, the channels.")
    return w.operator(layer, inputs)


# ── sequences, pictures ───────────────────────────────────────────────────────────────────────────────────────────


def bidirectional(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    """The inner layer forwards, and backwards on the reversed sequence; both side by side, added or multiplied."""
    from ..ops.slice import Attrs as SliceAttrs

    inner, other = layer.config["layer"], layer.config.get("backward_layer") or layer.config["layer"]
    steps, n = w.tensors[inputs[0]].shape
    back = SliceAttrs((steps - 1, 0), (steps, n), (-1, 1), (steps, n))
    half = len(layer.weights) // 2
    config = {**other["config"], "go_backwards": False}
    first = KerasLayer(inner["class_name"], f"{layer.name}/forward", inner["config"], layer.weights[:half])
    second = KerasLayer(other["class_name"], f"{layer.name}/backward", config, layer.weights[half:])
    ahead = w.recurrent_layer(first, inputs)
    behind = w.recurrent_layer(second, w.node("slice", f"{layer.name}/reversed", inputs, back))
    if inner["config"].get("return_sequences"):
        size = w.tensors[behind[0]].shape
        behind = w.node("slice", f"{layer.name}/again", behind, SliceAttrs((steps - 1, 0), size, (-1, 1), size))
    words = {"concat": "Concatenate", "sum": "Add", "mul": "Multiply", "ave": "Average"}
    merge = layer.config.get("merge_mode", "concat")
    if merge not in words:
        raise Unsupported(w.place, "both directions as two outputs are not computed.", "Use merge_mode='concat'.")
    joined = KerasLayer(words[merge], layer.name, {"axis": -1}, ())
    return computed(w, joined, (*ahead, *behind))


def time_distributed(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    inner = layer.config["layer"]
    if inner["class_name"] != "Dense":
        fact = f"a {inner['class_name']} at every time step is not computed."
        raise Unsupported(w.place, fact, "Apply the inner layer to one time step, and call the compiled model once a step.")
    return dense(w, KerasLayer("Dense", layer.name, inner["config"], layer.weights), inputs)


def resizing(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    from ..ops.resize import Attrs as ResizeAttrs

    config, word = layer.config, layer.config.get("interpolation", "bilinear")
    odd = [k for k in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias") if config.get(k)]
    if word not in ("nearest", "bilinear") or odd:
        fact = f"resizing with {' and '.join([word, *odd])} is not computed."
        raise Unsupported(w.place, fact, "Use interpolation='bilinear', or resize the pictures before the model.")
    size = (int(config["height"]), int(config["width"]))
    return w.node("resize", layer.name, inputs, ResizeAttrs(size, word, half_pixel_centers=True))


def center_crop(w: Writer, layer: KerasLayer, inputs: Names) -> Names:
    h, wide, _ = w.tensors[inputs[0]].shape
    rows, columns = h - int(layer.config["height"]), wide - int(layer.config["width"])
    if min(rows, columns) < 0:
        raise Unsupported(w.place, "a crop larger than its picture is not computed.", "Feed larger pictures.")
    cropping = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return w.operator(renamed(layer, "Cropping2D", "", {"cropping": cropping}), inputs)


LAYERS: Mapping[str, Composite] = {
    "Add": chained("Add"), "Average": average, "Bidirectional": bidirectional, "CenterCrop": center_crop,
    "Concatenate": concatenate, "Conv2D": conv, "Dense": dense, "ELU": elu, "LayerNormalization": layer_normalization,
    "Maximum": chained("Maximum"), "Minimum": chained("Minimum"), "Multiply": chained("Multiply"),
    "Normalization": normalization, "ReLU": relu, "Rescaling": rescaling, "Resizing": resizing,
    "SeparableConv2D": separable_conv, "Softmax": softmax, "TimeDistributed": time_distributed,
    "Activation:hard_sigmoid": hard_sigmoid, "Activation:selu": selu, "Activation:silu": swish,
    "Activation:swish": swish, "Activation:softmax": softmax,
    "Conv1D": as_row("Conv2D", ("strides", "dilation_rate"), 1),
    "DepthwiseConv1D": as_row("DepthwiseConv2D", ("strides", "dilation_rate"), 1),
    "SeparableConv1D": as_row("SeparableConv2D", ("strides", "dilation_rate"), 2),
    "Conv1DTranspose": as_row("Conv2DTranspose", ("strides", "dilation_rate"), 1),
    "MaxPooling1D": as_row("MaxPooling2D", ("pool_size", "strides")),
    "AveragePooling1D": as_row("AveragePooling2D", ("pool_size", "strides")),
    "UpSampling1D": as_row("UpSampling2D", ("size",)), "Cropping1D": as_row("Cropping2D", ("cropping",)),
}  # fmt: skip
