# SPDX-License-Identifier: Apache-2.0
"""What to use instead of ONNX operators that are not computed."""

from __future__ import annotations

from collections.abc import Mapping

SMOOTH = "Use ReLU, ReLU6 or HardSwish: they cost little in int8, and fine-tuning recovers the accuracy within a few epochs."
NORMALISE = "Use BatchNormalization: it is folded into the weights and costs nothing."
FLOW = "Export a model without loops and conditions: one path from input to output."
RECURRENT = "Use Conv over time steps: it streams, and trains in parallel."
DYNAMIC = "Use onnxruntime.quantization.quantize_static, whose ranges are fixed, instead of quantize_dynamic."
CLASSIC = "Export a small neural network instead of a classical classifier."
EQUIVALENTS: Mapping[str, str] = {
    "Gelu": SMOOTH, "Erf": SMOOTH, "Softplus": SMOOTH, "Softsign": SMOOTH, "Selu": SMOOTH, "Celu": SMOOTH, "Mish": SMOOTH,
    "LayerNormalization": NORMALISE, "InstanceNormalization": NORMALISE, "GroupNormalization": NORMALISE, "LRN": NORMALISE,
    "LpNormalization": NORMALISE, "MeanVarianceNormalization": NORMALISE,
    "Loop": FLOW, "If": FLOW, "Scan": FLOW, "LSTM": RECURRENT, "GRU": RECURRENT, "RNN": RECURRENT,
    "DynamicQuantizeLinear": DYNAMIC, "MatMulInteger": DYNAMIC, "ConvInteger": DYNAMIC,
    "SVMClassifier": CLASSIC, "SVMRegressor": CLASSIC, "TreeEnsembleClassifier": CLASSIC, "LinearClassifier": CLASSIC,
    "Attention": "Use convolutions; attention does not fit the memory of a microcontroller.",
    "NonMaxSuppression": "End the model before it, and select the boxes in your own code.",
    "TopK": "End the model before it, and pick the largest values in your own code.",
}  # fmt: skip


def remedy_for(op: str, domain: str) -> str:
    if op in EQUIVALENTS:
        return EQUIVALENTS[op]
    if domain:
        return "Export the model with standard ONNX operators only."
    return "Replace it by operators that `puce ops` lists, and export again."
