# SPDX-License-Identifier: Apache-2.0
"""Which kernel computes each layer: measured on the emulated core, picked for what the user wants most."""

from .candidates import Candidate, Measured
from .choose import Choice, Chooser
from .objective import OBJECTIVES, Limits, Objective, checked
from .search import Whole

__all__ = ["OBJECTIVES", "Candidate", "Choice", "Chooser", "Limits", "Measured", "Objective", "Whole", "checked"]
