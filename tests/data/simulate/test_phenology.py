"""Simulated series: seeded, clouded as asked, on dates of their own, and told apart by what grows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from geodl.data.series.calendar import common_days
from geodl.data.series.gaps import fill_gaps
from geodl.data.simulate.phenology import REGIONS, cloud_share, draw_crops, overpasses, simulate_series
from geodl.data.simulate.seasons import CROPS, SHARES
from geodl.errors import OptionError


def test_same_arguments_same_series_and_other_seeds_and_parts_others() -> None:
    one, same, other, held = (
        simulate_series(30, seed=seed, part=part, revisit=20)
        for seed, part in ((0, "train"), (0, "train"), (1, "train"), (0, "test"))
    )
    np.testing.assert_array_equal(one.values, same.values)
    np.testing.assert_array_equal(one.days, same.days)
    places = np.concatenate([table.lonlat() for table in (one, other, held)])
    assert len(np.unique(places, axis=0)) == 90
    assert not set(one.columns["parcel"]) & set(held.columns["parcel"])
    # The overpasses are those of the region and the year, whoever looks.
    assert {tuple(row[np.isfinite(row)]) for row in held.days} & {tuple(row[np.isfinite(row)]) for row in one.days}


def test_a_table_holds_what_it_says() -> None:
    table = simulate_series(50, seed=2, years=(2018,), regions=("south",), per_parcel=3, revisit=20)
    assert [band.name for band in table.bands] == ["B04", "B08", "B11", "NDVI"] and table.classes == CROPS
    assert table.years is not None and set(table.years) == {2018} and set(table.columns["region"]) == {"south"}
    assert table.labels is not None
    _, first, often = np.unique(table.columns["parcel"], return_index=True, return_counts=True)
    assert len(often) == 17 and sorted(often)[:2] == [2, 3]
    for start, number in zip(first, often, strict=True):
        assert len(set(table.labels[start : start + number])) == 1
    away = np.abs(table.lonlat() - np.array(REGIONS["south"][:2]))  # type: ignore[operator]
    assert away.max() < 0.71
    seen = table.values[np.isfinite(table.values[..., 0])]
    np.testing.assert_allclose(seen[:, 3], (seen[:, 1] - seen[:, 0]) / (seen[:, 1] + seen[:, 0]), atol=1e-5)
    assert seen[:, :3].min() > 0 and seen[:, :3].max() < 0.8


def test_clouds_hide_the_share_that_was_asked_for_in_runs_and_more_in_winter() -> None:
    table = simulate_series(400, seed=0, irregular=False, cloudiness=0.4)
    hidden = np.isnan(table.values).all(-1)
    assert np.isnan(table.values).any(-1).sum() == hidden.sum()
    assert hidden.mean() == pytest.approx(0.4, abs=0.02)
    days = table.days[0]
    np.testing.assert_allclose(hidden.mean(0), cloud_share(days, 0.4), atol=0.12)
    assert hidden[:, days < 60].mean() > 0.5 and hidden[:, (days > 150) & (days < 240)].mean() < 0.3
    # Five days on it is more often cloudy than it would be by chance.
    together = (hidden[:, 1:] & hidden[:, :-1]).mean()
    assert together > 1.15 * (hidden[:, 1:].mean(0) * hidden[:, :-1].mean(0)).mean()
    assert not np.isnan(simulate_series(9, seed=0, irregular=False, cloudiness=0).values).any()
    every = np.arange(1, 366)
    for cloudiness in (0.1, 0.5, 0.9):
        share = cloud_share(every, cloudiness)
        assert share.mean() == pytest.approx(cloudiness) and share.min() >= 0 and share.max() <= 1


def test_regular_dates_are_one_calendar_and_irregular_ones_are_not() -> None:
    regular = simulate_series(20, seed=0, irregular=False, revisit=16)
    assert common_days(regular) == tuple(np.arange(1.0, 366, 16))
    irregular = simulate_series(60, seed=0)
    assert common_days(irregular) == () and len(np.unique(irregular.lengths)) > 3
    steps = np.diff(irregular.days, axis=1)
    steps = steps[np.isfinite(steps)]
    assert steps.min() >= 1 and np.median(steps) == pytest.approx(5, abs=1) and steps.max() >= 10
    one, other = (overpasses(0, 2020, "west", orbit=orbit) for orbit in (0, 1))
    assert one.min() >= 1 and one.max() <= 365 and not np.array_equal(one, other)


@pytest.mark.parametrize("count", [1, 7, 16, 100, 1001])
def test_crops_are_as_common_as_they_are(count: int) -> None:
    found = np.bincount(draw_crops(np.random.default_rng(0), count), minlength=len(CROPS))
    assert found.sum() == count and np.abs(found - np.array(SHARES) * count).max() < 1.5
    assert count < 16 or found.min() >= 1


def test_crops_can_be_told_apart_but_not_all_of_them() -> None:
    grid = np.arange(1, 366, 15)

    def features(part: str) -> tuple[np.ndarray, np.ndarray]:
        table = simulate_series(300, seed=0, part=part, revisit=10)  # type: ignore[arg-type]
        filled = np.nan_to_num(fill_gaps(table.values, table.days)[..., 1:])
        days = np.where(np.isfinite(table.days), table.days, 999)
        rows = [[np.interp(grid, when, band) for band in row.T] for row, when in zip(filled, days, strict=True)]
        assert table.labels is not None
        return np.array(rows).reshape(len(rows), -1), table.labels

    nearest = KNeighborsClassifier(3).fit(*features("train"))
    x, y = features("test")
    assert 0.65 < nearest.score(x, y) < 0.97


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"seed": -1}, {"cloudiness": 1.0}, {"noise": -1.0}, {"revisit": 0}, {"per_parcel": 0},
     {"part": "all"}, {"regions": ("moon",)}, {"years": ()}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, object]) -> None:
    options = {"count": 5, "seed": 0, **wrong}
    with pytest.raises(OptionError, match=next(iter(wrong))):
        simulate_series(options.pop("count"), **options)  # type: ignore[arg-type]
