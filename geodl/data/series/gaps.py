"""Gaps filled by interpolation in time: for methods that know no gaps, and to compare with networks that do."""

from __future__ import annotations

import numpy as np

__all__ = ("fill_gaps",)


def fill_gaps(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Interpolates each band of each series linearly in time between the dates on which it was observed.

    Args:
        values: floating point (…, time, band), not-a-number where not observed.
        days: (time,), or (…, time) as the values have: strictly increasing; not-a-number behind the end of a series.

    Returns:
        Of the same shape and dtype: before the first observation and behind the last one the nearest is carried on; a band
        that was never observed stays not-a-number.

    Example:
        >>> values = np.array([np.nan, 1.0, np.nan, 4.0])[:, None]
        >>> fill_gaps(values, np.array([1.0, 11.0, 21.0, 41.0]))[:, 0].tolist()
        [1.0, 1.0, 2.0, 4.0]
    """
    filled = np.array(values)
    # Days are differences of days: whatever stands behind the end of a series has no observation to count from.
    when = np.broadcast_to(np.where(np.isfinite(days), days, 0), values.shape[:-1]).astype(np.float64)
    for band in range(values.shape[-1]):
        filled[..., band] = _filled(values[..., band], when)
    return filled


def _filled(values: np.ndarray, when: np.ndarray) -> np.ndarray:
    """One band: (…, time)."""
    known = np.isfinite(values)
    if known.all():
        return values
    length = values.shape[-1]
    places = np.broadcast_to(np.arange(length), values.shape)
    before = np.maximum.accumulate(np.where(known, places, -1), axis=-1)
    after = np.minimum.accumulate(np.where(known, places, length)[..., ::-1], axis=-1)[..., ::-1]
    before, after = np.where(before < 0, after, before), np.where(after >= length, before, after)
    # Never observed: both are out of range, and what they then point at is not-a-number itself.
    before, after = np.clip(before, 0, length - 1), np.clip(after, 0, length - 1)
    low, high = np.take_along_axis(values, before, -1), np.take_along_axis(values, after, -1)
    start, end = np.take_along_axis(when, before, -1), np.take_along_axis(when, after, -1)
    share = np.where(end > start, (when - start) / np.where(end > start, end - start, 1), 0)
    return np.where(known, values, low + share * (high - low))
