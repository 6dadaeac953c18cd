# SPDX-License-Identifier: Apache-2.0
"""Minimum: the smaller of two operands, broadcast; one of them may be constant. LiteRT's rule is that of maximum."""

from __future__ import annotations

from . import register
from .maximum import operator

OP = register(operator("minimum", "The smaller of two operands, the smaller shape repeated.", -1, "Minimum", "Min"))
