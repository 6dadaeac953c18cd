# SPDX-License-Identifier: Apache-2.0
"""From a few wishes to a whole configuration: what suits the data, then what the caller says, each word checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from .. import zoo
from ..data import Dataset
from ..errors import BadInput
from .config import TrainConfig

Value = int | float | bool | str
LARGE = 10_000
"""Training pictures from which epochs are long: speed counts, and large batches."""
AUGMENTATIONS = {"shift": 1.0, "flip": True, "crop": 2, "cutout": 8, "colour": 0.2, "mixup": 0.2}
"""The words of --augment and what each does alone; `crop=4` says another amount."""


@dataclass(frozen=True)
class Settings:
    """How to train, and the options of the architecture."""

    config: TrainConfig
    options: Mapping[str, Value]

    def as_json(self) -> dict[str, Value]:
        """All of them in one mapping, as the run folder keeps it."""
        return {**self.config.as_json(), **self.options}


def recommended(dataset: Dataset, model: str = "") -> TrainConfig:
    """What is right by default: small sets slowly and exactly, large ones on all cores in the faster precision."""
    if model in zoo.AUTOENCODERS:
        return _giving_back(dataset, model)
    if len(dataset.y_train) < LARGE:
        return TrainConfig()
    colour = dataset.shape[2] == 3
    return TrainConfig(
        epochs=40, batch=128, learning_rate=0.003, warmup_epochs=2, patience=40,
        shift=0.0, crop=2, flip=colour, average=0.999, precision="auto", threads=0,
    )  # fmt: skip


def fine_tuning(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """What changes where a backbone knows pictures already: a small rate, and the pixels that ImageNet's networks want."""
    crop = max(1, dataset.shape[0] // 12)
    return replace(config, epochs=30, learning_rate=0.001, shift=0.0, crop=crop, flip=True, pixels="-1..1")


def _giving_back(dataset: Dataset, model: str) -> TrainConfig:
    """Of an autoencoder: the lab course's own recipe (Adam as it comes, 20 epochs, batches of 256), or one for convolutions."""
    large = len(dataset.y_train) >= LARGE
    if model == "autoencoder":
        recipe = TrainConfig(epochs=20, batch=256, learning_rate=0.001, schedule="fixed", patience=20)
    else:
        recipe = TrainConfig(
            epochs=22, batch=256, learning_rate=0.002, warmup_epochs=1, patience=22,
            flip=large and dataset.shape[2] == 3, average=0.999,
        )  # fmt: skip
    plain = replace(recipe, shift=0.0, label_smoothing=0.0)
    return replace(plain, precision="auto", threads=0) if large else replace(plain, batch=32)


def settle(model: str, dataset: Dataset, wishes: Mapping[str, Value | None]) -> Settings:
    """Merge wishes (None: none) into what is recommended. A wish names a setting of TrainConfig or an option of the model;
    `augment` lists words: "flip,crop=4,cutout", or "none". Raise BadInput for a word that is neither."""
    given = {name: value for name, value in wishes.items() if value is not None}
    config, known = recommended(dataset, model), zoo.options(model)
    if given.get("weights"):
        config = fine_tuning(config, dataset)
    if "augment" in given:
        given = {**_augmentation(str(given["augment"])), **{k: v for k, v in given.items() if k != "augment"}}
    types = {f.name: type(getattr(config, f.name)) for f in fields(TrainConfig)}
    for name in given:
        if name not in types and name not in known:
            of_model = ", ".join(sorted(known)) or "none"
            fact = f"is no setting of a training, and no option of {model} (its options: {of_model})."
            raise BadInput(name, fact, f"Settings: {', '.join(sorted(types))}.")
    ours = {name: _typed(name, value, types[name]) for name, value in given.items() if name in types}
    options = {name: _typed(name, value, type(known[name])) for name, value in given.items() if name in known}
    return Settings(replace(config, **ours), options)  # type: ignore[arg-type]


def _augmentation(text: str) -> dict[str, Value]:
    """Every augmentation off, but those named."""
    found: dict[str, Value] = {name: type(usual)() for name, usual in AUGMENTATIONS.items()}
    for word in [] if text == "none" else text.split(","):
        name, _, amount = word.strip().partition("=")
        if name not in AUGMENTATIONS or (name == "flip" and amount):
            words = ", ".join(AUGMENTATIONS)
            raise BadInput(f"--augment {word}", "is no augmentation.", f"Choose among {words}, or none; crop=4 says how much.")
        found[name] = amount or AUGMENTATIONS[name]
    return found


def _typed(name: str, value: Value, kind: type) -> Value:
    """A value from a command line or from Python as the type its setting has."""
    try:
        if kind is bool:
            return {"true": True, "yes": True, "false": False, "no": False}[str(value).lower()]
        if kind is int and not float(value).is_integer():
            raise ValueError
        return kind(float(value)) if kind is int else kind(value)
    except (KeyError, ValueError) as error:
        what = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "a word")
        raise BadInput(name, f"is {value!r}, not {what}.", "Correct it.") from error
