"""What happens at the end of steps and epochs: scores before a user's callbacks, records after them."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from geodl.errors import OptionError, TrainingDiverged
from geodl.training.checkpoint import Checkpoints
from geodl.training.distribution import Workers
from geodl.training.history import History
from geodl.training.interruption import Interruption
from geodl.training.progress import Progress
from geodl.training.weights import averaged, capture, values_of

if TYPE_CHECKING:
    from pathlib import Path

    from geodl.recipe import Train

__all__ = ("Record", "Score")


class Score(keras.callbacks.Callback):
    """Counts steps, refuses a loss that is no number, validates at the end of each epoch and keeps the best weights.

    Args:
        history: is brought up to date.
        evaluate: model → metrics; None: the training loss is the score.
        monitor: name of the metric that says which epoch is best.
        mode: whether more (`max`) or less (`min`) of it is better.
        metrics: running loss of a checkpoint in the middle of an epoch, put back when that epoch begins.
        best: weights of the best epoch so far.
        start: whether the weights that training starts from are scored, too, as epoch 0.
    """

    def __init__(
        self,
        history: History,
        *,
        evaluate: Callable[[keras.Model], Mapping[str, float]] | None,
        monitor: str,
        mode: Literal["max", "min"],
        metrics: list[np.ndarray],
        best: list[np.ndarray] | None,
        start: bool = False,
    ) -> None:
        super().__init__()
        self._start = start
        self.best = best
        self._history = history
        self._evaluate = evaluate
        self._monitor = monitor
        self._mode = mode
        self._metrics = metrics

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Scores the first weights."""
        if self._start and self._evaluate is not None and not self._history.step:
            self._judge(dict(self._evaluate(self.model)), epoch=0)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Puts back the running loss of an epoch that was begun."""
        for variable, value in zip(self.model.metrics_variables, self._metrics, strict=False):
            variable.assign(value)
        self._metrics = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Counts the step."""
        step, loss = self._history.step + 1, (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingDiverged(step, loss)
        self._history.step = step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the validation metrics to `logs`, where a user's callbacks find them as `val_<name>`."""
        logs = {} if logs is None else logs
        with averaged(self.model):
            values = {"loss": logs["loss"]} if self._evaluate is None else dict(self._evaluate(self.model))
            self._judge(values, epoch=epoch + 1)
        if self._evaluate is not None:
            logs |= {f"val_{name}": float(number) for name, number in values.items()}

    def _judge(self, values: Mapping[str, float], *, epoch: int) -> None:
        """Keeps the weights if they are the best so far."""
        if self._monitor not in values:
            raise OptionError("monitor", expected=f"one of: {', '.join(values)}", received=self._monitor)
        value = float(values[self._monitor])
        if self._history.improves(value, self._mode):
            self._history.best_epoch, self._history.best_value, self._history.waited = epoch, value, 0
            self.best = values_of(self.model.variables)
        else:
            self._history.waited += 1


class Record(keras.callbacks.Callback):
    """Writes rows, logs and checkpoints, and ends training when nothing gets better or a signal came.

    Args:
        history: is brought up to date and written.
        score: holds the best weights.
        config: when to write checkpoints and to stop early.
        store: where checkpoints go.
        table: CSV file of the rows.
        identity: what the run is; stored in every checkpoint.
        interruption: signals received.
        progress: is told of steps and epochs.
        workers: the first of them writes; a signal that one of them received ends all at the same step.
    """

    def __init__(
        self,
        history: History,
        *,
        score: Score,
        config: Train,
        store: Checkpoints,
        table: Path,
        identity: Mapping[str, Any],
        interruption: Interruption,
        progress: Progress,
        workers: Workers,
    ) -> None:
        super().__init__()
        self.written: dict[str, np.ndarray] = {}
        """Arrays of the last checkpoint of this call; each is a copy that nobody changes."""
        self._history = history
        self._score = score
        self._config = config
        self._store = store
        self._table = table
        self._identity = identity
        self._interruption = interruption
        self._progress = progress
        self._workers = workers
        self._clock = self._saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock of the epoch's first step."""
        self._progress.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes a checkpoint if it is time, and hears signals; at the end of an epoch both wait for its scores."""
        step = self._history.step
        self._progress.step(step, (logs or {}).get("loss", 0.0))
        if step % self._config.steps_per_epoch == 0:
            return
        if self._interrupted():
            self._save()
            self._end_by_signal()
        elif self._is_due(step):
            self._save()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Adds a row, writes everything, and stops training if it is time."""
        history, patience = self._history, self._config.early_stopping
        self._tick()
        row = {
            "epoch": epoch + 1,
            "step": history.step,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(history.seconds, 1),
            **(logs or {}),
        }
        history.rows.append(row)
        history.stopped = self.model.stop_training or (patience is not None and history.waited >= patience)
        if self._workers.writes:
            history.write_csv(self._table)
        self._save()
        self._progress.end_epoch(row, best=history.waited == 0)
        if history.stopped:
            self.model.stop_training = True
        if self._interrupted():
            self._end_by_signal()

    def _interrupted(self) -> bool:
        """Whether any worker received a signal; all of them hear it at this step, whichever it came to."""
        if self._workers.any(self._interruption.received is not None):
            self._interruption.received = self._interruption.received or signal.SIGTERM
            return True
        return False

    def _is_due(self, step: int) -> bool:
        every, minutes = self._config.checkpoint.steps, self._config.checkpoint.minutes
        by_time = minutes is not None and time.monotonic() - self._saved >= 60 * minutes
        return by_time or (every is not None and step % every == 0)

    def _save(self) -> None:
        self._tick()
        best = {f"best/{number}": value for number, value in enumerate(self._score.best or [])}
        self.written = capture(self.model) | best
        step, history = self._history.step, self._history
        state = {
            "identity": self._identity,
            "history": history.to_state(),
            "finished": history.stopped or step == self._config.epochs * self._config.steps_per_epoch,
        }
        if self._workers.writes:
            self._store.save(step, self.written, state)
        self._saved = time.monotonic()

    def _tick(self) -> None:
        now = time.monotonic()
        self._history.seconds += now - self._clock
        self._clock = now

    def _end_by_signal(self) -> None:
        name = "Ctrl-C" if self._interruption.received == signal.SIGINT else "SIGTERM"
        self._store.wait()
        self._progress.note(f"{name}: training ends at step {self._history.step}, from which it can be continued.")
        if self._interruption.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        self._history.interrupted = True
        self.model.stop_training = True
