"""What the user sees of a training run: a bar on a terminal, lines in a pipe, and a log in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console

from geodl.activity import console as shared_console
from geodl.activity import duration
from geodl.errors import OutputUnwritable

__all__ = ("Progress",)

_SMOOTH = 0.9


class Progress:
    """Shows where a run is, how well and how fast it goes, and how long it will take.

    Args:
        epochs: of the whole run.
        steps_per_epoch: steps between two validations.
        batch_size: samples a step; for samples per second.
        monitor: name of the column of the row that is shown beside the loss, or None.
        log: file that every line is appended to, if any.
        shown: whether anything is shown; the log is written all the same.
        console: where to; standard error by default. A bar if it is a terminal, else one line per epoch.
    """

    def __init__(
        self,
        *,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        monitor: str | None,
        log: Path | None,
        shown: bool = True,
        console: Console | None = None,
    ) -> None:
        self._console = console or shared_console(stderr=True)
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._batch_size = batch_size
        self._monitor = monitor
        self._log = log
        self._shown = shown
        self._step_seconds: float | None = None
        self._validation_seconds = 0.0
        self._last: float | None = None
        self._compiling = True
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=20),
            rich.progress.TextColumn("{task.fields[status]}", style="cyan"),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
            transient=True,
        )
        self._task = self._bar.add_task("first step", total=epochs * steps_per_epoch, status="is compiled")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Shows a line and logs it with the time."""
        if self._shown:
            # A terminal breaks lines between words, a pipe not at all.
            self._console.print(text, highlight=False, markup=False, soft_wrap=not self._console.is_terminal)
        if self._log is None:
            return
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")
        except OSError as error:
            raise OutputUnwritable(self._log, error.strerror or error) from error

    def begin_epoch(self) -> None:
        """Starts the clock of the epoch's first step."""
        self._last = monotonic()

    def step(self, step: int, loss: float) -> None:
        """Counts a step that was done.

        Args:
            step: steps done.
            loss: mean over the epoch so far.
        """
        now = monotonic()
        if self._last is not None and not self._compiling:
            seconds, before = now - self._last, self._step_seconds
            self._step_seconds = seconds if before is None else _SMOOTH * before + (1 - _SMOOTH) * seconds
        self._last, self._compiling = now, False
        epoch = (step - 1) // self._steps_per_epoch + 1
        parts = [f"loss {loss:.4f}", self.rate, self._left(step)]
        validates = self._monitor is not None and step % self._steps_per_epoch == 0
        self._bar.update(
            self._task,
            completed=step,
            description=f"epoch {epoch}/{self._epochs}",
            status="validates" if validates else " · ".join(part for part in parts if part),
        )

    def end_epoch(self, row: Mapping[str, float], *, best: bool) -> None:
        """Reports a whole epoch.

        Args:
            row: of the history.
            best: whether it is the best so far.
        """
        if self._last is not None:
            self._validation_seconds = monotonic() - self._last
        score = row.get(self._monitor) if self._monitor else None
        told = f"{self._monitor} {score:.4f}{' (best)' if best else ''}" if score is not None else ""
        parts = [f"epoch {int(row['epoch'])}/{self._epochs}", f"loss {row['loss']:.4f}", told]
        parts.append(self._left(int(row["step"])))
        self.note(" · ".join(part for part in parts if part))

    @property
    def rate(self) -> str:
        """Samples per second, as text; empty before the second step."""
        if not self._step_seconds:
            return ""
        rate = self._batch_size / self._step_seconds
        return f"{rate:.0f} samples/s" if rate >= 10 else f"{rate:.2g} samples/s"

    def _left(self, step: int) -> str:
        """Time left, as text: steps and validations to come at the pace of those done."""
        if not self._step_seconds:
            return ""
        steps = self._epochs * self._steps_per_epoch - step
        validations = self._epochs - step // self._steps_per_epoch
        seconds = steps * self._step_seconds + validations * self._validation_seconds
        return f"{duration(seconds)} left" if steps else ""
