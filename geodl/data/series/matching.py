"""The dates of a calendar, found among those of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ("best_match", "match_days")

_YEAR = 365.25
_FARTHEST = 8.0
"""Days by which a source's date may be off that of the calendar: half of the step of the common 16-day composites."""
_NUDGE = 0.01
"""Days; decides between two dates that are equally near."""


def match_days(days: np.ndarray, calendar: Sequence[float] | np.ndarray) -> np.ndarray | None:
    """Finds the dates of a calendar among those of a source.

    Args:
        days: (time,), increasing, as in `SeriesTable.days`; not-a-number behind the end.
        calendar: days that are wanted, increasing; positions where it begins with 0, which are then matched as they are.

    Returns:
        int (calendar,): for each date of the calendar the position of the nearest date of the source, within half of the
        calendar's smallest step and at most 8 days, no date taken twice. The whole calendar is shifted by years, by as
        few as possible, where the source begins in another one. None where a date is missing.
    """
    found = best_match(days, calendar)[0]
    return None if (found < 0).any() else found


def best_match(
    days: np.ndarray, calendar: Sequence[float] | np.ndarray, *, dated: bool | None = None
) -> tuple[np.ndarray, float]:
    """Finds as many dates of a calendar among those of a source as there are; see `match_days`.

    Args:
        days: (time,), as there.
        calendar: as there.
        dated: whether these are days, and not positions; default: positions begin with 0.

    Returns:
        int (calendar,): positions in `days`, −1 where there is none; and the days by which the calendar was shifted.
    """
    wanted = np.asarray(calendar, np.float64)
    own = np.asarray(days, np.float64)
    own = own[np.isfinite(own)]
    if not len(own) or not len(wanted):
        return np.full(len(wanted), -1), 0.0
    dated = wanted[0] > 0 if dated is None else dated
    reach = min(_FARTHEST, np.diff(wanted).min(initial=2 * _FARTHEST) / 2) if dated else 0.25
    shifts = [0.0]
    if dated:
        few = int(np.ceil((own[0] - reach - wanted[-1]) / _YEAR)), int(np.floor((own[-1] + reach - wanted[0]) / _YEAR))
        shifts = sorted((float(round(_YEAR * k)) for k in range(few[0], few[1] + 1)), key=lambda by: (abs(by), -by))
    best, best_shift = np.full(len(wanted), -1), 0.0
    for shift in shifts:
        for nudge in (_NUDGE, -_NUDGE):
            found = _nearest(own, wanted + shift, reach, nudge)
            if (found >= 0).sum() > (best >= 0).sum():
                best, best_shift = found, shift
    return best, best_shift


def _nearest(own: np.ndarray, wanted: np.ndarray, reach: float, nudge: float) -> np.ndarray:
    after = np.clip(np.searchsorted(own, wanted + nudge), 0, len(own) - 1)
    before = np.maximum(after - 1, 0)
    found = np.where(np.abs(own[before] - wanted - nudge) <= np.abs(own[after] - wanted - nudge), before, after)
    away = np.abs(own[found] - wanted)
    found = np.where(away <= reach, found, -1)
    # Where two dates of the calendar would have one of the source, it goes to the nearer.
    for k in np.flatnonzero((found[1:] >= 0) & (found[1:] == found[:-1])):
        found[k if away[k] > away[k + 1] else k + 1] = -1
    return found
