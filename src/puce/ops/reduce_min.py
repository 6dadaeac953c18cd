# SPDX-License-Identifier: Apache-2.0
"""The smallest value over axes of a picture. LiteRT's rule is that of reduce_max."""

from __future__ import annotations

from . import register
from .reduce_max import operator

OP = register(operator("reduce_min", "The smallest value over axes of a picture.", -1, onnx=("ReduceMin",)))
