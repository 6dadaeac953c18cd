# SPDX-License-Identifier: Apache-2.0
"""Graph -> Graph, one file a matter. PIPELINE and LOWERING are the compiler's table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..ir import Graph
from .batch_norm_to_depthwise import BatchNormToDepthwise
from .clean import DropNoOps, RemoveDead
from .constant_channels import ConstantChannels
from .drop_identities import DropIdentities
from .fold_batch_norm import FoldBatchNorm, FoldBatchNormForward, SinkBatchNorm
from .fold_pad import FoldPad
from .fuse_activation import FuseActivation, LiftActivation
from .gain_before_relu import GainBeforeRelu
from .last_step import KeepLastStep, SpellOutLastStep
from .removed import Removed, removed
from .rescale_zero_rows import RescaleZeroRows
from .verify import verify

__all__ = ["LOWERING", "PIPELINE", "Pass", "Removed", "removed", "run", "verify"]


class Pass(Protocol):
    """A frozen dataclass: its fields are its settings, calling it returns the changed graph."""

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


# From the user's model to the one that is quantised and written as .tflite.
PIPELINE: tuple[Pass, ...] = (
    RemoveDead(),
    DropNoOps(),
    FoldBatchNorm(),
    GainBeforeRelu(),
    SinkBatchNorm(),
    FoldBatchNormForward(),
    BatchNormToDepthwise(),
    DropNoOps(),
    LiftActivation(),
    FuseActivation(),
    SpellOutLastStep(),
)

# From there to the one that is scheduled: what .tflite cannot say.
LOWERING: tuple[Pass, ...] = (
    FoldPad(),
    DropIdentities(),
    KeepLastStep(),
    ConstantChannels(),
    RescaleZeroRows(),
    RemoveDead(),
)


def run(graph: Graph, passes: Sequence[Pass] = PIPELINE) -> Graph:
    """Apply passes in order, and verify what each returns."""
    verify(graph, "import")
    for step in passes:
        graph = step(graph)
        verify(graph, step.name)
    return graph
