# SPDX-License-Identifier: Apache-2.0
"""Graph + Schedule -> C files a student can read."""

from .declared import Declared
from .model import Sources, emit
from .shared import Sharing

__all__ = ["Declared", "Sharing", "Sources", "emit"]
