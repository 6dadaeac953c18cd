# SPDX-License-Identifier: Apache-2.0
"""What passes took out of a graph, layer by layer: the two graphs compared, whichever passes ran between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ir import Graph


@dataclass(frozen=True)
class Removed:
    """One layer that shrank or went: `channels` of its `of` outputs, and what no longer runs or lies in flash.

    `bytes_saved` counts constants as the model holds them: weights and biases, without tables that kernels add.
    """

    layer: str
    channels: int
    of: int
    macs_saved: int
    bytes_saved: int

    def as_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer, "channels": self.channels, "of": self.of,
            "macs": self.macs_saved, "bytes": self.bytes_saved,
        }  # fmt: skip


def removed(before: Graph, after: Graph) -> tuple[Removed, ...]:
    """A record for each layer of `before` that computes less in `after`, or is not there any more."""
    left = {n.name: after.call(n) for n in after.nodes}
    ops = {n.name: n.op for n in after.nodes}
    made = {t for n in after.nodes for t in n.outputs}
    found = []
    for node in before.nodes:
        call, now = before.call(node), left.get(node.name)
        macs, nbytes = node.op.macs(call), sum(t.nbytes for t in call.inputs if t.data is not None)
        all_channels = call.y.shape[-1] if call.y.shape else 1
        if now is None and made.issuperset(node.outputs):
            continue  # another node computes it on the way
        if now is None:
            found.append(Removed(node.name, all_channels, all_channels, macs, nbytes))
            continue
        channels = all_channels - (now.y.shape[-1] if now.y.shape else 1)
        macs -= ops[node.name].macs(now)
        nbytes -= sum(t.nbytes for t in now.inputs if t.data is not None)
        if channels or macs or nbytes:
            found.append(Removed(node.name, channels, all_channels, macs, nbytes))
    return tuple(found)
