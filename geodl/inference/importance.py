"""Which dates and bands a network for series looks at: by its gradients, or by its attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError
from geodl.inference.runtime import Call, compile_gradient, compile_network
from geodl.models.attention import attention_network
from geodl.models.committee import members_of
from geodl.models.scaling import Normalisation

__all__ = ("attention_importance", "gradient_importance", "integrated_gradients")


def gradient_importance(
    network: keras.Model,
    values: np.ndarray,
    days: np.ndarray,
    *,
    classes: np.ndarray | None = None,
    calendar: np.ndarray | None = None,
    mean: Sequence[float] | None = None,
    steps: int = 16,
    batch_size: int = 256,
) -> np.ndarray:
    """Returns how much each band of each date moved the logits: the mean over series of |integrated gradients|.

    Args:
        network: see `integrated_gradients`; so are values, days, classes, mean, steps and batch_size.
        values: (series, time, band).
        days: (series, time).
        classes: (series,).
        calendar: days, increasing, to the nearest of which dates are counted where series have dates of their own.
            Defaults to positions in the series.
        mean: per band.
        steps: points of the path.
        batch_size: series at once.

    Returns:
        (time, band), or (len(calendar), band), float64, in logits; a missing value counts as 0.

    Raises:
        OptionError: an argument does not fit the others.

    Example:
        >>> gradient_importance(network, table.values, table.days).shape
        (23, 4)
    """
    moved = integrated_gradients(network, values, days, classes=classes, mean=mean, steps=steps, batch_size=batch_size)
    return _over_series(np.abs(moved), days, calendar)


def integrated_gradients(
    network: keras.Model,
    values: np.ndarray,
    days: np.ndarray,
    *,
    classes: np.ndarray | None = None,
    mean: Sequence[float] | None = None,
    steps: int = 16,
    batch_size: int = 256,
) -> np.ndarray:
    """Shares a logit out among the values it comes from.

    Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", section 3: the gradient of the logit, integrated
    from a baseline to the series along a straight line (here by Gauss–Legendre quadrature), times the way. The baseline
    is the same series with the training mean wherever a value was observed. All shares of a series add up to the
    difference of the logits of the two, as far as the points resolve the path.

    Args:
        network: with inputs `values` (batch, time, band) and `days` (batch, time), and logits (batch, classes).
        values: (series, time, band), in physical units; not-a-number where missing.
        days: (series, time); what is not finite must be of no date observed.
        classes: (series,): whose logit is explained. Defaults to the class that the network predicts.
        mean: training mean per band. Defaults to that of the network's `Normalisation`.
        steps: points of the path.
        batch_size: series at once; that of which there is memory for a training step.

    Returns:
        (series, time, band), float32, in logits; 0 where missing.

    Raises:
        OptionError: an argument does not fit the others.
    """
    values, days = _checked(values, days)
    count, _, bands = values.shape
    mean = _training_mean(network, bands) if mean is None else mean
    if len(mean) != bands:
        raise OptionError("mean", expected=f"{bands} numbers, one per band", received=mean)
    if classes is None:
        classes = np.argmax(_apply(compile_network(network), values, days, batch_size), axis=-1)
    if np.shape(classes) != (count,):
        raise OptionError("classes", expected=f"one for each of the {count} series", received=np.shape(classes))

    def explained(series: Any, dates: Any, chosen: Any) -> Any:
        return ops.sum(ops.take_along_axis(network({"values": series, "days": dates}, training=False), chosen, axis=1))

    gradient = compile_gradient(explained)
    finite = np.isfinite(values)
    baseline = np.where(finite, np.asarray(mean, np.float32), np.float32(np.nan))
    way = np.where(finite, values - baseline, np.float32(0))
    chosen = np.asarray(classes, np.int32)[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    moved = np.zeros_like(values)
    for rows, kept in _rows(count, batch_size):
        total = np.zeros_like(values[rows])
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            point = baseline[rows] + np.float32(node) * way[rows]
            total += np.float32(weight) * gradient(point, days[rows], chosen[rows])[1]
        moved[rows[:kept]] = np.where(finite[rows], total * way[rows], 0)[:kept]
    return moved


def attention_importance(
    network: keras.Model,
    values: np.ndarray,
    days: np.ndarray,
    *,
    calendar: np.ndarray | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Returns how much attention each date gets: the mean of the weights over series, heads and members of a committee.

    Args:
        network: one that pools dates by attention, see `geodl.models.attention.attention_network`, or a committee of such.
        values: (series, time, band), in physical units; not-a-number where missing.
        days: (series, time); what is not finite must be of no date observed.
        calendar: see `gradient_importance`.
        batch_size: series at once.

    Returns:
        (time,), or (len(calendar),), float64; the sum is the share of series with any date observed, hence 1 as a rule.

    Raises:
        OptionError: the network has no attention weights, or an argument does not fit the others.
    """
    values, filled = _checked(values, days)
    calls = [compile_network(attention_network(member)) for member in members_of(network)]
    weights = np.mean([_apply(call, values, filled, batch_size).mean(1) for call in calls], axis=0)
    return _over_series(weights, filled, calendar)


def _checked(values: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float32, days finite."""
    if values.ndim != 3 or not len(values):
        raise OptionError(
            "values", expected="an array (series, time, band) of one series at least", received=values.shape
        )
    if days.shape != values.shape[:2]:
        raise OptionError("days", expected=f"an array of shape {values.shape[:2]}", received=days.shape)
    return values.astype(np.float32), np.where(np.isfinite(days), days, 0).astype(np.float32)


def _training_mean(network: keras.Model, bands: int) -> Sequence[float]:
    for layer in network._flatten_layers():
        if isinstance(layer, Normalisation) and len(layer.mean) == bands:
            return layer.mean
    raise OptionError(
        "mean", expected="the training mean of each band, which this network does not hold", received=None
    )


def _rows(count: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields positions, as many each time, so that nothing is compiled twice, and how many of them are not repeated."""
    size = min(batch_size, count)
    for start in range(0, count, size):
        yield np.minimum(np.arange(start, start + size), count - 1), min(size, count - start)


def _apply(call: Call, values: np.ndarray, days: np.ndarray, batch_size: int) -> np.ndarray:
    found = [call({"values": values[rows], "days": days[rows]})[:kept] for rows, kept in _rows(len(values), batch_size)]
    return np.concatenate(found)


def _over_series(weights: np.ndarray, days: np.ndarray, calendar: np.ndarray | None) -> np.ndarray:
    """Returns the mean over series of (series, time, …), where dates are counted to the nearest of a calendar's."""
    if calendar is None:
        return weights.mean(0, dtype=np.float64)
    calendar = np.asarray(calendar, np.float64)
    if calendar.ndim != 1 or not len(calendar) or not (np.diff(calendar) > 0).all():
        raise OptionError("calendar", expected="increasing days, at least one", received=calendar.tolist())
    nearest = np.searchsorted((calendar[1:] + calendar[:-1]) / 2, days)
    total = np.zeros((len(calendar), *weights.shape[2:]))
    np.add.at(total, np.minimum(nearest, len(calendar) - 1), weights)
    return total / len(weights)
