"""Splits of tables of series into training, validation and test: by official part, column, year, block or at random."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from geodl.data.folds import PARTS, Part, Rule
from geodl.data.series.dealing import deal_groups, deal_singles
from geodl.data.series.grouping import SeriesBy, choose_by, column_keys, group_series, parcel_column, same_place
from geodl.data.series.samples import SPLIT_COLUMN
from geodl.data.series.table import SeriesTable
from geodl.errors import SplitError

__all__ = ("SeriesBy", "choose_by", "split_series")

_FEW_BLOCKS = 10
"""Blocks that `auto` asks for."""
_FEW_SERIES = 20

_LOG = logging.getLogger("geodl")


def split_series(
    table: SeriesTable,
    *,
    by: SeriesBy = "auto",
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.0,
    folds: int | None = None,
    fold: int | None = None,
    column: str | None = None,
    degrees: float = 0.5,
    pattern: str | None = None,
    divide: int | None = None,
) -> Mapping[Part, SeriesTable]:
    """Splits a table so that nothing held out is trained on, and each class is in every part where it can be.

    Args:
        table: any; series without a label go with their group.
        by: what is held out.
            `official`: the parts that the file states; one that it lacks is drawn from the training part, by its parcels
            or else at random.
            `column`: series that agree in `column` (a parcel, a region) stay together.
            `group`: those whose `column`, or else id, agrees in what `pattern` captures.
            `year`: those of one year.
            `blocks`: those of one cell of `degrees` by `degrees` of longitude and latitude, by their centroids.
            `random`: single series of each class; those of the very same place stay together.
            `none`: nothing.
            `auto`: see `choose_by`.
        seed: of the random choice.
        validation, test: shares held out, 0-1, of the series.
        folds, fold: k-fold cross-validation instead of `validation`: `fold`, from 0, is the one validated. The other
            folds, and `test`, do not depend on it. With as many folds as groups, each is validated alone, in their order.
        column: for `column` and `group`; default: one that is called like parcels.
        degrees: side of a block; `auto` halves it until there are ten blocks.
        pattern, divide: for `group`; see `geodl.data.splits.split_scenes`.

    Returns:
        The series of each part, `train` first; parts that hold nothing are not there. A column `SPLIT_COLUMN` names what
        each belongs to, where whole groups are held out.

    Raises:
        SplitError: the table cannot be split like this; says what to do.

    Example:

    >>> parts = split_series(simulate_series(200, seed=0), by="column", column="parcel", test=0.2)
    >>> list(parts)
    ['train', 'validation', 'test']
    """
    rule = Rule(seed, validation, test, folds, fold)
    if by not in get_args(SeriesBy):
        raise SplitError(f"series are not split by {by}.", advice=f"Expected one of: {', '.join(get_args(SeriesBy))}.")
    chosen = choose_by(table, column=column, pattern=pattern) if by == "auto" else by
    if chosen == "official":
        split = _official(table, rule, column)
    elif chosen == "none" or not rule.holds_out:
        split = {"train": table}
    else:
        groups = None
        if chosen != "random":
            groups = group_series(table, chosen, column, degrees, pattern, divide, _FEW_BLOCKS if by == "auto" else 1)
        elif table.geometry is not None:
            _LOG.warning(
                "Series are split at random: neighbours are on both sides, so that scores will be too good. Set "
                "data.split.by to blocks, year or column to hold out other places or seasons."
            )
        split = _split(table, groups, rule, chosen)
    _tell(split)
    return split


def _official(table: SeriesTable, rule: Rule, column: str | None) -> dict[Part, SeriesTable]:
    """Takes the parts that are stated; those asked for and lacking come from the training part."""
    if table.parts is None:
        raise SplitError(
            f"{table.name} states no parts.",
            advice="Name the column that says train, validation or test, or split by column, year, blocks or random.",
        )
    stated: dict[Part, SeriesTable] = {part: table.take(table.parts == part) for part in PARTS if part in table.parts}
    if rule.folds and "validation" in stated:
        stated["train"] = table.take(np.isin(table.parts, ("train", "validation")))
        del stated["validation"]
    if "train" not in stated:
        raise SplitError(
            f"{table.name} states no series to train on, but {', '.join(map(str, np.unique(table.parts)))}.",
            advice="Expected the part train; or split by column, year, blocks or random.",
        )
    inner = replace(
        rule,
        validation=0.0 if "validation" in stated else rule.validation,
        test=0.0 if "test" in stated else rule.test,
    )
    if inner.holds_out:
        train = stated.pop("train")
        found = column or parcel_column(train)
        groups = None if found is None else column_keys(train, found)
        if groups is not None and len(set(groups)) == len(groups):
            groups = None
        stated = {**_split(train, groups, inner, "official"), **stated}
    return {part: stated[part] for part in PARTS if part in stated}


def _split(table: SeriesTable, groups: Sequence[tuple] | None, rule: Rule, by: SeriesBy) -> dict[Part, SeriesTable]:
    """Deals the groups, or without any single series, to the parts."""
    labels = np.full(len(table), -1) if table.labels is None else table.labels
    hands: np.ndarray | None
    if groups is None:
        owner = same_place(table)
        kinds = np.full(owner.max() + 1, -1)
        np.maximum.at(kinds, owner, labels)
        hands = deal_singles(kinds if table.labels is not None else np.zeros_like(kinds), rule)
        what = "series"
    else:
        keys = sorted(set(groups), key=_natural)
        units = {key: k for k, key in enumerate(keys)}
        owner = np.array([units[key] for key in groups])
        counts = np.zeros((len(units), max(len(table.classes), 1) + 1))
        # Those without a label count in the last column.
        np.add.at(counts, (owner, labels), 1)
        hands = deal_groups(counts, rule)
        what = {"year": "year(s)", "blocks": "block(s)"}.get(by, "group(s)")
        names = np.array(["-".join(map(str, key)) for key in groups])
        table = replace(table, columns={**table.columns, SPLIT_COLUMN: names})
    if hands is None:
        raise SplitError(
            f"{rule} cannot be made of {len(set(groups or ()))} {what}.",
            advice="Ask for fewer parts or folds, "
            + ("choose smaller data.split.degrees" if by == "blocks" else "give more of them")
            + ", or split in another way (data.split.by).",
        )
    parts = rule.parts(hands)[owner]
    found: dict[Part, SeriesTable] = {
        part: table.take(parts == k) for k, part in enumerate(PARTS) if (parts == k).any()
    }
    if "train" not in found or (rule.holds_out and len(found) == 1):
        raise SplitError(
            f"{rule} cannot be made of {len(hands)} {what} of {len(set(labels[labels >= 0]))} class(es).",
            advice="Give at least two series of a class, or another split (data.split.by).",
        )
    return found


def _natural(key: tuple) -> tuple:
    """Sorts region 10 behind region 9."""
    words = " ".join(map(str, key)).split()
    return tuple((0, float(word), "") if word.isdecimal() else (1, 0.0, word) for word in words)


def _tell(split: Mapping[Part, SeriesTable]) -> None:
    """Warns of classes that are scored and not trained on, and of those with few series to train on."""
    train = split["train"]
    held = sum((table.counts for part, table in split.items() if part != "train"), np.zeros(len(train.classes), int))
    if train.labels is None:
        return
    unseen = (train.counts == 0) & (held > 0)
    if unseen.any():
        _LOG.warning(
            "Scored but never trained on, being in what is held out only: class %s.",
            ", ".join(f"{train.classes[k].name} ({held[k]} series)" for k in np.flatnonzero(unseen)),
        )
    few = (train.counts > 0) & (train.counts < _FEW_SERIES)
    if few.any():
        _LOG.warning(
            "Fewer than %d series to train on: class %s.",
            _FEW_SERIES,
            ", ".join(f"{train.classes[k].name} ({train.counts[k]})" for k in np.flatnonzero(few)),
        )
