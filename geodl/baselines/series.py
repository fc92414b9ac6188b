"""Classifiers of time series that know nothing of time: the values at all dates are features of one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from geodl.baselines.pixels import log_probability
from geodl.baselines.threads import own_warnings
from geodl.data.samples import Samples
from geodl.errors import SeriesUnusable

__all__ = ("NearestSeries", "SeriesBaseline", "SeriesForest", "interpolated", "training_days")

_LEAP = 1.5
"""Days by which one calendar may differ from year to year."""


class SeriesBaseline(ABC):
    """What classifiers of whole series share: series brought to the days of training, and an answer for empty ones.

    Gaps are filled by linear interpolation in time, and before the first and after the last observation by the nearest
    one; a band that was never observed by its training mean at that day. A series without any observation gets the class
    shares of the training samples.

    Args:
        classes: number of classes.
        series: number of training series at most, drawn at random.
    """

    name: str

    def __init__(self, classes: int, *, series: int = 50_000) -> None:
        self.classes = classes
        self.series = series
        self.days = np.empty(0, np.float32)
        """Days to which series are brought, float32 of shape (time,); see `training_days`."""
        self._means = np.empty((0, 0), np.float32)
        self._shares = np.empty(0, np.float32)
        self._trivial = False

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Learns from series, as they are where samples are augmented; see `geodl.baselines.Baseline.fit`.

        Args:
            samples: such as `geodl.data.series.samples.SeriesSamples`, with x a mapping of `values`, (time, band),
                not-a-number where missing, and `days`, (time,); y and weight of shape ().
            seed: decides which series are read, and whatever is random in the method.

        Raises:
            SeriesUnusable: no series is both labelled and observed.
        """
        values, days, labels = _read(samples, most=self.series, seed=seed)
        if not len(labels):
            raise SeriesUnusable(
                "The training samples",
                "none of them is both labelled and observed",
                advice="Expected at least one series with a label and an observation.",
            )
        self.days = training_days(values, days)
        filled = interpolated(values, days, self.days)
        counts = np.isfinite(filled).sum(axis=0)
        self._means = (np.nansum(filled, axis=0) / np.maximum(counts, 1)).astype(np.float32)
        self._shares = (np.bincount(labels, minlength=self.classes) / len(labels)).astype(np.float32)
        self._trivial = bool(self._shares.max() == 1)
        if not self._trivial:
            self._learn(self._complete(filled), labels, seed=seed)
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Classifies a batch.

        Args:
            x: `values`, (batch, time, band), not-a-number where missing, and `days`, (batch, time); on any dates, of any
                number.

        Returns:
            Logarithms of probabilities, float32 of shape (batch, classes).

        Raises:
            RuntimeError: `fit` was not called.
        """
        if not len(self._shares):
            raise RuntimeError(f"{type(self).__name__}: call fit before predicting.")
        values, days = np.asarray(x["values"], np.float32), np.asarray(x["days"], np.float32)
        found = np.broadcast_to(self._shares, (len(values), self.classes)).copy()
        seen = np.isfinite(values).any(axis=(1, 2))
        if seen.any() and not self._trivial:
            found[seen] = self._probability(self._complete(interpolated(values[seen], days[seen], self.days)))
        return log_probability(found)

    def _complete(self, filled: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(filled), filled, self._means)

    @abstractmethod
    def _learn(self, values: np.ndarray, labels: np.ndarray, *, seed: int) -> None:
        """Learns from complete values (series, time, band) and labels (series,), of two classes at least."""

    @abstractmethod
    def _probability(self, values: np.ndarray) -> np.ndarray:
        """Returns probabilities (series, classes) for complete values (series, time, band)."""


class SeriesForest(SeriesBaseline):
    """A random forest (Breiman 2001) on the values of all bands at all dates, the usual baseline of crop mapping.

    500 trees, grown until leaves are pure, as in Pelletier et al. (2019), "Temporal convolutional neural network for the
    classification of satellite image time series", section 3.

    Args:
        classes: number of classes.
        series: number of training series at most, drawn at random.
        trees: number of trees.

    Example:
        >>> baseline = SeriesForest(3).fit(samples, seed=1)
        >>> logits = baseline({"values": values, "days": days})        # (batch, 3)
    """

    name = "random forest"

    def __init__(self, classes: int, *, series: int = 50_000, trees: int = 500) -> None:
        super().__init__(classes, series=series)
        self.trees = trees
        self._forest = RandomForestClassifier(trees)

    def _learn(self, values: np.ndarray, labels: np.ndarray, *, seed: int) -> None:
        chance = np.random.RandomState(seed % 2**32)
        with own_warnings():
            self._forest = RandomForestClassifier(self.trees, n_jobs=-1, random_state=chance).fit(_flat(values), labels)

    def _probability(self, values: np.ndarray) -> np.ndarray:
        found = np.zeros((len(values), self.classes), np.float32)
        with own_warnings():
            found[:, self._forest.classes_] = self._forest.predict_proba(_flat(values))
        return found


class NearestSeries(SeriesBaseline):
    """The class of the nearest training series: Euclidean distance over all dates, each band standardised.

    It is sure of each answer, so its calibration error is its error.

    Args:
        classes: number of classes.
        series: number of training series at most, drawn at random.

    Example:
        >>> baseline = NearestSeries(3).fit(samples)
        >>> logits = baseline({"values": values, "days": days})        # (batch, 3)
    """

    name = "nearest series"

    def __init__(self, classes: int, *, series: int = 50_000) -> None:
        super().__init__(classes, series=series)
        self._nearest = KNeighborsClassifier(1)
        self._mean = self._std = np.empty(0)

    def _learn(self, values: np.ndarray, labels: np.ndarray, *, seed: int) -> None:
        self._mean = values.mean(axis=(0, 1), dtype=np.float64)
        std = values.std(axis=(0, 1), dtype=np.float64)
        self._std = np.where(std > 0, std, 1.0)
        self._nearest = KNeighborsClassifier(1).fit(self._standardised(values), labels)

    def _probability(self, values: np.ndarray) -> np.ndarray:
        chosen = self._nearest.predict(self._standardised(values))
        return np.eye(self.classes, dtype=np.float32)[chosen]

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        return _flat((values - self._mean) / self._std)


def training_days(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Returns the days to which series are brought: those on which any of them was observed.

    Days that are the same but for leap years are one. Where there would be more days than the longest series has, because
    each was observed on days of its own, they are as many as that one has, evenly spaced from the first to the last.

    Args:
        values: (series, time, band), not-a-number where missing.
        days: (series, time).

    Returns:
        Increasing days, float32 of shape (at most time,).
    """
    seen = np.isfinite(values).any(axis=-1)
    shared = np.quantile(days, 0.5, axis=0, method="inverted_cdf")
    if _alike(days, shared).all():
        return shared[seen.any(axis=0)].astype(np.float32)
    found, length = np.unique(days[seen]), values.shape[1]
    return found if len(found) <= length else np.linspace(found[0], found[-1], length, dtype=np.float32)


def interpolated(values: np.ndarray, days: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolates each band of each series linearly in time; outside its observations the nearest one holds.

    A series on the very days, or on those of another year, keeps what was observed on them.

    Args:
        values: (series, time, band), not-a-number where missing.
        days: (series, time), increasing in each.
        at: days to interpolate to, (day,).

    Returns:
        float32 of shape (series, day, band); not-a-number in all days of a band that was never observed.
    """
    known = np.isfinite(values)
    found = np.full((len(values), len(at), values.shape[2]), np.nan, np.float32)
    fits = _alike(days, at) if days.shape[1] == len(at) else np.zeros(len(values), bool)
    whole = fits & known.all(axis=(1, 2))
    if whole.any():
        found[whole] = values[whole]
    for row in np.flatnonzero(~whole):
        when = at if fits[row] else days[row]
        for band in np.flatnonzero(known[row].any(axis=0)):
            seen = known[row, :, band]
            found[row, :, band] = np.interp(at, when[seen], values[row, seen, band])
    return found


def _alike(days: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Says of each series whether its days (series, time) are those of the calendar (time,), up to a leap day."""
    nearness = min(_LEAP, 0.5 * float(np.diff(calendar).min(initial=2 * _LEAP)))
    return np.asarray((np.abs(days - calendar) < nearness).all(axis=1))


def _read(samples: Samples, *, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads labelled and observed series: values (series, time, band), days (series, time), labels (series,)."""
    rng = np.random.default_rng([seed, 0])
    chosen = rng.permutation(len(samples))[:most]
    arrays = getattr(samples, "arrays", None)
    if arrays is not None:
        # What is augmented for a network would only blur what is learnt here.
        every, labelled = arrays()
        x, y = {name: array[chosen] for name, array in every.items()}, labelled[chosen]
        weight = np.ones(len(chosen), np.float32)
    else:
        read: list[tuple[Any, Any, np.ndarray]] = [samples.read(int(index), rng) for index in chosen]
        x = {name: np.stack([sample[0][name] for sample in read]) for name in ("values", "days")}
        y, weight = np.stack([sample[1] for sample in read]), np.stack([sample[2] for sample in read])
    values, labels = np.asarray(x["values"], np.float32), np.asarray(y, np.int64)
    used = (weight > 0) & (labels >= 0) & np.isfinite(values).any(axis=(1, 2))
    return values[used], np.asarray(x["days"], np.float32)[used], labels[used]


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)
