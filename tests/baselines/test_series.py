"""Baselines of series, against scikit-learn used directly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

from geodl.baselines import Baseline
from geodl.baselines.series import NearestSeries, SeriesForest, interpolated, training_days
from geodl.contract import Band, ClassInfo
from geodl.data.series.samples import SeriesSamples
from geodl.data.series.table import SeriesTable
from geodl.errors import SeriesUnusable

DAYS = np.array([10, 26, 42, 90, 122, 200], np.float32)
BUILDS = (lambda classes: SeriesForest(classes, trees=10), NearestSeries)
by_method = pytest.mark.parametrize("build", BUILDS, ids=("forest", "nearest"))


class Rows:
    """Samples held in memory, read one by one; a stand-in for rows of a table."""

    def __init__(self, values: np.ndarray, days: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.x = {"values": values.astype(np.float32), "days": np.broadcast_to(days, values.shape[:2]).copy()}
        self.y = y.astype(np.int32)
        self.weight = np.ones(len(y), np.float32) if weight is None else weight

    def __len__(self) -> int:
        return len(self.y)

    def read(self, index, rng):
        return {name: array[index] for name, array in self.x.items()}, self.y[index], self.weight[index]

    def place(self, index):
        raise NotImplementedError


def crops(seed: int, *, count: int = 60, noise: float = 0.05, days: np.ndarray = DAYS) -> Rows:
    """Three classes that peak at other times, in two bands of very different scale."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    green = np.exp(-(((days - np.array([30, 90, 160])[y][:, None]) / 40) ** 2))
    values = np.stack([green, 3000 * (1 - green)], axis=-1)
    return Rows(values + rng.normal(0, noise, values.shape) * [1, 3000], days, y)


def holed(rows: Rows, share: float = 0.3) -> Rows:
    values = rows.x["values"].copy()
    values[np.random.default_rng(9).random(values.shape) < share] = np.nan
    return Rows(values, rows.x["days"], rows.y)


def filled_by_pandas(rows: Rows, at: np.ndarray) -> np.ndarray:
    import pandas as pd

    found = []
    for values, days in zip(rows.x["values"], rows.x["days"], strict=True):
        frame = pd.DataFrame(values, index=days)
        frame = frame.reindex(np.union1d(days, at)).interpolate("index", limit_direction="both")
        found.append(frame.loc[at].to_numpy())
    return np.stack(found)


@by_method
def test_tells_apart_what_peaks_at_other_times(build) -> None:
    train, test = crops(0), crops(1)
    baseline = build(3).fit(train)
    logits = baseline(test.x)
    assert isinstance(baseline, Baseline)
    assert logits.shape == (60, 3) and logits.dtype == np.float32
    assert (logits.argmax(axis=-1) == test.y).mean() > 0.95
    assert np.allclose(softmax(logits, axis=-1).sum(axis=-1), 1)


def test_logits_of_the_forest_are_scikit_learn_s_probabilities() -> None:
    train, test = crops(0, noise=0.6), crops(1, noise=0.6)
    baseline = SeriesForest(3, trees=10).fit(train, seed=5)
    order = np.random.default_rng([5, 0]).permutation(len(train))
    forest = RandomForestClassifier(10, random_state=np.random.RandomState(5))
    forest.fit(train.x["values"][order].reshape(60, -1), train.y[order])
    expected = forest.predict_proba(test.x["values"].reshape(60, -1))
    assert np.allclose(softmax(baseline(test.x), axis=-1), expected, atol=5e-6)
    assert SeriesForest(3).trees == 500


def test_the_nearest_is_nearest_by_standardised_euclidean_distance() -> None:
    train, test = crops(0, noise=0.6), crops(1, noise=0.6)
    scaler = StandardScaler().fit(train.x["values"].reshape(-1, 2))
    one, other = (scaler.transform(rows.x["values"].reshape(-1, 2)).reshape(60, -1) for rows in (test, train))
    expected = train.y[pairwise_distances(one, other).argmin(axis=1)]
    assert np.array_equal(NearestSeries(3).fit(train)(test.x).argmax(axis=-1), expected)


@by_method
def test_gaps_are_filled_by_linear_interpolation(build) -> None:
    train, test = crops(0), holed(crops(1))
    full = Rows(filled_by_pandas(test, DAYS), DAYS, test.y)
    baseline = build(3).fit(train)
    assert np.array_equal(baseline(test.x), baseline(full.x))
    gaps = holed(train)
    other = build(3).fit(Rows(filled_by_pandas(gaps, DAYS), DAYS, gaps.y))
    assert np.array_equal(build(3).fit(gaps)(full.x), other(full.x))


@by_method
def test_series_on_other_dates_are_brought_to_those_of_training(build) -> None:
    baseline = build(3).fit(crops(0))
    dense = crops(1, days=np.arange(5, 240, 4, dtype=np.float32))
    assert np.array_equal(baseline.days, DAYS)
    expected = baseline({"values": filled_by_pandas(dense, DAYS), "days": np.broadcast_to(DAYS, (60, 6))})
    assert np.array_equal(baseline(dense.x), expected)
    assert (expected.argmax(axis=-1) == dense.y).mean() > 0.95


@by_method
def test_what_stands_in_padding_says_nothing(build) -> None:
    baseline, test = build(3).fit(crops(0)), crops(1)
    values = np.concatenate([test.x["values"], np.full((60, 3, 2), np.nan)], axis=1)
    days = np.concatenate([test.x["days"], np.tile([201, 202, 203], (60, 1))], axis=1)
    assert np.array_equal(baseline({"values": values, "days": days}), baseline(test.x))
    assert np.array_equal(build(3).fit(Rows(values, days, crops(0).y)).days, DAYS)


@by_method
def test_without_observation_the_most_frequent_class_answers(build) -> None:
    train = crops(0)
    baseline = build(3).fit(train)
    x = {"values": np.full((2, 6, 2), np.nan), "days": np.tile(DAYS, (2, 1))}
    x["values"][1] = crops(1).x["values"][0]
    answer = baseline(x)
    assert np.allclose(softmax(answer[0]), np.bincount(train.y, minlength=3) / 60)
    assert answer[1].argmax() == crops(1).y[0]


@by_method
def test_a_band_never_observed_has_its_mean(build) -> None:
    train, test = crops(0), crops(1)
    baseline = build(3).fit(train)
    lacking, mean = ({**test.x, "values": test.x["values"].copy()} for _ in range(2))
    lacking["values"][..., 1] = np.nan
    mean["values"][..., 1] = train.x["values"][..., 1].mean(axis=0)
    assert np.array_equal(baseline(lacking).argmax(axis=-1), baseline(mean).argmax(axis=-1))


@by_method
def test_unlabelled_unweighted_and_unseen_series_teach_nothing(build) -> None:
    train, rng = crops(0), np.random.default_rng(3)
    values, y, weight = train.x["values"].copy(), train.y.copy(), train.weight.copy()
    unlabelled, unweighted, unseen = (rng.permutation(60)[:12] for _ in range(3))
    y[unweighted], y[unseen], weight[unweighted] = 0, 0, 0
    y[unlabelled], values[unseen] = -1, np.nan
    baseline = build(3).fit(Rows(values, DAYS, y, weight))
    assert (baseline(crops(1).x).argmax(axis=-1) == crops(1).y).mean() > 0.95


@by_method
def test_a_class_without_training_series_is_never_chosen(build) -> None:
    logits = build(5).fit(crops(0))(crops(1).x)
    assert logits.shape == (60, 5) and np.isfinite(logits).all()
    assert logits.argmax(axis=-1).max() == 2
    one = build(3).fit(Rows(crops(0).x["values"], DAYS, np.ones(60)))(crops(1).x)
    assert (one.argmax(axis=-1) == 1).all()


@by_method
def test_samples_teach_as_they_are_and_not_augmented(build) -> None:
    train, test = crops(0, noise=0.6), crops(1)
    table = SeriesTable(
        "crops",
        **train.x,
        bands=(Band("green"), Band("brown")),
        ids=np.arange(60).astype(str),
        labels=train.y,
        classes=tuple(ClassInfo(k, name, "#000000") for k, name in enumerate("abc")),
    )
    samples = SeriesSamples(table, augment=lambda values, days, rng: (values * 0, days))
    assert np.array_equal(build(3).fit(samples, seed=2)(test.x), build(3).fit(train, seed=2)(test.x))


def test_the_same_seed_gives_the_same_forest() -> None:
    train, test = crops(0, noise=0.6), crops(1)
    one, same, other = (SeriesForest(3, trees=5, series=40).fit(train, seed=s)(test.x) for s in (7, 7, 8))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@by_method
def test_nothing_to_learn_from_is_an_error(build) -> None:
    empty = Rows(crops(0).x["values"], DAYS, np.full(60, -1))
    with pytest.raises(SeriesUnusable, match="labelled and observed"):
        build(3).fit(empty)
    with pytest.raises(RuntimeError, match="call fit"):
        build(3)(empty.x)


def test_days_of_a_leap_year_are_those_of_other_years() -> None:
    days = np.array([[1, 17, 33, 365], [1, 17, 34, 366], [1, 17, 33, 365]], np.float32)
    values = np.random.default_rng(0).normal(size=(3, 4, 1)).astype(np.float32)
    calendar = training_days(values, days)
    assert calendar.tolist() == [1, 17, 33, 365]
    assert np.array_equal(interpolated(values, days, calendar), values)
    # One day is no leap day where observations are daily.
    daily = np.array([[1, 2, 3], [2, 3, 4]], np.float32)
    assert training_days(values[:2, :3], daily).tolist() == [1, 2.5, 4]


def test_days_of_their_own_give_an_even_calendar() -> None:
    rng = np.random.default_rng(0)
    days = np.sort(rng.choice(np.arange(1, 365), (20, 12)), axis=1).astype(np.float32)
    assert np.array_equal(
        training_days(np.zeros((20, 12, 1)), days), np.linspace(days.min(), days.max(), 12, dtype=np.float32)
    )
    # Days on which nothing was seen are none.
    values = np.zeros((2, 3, 2), np.float32)
    values[:, 1], values[0, 2, 0] = np.nan, np.nan
    assert training_days(values, np.array([[1, 5, 9], [1, 6, 9]], np.float32)).tolist() == [1, 9]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0, 0.2, 0.8, 1]))
def test_interpolation_keeps_what_was_observed_and_lies_between(seed, share) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 7, 2)).astype(np.float32)
    values[rng.random(values.shape) < share] = np.nan
    days = np.cumsum(rng.integers(1, 30, 7)).astype(np.float32)
    found, known = interpolated(values, np.tile(days, (3, 1)), days), np.isfinite(values)
    assert np.array_equal(found[known], values[known])
    bands = known.any(axis=1)
    assert np.array_equal(np.isfinite(found), np.broadcast_to(bands[:, None], found.shape))
    low, high = np.where(known, values, np.inf).min(axis=1), np.where(known, values, -np.inf).max(axis=1)
    for row, band in zip(*np.nonzero(bands), strict=True):
        assert (found[row, :, band] >= low[row, band]).all() and (found[row, :, band] <= high[row, band]).all()
