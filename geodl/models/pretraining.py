"""Pre-training of networks for series without labels: dates are hidden, and reconstructed from the others.

Yuan & Lin 2021, "Self-Supervised Pretraining of Transformers for Satellite Image Time Series Classification": what a
network needs to fill a gap, it needs to know a crop. Here dates are hidden as clouds hide them, all bands of several
dates in a row, and are missing to the network as any other gap is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import initializers, layers, ops

from geodl.errors import EmptyDataset, OptionError, TrainingDiverged
from geodl.models.options import check_counts, statistics

__all__ = ("MaskedSeries", "pretrain", "reconstruction_network")

_MEASURED = 8
"""Batches that the final loss is measured on."""


def reconstruction_network(network: keras.Model, *, bands: int, seed: int = 0) -> keras.Model:
    """Returns a network that gives the standardised values of every date; it shares the layers of the one given.

    Args:
        network: a network for series with a layer `features` (batch, time, channels).
        bands: bands of the series.
        seed: of the last layer's weights.

    Returns:
        A Keras model of the same inputs, up to `features`, and a dense layer of its own: (batch, time, band), float32.

    Raises:
        OptionError: the network has no such layer.
    """
    check_counts(bands=bands)
    features = next((layer for layer in network.layers if layer.name == "features"), None)
    if features is None:
        expected = (
            "a network whose dates see one another, that is with a layer 'features', to learn by reconstruction; "
            "train this one without pre-training, or choose another, such as transformer"
        )
        raise OptionError("network", expected=expected, received=network.name)
    drawn = initializers.GlorotUniform(seed=seed)
    head = layers.Dense(bands, kernel_initializer=drawn, dtype="float32", name="reconstruction")
    return keras.Model(network.input, head(features.output), name=f"{network.name}_reconstruction")


class MaskedSeries(keras.utils.PyDataset):
    """Batches for reconstruction, without end: item k is the batch of step `start + k`, a pure function of (seed, step).

    Each holds series with at least two observed dates, drawn at random. Of the observed dates of each, a share is hidden
    (at least one, and all but one at most): whole dates, in runs of observed dates of random length, geometrically
    distributed.

    Args:
        values: (series, time, band), in physical units; not-a-number where missing.
        days: (series, time); what is not finite becomes 0, and is of no date observed.
        mean: training mean per band.
        std: training standard deviation per band.
        batch_size: series in a batch.
        share: of the observed dates that are hidden, between 0 and 1.
        run: mean length of the runs, in dates; at least 1.
        seed: at least 0.
        start: step of item 0.

    Raises:
        EmptyDataset: no series has two observed dates.
        OptionError: an argument is out of its range.

    Example:
        >>> x, y, weight = MaskedSeries(values, days, mean=[0.3], std=[0.2], batch_size=8, seed=0)[0]
        >>> x["values"].shape, x["days"].shape, y.shape, weight.shape
        ((8, 23, 1), (8, 23), (8, 23, 1), (8, 23, 1))
    """

    def __init__(
        self,
        values: np.ndarray,
        days: np.ndarray,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        share: float = 0.3,
        run: float = 3.0,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        check_counts(batch_size=batch_size)
        if not isinstance(share, int | float) or not 0 < share < 1:
            raise OptionError("share", expected="a number between 0 and 1", received=share)
        if not isinstance(run, int | float) or not 1 <= run < math.inf:
            raise OptionError("run", expected="a number of dates of at least 1", received=run)
        self.values, self.days = values, np.where(np.isfinite(days), days, 0).astype(np.float32)
        self.mean, self.std = np.array(statistics(mean, std, values.shape[-1]), np.float32)
        self.batch_size, self.share, self.run, self.seed, self.start = batch_size, share, run, seed, start
        self._usable = np.flatnonzero(np.isfinite(values).any(-1).sum(1) > 1)
        if not len(self._usable):
            raise EmptyDataset("pre-training", expected="at least one series with two observed dates")

    @property
    def num_batches(self) -> None:
        """None: there is no last batch."""
        return None

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Returns the batch of step `start + index`.

        Returns:
            Inputs, the hidden dates of `values` not-a-number; the standardised values, 0 where missing; weights, equal
            where a value was hidden and 0 elsewhere, whose mean is 1. All float32.
        """
        rng = np.random.default_rng([self.seed, self.start + index])
        rows = rng.choice(self._usable, self.batch_size, replace=self.batch_size > len(self._usable))
        values = self.values[rows].astype(np.float32)
        finite = np.isfinite(values)
        hidden = self._hidden(finite.any(-1), rng)[..., None]
        truth = np.where(finite, (values - self.mean) / self.std, np.float32(0))
        weight = (finite & hidden).astype(np.float32)
        inputs = {"values": np.where(hidden, np.float32(np.nan), values), "days": self.days[rows]}
        return inputs, truth, weight * np.float32(weight.size / weight.sum(dtype=np.float64))

    def _hidden(self, observed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Chooses dates: bool (series, time), some of those observed."""
        series, time = observed.shape
        count = observed.sum(1, keepdims=True)
        wanted = np.clip(np.round(self.share * count), 1, count - 1)
        run = np.cumsum((rng.random(observed.shape) < 1 / self.run) & observed, axis=1)
        # Whole runs are hidden in a random order, until there are enough dates: the last one may be cut.
        order = np.where(observed, np.take_along_axis(rng.random((series, time + 1)), run, axis=1), np.inf)
        return np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1) < wanted


def pretrain(
    network: keras.Model,
    values: np.ndarray,
    days: np.ndarray,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    share: float = 0.3,
    run: float = 3.0,
    seed: int = 0,
    jit: bool | Literal["auto"] = "auto",
    progress: bool = False,
) -> float:
    """Trains the layers of a network up to `features`, in place, to reconstruct hidden dates; its head stays as it is.

    The learning rate falls to 0 along a cosine. The same seed and the same network give the same weights, on the same
    device with as many threads.

    Args:
        network: see `reconstruction_network`.
        values: see `MaskedSeries`; labels are not needed.
        days: see `MaskedSeries`.
        mean: training mean per band.
        std: training standard deviation per band.
        steps: of training.
        batch_size: series in a batch.
        learning_rate: the first, of Adam.
        share: see `MaskedSeries`.
        run: see `MaskedSeries`.
        seed: of what is drawn and hidden, and of the last layer's first weights.
        jit: whether XLA compiles the steps; "auto" leaves it to Keras.
        progress: whether Keras shows a bar.

    Returns:
        The mean squared error of hidden standardised values at the end, over hidden dates that training did not draw: the
        training mean in place of a reconstruction has about 1.

    Raises:
        OptionError: the network has no layer `features`, or an argument is out of its range.
        EmptyDataset: no series has two observed dates.
        TrainingDiverged: the loss is not finite.

    Example:
        >>> pretrain(network, table.values, table.days, mean=mean, std=std, steps=500)  # of hidden values, about 0.4
    """
    check_counts(steps=steps)
    model = reconstruction_network(network, bands=values.shape[-1], seed=seed)

    def batches(start: int) -> MaskedSeries:
        return MaskedSeries(
            values, days, mean=mean, std=std, batch_size=batch_size, share=share, run=run, seed=seed, start=start
        )

    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), _SquaredError(), jit_compile=jit)
    model.fit(batches(0), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=int(progress))
    loss = float(model.evaluate(batches(steps), steps=_MEASURED, verbose=0))
    if not math.isfinite(loss):
        raise TrainingDiverged(steps, loss)
    return loss


class _SquaredError(keras.losses.Loss):
    """Of each value, so that each has a weight of its own; Keras's takes the mean over bands."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_true - y_pred)
