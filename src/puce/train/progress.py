# SPDX-License-Identifier: Apache-2.0
"""Who is told how training goes: nobody, or a terminal (on standard error; standard output stays for results)."""

from __future__ import annotations

from typing import Any, Protocol

from ..units import percent
from .config import EpochRow


class Progress(Protocol):
    """Calls come in this order: start, then batches and an epoch for each epoch, then stop, also after an error."""

    def start(self, what: str, epochs: int, epochs_done: int, batches: int) -> None: ...

    def batch(self) -> None: ...

    def epoch(self, row: EpochRow) -> None: ...

    def stop(self) -> None: ...


class Silent:
    def start(self, what: str, epochs: int, epochs_done: int, batches: int) -> None:
        pass

    def batch(self) -> None:
        pass

    def epoch(self, row: EpochRow) -> None:
        pass

    def stop(self) -> None:
        pass


class TerminalProgress:
    """A bar with the time left and the newest accuracies."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._epochs = 0

    def start(self, what: str, epochs: int, epochs_done: int, batches: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(
            what, total=epochs * batches, completed=epochs_done * batches, state=f"epoch {epochs_done}/{epochs}"
        )
        self._bar.start()

    def batch(self) -> None:
        self._bar.advance(self._task)

    def epoch(self, row: EpochRow) -> None:
        if row.accuracy is None or row.val_accuracy is None:
            figures = f"error {row.loss:.5f} val {row.val_loss:.5f}"
        else:
            figures = f"train {percent(row.accuracy)} val {percent(row.val_accuracy)}"
        self._bar.update(self._task, state=f"epoch {row.epoch}/{self._epochs}  {figures}")

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
