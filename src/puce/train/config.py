# SPDX-License-Identifier: Apache-2.0
"""What a training is told, and what it tells of each epoch."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields, replace

from ..errors import BadInput


@dataclass(frozen=True)
class TrainConfig:
    """The defaults suit the digits on two processor cores: about ten seconds."""

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 0.005
    """Peak of the schedule: it rises from 0 for `warmup_epochs`, then falls along a half cosine to a hundredth."""
    warmup_epochs: int = 3
    label_smoothing: float = 0.1
    patience: int = 25
    """Stop after so many epochs without a better validation result; the best weights are kept in any case."""
    shift: float = 1.0
    """Augmentation: each picture moves by up to so many pixels, whole or not, in each direction."""
    flip: bool = False
    """Augmentation: mirror half of the pictures left to right. Not for digits."""
    seed: int = 1
    threads: int = 1
    """One thread gives the same weights on any number of cores; 0 takes all cores, the same on this machine only."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("patience", 1), ("warmup_epochs", 0), ("threads", 0)):
            if getattr(self, name) < least:
                raise BadInput(name, f"is {getattr(self, name)}, below {least}.", f"Give {least} or more.")
        if not 0 < self.learning_rate <= 1:
            raise BadInput("learning_rate", f"is {self.learning_rate}, not above 0 and up to 1.", "Try 0.001.")
        if not 0 <= self.label_smoothing < 1:
            raise BadInput("label_smoothing", f"is {self.label_smoothing}, not from 0 to below 1.", "Try 0.1.")
        if self.shift < 0:
            raise BadInput("shift", f"is {self.shift}, below 0.", "Give pixels, or 0 for none.")

    def as_json(self) -> dict[str, int | float | bool]:
        return asdict(self)


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv. `loss` and `accuracy` are of the augmented training pictures, as they came."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    rows: tuple[EpochRow, ...] = ()

    def with_row(self, row: EpochRow) -> History:
        return replace(self, rows=(*self.rows, row))

    @property
    def best(self) -> EpochRow:
        """The highest validation accuracy; among equals the lowest validation loss, then the earliest."""
        return min(self.rows, key=lambda row: (-row.val_accuracy, row.val_loss, row.epoch))

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.rows)

    def as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(f.name for f in fields(EpochRow))
        for row in self.rows:
            writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in asdict(row).values())
        return text.getvalue()
