# SPDX-License-Identifier: Apache-2.0
"""Keras's vocabulary: layers that do nothing once trained, activations that are layers, and what to use instead of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Identity once trained. Random* layers augment pictures, in training only.
DROPPED = frozenset({
    "ActivityRegularization", "AlphaDropout", "AugMix", "AutoContrast", "CutMix", "Dropout", "GaussianDropout",
    "GaussianNoise", "Identity", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomWidth", "RandomZoom", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
})  # fmt: skip

# The word of an `activation` -> the layer of the same meaning, whose operator decodes it.
ACTIVATION_LAYERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "relu": ("ReLU", {}),
    "relu6": ("ReLU", {"max_value": 6.0}),
    "softmax": ("Softmax", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
}

SMOOTH = "Use relu or relu6: they cost nothing in int8, and fine-tuning recovers the accuracy within a few epochs."
RECURRENT = "Use Conv2D over time steps laid out as rows (a kernel of (k, 1)): it streams, and trains in parallel."
EQUIVALENTS: Mapping[str, str] = {
    "Lambda": "A Lambda layer runs Python code, which no file can carry safely. Use Rescaling or Normalization for "
    "scaling, Reshape for shapes, or do it before the model.",
    "TFOpLambda": "Use layers: keras.layers.Add()([a, b]) instead of a + b, Rescaling instead of x / 255.",
    "gelu": SMOOTH, "mish": SMOOTH, "softplus": SMOOTH, "softsign": SMOOTH,
    "GRU": RECURRENT, "SimpleRNN": RECURRENT, "ConvLSTM2D": RECURRENT,
    "GroupNormalization": "Use BatchNormalization: it is folded into the weights and costs nothing.",
    "MultiHeadAttention": "Use convolutions; attention does not fit the memory of a microcontroller.",
    "Embedding": "Feed the vectors themselves as input.",
    "PruneLowMagnitude": "Save the model that tfmot.sparsity.keras.strip_pruning(model) returns.",
    "QuantizeWrapperV2": "Import the float model, and let puce quantise it: puce quantize MODEL --data DATASET.",
}  # fmt: skip


def remedy_for(word: str) -> str:
    """What to do instead of a layer or an activation that is not supported."""
    if word.startswith("Quant"):
        return "Import the float model, and let puce quantise it: puce quantize MODEL --data DATASET."
    general = "Replace it by layers that `puce ops` lists, and train again."
    return EQUIVALENTS.get(word, general)
