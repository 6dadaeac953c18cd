# SPDX-License-Identifier: Apache-2.0
"""What a training is told, and what it tells of each epoch."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args

from ..data import Preprocessing
from ..errors import BadInput, UnknownName

Schedule = Literal["cosine", "fixed", "ramp", "plateau"]
Precision = Literal["float32", "bfloat16", "auto"]
Pixels = Literal["0..1", "-1..1", "0..255"]


@dataclass(frozen=True)
class TrainConfig:
    """The defaults suit the digits on two processor cores: about ten seconds."""

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 0.005
    """The only rate of `fixed`, the first of `plateau`, the peak of `cosine` and `ramp`."""
    schedule: Schedule = "cosine"
    """See puce.train.schedule, where each has its formula."""
    warmup_epochs: int = 3
    """Of `cosine`."""
    label_smoothing: float = 0.1
    patience: int = 25
    """Stop after so many epochs without a better validation result; the best weights are kept in any case."""
    shift: float = 1.0
    """Augmentation: each picture moves by up to so many pixels, whole or not, in each direction."""
    flip: bool = False
    """Augmentation: mirror half of the pictures left to right. Not for digits."""
    crop: int = 0
    """Augmentation: each picture moves by up to so many whole pixels: for large pictures, cheaper than `shift`."""
    cutout: int = 0
    """Augmentation: paint a square of so many pixels a side."""
    colour: float = 0.0
    """Augmentation: change brightness, contrast and colour balance by up to this part."""
    mixup: float = 0.0
    """Augmentation: blend pairs of pictures, shares drawn from Beta(mixup, mixup)."""
    average: float = 0.0
    """Keep a moving average of all weights and judge and keep that one; 0.999 averages about 1 000 steps, 0 does not."""
    balance: bool = False
    """Weigh each picture by the rarity of its class."""
    precision: Precision = "float32"
    """bfloat16 trains in mixed precision, at once faster and less exact; auto times both where the processor has it."""
    weights: str = ""
    """Start from these weights but for the last layer: "imagenet", or a .h5, .keras or run folder; see puce.train.transfer."""
    pixels: Pixels = "0..1"
    """What the bytes 0 to 255 are for the network; weights from elsewhere want what they were trained with."""
    seed: int = 1
    threads: int = 1
    """One thread with float32 gives the same weights on any number of cores; 0 takes all cores. With several threads, or
    bfloat16, TensorFlow uses oneDNN, twice as fast, whose results are the same on the same kind of processor only."""

    def __post_init__(self) -> None:
        whole = (("epochs", 1), ("batch", 1), ("patience", 1), ("warmup_epochs", 0), ("threads", 0), ("crop", 0), ("cutout", 0))
        for name, least in whole:
            if getattr(self, name) < least:
                raise BadInput(name, f"is {getattr(self, name)}, below {least}.", f"Give {least} or more.")
        if not 0 < self.learning_rate <= 1:
            raise BadInput("learning_rate", f"is {self.learning_rate}, not above 0 and up to 1.", "Try 0.001.")
        for name, example in (("label_smoothing", 0.1), ("colour", 0.2), ("average", 0.999)):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(name, f"is {getattr(self, name)}, not from 0 to below 1.", f"Try {example}.")
        if self.shift < 0:
            raise BadInput("shift", f"is {self.shift}, below 0.", "Give pixels, or 0 for none.")
        if self.mixup < 0:
            raise BadInput("mixup", f"is {self.mixup}, below 0.", "Try 0.2, or 0 for none.")
        for name, words in (("schedule", get_args(Schedule)), ("precision", get_args(Precision)), ("pixels", get_args(Pixels))):
            if getattr(self, name) not in words:
                raise UnknownName.among(name, getattr(self, name), words, "Choose one of these.")

    @property
    def preprocessing(self) -> Preprocessing:
        low, high = (float(end) for end in self.pixels.split(".."))
        return Preprocessing((high - low) / 255, low)

    @property
    def exact(self) -> bool:
        """Whether the weights are to be the same on any processor."""
        return self.threads == 1 and self.precision == "float32"

    def as_json(self) -> dict[str, int | float | bool | str]:
        return asdict(self)


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv. `loss` and `accuracy` are of the augmented training pictures, as they came.

    A network that gives pictures back has no accuracies: None, and no columns in history.csv.
    """

    epoch: int
    loss: float
    accuracy: float | None
    val_loss: float
    val_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    rows: tuple[EpochRow, ...] = ()

    def with_row(self, row: EpochRow) -> History:
        return replace(self, rows=(*self.rows, row))

    @property
    def best(self) -> EpochRow:
        """The highest validation accuracy, where there is one; among equals the lowest validation loss, then the earliest."""
        return min(self.rows, key=lambda row: (-(row.val_accuracy or 0.0), row.val_loss, row.epoch))

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.rows)

    def as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [f.name for f in fields(EpochRow) if any(getattr(row, f.name) is not None for row in self.rows)]
        writer.writerow(names)
        for row in self.rows:
            values = (getattr(row, name) for name in names)
            writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in values)
        return text.getvalue()
