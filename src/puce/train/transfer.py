# SPDX-License-Identifier: Apache-2.0
"""Transfer learning: the weights of another classifier's backbone, then a new head that suits them, then all of it.

The head comes first and alone, or its random first gradients would spoil what the backbone knows. With the backbone
fixed that is a convex problem, so it is solved as one: no epochs, no rate, the same answer every time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset, Split
from ..errors import BadInput, Unsupported
from ..zoo._keras import keras
from .config import TrainConfig

Array = np.ndarray[Any, np.dtype[Any]]
IMAGENET = "imagenet"
BATCH = 128
SHORT, QUICK_MOMENTUM = 500, 0.9
"""Steps of a short training, and its momentum of the moments in BatchNormalization: they must get from ImageNet's pictures
to these well before the end, and Keras's 0.99 forgets half in 70 steps."""
STEPS = 400
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the head's squared weights, on features of deviation 1: a few hundred pictures would else be learned by heart. The
one with the smallest loss on the validation pictures is taken."""


@dataclass(frozen=True, eq=False)
class Donor:
    """The weights of a network's layers in execution order: each layer's name and its arrays."""

    source: str
    layers: tuple[tuple[str, tuple[Array, ...]], ...]


def start_from(network: Any, dataset: Dataset, config: TrainConfig, alpha: float | None = None) -> None:
    """Give a network of the zoo the backbone of another, and fit its last layer to the training pictures.

    `config.weights` is "imagenet" (MobileNets, downloaded by Keras), a .h5, a .keras, or a run folder. Every layer with
    weights but the last must have a counterpart of equal shape, in the same order; raise BadInput if not. `alpha` is the
    width that Keras is asked for. Pictures enter as the data set says: as they did for those weights.
    """
    donor = _imagenet(network, alpha) if config.weights == IMAGENET else _from_file(Path(config.weights))
    _copy(network, donor)
    steps = config.epochs * -(-len(dataset.y_train) // config.batch)
    for layer in network.layers:
        if steps < SHORT and isinstance(layer, keras().layers.BatchNormalization):
            layer.momentum = QUICK_MOMENTUM
    _fit_head(network, dataset, config.balance)


def _copy(network: Any, donor: Donor) -> None:
    ours = [layer for layer in network.layers if layer.weights][:-1]
    theirs = donor.layers[: len(ours)]
    for i, layer in enumerate(ours):
        wanted = [tuple(w.shape) for w in layer.weights]
        name, arrays = theirs[i] if i < len(theirs) else ("nothing", ())
        if [a.shape for a in arrays] != wanted:
            fact = f"layer {i + 1} with weights is {name} {_shapes(arrays)}, {network.name} has {layer.name} {wanted} there."
            raise BadInput(donor.source, fact, "Give the same --model, --alpha and colours as those weights were trained with.")
    if len(donor.layers) > len(ours) + 1:
        fact = f"has {len(donor.layers)} layers with weights, {network.name} {len(ours) + 1}."
        raise BadInput(donor.source, fact, "Give the --model that those weights were trained with.")
    for layer, (_, arrays) in zip(ours, theirs, strict=True):
        layer.set_weights(list(arrays))


def _shapes(arrays: tuple[Array, ...]) -> str:
    return "[" + ", ".join(str(a.shape) for a in arrays) + "]"


def _fit_head(network: Any, dataset: Dataset, balance: bool) -> None:
    """Multinomial logistic regression on what the last layer reads."""
    head = network.layers[-1]
    body = keras().Model(network.input, head.input)
    x, known = (_features(body, dataset, split) for split in ("train", "validation"))
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, known = (x - mean) / deviation, (known - mean) / deviation
    shares = _shares(dataset, "train", balance), _shares(dataset, "validation", balance)
    wanted = np.eye(dataset.classes)[dataset.y_train]
    fits = [logistic(x, wanted, shares[0], penalty) for penalty in PENALTIES]
    losses = [float(-shares[1] @ np.log(_softmax(known @ w + b)[np.arange(len(known)), dataset.y_validation])) for w, b in fits]
    w, b = fits[int(np.argmin(losses))]
    head.set_weights([(w / deviation[:, None]).astype(np.float32), (b - mean / deviation @ w).astype(np.float32)])


def _features(body: Any, dataset: Dataset, split: Split) -> Array:
    pictures = dataset.pictures(split)
    batches = (dataset.preprocessing.apply(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH))
    return np.concatenate([np.asarray(body(batch, training=False), np.float64) for batch in batches])


def _shares(dataset: Dataset, split: Split, balance: bool) -> Array:
    """Each picture's part of the loss: the same for all, or for all classes together."""
    labels, counts = dataset.labels(split), np.maximum(dataset.by_class(split), 1)
    by_class = 1 / counts / dataset.classes if balance else np.full(dataset.classes, 1 / len(labels))
    found: Array = by_class[labels]
    return found


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = np.maximum(powers / powers.sum(axis=1, keepdims=True), 1e-12)
    return found


def logistic(x: Array, wanted: Array, share: Array, penalty: float) -> tuple[Array, Array]:
    """Fit x [n, d] to rows of `wanted` [n, k], each picture with its share of the loss; return weights [d, k], biases [k].

    Accelerated gradient descent from zero, with the step that the largest curvature allows.
    """
    n, d = x.shape
    design = np.hstack([x, np.ones((n, 1))])
    # Half the largest curvature of the softmax's loss, by a bound on the largest eigenvalue of the design.
    vector = np.ones(d + 1)
    for _ in range(20):
        vector = design.T @ (share * (design @ vector))
        vector /= np.linalg.norm(vector)
    curvature = 0.5 * float(vector @ (design.T @ (share * (design @ vector)))) * 1.1 + penalty
    penalties = np.append(np.full(d, penalty), 0.0)[:, None]
    now = before = np.zeros((d + 1, wanted.shape[1]))
    for step in range(STEPS):
        ahead = now + step / (step + 3) * (now - before)
        gradient = design.T @ ((_softmax(design @ ahead) - wanted) * share[:, None]) + penalties * ahead
        before, now = now, ahead - gradient / curvature
    return now[:-1], now[-1]


def _from_file(path: Path) -> Donor:
    path = path / "model.keras" if path.is_dir() else path
    if not path.is_file():
        raise BadInput(str(path), "there is no such file.", 'Name a .h5, a .keras, a run folder, or say "imagenet".')
    try:
        layers = tuple(_h5_layers(path) if path.suffix.lower() in (".h5", ".hdf5") else _keras_layers(path))
    except (OSError, KeyError, ValueError, TypeError) as error:
        fact = f"holds no weights by layer that can be read ({error})."
        raise BadInput(str(path), fact, "Give a Keras .h5 or .keras of a whole model.") from error
    return Donor(str(path), layers)


def _h5_layers(path: Path) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Keras's older file, of a whole model or of weights alone. Nothing in it is executed."""
    import h5py

    with h5py.File(path) as file:
        group = file.get("model_weights", file)
        for name in map(_text, group.attrs["layer_names"]):
            names = [_text(weight) for weight in group[name].attrs["weight_names"]]
            if names:
                yield name, tuple(np.asarray(group[name][weight], np.float32) for weight in names)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _keras_layers(path: Path) -> Iterator[tuple[str, tuple[Array, ...]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = keras().models.load_model(path, compile=False)
    yield from _layers(model)


def _layers(model: Any) -> Iterator[tuple[str, tuple[Array, ...]]]:
    for layer in model.layers:
        arrays = tuple(np.asarray(weight.numpy(), np.float32) for weight in layer.weights)
        if arrays:
            yield layer.name, arrays


KERAS_NAMES = {"mobilenet-v1": "MobileNet", "mobilenet-v2": "MobileNetV2"}


def _imagenet(network: Any, alpha: float | None, weights: str | None = IMAGENET) -> Donor:
    """Keras's own network of the same structure; it ends where our last layer begins."""
    if network.name not in KERAS_NAMES:
        fact = "Keras has no ImageNet weights for this architecture."
        raise Unsupported(network.name, fact, f"Choose among {', '.join(KERAS_NAMES)}, or give a file.")
    build = getattr(keras().applications, KERAS_NAMES[network.name])
    width = {"alpha": alpha} if alpha is not None else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = build(input_shape=tuple(network.input_shape[1:]), include_top=False, weights=weights, **width)
    except Exception as error:  # Keras raises whatever its downloader meets
        first = str(error).splitlines()[0]
        remedy = "Be on-line once (Keras keeps them), or give a file: --weights FILE.h5, any classifier with this backbone."
        raise BadInput(f"--weights {IMAGENET}", f"cannot be had ({first}).", remedy) from error
    return Donor(IMAGENET, tuple(_layers(model)))
