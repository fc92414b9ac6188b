"""How columns and dims are recognised: which one holds the times, which tells runs apart, and units in names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from geodl.errors import TrajectoryUnusable, nearest

__all__ = ("DAYS", "RUNS", "days_since", "find_run", "find_time", "name_and_unit")

DAYS = "days"
"""Unit of times that are dates, whatever their step."""
_TIMES = ("time", "times", "t", "date", "dates", "datetime", "timestamp")
RUNS = ("trajectory", "trajectories", "run", "member")
"""What the column or dim that tells runs apart is called."""
_UNIT = re.compile(r"(?P<name>.*\S)\s+(?:\((?P<round>[^()]*)\)|\[(?P<square>[^\[\]]*)\])")


def name_and_unit(text: str) -> tuple[str, str]:
    """Takes `height (m)` or `height [m]` apart; a name without a unit has an empty one."""
    found = _UNIT.fullmatch(text.strip())
    return (found["name"], found["round"] or found["square"] or "") if found else (text.strip(), "")


def find_time(names: Sequence[str], wanted: str | None, *, where: str, what: str = "columns") -> str:
    """Returns the name of the times: the wanted one, or one of time, t, date, datetime and timestamp.

    Raises:
        TrajectoryUnusable: there is none.
    """
    if wanted is not None:
        return _wanted(names, wanted, where=where, what=what)
    lower = {name.lower(): name for name in reversed(names) if name != "T"}
    for name in _TIMES:
        if name in lower:
            return lower[name]
    raise TrajectoryUnusable(
        where,
        f"none of its {what} is called time; there are {_some(names)}",
        advice="Rename the one that holds the times, or say which it is (time).",
    )


def find_run(names: Sequence[str], wanted: str | None, *, where: str, what: str = "columns") -> str | None:
    """Returns the name of what tells runs apart: the wanted one, or trajectory, run or member; None where there is none.

    Raises:
        TrajectoryUnusable: there is no such one as wanted.
    """
    if wanted is not None:
        return _wanted(names, wanted, where=where, what=what)
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in RUNS if name in lower), None)


def days_since(dates: np.ndarray, *, where: str) -> tuple[np.ndarray, np.datetime64]:
    """Turns dates into days since the earliest one.

    Args:
        dates: datetime64 of any shape, not-a-time where padded.
        where: for the message.

    Returns:
        float64 of their shape, not-a-number where not-a-time; and the earliest date.

    Raises:
        TrajectoryUnusable: there is no date.
    """
    stated = dates[~np.isnat(dates)]
    if not stated.size:
        raise TrajectoryUnusable(where, "none of its times is stated", advice="Give each state its time.")
    first = stated.min()
    return (dates - first) / np.timedelta64(1, "D"), first


def _wanted(names: Sequence[str], wanted: str, *, where: str, what: str) -> str:
    if wanted not in names:
        raise TrajectoryUnusable(
            where, f"it has no {wanted} among its {what}", advice=f"There are {_some(names)}.{nearest(wanted, names)}"
        )
    return wanted


def _some(names: Iterable[str], most: int = 12) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f", … ({len(listed)} in all)" if len(listed) > most else "") or "none"
