"""The line of steps as Keras sees it: batches from any step on, and epochs as marks on the line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import keras

from geodl.errors import GeodlError

__all__ = ("Feed", "Leg", "Line", "legs")


class Leg(NamedTuple):
    """One call of Keras `fit`: epochs of equal length."""

    step: int
    """Steps done before."""
    epoch_steps: int
    """Steps of each epoch."""
    epoch: int
    """First epoch, from 0."""
    end: int
    """One after the last epoch."""


def legs(step: int, *, epochs: int, steps_per_epoch: int, breaks: Sequence[int] = ()) -> Iterator[Leg]:
    """Yields the legs from `step` to the end: the rest of an epoch that was begun, then the whole ones.

    Args:
        step: steps done before.
        epochs: of the whole line.
        steps_per_epoch: of each.
        breaks: steps, at the beginning of epochs, at which a new leg begins: Keras takes batches of one shape in a call.
    """
    epoch, begun = divmod(step, steps_per_epoch)
    if begun:
        yield Leg(step, steps_per_epoch - begun, epoch, epoch + 1)
        epoch += 1
    for end in (*sorted({first // steps_per_epoch for first in breaks}), epochs):
        if epoch < end <= epochs:
            yield Leg(epoch * steps_per_epoch, steps_per_epoch, epoch, end)
            epoch = end


class Feed(keras.utils.PyDataset):
    """Hands a data set to Keras without its end, and remembers what was wrong with the data.

    Keras shuffles a data set whose length it knows, and its worker threads start such a one anew at each epoch: it is
    shown neither length nor workers. A backend wraps errors of the data set in its own; leaving the context brings the
    data set's own out again.

    Args:
        dataset: item k is a batch, a pure function of k; its `close()`, if it has one, is called in the end.
        steps: number of its items that there are; what Keras reads ahead beyond them is the last one again.
    """

    def __init__(self, dataset: keras.utils.PyDataset, *, steps: int) -> None:
        super().__init__()
        self._dataset = dataset
        self._steps = steps
        self._failure: GeodlError | None = None

    @property
    def num_batches(self) -> None:
        """None: no end."""
        return None

    def __getitem__(self, index: int) -> Any:
        try:
            return self._dataset[min(index, self._steps - 1)]
        except GeodlError as error:
            self._failure = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close = getattr(self._dataset, "close", None)
        if close is not None:
            close()
        if self._failure and isinstance(error, Exception) and not isinstance(error, GeodlError):
            raise self._failure from None


class Line(keras.callbacks.CallbackList):
    """Callbacks that see one training run, whatever the number of `fit` calls it takes.

    Training begins once, and ends when told; batches are numbered from the start of their epoch; an epoch that was left
    in its middle has not ended.
    """

    def __init__(
        self, callbacks: list[keras.callbacks.Callback], *, model: keras.Model, epochs: int, steps_per_epoch: int
    ) -> None:
        super().__init__(callbacks, add_history=True, model=model, epochs=epochs, steps=steps_per_epoch, verbose=0)
        self._steps_per_epoch = steps_per_epoch
        self._begun = False
        self._leg = Leg(0, steps_per_epoch, 0, epochs)
        self._done = 0

    def enter(self, leg: Leg) -> None:
        """Is called before each `fit`."""
        self._leg = leg

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Passes the first call on."""
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Passes nothing on; see `end`."""

    def end(self) -> None:
        """Is called after the last `fit`."""
        if self._begun:
            super().on_train_end({})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts to count the epoch's steps."""
        self._done = self._offset
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Numbers the batch from the start of its epoch."""
        super().on_train_batch_begin(batch + self._offset, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Numbers the batch from the start of its epoch."""
        self._done = batch + self._offset + 1
        super().on_train_batch_end(batch + self._offset, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Is passed on if the epoch is whole."""
        if self._done == self._steps_per_epoch:
            super().on_epoch_end(epoch, logs)

    @property
    def _offset(self) -> int:
        return self._steps_per_epoch - self._leg.epoch_steps
