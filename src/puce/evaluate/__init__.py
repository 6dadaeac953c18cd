# SPDX-License-Identifier: Apache-2.0
"""How good predictions are, with intervals: one code for Keras, the NumPy reference, the host and the device."""

from .accuracy import (
    Accuracy,
    ClassScore,
    PairedTest,
    TopPredictions,
    accuracy,
    by_class,
    confusion,
    majority,
    mcnemar,
    predictions,
    probabilities,
    top_predictions,
    wilson,
)
from .binary import Auc, OperatingPoint, Roc, auc, operating_point, point_at, roc
from .calibration import Bin, Reject, expected_error, reject_at, reject_threshold, reliability, temperature, tempered

__all__ = [
    "Accuracy",
    "Auc",
    "Bin",
    "ClassScore",
    "OperatingPoint",
    "PairedTest",
    "Reject",
    "Roc",
    "TopPredictions",
    "accuracy",
    "auc",
    "by_class",
    "confusion",
    "expected_error",
    "majority",
    "mcnemar",
    "operating_point",
    "point_at",
    "predictions",
    "probabilities",
    "reject_at",
    "reject_threshold",
    "reliability",
    "roc",
    "temperature",
    "tempered",
    "top_predictions",
    "wilson",
]
