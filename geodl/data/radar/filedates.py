"""Times in the names of files."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np

from geodl.data.files import stem

__all__ = ("date_in",)

_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<mark>[-_.]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)"
    r"[T_\-. ]?(?P<hour>\d\d)(?P<colon>[-_.:h]?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d))?(?:Z|\d{3})?(?![\d:])"
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")


def date_in(path: str) -> np.datetime64 | None:
    """Reads the first date and time that a file's name has, in UTC; None where it has none.

    Example:

    >>> date_in("rain_20160101T0105.tif"), date_in("2016-01-01_01-05-30.tif")
    (np.datetime64('2016-01-01T01:05:00.000000000'), np.datetime64('2016-01-01T01:05:30.000000000'))
    """
    for found in _DATE.finditer(stem(path)):
        year, month, day, hour, minute, second = (int(found[part] or 0) for part in _PARTS)
        try:
            return np.datetime64(datetime(year, month, day, hour, minute, second).isoformat(), "ns")
        except ValueError:
            continue
    return None
