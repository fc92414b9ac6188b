"""From labels to classes: whole numbers or texts of a table to positions of classes with values, names and colours."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geodl.contract import ClassInfo
from geodl.data.legend import class_colour
from geodl.errors import LabelsOutOfRange, OptionError, SeriesUnusable

__all__ = ("FEW", "Classes", "as_classes", "classify", "warn_of_few")

Classes = Sequence[str] | Sequence[int] | Sequence[ClassInfo] | Mapping[int, str]
FEW = 20
"""Labelled series of a class below which what is learnt of it, or measured with it, says little."""
_MOST = 256
_LOG = logging.getLogger("geodl")


def as_classes(given: Classes) -> tuple[ClassInfo, ...]:
    """Returns classes as the user gives them: names, numbered from 0; whole numbers; names by value; or themselves.

    Raises:
        OptionError: two have one name or value; a value is beyond 0 to 255.
    """
    found: list[ClassInfo] = []
    entries: list[tuple[int, Any]] = list(given.items() if isinstance(given, Mapping) else enumerate(given))
    for k, (value, entry) in enumerate(entries):
        if isinstance(entry, ClassInfo):
            found.append(entry)
        elif isinstance(entry, str):
            found.append(ClassInfo(value, entry, class_colour(k)))
        else:
            found.append(ClassInfo(entry, f"class_{entry}", class_colour(k)))
    names, values = ({getattr(each, what) for each in found} for what in ("name", "value"))
    integers = all(isinstance(value, int) and 0 <= value < _MOST for value in values)
    if not found or not len(names) == len(values) == len(found) or not integers:
        raise OptionError("classes", expected="distinct names, and values from 0 to 255", received=given)
    return tuple(found)


def classify(
    labels: np.ndarray, classes: tuple[ClassInfo, ...] | None, *, where: str
) -> tuple[np.ndarray, tuple[ClassInfo, ...]]:
    """Returns the position of each label's class, −1 where there is none, and the classes.

    Where no classes are given, they are those that occur, sorted (numbers by value). Whole numbers from 0 to 255 are
    values themselves, and called class_<value>; all else is numbered from 0. Of given classes, a label is the one of that
    name, else, if it is a number, of that value.

    Args:
        labels: (series,) of int, str and None.
        classes: as given; None: those that occur.
        where: for messages.

    Raises:
        LabelsOutOfRange: a label is none of the given classes.
        SeriesUnusable: there are too many for classes.
    """
    known = set(labels.tolist()) - {None}
    whole = {label: _whole(label) for label in known}
    if classes is None:
        classes = _occurring(known, whole, where)
    by_name = {each.name: k for k, each in enumerate(classes)}
    by_value = {each.value: k for k, each in enumerate(classes)}
    positions: dict[object, int] = {None: -1}
    for label in known:
        number = whole[label]
        found = by_name.get(str(label), -1)
        positions[label] = by_value.get(number, -1) if found < 0 and number is not None else found
    lost = [label for label in known if positions[label] < 0]
    if lost:
        raise LabelsOutOfRange(where, expected=[each.name for each in classes], received=sorted(map(str, lost)))
    return np.array([positions[label] for label in labels.tolist()], np.int64), classes


def warn_of_few(counts: np.ndarray, classes: Sequence[ClassInfo], *, where: str) -> None:
    """Warns of classes with fewer than `FEW` labelled series, in one sentence."""
    few = [f"{each.name} ({count})" for each, count in zip(classes, counts) if count < FEW]
    if few:
        _LOG.warning(
            "%s: fewer than %s labelled series of %s: what is learnt and measured of so few says little.",
            where, FEW, ", ".join(few),
        )  # fmt: skip


def _whole(label: object) -> int | None:
    if isinstance(label, int):
        return label
    text = str(label)
    return int(text) if text.isdecimal() and text.isascii() and str(int(text)) == text else None


def _occurring(known: set[object], whole: Mapping[object, int | None], where: str) -> tuple[ClassInfo, ...]:
    numbers = {number for number in whole.values() if number is not None}
    if len({str(label) for label in known}) > _MOST:
        raise SeriesUnusable(
            where, f"its labels have {len(known)} different values", advice="Expected at most 256 classes: say which "
            "column holds them (label).",
        )  # fmt: skip
    if known and all(whole[label] is not None for label in known):
        ordered = sorted(numbers)
        if ordered[0] >= 0 and ordered[-1] < _MOST:
            return tuple(ClassInfo(value, f"class_{value}", class_colour(k)) for k, value in enumerate(ordered))
        return tuple(ClassInfo(k, str(value), class_colour(k)) for k, value in enumerate(ordered))
    names = sorted({str(label) for label in known})
    return tuple(ClassInfo(k, name, class_colour(k)) for k, name in enumerate(names))
