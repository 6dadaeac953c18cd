# SPDX-License-Identifier: Apache-2.0
"""Training: pictures in, model.keras out; a killed training goes on and ends with the very same weights."""

from .config import EpochRow, History, TrainConfig
from .fit import fit, weights_sha256
from .progress import Progress, Silent, TerminalProgress
from .step import record_data, seeded_model, train_step

__all__ = [
    "EpochRow",
    "History",
    "Progress",
    "Silent",
    "TerminalProgress",
    "TrainConfig",
    "fit",
    "record_data",
    "seeded_model",
    "train_step",
    "weights_sha256",
]
