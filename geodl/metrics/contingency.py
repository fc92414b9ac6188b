"""Rain or none: contingency tables of forecasts above a threshold, and the scores that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ("contingency", "table_scores")


def contingency(
    observed: np.ndarray, forecast: np.ndarray, thresholds: Sequence[float], *, pixels: int | None = None
) -> np.ndarray:
    """Counts where rain was forecast and observed. It rains where the rate is larger than the threshold.

    That is the convention of pysteps' `det_cat_fct`; the threshold itself is no rain.

    Args:
        observed: rain rates in mm/h, of any shape, without not-a-number.
        forecast: rain rates in mm/h, of the same shape, without not-a-number.
        thresholds: rain rates in mm/h, above 0.
        pixels: how many pixels count; those that do not are 0 in both fields. By default all do.

    Returns:
        int64 of shape (thresholds, 4): hits, misses, false alarms, correct negatives. Tables can be added.

    Example:
        >>> contingency(np.array([0.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.0]), [1.0]).tolist()
        [[1, 1, 1, 0]]
    """
    total = observed.size if pixels is None else pixels
    tables = np.zeros((len(thresholds), 4), np.int64)
    for table, threshold in zip(tables, thresholds, strict=True):
        wet, said = observed > threshold, forecast > threshold
        events, alarms = np.count_nonzero(wet), np.count_nonzero(said)
        wet &= said
        hits = np.count_nonzero(wet)
        table[:] = hits, events - hits, alarms - hits, total - events - alarms + hits
    return tables


def table_scores(tables: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the scores of contingency tables (Wilks 2011, "Statistical methods in the atmospheric sciences", 8.2).

    Args:
        tables: shape (…, 4): hits, misses, false alarms, correct negatives.

    Returns:
        By name, of shape (…), not-a-number where undefined:

        - `csi`: critical success index, hits / (hits + misses + false alarms), 0 to 1;
        - `pod`: probability of detection, hits / (hits + misses), 0 to 1;
        - `far`: false alarm ratio, false alarms / (hits + false alarms), 0 to 1, best 0;
        - `frequency_bias`: (hits + false alarms) / (hits + misses), best 1;
        - `hss`: Heidke skill score, up to 1; that of chance is 0.
    """
    hits, misses, alarms, dry = np.moveaxis(np.asarray(tables, np.float64), -1, 0)
    by_chance = (hits + misses) * (misses + dry) + (hits + alarms) * (alarms + dry)
    return {
        "csi": _ratio(hits, hits + misses + alarms),
        "pod": _ratio(hits, hits + misses),
        "far": _ratio(alarms, hits + alarms),
        "frequency_bias": _ratio(hits + alarms, hits + misses),
        "hss": _ratio(2 * (hits * dry - alarms * misses), by_chance),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divides, with not-a-number where the divisor is 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
