# SPDX-License-Identifier: Apache-2.0
"""When each row is computed and where it lies: Graph -> Schedule, exact to the byte, and proved."""

from .cuts import Cuts
from .plan import Bank, Buffer, Place, Schedule, Step
from .planner import plan
from .prove import Proof, Refuted, prove

__all__ = ["Bank", "Buffer", "Cuts", "Place", "Proof", "Refuted", "Schedule", "Step", "plan", "prove"]
