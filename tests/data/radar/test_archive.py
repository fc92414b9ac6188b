from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geodl.data.radar import open_sequence
from geodl.errors import EmptyDataset, SourceUnreadable
from tests.data.radar.rainfiles import times

VALUES = np.random.default_rng(0).integers(0, 50, (3, 4, 5)).astype(np.int16)
VALUES[:, 0, 0] = -1
Y, X = 2000.0 - 1000 * np.arange(4), 500 + 1000.0 * np.arange(5)
RATES = np.where(VALUES < 0, np.nan, VALUES)


def save(path: Path, **changed: Any) -> str:
    arrays = {
        "values": VALUES,
        "times": times(0, 5, 10),
        "x": X,
        "y": Y,
        "crs": "EPSG:32633",
        "unit": "mm/h",
        "nodata": -1,
    }
    arrays |= changed
    np.savez_compressed(path, **{key: value for key, value in arrays.items() if value is not None})
    return str(path)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"times": None, "dates": ["2020-01-01T01:00", "2020-01-01T01:05Z", "2020-01-01 01:10:00"]},
        {"values": None, "rain": VALUES[..., None]},
        {"x": X / 1000, "y": Y / 1000, "crs": "+proj=utm +zone=33 +datum=WGS84 +units=km"},
        {"unit": "mm", "minutes": 60},
        {"values": RATES.astype(np.float32), "nodata": None},
        {"times": np.array([dt.datetime(2020, 1, 1, 1, minute) for minute in (0, 5, 10)], object)},
    ],
    ids=["plain", "text", "band", "kilometres", "hourly", "floats", "objects"],
)
def test_archives_are_read_as_their_numbers_say(tmp_path: Path, changed: dict[str, Any]) -> None:
    rain = open_sequence(save(tmp_path / "a.npz", **changed))
    np.testing.assert_allclose(rain.read()[0][..., 0], RATES)
    assert list(rain.times) == list(times(0, 5, 10))
    assert tuple(rain.grid.transform)[:6] == pytest.approx((1000, 0, 0, 0, -1000, 2500))
    assert rain.grid.unit == "metre"


@pytest.mark.parametrize("dims", [1, 2])
def test_latitudes_and_longitudes(tmp_path: Path, dims: int) -> None:
    lat, lon = 46 - 0.01 * np.arange(4), 2 + 0.01 * np.arange(5)
    if dims == 2:
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
    rain = open_sequence(save(tmp_path / "a.npz", x=None, y=None, crs=None, lat=lat, lon=lon))
    assert rain.grid.crs == "EPSG:4326"
    assert tuple(rain.grid.transform)[:6] == pytest.approx((0.01, 0, 1.995, 0, -0.01, 46.005))
    if dims == 2:
        with pytest.raises(SourceUnreadable, match="its lat are those of a curvilinear grid"):
            open_sequence(save(tmp_path / "b.npz", x=None, y=None, crs=None, lat=lat + 0.1 * lon, lon=lon))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"unit": None}, "it states no unit for values"),
        ({"values": None, "x": None}, "it has no values; there are crs, nodata"),
        ({"times": None}, "it has no time; there are"),
        ({"times": times(0, 5)}, r"its values are int16 of shape \(3, 4, 5\), with 2 times"),
        ({"times": [0, 5, 10]}, "its times are int64; expected datetime64"),
        ({"x": X[:3]}, r"its values are \(4, 5\) pixels, and its coordinates \(4, 3\)"),
        ({"x": None}, "it has no x"),
        ({"x": X**2}, "its coordinate x is not evenly spaced"),
        ({"crs": "nonsense"}, "its CRS is not understood"),
        ({"values": VALUES.astype("complex64")}, "its values are complex64"),
        ({"times": np.array(["2020-01-01T01:00", "NaT", "2020-01-01T01:10"], "datetime64[m]")}, "not stated"),
    ],
    ids=["unit", "values", "times", "count", "numbers", "sizes", "x", "uneven", "crs", "complex", "nat"],
)
def test_what_is_wrong_is_said(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceUnreadable, match=rf"a\.npz: (.*){sentence}"):
        open_sequence(save(tmp_path / "a.npz", **changed))


def test_a_pickle_that_would_run_something_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    path = save(tmp_path / "a.npz", times=np.array([Hostile(), None, None], object))
    with pytest.raises(SourceUnreadable, match=r"its dates hold (posix|nt)\.mkdir, and making that could run any code"):
        open_sequence(path)
    path = save(tmp_path / "b.npz", values=np.array([Hostile(), None, None], object))
    with pytest.raises(SourceUnreadable, match="its values are object"):
        open_sequence(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("cut", [2, 200, -30])
def test_truncated_archives_are_named(tmp_path: Path, cut: int) -> None:
    path = Path(save(tmp_path / "a.npz"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceUnreadable, match=r"a\.npz"):
        open_sequence(path)


def meteonet(folder: Path) -> Path:
    dates = np.array([dt.datetime(2020, 1, 1, 1, minute) for minute in (0, 5, 15)], object)
    path = folder / "rainfall_SE_2020_01.1.npz"
    np.savez_compressed(path, data=VALUES, dates=dates, miss_dates=np.array([dt.datetime(2020, 1, 1, 1, 10)], object))
    return path


def test_meteonet(tmp_path: Path) -> None:
    path = meteonet(tmp_path)
    with pytest.raises(
        SourceUnreadable, match=r"coordinates are in radar_coords_SE\.npz, and 0 such files are beside it"
    ):
        open_sequence(path)
    lats, lons = np.meshgrid(46.245 - 0.01 * np.arange(4), 2.005 + 0.01 * np.arange(5), indexing="ij")
    np.savez_compressed(tmp_path / "radar_coords_SE.npz", lats=lats, lons=lons)
    np.savez_compressed(tmp_path / "radar_coords_NW.npz", lats=lats + 1, lons=lons)
    for rain in (open_sequence(path), open_sequence(tmp_path)):
        np.testing.assert_allclose(rain.read()[0][..., 0], RATES * 0.01 * 12, rtol=1e-6)
        assert list(rain.missing) == list(times(10))
        assert tuple(rain.grid.transform)[:6] == pytest.approx((0.01, 0, 2, 0, -0.01, 46.25))
    path.unlink()
    with pytest.raises(EmptyDataset):
        open_sequence(tmp_path)
