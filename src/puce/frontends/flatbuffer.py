# SPDX-License-Identifier: Apache-2.0
"""Proves that every offset of a .tflite file stays inside the file, before anything else reads it.

A flatbuffer is read by following offsets, which a hostile file chooses: past its end, back into themselves, thousands
of times to the same place. This walk follows the same offsets as the reader, and pays for each byte from a budget that
grows with the file's length only: so neither cycles nor sharing can make a small file expensive.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

# What the reader follows, by slot of the table (schema.fbs of TensorFlow Lite, version 3): a table's name, [its name] for a
# vector of tables, or the bytes of one entry of a vector of numbers; "text" for a string.
Kind = str | int | list[str]
TABLES: Mapping[str, Mapping[int, Kind]] = {
    "Model": {1: ["OperatorCode"], 2: ["SubGraph"], 3: "text", 4: ["Buffer"], 5: 4},
    "OperatorCode": {1: "text"},
    "SubGraph": {0: ["Tensor"], 1: 4, 2: 4, 3: ["Operator"], 4: "text"},
    "Tensor": {0: 4, 3: "text", 4: "Quantization", 6: "Options", 7: 4},
    "Quantization": {0: 4, 1: 4, 2: 4, 3: 8, 5: "Options"},
    "Operator": {1: 4, 2: 4, 4: "Options", 5: 1, 7: 1, 8: 4, 12: "Options"},
    "Buffer": {0: 1},
    "Options": {},
}
MOST_TABLES = 200_000  # a hundred times the largest network that we know
SPARE_BYTES = 1 << 20


class Damaged(ValueError):
    """An offset or a length that leads out of the file, or a file that costs more than its size allows."""


@dataclass
class Walk:
    """One walk through a file: what is left to spend."""

    data: bytes
    bytes_left: int
    tables_left: int = MOST_TABLES

    def spend(self, at: int, count: int) -> None:
        """Claim `count` bytes at `at`: they must be there, and paid for."""
        if count < 0 or not 0 <= at <= len(self.data) - count:
            raise Damaged(f"{count} bytes at {at} lie outside the file")
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise Damaged("its parts overlap")

    def number(self, kind: str, at: int) -> int:
        self.spend(at, struct.calcsize(kind))
        value: int = struct.unpack_from(kind, self.data, at)[0]
        return value

    def follow(self, at: int) -> int:
        """The place that the offset at `at` names; it points forward."""
        offset = self.number("<I", at)
        if offset == 0:
            raise Damaged(f"the offset at {at} points to itself")
        return at + offset

    def table(self, at: int, name: str) -> None:
        self.tables_left -= 1
        if self.tables_left < 0:
            raise Damaged(f"more than {MOST_TABLES} parts")
        slots_at = at - self.number("<i", at)
        slots_bytes, table_bytes = self.number("<H", slots_at), self.number("<H", slots_at + 2)
        if slots_bytes < 4 or slots_bytes % 2 or table_bytes < 4:
            raise Damaged(f"a table at {at} of {table_bytes} bytes with a list of {slots_bytes}")
        self.spend(slots_at, slots_bytes)
        self.spend(at, table_bytes)
        offsets = struct.unpack_from(f"<{slots_bytes // 2 - 2}H", self.data, slots_at + 4)
        if any(offset >= table_bytes for offset in offsets):
            raise Damaged(f"a field of the table at {at} lies behind its end")
        for slot, kind in TABLES[name].items():
            if slot < len(offsets) and offsets[slot]:
                self.field(at + offsets[slot], kind)

    def field(self, at: int, kind: Kind) -> None:
        there = self.follow(at)
        if isinstance(kind, int):
            self.spend(there, 4 + kind * self.number("<I", there))
        elif isinstance(kind, list):
            count = self.number("<I", there)
            self.spend(there + 4, 4 * count)
            for i in range(count):
                self.table(self.follow(there + 4 + 4 * i), kind[0])
        elif kind == "text":
            self.spend(there, 4 + self.number("<I", there))
        else:
            self.table(there, kind)


def verify(data: bytes) -> None:
    """Raise Damaged where a reader that follows the offsets of this .tflite file would leave it, or not come to an end."""
    walk = Walk(data, 8 * len(data) + SPARE_BYTES)
    walk.table(walk.follow(0), "Model")
