# SPDX-License-Identifier: Apache-2.0
"""Keras 1's words for layers and settings, as those of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASSES: Mapping[str, str] = {
    "Convolution2D": "Conv2D", "AtrousConvolution2D": "Conv2D", "SeparableConvolution2D": "SeparableConv2D",
    "Deconvolution2D": "Conv2DTranspose", "Convolution1D": "Conv1D", "AtrousConvolution1D": "Conv1D",
}  # fmt: skip
MERGES: Mapping[str, str] = {
    "sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum",
}  # fmt: skip
SETTINGS: Mapping[str, str] = {
    "subsample": "strides", "subsample_length": "strides", "border_mode": "padding", "atrous_rate": "dilation_rate",
    "pool_length": "pool_size", "stride": "strides", "bias": "use_bias", "concat_axis": "axis",
}  # fmt: skip
ORDERS: Mapping[str, str] = {"tf": "channels_last", "th": "channels_first"}


def modern(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a layer in today's words; one of today comes back as it is."""
    config = entry["config"]
    if not isinstance(config, Mapping):
        return entry
    kind = str(entry["class_name"])
    old = kind in CLASSES or kind == "Merge" or any(key in config for key in ("dim_ordering", "border_mode", "output_dim"))
    if not old or kind == "Embedding":
        return entry
    new = {SETTINGS.get(key, key): value for key, value in config.items()}
    if "dim_ordering" in config:
        new["data_format"] = ORDERS.get(str(config["dim_ordering"]), "channels_last")
    if kind == "Merge":
        kind = MERGES.get(str(config.get("mode")), f"Merge ({config.get('mode')})")
    return {**entry, "class_name": CLASSES.get(kind, kind), "config": new}
