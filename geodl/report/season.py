"""An axis of days: months where they are known, else the days or positions themselves."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullFormatter

__all__ = ("draw_season", "month_starts")

_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = (1, 2, 3, 6, 12)


def month_starts(first: float, last: float) -> list[tuple[int, str]]:
    """Returns the first days of the months between two days, with the months' names.

    Args:
        first: day of the year, 1 being the 1st of January; years of 365 days follow one another.
        last: likewise, beyond 365 in later years.

    Example:
        >>> month_starts(330, 400)
        [(335, 'Dec'), (366, 'Jan'), (397, 'Feb')]
    """
    year = int(np.floor((first - 1) / 365))
    starts = itertools.accumulate(itertools.cycle(_LENGTHS), initial=1 + 365 * year)
    months = zip(starts, itertools.cycle(_NAMES), strict=False)
    inside = itertools.takewhile(lambda month: month[0] <= last, months)
    return [month for month in inside if month[0] >= first]


def draw_season(axes: Axes, first: float, last: float, *, unit: str, most: int = 12, name: str = "") -> None:
    """Gives the horizontal axis limits, ticks and a name.

    Args:
        axes: whose horizontal axis shows days.
        first: day at its left end.
        last: day at its right end.
        unit: `day`: they are days of the year, and months are marked where there are two at least; "": positions.
        most: labels that there is room for.
        name: of the axis; default: what its numbers are.
    """
    axes.set_xlim(first, last)
    axes.tick_params(axis="x", labelsize=8)
    months = month_starts(first, last) if unit == "day" else []
    if len(months) < 2:
        axes.xaxis.set_major_locator(MaxNLocator(max(min(most, 10) - 1, 2), integer=True))
        axes.set_xlabel(name or ("day of the year" if unit == "day" else "date (position)"), fontsize=8)
        return
    step = next((step for step in _STEPS if len(months) / step <= most), len(months))
    # Every second month is counted from January, so that panels and years agree.
    shown = [month for month in months if _NAMES.index(month[1]) % step == 0] or months[:1]
    axes.xaxis.set_major_locator(FixedLocator([day for day, _ in shown]))
    axes.xaxis.set_major_formatter(FixedFormatter([label for _, label in shown]))
    axes.xaxis.set_minor_locator(FixedLocator([day for day, _ in months]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name or "month (its first day)", fontsize=8)
