"""A loss whose weights are normalised over the batch of all workers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ("GlobalMean",)


class GlobalMean(keras.losses.Loss):
    """Divides sample weights by their mean over the whole batch, before another loss sees them.

    Where each of several processes reads its own rows of a batch, none knows the sum of all weights; the compiled step
    does, whose arrays are those of all devices. The mean of the other loss is then the one that a single process takes.

    Args:
        loss: per sample; Keras multiplies it by the weights and takes the mean.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name, reduction=loss.reduction, dtype=loss.dtype)
        self._loss = loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns the loss, a scalar; a batch without any weight gives 0."""
        mean = ops.mean(sample_weight)
        return self._loss(y_true, y_pred, sample_weight / ops.where(mean > 0, mean, ops.ones_like(mean)))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the other loss's values, one for each element."""
        return self._loss.call(y_true, y_pred)
