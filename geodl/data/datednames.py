"""Dates in the names of files, and which bands the files of one folder hold by what else their names say."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import PurePath

import numpy as np

from geodl.data.files import distinct_parts, stem

__all__ = ("band_words", "dated_label", "name_date")

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_CLOCK = r"(?:T\d\d[-:]\d\d(?:[-:]\d\d)?Z?|T?\d{4}(?:\d\d)?Z?)?"
_DATES = re.compile(
    rf"(?<!\d)(?:{_YEAR}(?P<mark>[-_.]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d){_CLOCK}"
    rf"|{_YEAR.replace('year', 'other')}-?(?P<ordinal>\d\d\d)(?:\d{{6}})?)(?!\d)"
)
_MONTH = re.compile(rf"(?<!\d){_YEAR}-(?P<month>\d\d)(?![-\d])")
_SEPARATORS = re.compile(r"[-_. ]+")
_BAND = re.compile(r"[A-Za-z]+\d{0,2}[A-Za-z]?")


def name_date(path: str | os.PathLike[str]) -> np.datetime64 | None:
    """Reads the first date that a name has: the file's, or else that of the folder it lies in.

    Args:
        path: with a date as `2018-08-29`, `2018_08_29`, `20180829` (a time of day may follow), `2018241` (day of the
            year) or, where there is no such one, `2018-08` (the month's first day). Of a range the first one counts.

    Returns:
        datetime64[D]; None where there is none.

    Example:

    >>> name_date("CB4_64_16D_STK_022024_2018-08-29_2018-09-13_NDVI.tif"), name_date("MOD13Q1.A2018241.h13v10.tif")
    (np.datetime64('2018-08-29'), np.datetime64('2018-08-29'))
    """
    text = os.fspath(path)
    for name in (stem(text), PurePath(text).parent.name):
        found = _find(name)
        if found:
            return found[0][0]
    return None


def dated_label(label: str) -> tuple[np.datetime64, str] | None:
    """Takes a band's name apart into the date that it states and the rest of it; None where it states none.

    Example:

    >>> dated_label("20180829_B04")
    (np.datetime64('2018-08-29'), 'B04')
    """
    found = _find(label)
    if not found:
        return None
    return found[0][0], "_".join(_words("".join(_around(label))))


def band_words(paths: Sequence[str], dates: Sequence[np.datetime64]) -> list[str]:
    """Finds out what the bands are called that files of one band each hold, one file for each date and band.

    That is what differs between the names of files of one date. Where each date has one file, they hold the same band,
    unless something else than the date comes back in some of their names; it is called by the last word, if that looks
    like the name of a band.

    Args:
        paths: of the files.
        dates: of each.

    Returns:
        A name for each file, perhaps empty.

    Example:

    >>> first, second = np.datetime64("2018-08-29"), np.datetime64("2018-09-30")
    >>> band_words(["T33_20180829_B04.tif", "T33_20180829_B08.tif", "T33_20180930_B04.tif"], [first, first, second])
    ['B04', 'B08', 'B04']
    >>> band_words(["CB4_2018-08-29_2018-09-13_NDVI.tif", "CB4_2018-09-30_2018-10-15_NDVI.tif"], [first, second])
    ['NDVI', 'NDVI']
    """
    around = [_around(stem(path)) for path in paths]
    words = [tuple(_words(before) + _words(after)) for before, after in around]
    kinds = len(set(words))
    alone = len(set(dates)) == len(paths)
    if kinds == 1 or (alone and kinds == len(paths)):
        return [_only_word(around)] * len(paths)
    if len({len(each) for each in words}) > 1:
        joined = ["_".join(each) for each in words]
        unique = list(dict.fromkeys(joined))
        short = dict(zip(unique, distinct_parts(unique), strict=True))
        return [short[name].strip("-_. ") for name in joined]
    groups = [words] if alone else [[w for w, day in zip(words, dates) if day == chosen] for chosen in set(dates)]
    telling = [k for k in range(len(words[0])) if any(len({each[k] for each in group}) > 1 for group in groups)]
    return ["_".join(each[k] for k in telling) for each in words]


def _only_word(around: Sequence[tuple[str, str]]) -> str:
    """The name of the one band: the last word behind the date, or the only one before it, that all files have."""
    behind = [_words(after) for _, after in around]
    before = [_words(head) for head, _ in around]
    if all(each and each[-1] == behind[0][-1] for each in behind) and _BAND.fullmatch(behind[0][-1]):
        return behind[0][-1]
    if all(each == before[0] and len(each) == 1 for each in before) and _BAND.fullmatch(before[0][0]):
        return before[0][0]
    return ""


def _around(name: str) -> tuple[str, str]:
    """What stands before the first date of a name, and what stands behind it, other dates left out."""
    found = _find(name)
    if not found:
        return name, ""
    pieces, last = [], 0
    for _, begin, end in found:
        pieces.append(name[last:begin])
        last = end
    return pieces[0], "_".join([*pieces[1:], name[last:]])


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text) if word]


def _find(name: str) -> list[tuple[np.datetime64, int, int]]:
    """The dates of a name, each with where it begins and ends."""
    found: list[tuple[np.datetime64, int, int]] = []
    for match in _DATES.finditer(name):
        day = _day(match)
        if day is not None:
            found.append((np.datetime64(day, "D"), *match.span()))
    if not found:
        months = [(match, int(match["month"])) for match in _MONTH.finditer(name)]
        found = [
            (np.datetime64(f"{match['year']}-{month:02d}-01", "D"), *match.span())
            for match, month in months
            if 1 <= month <= 12
        ]
    return found


def _day(match: re.Match[str]) -> date | None:
    try:
        if match["ordinal"] is None:
            return date(int(match["year"]), int(match["month"]), int(match["day"]))
        first = date(int(match["other"]), 1, 1)
        day = first + timedelta(int(match["ordinal"]) - 1)
        return day if day.year == first.year else None
    except ValueError:
        return None
