# SPDX-License-Identifier: Apache-2.0
"""What the front ends read beside the operators' own names: words made of several operators, computed on the PC or dropped."""

from __future__ import annotations

from collections.abc import Mapping

from ..ops import REGISTRY
from . import keras_calls, keras_layers, keras_words, onnx, tflite_fold

Words = tuple[str, ...]


def vocabulary() -> Mapping[str, Mapping[str, Words]]:
    """For each format, what becomes of a word -> the words, sorted; no word that an operator itself is called."""
    keras = {name for op in REGISTRY.values() for name in op.keras}
    own = {word for op in REGISTRY.values() for word in op.onnx}
    activations = {f"Activation:{word}" for word in keras_words.ACTIVATION_LAYERS}
    return {
        "Keras": {
            "several operators": _spoken((keras_layers.LAYERS.keys() | activations) - keras),
            "functions between layers": _spoken(keras_calls.FUNCTIONS),
            "nothing once trained": _spoken(keras_words.DROPPED),
        },
        "TFLite": {"computed on the PC, of constants and shapes": tflite_fold.OF_SHAPES},
        "ONNX": {
            "one or several operators": _spoken(onnx.HANDLERS.keys() - own),
            "computed on the PC, of constants and shapes": _spoken(onnx.FOLDS.keys() - onnx.HANDLERS.keys()),
        },
    }


def _spoken(words: object) -> Words:
    assert isinstance(words, set | frozenset | Mapping)
    return tuple(sorted(str(word).replace(":", " ") for word in words))
