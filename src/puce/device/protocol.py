# SPDX-License-Identifier: Apache-2.0
"""Frames of the serial protocol, to bytes and back: one code for emulator, QEMU and cable. docs/reference/protocol.md."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from puce.errors import BadInput, DeviceFailed

PictureKind = Literal["int8", "uint8", "float32"]
LETTERS: dict[PictureKind, str] = {"int8": "b", "uint8": "B", "float32": "f"}

VERSION = 1
SYNC = b"\xa5\x5a"
HEAD = struct.Struct("<ccI")  # type, kind, length
FACTS = struct.Struct("<BccBIIII")
ERRORS = {
    1: "the checksum of the frame was wrong",
    2: "the picture has the wrong length for this model",
    3: "it does not know this type of frame",
    4: "the model does not take pictures of this kind",
}
LONGEST = 1 << 20  # a longer frame is a damaged length


@dataclass(frozen=True)
class Hello:
    """What a device says of itself: types are 'b' int8, 'B' uint8, 'f' float32; sizes in bytes; clock in hertz (0: none)."""

    protocol: int
    puce: str
    model: str
    fingerprint: int
    input_bytes: int
    output_bytes: int
    input_type: str
    output_type: str
    fed_by_rows: bool
    clock_hz: int


@dataclass(frozen=True)
class Reply:
    """Outputs of one inference, as raw bytes, and the cycles that the device counted; None where it cannot count."""

    outputs: bytes
    cycles: int | None


@dataclass(frozen=True)
class Frame:
    type: str
    kind: str
    payload: bytes


def encode(frame: Frame) -> bytes:
    """sync, type, kind, length, payload, CRC-32 of all that lies between."""
    body = HEAD.pack(frame.type.encode("ascii"), frame.kind.encode("latin-1"), len(frame.payload)) + frame.payload
    return SYNC + body + struct.pack("<I", zlib.crc32(body))


def decode(read: Callable[[int], bytes], place: str) -> Frame:
    """Read one frame from a stream, skipping what is before its sync. `read(n)` returns n bytes or raises DeviceFailed."""
    window = read(2)
    skipped = 0
    while window != SYNC:
        window = window[1:] + read(1)
        skipped += 1
        if skipped > LONGEST:
            raise DeviceFailed(place, "it sends, but no frame of puce.", "Flash the firmware of this model again.")
    head = read(HEAD.size)
    kind, flag, length = HEAD.unpack(head)
    if length > LONGEST:
        raise DeviceFailed(place, f"a frame says that it is {length} bytes long.", "Check the cable and its speed.")
    payload = read(length)
    if struct.unpack("<I", read(4))[0] != zlib.crc32(head + payload):
        raise DeviceFailed(place, "the checksum of its answer is wrong.", "Check the cable and its speed, then try again.")
    return Frame(kind.decode("latin-1"), flag.decode("latin-1"), payload)


def hello_request() -> bytes:
    return encode(Frame("H", "\0", b""))


def run_request(picture: bytes, kind: PictureKind) -> bytes:
    return encode(Frame("R", LETTERS[kind], picture))


def parse_hello(frame: Frame, place: str) -> Hello:
    """Read the answer to HELLO. Raises DeviceFailed for another protocol version."""
    payload = _expect(frame, "h", place)
    if not payload or payload[0] != VERSION or len(payload) < FACTS.size:
        spoken = payload[0] if payload else "none"
        raise DeviceFailed(
            place, f"it speaks protocol version {spoken}, and this puce {VERSION}.", "Compile and flash the model again."
        )
    protocol, input_type, output_type, rows, fingerprint, inputs, outputs, clock = FACTS.unpack_from(payload)
    puce, model, *_ = *payload[FACTS.size :].decode("utf-8", "replace").split("\0"), "", ""
    return Hello(
        protocol, puce, model, fingerprint, inputs, outputs, input_type.decode(), output_type.decode(), bool(rows), clock
    )


def parse_reply(frame: Frame, place: str) -> Reply:
    """Read the answer to RUN."""
    payload = _expect(frame, "r", place)
    cycles = int.from_bytes(payload[:4], "little")
    return Reply(payload[4:], cycles or None)


def _expect(frame: Frame, kind: str, place: str) -> bytes:
    if frame.type == "e" and frame.payload:
        said = ERRORS.get(frame.payload[0], f"error {frame.payload[0]}")
        raise DeviceFailed(
            place, f"the device refused: {said}.", "Compare the model's input with what is sent; check the cable."
        )
    if frame.type != kind:
        raise DeviceFailed(place, f"it answered with a frame {frame.type!r} where {kind!r} was expected.", "Reset the device.")
    return frame.payload


def check_picture(picture: bytes, kind: PictureKind, hello: Hello, place: str) -> None:
    """Refuse a picture that the model cannot take, before it is sent."""
    if len(picture) != hello.input_bytes:
        raise BadInput(
            place, f"the picture has {len(picture)} bytes and the model takes {hello.input_bytes}.", "Resize the picture."
        )
    wanted = LETTERS[kind]
    if (wanted == "f") != (hello.input_type == "f"):
        raise BadInput(
            place, f"the model takes pictures of type {hello.input_type!r}, not {kind}.", "Convert the picture first."
        )
