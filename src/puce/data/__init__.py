# SPDX-License-Identifier: Apache-2.0
"""Pictures with labels: sets by name, class folders, splits, checks, and how a picture becomes the input of a network."""

from .check import Check, check
from .choose import selected
from .dataset import Dataset, Preprocessing, Skipped, Split
from .fix import fix
from .listing import Listing, listing
from .load import SETS, load, place_of
from .selection import Selection, declared, selection

__all__ = [
    "SETS",
    "Check",
    "Dataset",
    "Listing",
    "Preprocessing",
    "Selection",
    "Skipped",
    "Split",
    "check",
    "declared",
    "fix",
    "listing",
    "load",
    "place_of",
    "selected",
    "selection",
]
