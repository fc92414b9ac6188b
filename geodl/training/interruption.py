"""Ctrl-C and SIGTERM, heard at the end of a step instead of in its middle."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ("Interruption",)


class Interruption:
    """While entered, the first SIGINT and the first SIGTERM are only noted; a second one acts at once.

    Outside the main thread, and for a signal that the process ignores, nothing is changed.

    Example:
        >>> with Interruption() as interruption:
        ...     for step in range(100):
        ...         if interruption.received:
        ...             break
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None and number == self.received
        self.received = signal.Signals(number)
        if again:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
