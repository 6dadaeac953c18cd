# SPDX-License-Identifier: Apache-2.0
"""Keras architectures by name; one file a family, found by folder scan. Nothing here imports Keras before `build`.

A family's file holds MODELS: name -> function(input_shape, classes, *, options) -> keras.Model, and may hold AUTOENCODERS.
Every network takes float32 pictures [h, w, c] and ends in softmax, an autoencoder in pictures; every layer has a name
of its own, because messages show it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

from ..errors import BadInput, UnknownName

Shape = tuple[int, int, int]
Builder = Callable[..., Any]

_MODELS: dict[str, Builder] = {}
AUTOENCODERS: set[str] = set()
"""Names whose output is the picture again, not scores."""
for _module in sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")):
    _family = importlib.import_module(f"{__name__}.{_module}")
    _pictures = getattr(_family, "AUTOENCODERS", {})
    AUTOENCODERS |= set(_pictures)
    for _name, _builder in (_family.MODELS | _pictures).items():
        assert _name not in _MODELS, f"two architectures are called {_name}"
        _MODELS[_name] = _builder


def names() -> tuple[str, ...]:
    return tuple(sorted(_MODELS))


def about(name: str) -> str:
    """Return the sentence that describes an architecture."""
    text = _builder_of(name).__doc__
    assert text, f"{name} has no docstring"
    return text.splitlines()[0]


def options(name: str) -> dict[str, float | int | bool]:
    """Return the options of an architecture with their defaults."""
    parameters = inspect.signature(_builder_of(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build(name: str, input_shape: Shape, classes: int, **chosen: float | int | bool) -> Any:
    """Build a keras.Model for pictures [h, w, c]. Its first weights follow `keras.utils.set_random_seed`."""
    known = options(name)
    for option in chosen:
        if option not in known:
            listed = ", ".join(f"{key}={value}" for key, value in known.items()) or "none"
            raise BadInput(name, f"this architecture has no option {option}.", f"Its options: {listed}.")
    if classes < 2 or min(input_shape) < 1 or len(input_shape) != 3:
        raise BadInput(name, f"cannot be built for {input_shape} and {classes} classes.", "Give h, w, c and two classes.")
    return _builder_of(name)(input_shape, classes, **chosen)


def on_chip(name: str, input_shape: Shape, classes: int, **chosen: float | int | bool) -> Any:
    """Build what goes on a microcontroller: the whole network, or of an autoencoder the part up to its code."""
    network = build(name, input_shape, classes, **chosen)
    return encoder_of(network) if name in AUTOENCODERS else network


def encoder_of(network: Any) -> Any:
    """The part of an autoencoder from its picture to its layer "code", with the same weights."""
    from ._keras import keras

    return keras().Model(network.input, network.get_layer("code").output, name=f"{network.name}-encoder")


def only_classifiers(name: str, what: str) -> None:
    """Raise BadInput for an architecture that gives pictures back where `what` needs accuracies."""
    if name in AUTOENCODERS:
        fact = f"gives pictures back, not classes: {what} has no accuracy to go by."
        raise BadInput(name, fact, "`puce train` trains it; then `puce validate RUN/encoder.keras DATASET --board BOARD`.")


def _builder_of(name: str) -> Builder:
    if name not in _MODELS:
        raise UnknownName.among("architecture", name, _MODELS, "See `puce train --help`.")
    return _MODELS[name]
