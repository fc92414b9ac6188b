"""What geodl is about to do, told to whoever shows it, and how long things take, in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ("Listener", "console", "duration", "shown_by", "stage", "unheard")

Listener = Callable[[str], AbstractContextManager[None]]
"""Is handed what begins, and left when that ends."""

_LISTENER: ContextVar[Listener | None] = ContextVar("geodl_listener", default=None)
_CONSOLES: dict[bool, Console] = {}
"""Of stderr (true) and of stdout."""


def console(*, stderr: bool = False) -> Console:
    """Returns the console of today's stdout or stderr; colours only on a terminal.

    One for each stream: what is printed while a live line is shown has to go through the console that shows it.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    stream = getattr(stream, "rich_proxied_file", stream)
    if stderr not in _CONSOLES or _CONSOLES[stderr].file is not stream:
        _CONSOLES[stderr] = Console(file=stream, highlight=False, soft_wrap=False)
    return _CONSOLES[stderr]


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Tells that something begins which may take seconds; it ends with the block. Without a listener nothing is shown.

    Args:
        text: what is done, such as `Fitting random_forest`.

    Example:
        >>> from contextlib import nullcontext
        >>> with shown_by(lambda text: nullcontext(print(text))), stage("Reading the data"):
        ...     pass
        Reading the data
    """
    listener = _LISTENER.get()
    with nullcontext() if listener is None else listener(text):
        yield


@contextmanager
def shown_by(listener: Listener | None) -> Iterator[None]:
    """Has `listener` told of the stages inside the block; None: nobody."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def unheard() -> None:
    """From here on nobody is told of stages, up to the end of the innermost `shown_by`."""
    _LISTENER.set(None)


def duration(seconds: float) -> str:
    """Returns a time span in words, in its two greatest units.

    Example:
        >>> duration(0.4), duration(75), duration(7260), duration(100 * 3600)
        ('0 s', '1 min 15 s', '2 h 1 min', '4 d 4 h')
    """
    left = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next((k for k, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for k, (count, unit) in enumerate(parts[first : first + 2]) if count or k == 0)
