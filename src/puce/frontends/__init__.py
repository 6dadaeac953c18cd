# SPDX-License-Identifier: Apache-2.0
"""Model files and objects -> Graph; the only place that knows these formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import BadInput
from .model import ImportedModel

__all__ = ["ImportedModel", "load"]

FORMATS = ".keras, .h5, .hdf5, .tflite or .onnx"


def load(source: str | Path | Any) -> ImportedModel:
    """Import a model: a path, by its suffix, or a live Keras model. Raises BadInput or Unsupported."""
    from . import keras, onnx, tflite

    if not isinstance(source, str | Path):
        return keras.load(source)
    path = Path(source)
    if not path.exists():
        raise BadInput(str(path), "there is no such file.", f"Give the path of a model: {FORMATS}.")
    if path.is_dir():
        fact = "this is a folder; a TensorFlow SavedModel is code, not a description of layers."
        raise BadInput(str(path), fact, "Save the model as one file: model.save('model.keras').")
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return keras.load(path)
    if path.suffix in (".tflite", ".lite"):
        return tflite.load(path)
    if path.suffix == ".onnx":
        return onnx.load(path)
    raise BadInput(path.name, f"no model format has the suffix {path.suffix!r}.", f"Give a file of one of these: {FORMATS}.")
