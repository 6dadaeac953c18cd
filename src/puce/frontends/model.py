# SPDX-License-Identifier: Apache-2.0
"""What every front end returns: the graph, and what the user's own file says of its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir import Graph


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """A model as it came in. `parameters` counts as the training framework does, trainable and not.

    `by_layer` has the same count for each layer with weights, under the user's names; `source` is the file's name.
    `layouts` says which axes of the file's tensor each input and output of the graph has, in our order (-1: an axis of 1
    that the file lacks); those that it does not name have the file's order, without batch.
    """

    graph: Graph
    source: str
    parameters: int
    by_layer: Mapping[str, int]
    layouts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.graph)
