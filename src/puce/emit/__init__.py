# SPDX-License-Identifier: Apache-2.0
"""Graph + Schedule -> C files a student can read."""

from .model import Sources, emit

__all__ = ["Sources", "emit"]
