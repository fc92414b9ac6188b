from __future__ import annotations

import logging

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from geodl.data.radar import open_sequence
from geodl.errors import SourceUnreadable
from tests.data.radar.rainfiles import times

VALUES = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
VALUES[1, 2, 3] = np.nan


def array(unit: str | None = "mm/h", **changed: object) -> xr.DataArray:
    coords = {"time": times(0, 5, 10), "y": 4000.0 - 1000 * np.arange(4), "x": 1000.0 * np.arange(5)}
    attrs = {"crs": "EPSG:32633"} if unit is None else {"crs": "EPSG:32633", "units": unit}
    return xr.DataArray(VALUES, coords, ("time", "y", "x"), name="rain", attrs=attrs | changed)


def test_arrays_are_read_as_they_are() -> None:
    rain = open_sequence(array())
    np.testing.assert_array_equal(rain.read()[0][..., 0], VALUES)
    assert rain.name == "rain"
    assert rain.step == np.timedelta64(300, "s")
    assert rain.grid.crs == "EPSG:32633"
    for other in (array().transpose("x", "time", "y"), array().expand_dims("band", -1), array().to_dataset()):
        np.testing.assert_array_equal(open_sequence(other).read()[0][..., 0], VALUES)
    dataset = array().to_dataset().assign(height=array("m"))
    np.testing.assert_array_equal(open_sequence(dataset).read()[0][..., 0], VALUES)
    assert open_sequence(rain) is rain


def test_units_are_converted() -> None:
    np.testing.assert_allclose(open_sequence(array("mm")).read()[0][..., 0], VALUES * 12, rtol=1e-6)
    np.testing.assert_allclose(open_sequence(array("mm"), minutes=10).read()[0][..., 0], VALUES * 6, rtol=1e-6)


def test_no_unit_is_taken_as_rates_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "geodl"):
        np.testing.assert_array_equal(open_sequence(array(None)).read()[0][..., 0], VALUES)
    assert [record.message for record in caplog.records] == [
        "rain states no unit: it is taken as mm/h. Set its attribute units, or give unit=."
    ]
    caplog.clear()
    np.testing.assert_allclose(open_sequence(array(None), unit="mm").read()[0][..., 0], VALUES * 12, rtol=1e-6)
    assert not caplog.records


def test_what_dask_holds_is_computed_frame_by_frame() -> None:
    computed = []

    def count(block: np.ndarray) -> np.ndarray:
        if block.size:
            computed.append(block.shape)
        return block

    lazy = array().copy(
        data=da.from_array(VALUES, chunks=(1, 4, 5)).map_blocks(count, dtype=np.float32, meta=np.empty(0))
    )
    rain = open_sequence(lazy)
    assert not computed
    np.testing.assert_array_equal(rain.read(times=slice(1, 2))[0][0, ..., 0], VALUES[1])
    assert computed == [(1, 4, 5)]


def test_a_single_time() -> None:
    one = open_sequence(array().isel(time=1))
    np.testing.assert_array_equal(one.read()[0][..., 0], VALUES[1:2])
    assert list(one.times) == list(times(5))
    with pytest.raises(SourceUnreadable, match=r"rain: it has no time. Expected dims \(time, y, x\)"):
        open_sequence(array().isel(time=1, drop=True))
    with pytest.raises(SourceUnreadable, match="rain: it does not state the times of its frames"):
        open_sequence(array().drop_vars("time"))
