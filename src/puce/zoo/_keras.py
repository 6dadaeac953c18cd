# SPDX-License-Identifier: Apache-2.0
"""The one door to Keras: quiet about the weather inside TensorFlow, loud about errors."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ..errors import MissingExtra


def keras() -> Any:
    """Import Keras 3 with its chatter off. Raise MissingExtra where it, or its back end, is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # 2: errors only; it must be set before the import
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else results depend on what the processor can do
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its dependencies, at import
            import keras as module
    except ImportError as error:
        raise MissingExtra.of("keras", "training", "train") from error
    return module
