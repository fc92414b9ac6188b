"""Samples of series: what is read, what is drawn, what is left out, and where they lie."""

from __future__ import annotations

import logging
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely
from pyproj import CRS

from geodl.data.batches import Batches, in_order
from geodl.data.places import check_leakage
from geodl.data.samples import DrawnSamples, GatheredSamples, Samples
from geodl.data.series import SeriesTable
from geodl.data.series.augmentation import SeriesAugmentation
from geodl.data.series.samples import SeriesSamples, input_arrays
from geodl.data.series.splitting import split_series
from geodl.data.simulate.phenology import simulate_series
from geodl.errors import NoValidPixels, OptionError, SeriesUnusable, SplitLeakage

RNG = np.random.default_rng(0)
NAN = float("nan")


@pytest.fixture(scope="module")
def table() -> SeriesTable:
    return simulate_series(60, seed=1, revisit=20)


def test_samples_are_those_of_the_table(table: SeriesTable) -> None:
    samples = SeriesSamples(table, length=table.length + 2, sampling="random")
    assert isinstance(samples, Samples) and isinstance(samples, DrawnSamples) and isinstance(samples, GatheredSamples)
    x, y, weight = samples.read_batch(np.array([3, 50]), RNG)
    np.testing.assert_array_equal(x["values"][:, :-2], table.values[[3, 50]])
    assert np.isnan(x["values"][:, -2:]).all() and x["values"].dtype == x["days"].dtype == np.float32
    known = np.isfinite(table.days[50])
    np.testing.assert_array_equal(x["days"][1, : table.length][known], table.days[50][known])
    assert np.isfinite(x["days"]).all() and (np.diff(x["days"]) > 0).all()
    assert y.dtype == np.int32 and table.labels is not None and y.tolist() == table.labels[[3, 50]].tolist()
    assert weight.tolist() == [1, 1] and weight.dtype == np.float32
    one, label, alone = samples.read(50, RNG)
    np.testing.assert_array_equal(one["values"], x["values"][1])
    assert label.shape == alone.shape == () and label == y[1]
    everything, labels = samples.arrays()
    assert everything["values"].shape == (60, samples.length, 4) and len(labels) == 60


def test_mean_and_deviation_are_those_of_what_was_observed(table: SeriesTable) -> None:
    samples = SeriesSamples(table)
    seen = table.values.reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(samples.mean, np.nanmean(seen, axis=0))
    np.testing.assert_allclose(samples.std, np.nanstd(seen, axis=0))
    blind = table.values.copy()
    blind[..., 2] = NAN
    with pytest.raises(NoValidPixels, match="Band B11 was never observed"):
        _ = SeriesSamples(replace(table, values=blind)).mean
    blind[..., 2] = 0.25
    assert SeriesSamples(replace(table, values=blind)).std[2] == 1


def test_balanced_draws_each_class_equally_often_and_each_of_its_series_too(table: SeriesTable) -> None:
    samples = SeriesSamples(table)
    drawn = samples.draw(np.random.default_rng(3), 40_000)
    assert drawn is not None
    np.testing.assert_array_equal(drawn, samples.draw(np.random.default_rng(3), 40_000))
    _, labels = samples.arrays()
    np.testing.assert_allclose(np.bincount(labels[drawn]) / len(drawn), 1 / 8, rtol=0.05)
    often = np.bincount(drawn, minlength=60)
    np.testing.assert_allclose(often, 5000 / samples.class_counts[labels], rtol=0.2)
    np.testing.assert_array_equal(samples.class_counts, np.bincount(labels, minlength=8))
    assert SeriesSamples(table, sampling="random").draw(RNG, 4) is None


def test_batches_visit_each_once_per_pass_and_augment_purely(table: SeriesTable) -> None:
    samples = SeriesSamples(table, sampling="random", augment=SeriesAugmentation(drop=0.5, noise=0.1))
    batches = Batches(samples, batch_size=15, seed=0, workers=0)
    x, _, weight = batches[1]
    again = Batches(samples, batch_size=15, seed=0, start=1, workers=0)[0]
    np.testing.assert_array_equal(x["values"], again[0]["values"])
    assert x["values"].shape == (15, table.length, 4) and weight.tolist() == [1] * 15
    labels = np.concatenate([batches[k][1] for k in range(4)])
    assert sorted(labels) == sorted(samples.arrays()[1])
    plain = SeriesSamples(table)
    walked = [x["values"] for _, x, _, _ in in_order(plain, 16)]
    np.testing.assert_array_equal(np.concatenate(walked), plain.arrays()[0]["values"])


def test_what_has_no_label_or_no_observation_is_left_out(table: SeriesTable, caplog: pytest.LogCaptureFixture) -> None:
    assert table.labels is not None
    labels, values = table.labels.copy(), table.values.copy()
    labels[[2, 5]], values[7] = -1, NAN
    with caplog.at_level(logging.WARNING, "geodl"):
        samples = SeriesSamples(replace(table, labels=labels, values=values))
    (record,) = caplog.records
    assert "3 of 60 series left out: 2 are without a label and 1 is without any observation" in record.message
    np.testing.assert_array_equal(samples.rows, np.setdiff1d(np.arange(60), [2, 5, 7]))
    np.testing.assert_array_equal(samples.arrays()[0]["values"], values[samples.rows])
    assert samples.place(2).name == "simulated_train, series train_3"
    for broken, problem in (
        (replace(table, labels=None), "none of the series has a label"),
        (replace(table, labels=np.full(60, -1)), "every label is that of no class"),
        (replace(table, values=np.full_like(values, NAN)), "nothing was observed of any of the 60"),
    ):
        with pytest.raises(SeriesUnusable, match=problem):
            SeriesSamples(broken)
    with pytest.raises(OptionError, match="length: expected at least"):
        input_arrays(table, length=3)
    with pytest.raises(OptionError, match="data.sampling"):
        SeriesSamples(table, sampling="grid")  # type: ignore[arg-type]


def test_places_are_in_longitude_and_latitude_with_dates_and_group(table: SeriesTable) -> None:
    utm = CRS.from_epsg(32631)
    points = geopandas.GeoSeries(table.geometry, crs=table.crs)
    fields = np.asarray(points.to_crs(utm).buffer(50))
    moved = replace(table, geometry=fields, crs=utm)
    (train, held) = split_series(moved, by="column", column="region", validation=0.25).values()
    place = SeriesSamples(train).place(0)
    (row,) = np.flatnonzero(table.ids == train.ids[0])
    assert place.space == "lonlat" and place.group == f"region {table.columns['region'][row]}"
    assert table.geometry is not None and shapely.distance(place.footprint.centroid, table.geometry[row]) < 1e-6
    days = table.days[row][np.isfinite(table.days[row])]
    assert table.years is not None and place.time is not None
    start = np.datetime64(f"{table.years[row]}-01-01")
    assert [(day - start).astype(int) + 1 for day in place.time] == [days[0], days[-1]]
    samples = [SeriesSamples(part) for part in (train, held)]
    places = [[each.place(k) for k in range(len(each))] for each in samples]
    check_leakage(*places)
    with pytest.raises(SplitLeakage):
        check_leakage(places[0], [*places[1], places[0][3]])


def test_without_geometry_only_groups_are_compared(table: SeriesTable) -> None:
    parts = split_series(replace(table, geometry=None, crs=None), by="random", validation=0.3)
    one, other = (SeriesSamples(part).place(0) for part in parts.values())
    assert one.footprint is None and one.time is None and one.group is None
    check_leakage([one], [other])
    assert table.geometry is not None
    partly = replace(table, geometry=np.where(np.arange(60) == 4, None, table.geometry))
    lost = SeriesSamples(partly).place(4)
    assert lost.footprint is None and lost.time is None
    check_leakage([lost], [SeriesSamples(table).place(5)])
