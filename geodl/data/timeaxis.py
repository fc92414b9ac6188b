"""Times of cubes: as numpy has them, whatever the calendar, and how a user names one of them."""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from geodl.errors import SourceUnreadable

__all__ = ("find_time", "read_times", "time_labels")


def read_times(array: xr.DataArray | xr.Dataset, dim: Hashable | None) -> np.ndarray:
    """Returns the times along a dim.

    Dates of other calendars (360 days, no leap years) are kept where they all exist in the common one; otherwise they
    are put at the same share of their year. Times that are not stated are not-a-time.

    Returns:
        datetime64[ns] of shape (time,); of seconds where the years are beyond those of nanoseconds (1678 to 2262).
    """
    count = array.sizes[dim]
    if dim not in array.coords:
        return np.full(count, "NaT", "datetime64[ns]")
    coordinate = array.coords[dim]
    if coordinate.dtype.kind == "O" and hasattr(coordinate.values[0], "calendar"):
        return _common_calendar(coordinate.values)
    if coordinate.dtype.kind == "M":
        return _fine(coordinate.values)
    return np.full(count, "NaT", "datetime64[ns]")


def time_labels(array: xr.DataArray | xr.Dataset, dim: Hashable) -> list[str]:
    """Returns how the times along a dim are called, without the end that is zero for all: 2001-01-16."""
    if dim not in array.coords:
        return [str(number) for number in range(array.sizes[dim])]
    coordinate = array.coords[dim]
    labels = [str(value).replace(" ", "T")[:19] for value in coordinate.values]
    for end in (":00", "T00:00"):
        if all(label.endswith(end) for label in labels):
            labels = [label.removesuffix(end) for label in labels]
    return labels


def find_time(array: xr.DataArray | xr.Dataset, dim: Hashable, wanted: str, *, where: str) -> int:
    """Returns the position of a time.

    Args:
        array: what has the dim.
        dim: of the times.
        wanted: how the time begins that is meant, and no other: `2001-02`, `2001-02-03T06:30`; or its position, counted
            from 0, or from the end as -1, -2, …
        where: for the message.

    Raises:
        SourceUnreadable: no time, or several, begin so.
    """
    count = array.sizes[dim]
    labels = time_labels(array, dim)
    if re.fullmatch(r"-?\d{1,3}", wanted) and wanted not in labels:
        position = int(wanted)
        if -count <= position < count:
            return position % count
        raise SourceUnreadable(where, f"it has {count} times", advice=f"Expected 0 to {count - 1}, or -1 to -{count}.")
    text = wanted.strip().replace(" ", "T").removesuffix("Z")
    found = [k for k, label in enumerate(labels) if label.startswith(text) or text.removesuffix("T00:00") == label]
    exact = [k for k in found if labels[k] == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    cause = f"{len(found)} of its {count} times are {wanted}" if found else f"none of its {count} times is {wanted}"
    shown = [labels[k] for k in (found or range(count))]
    some = ", ".join(shown[:4]) + (f", … {shown[-1]}" if len(shown) > 4 else "")
    raise SourceUnreadable(where, cause, advice=f"Choose one of {some}.")


def _fine(values: np.ndarray) -> np.ndarray:
    years = values.astype("datetime64[Y]").astype(np.int64) + 1970
    return values.astype("datetime64[ns]" if ((years > 1677) & (years < 2262)).all() else "datetime64[s]")


def _common_calendar(values: np.ndarray) -> np.ndarray:
    try:
        return _fine(np.array([value.isoformat() for value in values], "datetime64[s]"))
    except ValueError:
        pass
    shares = []
    for value in values:
        begin = value.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        share = (value - begin) / (begin.replace(year=begin.year + 1) - begin)
        year, after = (np.datetime64(f"{n:04d}", "s") for n in (begin.year, begin.year + 1))
        shares.append(year + np.timedelta64(round(share * (after - year).astype(np.int64)), "s"))
    return _fine(np.array(shares))
