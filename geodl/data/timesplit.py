"""Splits of sequences into training, validation and test: in time, by sequence or by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geodl.data.folds import PARTS, Part, Rule
from geodl.data.holdouts import By
from geodl.data.splits import group_keys
from geodl.errors import SplitError

__all__ = ("Interval", "TimeSplit", "split_sequences")

Interval = tuple[np.datetime64, np.datetime64]
"""First time of a part, and the first one after it."""
_MANY = 5
_ADVICE = "Give more sequences, ask for fewer parts or folds, or split by time."


@dataclass(frozen=True)
class TimeSplit:
    """What a sequence gives to each part."""

    intervals: Mapping[Part, tuple[Interval, ...]]
    """Stretches of time of each part. No clip may reach from one into another."""
    by: By = "none"
    """How it was split."""
    group: str | None = None
    """What the sequence belongs to, where it was split by group."""


def split_sequences(
    sequences: Sequence[tuple[str, Interval]],
    *,
    by: By = "auto",
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.0,
    folds: int | None = None,
    fold: int | None = None,
    pattern: str | None = None,
    divide: int | None = None,
) -> list[TimeSplit]:
    """Splits sequences so that nothing held out is trained on.

    Args:
        sequences: name and interval of each.
        by: what is held out.
            `time`: of each sequence, training comes first, then validation, then test; of `folds` blocks one after the
            other, the one called `fold` is validated.
            `file`: whole sequences, chosen at random.
            `group`: whole sequences whose names agree in what `pattern` captures.
            `none`: nothing.
            `auto`: by group where there is a `pattern`, by file from five sequences on, else by time.
        seed: of the random choice.
        validation, test: shares held out, 0-1, of each sequence's time, or of the files or groups.
        folds, fold: k-fold cross-validation instead of `validation`.
        pattern, divide: for `group`; see `geodl.data.splits.split_scenes`.

    Returns:
        One `TimeSplit` per sequence.

    Raises:
        SplitError: the sequences cannot be split like this.

    Example:

    >>> day = (np.datetime64("2020-10-31T00:00"), np.datetime64("2020-11-01T00:00"))
    >>> split_sequences([("storm", day)], by="time", validation=0, test=0.5)[0].intervals["train"]
    ((np.datetime64('2020-10-31T00:00'), np.datetime64('2020-10-31T12:00:00')),)
    """
    rule = Rule(seed, validation, test, folds, fold)
    if by == "auto":
        by = "group" if pattern else "file" if len(sequences) >= _MANY else "time"
    if by == "none" or not rule.holds_out:
        return [TimeSplit({"train": (interval,)}) for _, interval in sequences]
    if by == "time":
        return [TimeSplit(_in_time(interval, rule), by) for _, interval in sequences]
    if by not in ("file", "group"):
        raise SplitError(f"sequences are not split by {by}.", advice="Expected time, file, group or none.")
    names = [name for name, _ in sequences]
    keys = group_keys(names, pattern, divide) if by == "group" else [(name,) for name in names]
    units = {key: k for k, key in enumerate(sorted(set(keys)))}
    hands = rule.deal(len(units), np.random.default_rng([rule.seed, 0]))
    if hands is None:
        what = "group(s)" if by == "group" else "sequence(s)"
        raise SplitError(f"{rule} cannot be made of {len(units)} {what}.", advice=_ADVICE)
    parts = [PARTS[code] for code in rule.parts(hands)[[units[key] for key in keys]]]
    return [
        TimeSplit({part: (interval,)}, by, "-".join(map(str, key)) if by == "group" else None)
        for (_, interval), part, key in zip(sequences, parts, keys, strict=True)
    ]


def _in_time(interval: Interval, rule: Rule) -> dict[Part, tuple[Interval, ...]]:
    first, end = interval
    learnt = _at(interval, 1 - rule.test)
    found: dict[Part, tuple[Interval, ...]] = {}
    if rule.folds is None:
        turn = _at(interval, 1 - rule.test - rule.validation)
        found["train"] = ((first, turn),)
        if rule.validation:
            found["validation"] = ((turn, learnt),)
    else:
        before, after = (_at((first, learnt), ((rule.fold or 0) + k) / rule.folds) for k in (0, 1))
        stretches = ((first, before), (after, learnt))
        found["train"] = tuple(stretch for stretch in stretches if stretch[0] < stretch[1])
        found["validation"] = ((before, after),)
    if rule.test:
        found["test"] = ((learnt, end),)
    return found


def _at(interval: Interval, share: float) -> np.datetime64:
    """Returns the time at a share of an interval, to the second."""
    first, end = interval
    seconds = (end - first) / np.timedelta64(1, "s")
    return first + np.timedelta64(round(seconds * min(max(share, 0.0), 1.0)), "s")
