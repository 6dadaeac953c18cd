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
from .reconstruction import Components, Nearer, SquaredError, components, nearer, squared_errors

__all__ = [
    "Accuracy",
    "Auc",
    "Bin",
    "ClassScore",
    "Components",
    "Nearer",
    "OperatingPoint",
    "PairedTest",
    "Reject",
    "Roc",
    "SquaredError",
    "TopPredictions",
    "accuracy",
    "auc",
    "by_class",
    "components",
    "confusion",
    "expected_error",
    "majority",
    "mcnemar",
    "nearer",
    "operating_point",
    "point_at",
    "predictions",
    "probabilities",
    "reject_at",
    "reject_threshold",
    "reliability",
    "roc",
    "squared_errors",
    "temperature",
    "tempered",
    "top_predictions",
    "wilson",
]
