# SPDX-License-Identifier: Apache-2.0
"""Training: pictures in, model.keras out; a killed training goes on and ends with the very same weights."""

from .config import EpochRow, History, TrainConfig
from .engine import prepare
from .fit import fit, weights_sha256
from .network import seeded_model
from .progress import Progress, Silent, TerminalProgress
from .settings import Settings, recommended, settle
from .step import record_data, train_step
from .sweep import SweepResult, SweepRow, sweep

__all__ = [
    "EpochRow",
    "History",
    "Progress",
    "Settings",
    "Silent",
    "SweepResult",
    "SweepRow",
    "TerminalProgress",
    "TrainConfig",
    "fit",
    "prepare",
    "recommended",
    "record_data",
    "seeded_model",
    "settle",
    "sweep",
    "train_step",
    "weights_sha256",
]
