"""Splits of tables of series: nothing is lost, nothing is twice, groups stay whole, classes are everywhere."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series import SeriesTable
from geodl.data.series.samples import SPLIT_COLUMN
from geodl.data.series.splitting import split_series
from geodl.data.simulate.phenology import simulate_series
from geodl.errors import SplitError

TABLE = simulate_series(240, seed=0, revisit=40, per_parcel=2)


def parts_of(table: SeriesTable, split: dict[str, SeriesTable]) -> np.ndarray:
    """The part of each series by its id; each must be in one."""
    found = {name: part for part, members in split.items() for name in members.ids}
    assert sum(map(len, split.values())) == len(table) == len(found)
    return np.array([found[name] for name in table.ids])


@settings(max_examples=30)
@given(
    st.integers(0, 50),
    st.sampled_from(["column", "year", "blocks", "random", "group"]),
    st.sampled_from([{"validation": 0.2}, {"validation": 0.15, "test": 0.25}, {"folds": 3, "fold": 1}]),
)
def test_parts_are_disjoint_whole_and_the_same_again(seed: int, by: str, shares: dict[str, float]) -> None:
    if by == "year" and "test" in shares:
        shares = {"validation": 0.3, "test": 0.3}
    options = {"by": by, "seed": seed, **({"pattern": "(train_..?)"} if by == "group" else {}), **shares}
    split = split_series(TABLE, **options)
    parts = parts_of(TABLE, split)
    np.testing.assert_array_equal(parts, parts_of(TABLE, split_series(TABLE, **options)))
    assert set(parts) == {"train", "validation"} | ({"test"} if "test" in shares else set())
    key = {
        "column": TABLE.columns["parcel"],
        "year": TABLE.years,
        "blocks": [tuple(cell) for cell in np.floor(TABLE.lonlat() / 0.5)],
        "random": shapely.to_wkt(TABLE.geometry),
        "group": [name[:8] for name in TABLE.ids],
    }[by]
    sides: dict[object, set[str]] = {}
    for group, part in zip(key, parts, strict=True):
        sides.setdefault(group, set()).add(part)
    assert all(len(side) == 1 for side in sides.values())
    assert TABLE.labels is not None
    for part in set(parts) if by in ("column", "random") else ():
        assert len(np.unique(TABLE.labels[parts == part])) == 8
    if by != "random":
        assert all(SPLIT_COLUMN in members.columns for members in split.values())


def test_shares_are_those_asked_for() -> None:
    for by in ("column", "random", "blocks"):
        parts = parts_of(TABLE, split_series(TABLE, by=by, validation=0.2, test=0.3))
        shares = [(parts == part).mean() for part in ("validation", "test")]
        assert shares == pytest.approx([0.2, 0.3], abs=0.06), by


@pytest.mark.parametrize("by", ["column", "blocks", "random"])
def test_folds_validate_each_series_once_and_leave_the_test_part_alone(by: str) -> None:
    folds = [parts_of(TABLE, split_series(TABLE, by=by, test=0.2, folds=4, fold=fold, seed=5)) for fold in range(4)]
    tested = np.array([parts == "test" for parts in folds])
    assert (tested == tested[0]).all() and tested[0].any()
    validated = np.sum([parts == "validation" for parts in folds], axis=0)
    np.testing.assert_array_equal(validated, ~tested[0])


def test_as_many_folds_as_regions_or_years_leave_each_out_in_its_order() -> None:
    held = [
        {part: set(members.columns["region"]) for part, members in
         split_series(TABLE, by="column", column="region", folds=4, fold=fold).items()}["validation"]
        for fold in range(4)
    ]  # fmt: skip
    assert held == [{"east"}, {"north"}, {"south"}, {"west"}]
    years = [split_series(TABLE, by="year", folds=3, fold=fold)["validation"].years for fold in range(3)]
    assert [set(found.tolist()) for found in years if found is not None] == [{2019}, {2020}, {2021}]


def test_official_parts_are_kept_and_what_they_lack_is_drawn_from_training() -> None:
    parts = np.where(np.arange(240) % 2 == 0, "train", "test")
    single = replace(TABLE, parts=parts, columns={})
    found = parts_of(single, split_series(single, validation=0.25))
    np.testing.assert_array_equal(found == "test", parts == "test")
    assert (found == "validation").sum() == pytest.approx(30, abs=8)
    whole = replace(TABLE, parts=np.where(np.arange(240) < 120, "train", "test"))
    split = split_series(whole, validation=0.25)
    assert not set(split["train"].columns["parcel"]) & set(split["validation"].columns["parcel"])
    three = replace(TABLE, parts=np.array(["train", "validation", "test"])[np.arange(240) % 3])
    assert three.parts is not None
    np.testing.assert_array_equal(parts_of(three, split_series(three)), three.parts)
    fold = parts_of(three, split_series(replace(three, columns={}), folds=5, fold=0))
    np.testing.assert_array_equal(fold == "test", three.parts == "test")
    assert (fold == "validation").sum() == pytest.approx(32, abs=8)
    with pytest.raises(SplitError, match="states no series to train on, but test"):
        split_series(replace(TABLE, parts=np.full(240, "test")))
    with pytest.raises(SplitError, match="states no parts"):
        split_series(TABLE, by="official")


def test_auto_makes_blocks_smaller_where_all_is_near() -> None:
    assert TABLE.geometry is not None
    near = shapely.transform(TABLE.geometry, lambda points: points * 0.05)
    table = replace(TABLE, columns={}, geometry=near)
    split = split_series(table)
    assert sum(len(set(members.columns[SPLIT_COLUMN])) for members in split.values()) >= 10
    with pytest.raises(SplitError, match=r"5 folds cannot be made of 4 block\(s\).*smaller data.split.degrees"):
        split_series(table, by="blocks", folds=5, fold=0, degrees=0.25)


def test_those_at_the_very_same_place_stay_together(caplog: pytest.LogCaptureFixture) -> None:
    assert TABLE.geometry is not None
    twice = replace(TABLE, geometry=np.repeat(TABLE.geometry[::2], 2))
    with caplog.at_level(logging.WARNING, "geodl"):
        parts = parts_of(twice, split_series(twice, by="random", validation=0.3))
    np.testing.assert_array_equal(parts[::2], parts[1::2])
    assert sum("neighbours are on both sides" in record.message for record in caplog.records) == 1
    caplog.clear()
    with caplog.at_level(logging.WARNING, "geodl"):
        split_series(replace(TABLE, geometry=None, crs=None, columns={}))
    assert not any("neighbours" in record.message for record in caplog.records)


def test_classes_that_cannot_be_trained_on_or_hardly_are_named(caplog: pytest.LogCaptureFixture) -> None:
    assert TABLE.labels is not None
    lonely = replace(TABLE, columns={"site": np.where(TABLE.labels == 6, "a", "b")}, geometry=None)
    with caplog.at_level(logging.WARNING, "geodl"):
        split_series(lonely, by="column", column="site", folds=2, fold=0)
    text = " ".join(record.message for record in caplog.records)
    assert "never trained on, being in what is held out only: class potatoes (12 series)" in text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "geodl"):
        split_series(TABLE, by="none")
    assert "Fewer than 20 series to train on: class potatoes (12)" in caplog.text


def test_what_cannot_be_split_is_refused_with_what_to_do() -> None:
    for options, sentence in (
        ({"by": "column", "column": "farm"}, "has no column 'farm'. Set data.split.column to one of: parcel, region"),
        ({"by": "file"}, "not split by file. Expected one of: auto, official, column"),
        ({"by": "year", "folds": 4, "fold": 0}, r"4 folds cannot be made of 3 year\(s\)"),
        ({"by": "blocks", "degrees": 0}, "degrees is 0"),
        ({"by": "group"}, "needs a pattern"),
        ({"validation": 0.7, "test": 0.4}, "leave nothing to train on"),
    ):
        with pytest.raises(SplitError, match=sentence):
            split_series(TABLE, **options)  # type: ignore[arg-type]
    bare = replace(TABLE, geometry=None, years=None, columns={})
    for by, sentence in (("year", "states no years"), ("blocks", "no coordinates"), ("column", "needs a column")):
        with pytest.raises(SplitError, match=sentence):
            split_series(bare, by=by)  # type: ignore[arg-type]
    assert list(split_series(TABLE, by="none")) == list(split_series(TABLE, validation=0)) == ["train"]
