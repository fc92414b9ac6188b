"""What is shown while a command works: a spinner for what cannot be measured, a bar for what can; nothing in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geodl.activity import Listener, duration
from geodl.cli.terminal import console

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ("progress_bar", "spinner")


_TITLE = 20
"""Characters of a bar's title, so that all fits 80 columns."""
_SHOWN: list[tuple[str, Callable[[str], object]]] = []
"""What the one live line of the terminal says, innermost last, and how to make it say something else."""


def spinner() -> Listener:
    """Returns a listener that shows a stage with the time it has taken, on stderr and on a terminal alone.

    A stage within another, or while a bar is shown, takes its title until it ends.
    """

    @contextmanager
    def show(text: str) -> Iterator[None]:
        to = console(stderr=True)
        if _SHOWN:
            with _said(text, _SHOWN[-1][1]):
                yield
        elif to.is_terminal:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            with Progress(*columns, console=to, transient=True) as live:
                task = live.add_task(text, total=None)
                with _said(text, lambda words: live.update(task, description=words)):
                    yield
        else:
            yield

    return show


@contextmanager
def _said(text: str, say: Callable[[str], object]) -> Iterator[None]:
    say(text)
    _SHOWN.append((text, say))
    try:
        yield
    finally:
        _SHOWN.pop()
        if _SHOWN:
            say(_SHOWN[-1][0])


@contextmanager
def progress_bar(title: str, *, unit: str = "pixels") -> Iterator[Callable[[int, int], None]]:
    """Shows a bar with rate and time left; gives what to call with how much is done and how much there is.

    Args:
        title: what is made.
        unit: of what is counted.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        _pace(unit),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        short = title if len(title) <= _TITLE else f"…{title[1 - _TITLE :]}"
        task = bars.add_task(short, total=None)
        with _said(short, lambda words: bars.update(task, description=words)):
            yield lambda done, total: bars.update(task, completed=done, total=total)


def _pace(unit: str) -> ProgressColumn:
    """A column of how fast it goes and how long it will take; the time taken where that cannot be told."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Pace(ProgressColumn):
        def render(self, task: Task) -> Text:
            if not task.speed or task.time_remaining is None:
                return Text(duration(task.elapsed or 0))
            return Text(f"{_rate(task.speed)}{unit}/s · {duration(task.time_remaining)} left", "cyan")

    return Pace()


def _rate(speed: float) -> str:
    """About three digits and a prefix: `2.34 M`."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if speed >= size:
            return f"{speed / size:.3g} {prefix}"
    return f"{speed:.0f} " if speed >= 100 else f"{speed:.2g} "
