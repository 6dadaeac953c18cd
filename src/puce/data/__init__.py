# SPDX-License-Identifier: Apache-2.0
"""Pictures with labels: sets by name, class folders, splits, and how a picture becomes the input of a network."""

from .dataset import Dataset, Preprocessing, Skipped, Split
from .load import SETS, load

__all__ = ["SETS", "Dataset", "Preprocessing", "Skipped", "Split", "load"]
