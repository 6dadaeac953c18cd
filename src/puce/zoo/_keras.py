# SPDX-License-Identifier: Apache-2.0
"""The one door to Keras: quiet about the weather inside TensorFlow, loud about errors."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import MissingExtra


def keras() -> Any:
    """Import Keras 3 with its chatter off. Raise MissingExtra where it, or its back end, is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # 2: errors only; it must be set before the import
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else results depend on what the processor can do
    try:
        with warnings.catch_warnings(), _quiet_start():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its dependencies, at import
            import keras as module
    except ImportError as error:
        raise MissingExtra.of("keras", "training", "train") from error
    return module


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Swallow what TensorFlow's C++ writes to standard error while it is imported for the first time: that oneDNN is on,
    twice, before any log level counts. Errors come as exceptions."""
    if "keras" in sys.modules or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
