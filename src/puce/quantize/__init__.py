# SPDX-License-Identifier: Apache-2.0
"""float32 -> int8: ranges from training pictures, TFLite's rules, and what each layer loses."""

from .calibrate import Method, Range, calibrate
from .diagnose import LayerNoise, diagnose
from .int8 import to_int8

__all__ = ["LayerNoise", "Method", "Range", "calibrate", "diagnose", "to_int8"]
