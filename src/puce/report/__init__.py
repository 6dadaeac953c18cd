# SPDX-License-Identifier: Apache-2.0
"""Run folder -> report.html, one self-contained page, and report.md beside it; it shows, and computes nothing anew."""

from .write import write

__all__ = ["write"]
