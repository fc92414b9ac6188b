"""A contender in a process of its own, so that no toolkit's threads, allocator or settings reach another's."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

__all__ = ("Apart", "apart")

Run = Callable[[], float | None]


class Apart:
    """Prepares a contender in a fresh process, which then waits; a call runs it there once.

    Args:
        prepare: a function of a module's top level that returns the contender: a function whose time is taken, or which
            returns the seconds that count.
        arguments: of `prepare`; must be picklable.

    Example:
        >>> with Apart(prepare_forward, "onnx") as forward:
        ...     seconds = forward()
    """

    def __init__(self, prepare: Callable[..., Run], *arguments: Any) -> None:
        self.name = prepare.__name__
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # Not a daemon: torch's DataLoader has processes of its own.
        self._process = context.Process(target=_serve, args=(theirs, prepare, arguments))
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        try:
            self._answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> float:
        """Runs the contender once; returns its seconds, measured in its own process."""
        self._pipe.send(True)
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()

    def _answer(self) -> float:
        try:
            return float(self._pipe.recv())
        except EOFError:
            raise SystemExit(f"{self.name} failed in its own process; its traceback stands above.") from None


def apart(function: Callable[..., object], *arguments: Any) -> None:
    """Calls a function in a fresh process and waits for its end."""
    with Apart(_Once(function), *arguments):
        pass


class _Once:
    """A preparation that does all the work and leaves nothing to run."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function, self.__name__ = function, function.__name__

    def __call__(self, *arguments: Any) -> Run:
        self.function(*arguments)
        return lambda: None


def _serve(pipe: Connection, prepare: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    with pipe:
        run = prepare(*arguments)
        pipe.send(0.0)
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            begin = time.perf_counter()
            seconds = run()
            pipe.send(time.perf_counter() - begin if seconds is None else seconds)
