# SPDX-License-Identifier: Apache-2.0
"""The step "train" of an autoencoder: pictures in, pictures back, and beside it what principal components would give."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import zoo
from ..data import Dataset
from ..evaluate import Components, SquaredError, components, nearer, squared_errors
from ..run import ReconstructionRecord, Run
from . import checkpoint
from .config import TrainConfig
from .fit import fit, predict, weights_sha256
from .network import save_model, seeded_model
from .objective import PICTURES
from .progress import Progress

Array = np.ndarray[Any, np.dtype[Any]]
SHOWN = 400
"""Test pictures that are kept as they came back; the report shows some of them."""


def reconstruction_step(
    run: Run, dataset: Dataset, model: str, config: TrainConfig, progress: Progress | None = None, **options: Any
) -> ReconstructionRecord:
    """Train an autoencoder of the zoo and record it; a step that is done returns its record at once.

    Writes components.npz, history.csv, model.keras, encoder.keras (up to the layer "code") and reconstructions.npz: of
    the first 400 test pictures `given_back` and `by_components` (uint8), of all of them `errors` and `component_errors`.
    """
    record = run.get(ReconstructionRecord)
    if record is not None and run.done("train"):
        return record
    network = seeded_model(model, dataset, config, **options)
    bound = _components(run, dataset, int(np.prod(network.get_layer("code").output.shape[1:])))
    started = start_from_components(network, bound)
    history = fit(network, dataset, config, run, progress, PICTURES)
    encoder = zoo.encoder_of(network)
    save_model(run, network)
    save_model(run, encoder, "encoder.keras")
    pictures = dataset.inputs("test")
    given, linear = predict(network, pictures), bound.give_back(pictures)
    errors, linear_errors = squared_errors(pictures, given), squared_errors(pictures, linear)
    with run.atomic("reconstructions.npz") as path:
        np.savez_compressed(
            path,
            given_back=_as_pixels(given[:SHOWN], dataset),
            by_components=_as_pixels(linear[:SHOWN], dataset),
            errors=errors,
            component_errors=linear_errors,
        )
    validation = dataset.inputs("validation")
    record = ReconstructionRecord(
        model=model,
        parameters=network.count_params(),
        encoder_parameters=encoder.count_params(),
        code=bound.directions.shape[1],
        from_components=started,
        epochs=len(history.rows),
        best_epoch=history.best.epoch,
        seconds=history.seconds,
        seed=config.seed,
        validation=SquaredError.of(squared_errors(validation, predict(network, validation))),
        test=SquaredError.of(errors),
        components=SquaredError.of(linear_errors),
        against=nearer(errors, linear_errors),
        weights_sha256=weights_sha256(network),
    )
    written = ("model.keras", "encoder.keras", "history.csv", "components.npz", "reconstructions.npz")
    run.record("train", record, artefacts=written, inputs=("samples.npz",))
    checkpoint.clear(run)
    return record


def start_from_components(network: Any, bound: Components) -> bool:
    """Set the layers "linear_code" and "linear_picture", where a network has them, to the principal components.

    They stay so: trained with the rest they first lose what they know (Adam moves all 3 072 weights of a brightness by
    the same step), for epochs. The code is divided by its spread, so that all its values are of one size: int8 has one
    step for all of them.
    """
    names = {layer.name for layer in network.layers}
    if not {"linear_code", "linear_picture"} <= names:
        return False
    spread = np.maximum(bound.spread, 1e-6)
    inward = bound.directions / spread
    network.get_layer("linear_code").set_weights([inward, -bound.mean @ inward])
    network.get_layer("linear_picture").set_weights([(bound.directions * spread).T, bound.mean])
    for name in ("linear_code", "linear_picture"):
        network.get_layer(name).trainable = False
    return True


def _components(run: Run, dataset: Dataset, count: int) -> Components:
    """Those of the run, or new ones; kept, because a resumed training must start from the same to the last bit."""
    path = run.path("components.npz")
    if path.is_file():
        found = Components.load(path)
        if found.directions.shape[1] == count:
            return found
    found = components(dataset.x_train, count, dataset.preprocessing.apply)
    with run.atomic("components.npz") as part:
        found.save(part)
    return found


def _as_pixels(x: Array, dataset: Dataset) -> Array:
    encoding = dataset.preprocessing
    pixels: Array = np.clip(np.rint((x - encoding.offset) / encoding.scale), 0, 255).astype(np.uint8)
    return pixels
