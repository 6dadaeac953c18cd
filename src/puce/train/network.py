# SPDX-License-Identifier: Apache-2.0
"""The network before its training and after: drawn from the seed, and written without what only training needs."""

from __future__ import annotations

import warnings
from typing import Any

from .. import zoo
from ..data import Dataset
from ..run import Run
from ..zoo._keras import keras
from .config import TrainConfig
from .engine import prepare
from .transfer import start_from


def seeded_model(model: str, dataset: Dataset, config: TrainConfig, **options: Any) -> Any:
    """Build an architecture for a data set; its first weights are drawn from the seed of the training, or another's."""
    prepare(config)
    keras().utils.set_random_seed(config.seed)
    network = zoo.build(model, dataset.shape, dataset.classes, **options)
    if config.weights:
        alpha = {**zoo.options(model), **options}.get("alpha")
        start_from(network, dataset, config, alpha)
    return network


def save_model(run: Run, network: Any, name: str = "model.keras") -> None:
    """Write a network without the optimizer, which is two thirds of it and of no use to the compiler."""
    bare = keras().models.clone_model(network)
    bare.set_weights(network.get_weights())
    with run.atomic(name) as path, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras 3.15 with NumPy 2 gives one for each variable
        bare.save(path)
