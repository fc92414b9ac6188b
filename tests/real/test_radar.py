"""Real radar events: opened by their headers, read as their numbers say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from geodl.data.radar import RadarSequence, find_sequences, open_sequence
from geodl.errors import GridMismatch

MINUTE = np.timedelta64(60, "s")
EVENTS = {
    "bom_2018": (61, 6, (512, 512), (500, 0, -128250, 0, -500, 128250)),
    "bom_2020": (144, 10, (512, 512), (500, 0, -128000, 0, -500, 128000)),
    "knmi_2010": (61, 5, (765, 700), (1000, 0, 0, 0, -1000, -3650000)),
    "fmi_2016": (40, 5, (1226, 760), None),
    "mch_2015": (40, 5, (640, 710), (1000, 0, 255000, 0, -1000, 480000)),
    "mch_2016": (40, 5, (640, 710), (1000, 0, 255000, 0, -1000, 480000)),
}
IMPORTED = ("fmi_2016", "mch_2015", "mch_2016")


def folder(real_data: Path, name: str) -> Path:
    where = real_data / "radar" / name
    if not where.is_dir() or not any(where.iterdir()):
        pytest.skip(f"real data absent: {where}")
    return where


def event(real_data: Path, name: str) -> RadarSequence:
    where = folder(real_data, name)
    if name in IMPORTED and find_spec("pysteps") is None:
        pytest.skip(f"{name} is read with pysteps, which is absent")
    return open_sequence(where)


@pytest.mark.parametrize("name", EVENTS)
def test_events_open_with_their_times_and_grids(real_data: Path, name: str) -> None:
    count, minutes, shape, transform = EVENTS[name]
    rain = event(real_data, name)
    assert rain.name == name
    assert (len(rain.times), rain.step) == (count, minutes * MINUTE)
    assert rain.runs == (slice(0, count),)
    assert not rain.missing
    assert rain.grid.shape == shape
    assert rain.grid.unit == "metre"
    if transform is not None:
        assert tuple(rain.grid.transform)[:6] == pytest.approx(transform, abs=1)
    values, valid = rain.read(times=slice(0, count, count // 2))
    assert valid.any()
    assert np.nanmin(values) == 0
    assert 1 < np.nanmax(values) < 400
    assert rain.at_resolution(2000).grid.shape == tuple(
        -(-size // round(2000 / rain.grid.resolution[0])) for size in shape
    )


@pytest.mark.parametrize("name", ["bom_2018", "bom_2020"])
def test_depths_of_netcdf_files_become_rates(real_data: Path, name: str) -> None:
    rain = event(real_data, name)
    for k in range(0, len(rain.times), 20):
        with h5py.File(rain.frames[k].path) as file:
            stored, attrs = file["precipitation"][()], file["precipitation"].attrs
            seconds, start = int(file["valid_time"][()]), int(file["start_time"][()])
            # bom_2020 has a few depths below zero, which are no rain that anybody measured: nodata, not 0.
            nodata = (stored == attrs["_FillValue"]) | (stored < 0)
            rate = stored * attrs["scale_factor"] * 3600 / (seconds - start)
        np.testing.assert_allclose(rain.frames[k].load(), np.where(nodata, np.nan, rate), rtol=1e-5)
        assert rain.times[k] == np.datetime64(seconds, "s")
    first, last = (np.datetime64("2020-10-31T00:00"), np.datetime64("2020-10-31T23:50"))
    assert name == "bom_2018" or (rain.times[0], rain.times[-1]) == (first, last)


def test_meteonet_is_read_with_its_gaps(real_data: Path) -> None:
    where = folder(real_data, "meteonet")
    rain = open_sequence(where)
    with np.load(next(where.glob("rainfall*.npz"))) as file:
        stored = file["data"][::11]
    np.testing.assert_allclose(
        rain.read(times=slice(0, None, 11))[0][..., 0],
        np.where(stored < 0, np.nan, stored * np.float32(0.12)),
        rtol=1e-5,
        atol=1e-7,
    )
    assert rain.grid.crs == "EPSG:4326"
    assert tuple(rain.grid.transform)[:6] == pytest.approx((0.01, 0, 2, 0, -0.01, 46.25))
    assert len(rain.times) == 45
    assert rain.step == 5 * MINUTE
    assert len(rain.runs) > 1
    assert not set(rain.missing) & set(rain.times)


def test_the_folder_of_all_radars_is_an_event_for_each(real_data: Path) -> None:
    folder(real_data, "bom_2020")
    found = dict(find_sequences(real_data / "radar"))
    assert {name for name in EVENTS if name not in IMPORTED} <= found.keys()
    with pytest.raises(GridMismatch, match="is not on the grid of"):
        open_sequence([next(Path(found[name]).iterdir()) for name in ("bom_2018", "bom_2020")])
