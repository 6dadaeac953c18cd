# SPDX-License-Identifier: Apache-2.0
"""What every device can do, whatever it is made of."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from puce.device.protocol import Hello, PictureKind, Reply

__all__ = ["Closing", "Device", "PictureKind"]


class Device(Protocol):
    """A model that answers. `run` takes one picture as bytes, row by row, channels last."""

    def hello(self) -> Hello: ...

    def run(self, picture: bytes, kind: PictureKind) -> Reply: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Closing:
    """The context manager of a device: leaving it closes the device."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
