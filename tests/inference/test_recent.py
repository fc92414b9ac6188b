"""Which frames a forecast is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from geodl.data.radar import open_sequence
from geodl.errors import FramesMissing, NoValidPixels, OptionError, ResolutionMismatch, StepMismatch
from geodl.inference.recent import read_recent
from tests.inference.rainfakes import make_contract, moving_rain, rain_array

CONTRACT = make_contract()
MIDNIGHT = np.datetime64("2020-01-01", "ns")


def minutes(times: np.ndarray) -> list[int]:
    return ((times - MIDNIGHT) // np.timedelta64(60, "s")).astype(int).tolist()


def numbered(count: int) -> np.ndarray:
    """Frames that say which they are."""
    return np.broadcast_to(np.arange(1, count + 1, dtype=np.float32)[:, None, None], (count, 6, 8)).copy()


@pytest.mark.parametrize(
    ("at", "last"),
    [
        (None, 80),
        ("2020-01-01T01:10", 70),
        ("2020-01-01T01:19:59", 70),
        ("2020-01-01 02:10+01:00", 70),
        (np.datetime64("2020-01-01T01:10"), 70),
        (datetime(2020, 1, 1, 1, 10, tzinfo=UTC), 70),
        ("2020-01-01T01:25Z", 80),
    ],
    ids=["last", "exact", "between", "zone", "numpy", "datetime", "after"],
)
def test_the_last_frames_up_to_a_time_are_taken(at: Any, last: int) -> None:
    recent = read_recent(rain_array(numbered(9)), CONTRACT, at=at)
    assert minutes(recent.times) == [last - 30, last - 20, last - 10, last]
    assert recent.values[:, 2, 3].tolist() == [1 + time // 10 for time in minutes(recent.times)]
    assert recent.values.dtype == np.float32 and recent.analysis == recent.times[-1]


def test_a_sequence_of_a_finer_step_is_thinned_whichever_its_phase() -> None:
    rain = rain_array(numbered(12), minutes=5)
    assert minutes(read_recent(rain, CONTRACT).times) == [25, 35, 45, 55]
    assert minutes(read_recent(rain, CONTRACT, at="2020-01-01T00:50").times) == [20, 30, 40, 50]
    # What lies in between may be missing.
    assert minutes(read_recent(rain.isel(time=[1, 3, 5, 6, 7, 9, 11]), CONTRACT).times) == [25, 35, 45, 55]


def test_gaps_are_named_and_never_bridged() -> None:
    rain = rain_array(numbered(8)).isel(time=[0, 1, 2, 3, 5, 6, 7])
    with pytest.raises(FramesMissing, match=r"rain: .*4 frames, 10 minutes apart.*Missing: 2020-01-01T00:40\. "):
        read_recent(rain, CONTRACT)
    assert minutes(read_recent(rain, CONTRACT, at="2020-01-01T00:30").times) == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("count", "at", "told"),
    [
        (3, None, "3 frames in all, 3 of these among them"),
        (1, None, "1 frames in all, 1 of these among them"),
        (6, "2019-12-31T23:50", "frames from 2020-01-01T00:00 to 2020-01-01T00:50"),
        (6, "2020-01-01T01:00", "the last one at 2020-01-01T01:00"),
    ],
    ids=["too few", "a single one", "before the first", "after the last"],
)
def test_too_few_frames(count: int, at: str | None, told: str) -> None:
    with pytest.raises(FramesMissing, match=told):
        read_recent(rain_array(numbered(count)), CONTRACT, at=at)


def test_another_step_is_refused() -> None:
    for step in (6, 15):
        with pytest.raises(StepMismatch, match=f"Expected 10 minutes. Received: {step} minutes"):
            read_recent(rain_array(numbered(12), minutes=step), CONTRACT)


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(OptionError, match=r"at \(--at\): expected a time, such as .* Received: 'noon'"):
        read_recent(rain_array(numbered(5)), CONTRACT, at="noon")


def test_all_nodata_is_refused_and_some_is_kept() -> None:
    values = numbered(5)
    values[-1] = np.nan
    with pytest.raises(NoValidPixels, match=r"last frame \(2020-01-01T00:40\) is nodata"):
        read_recent(rain_array(values), CONTRACT)
    values[-1, 1:] = 7
    recent = read_recent(rain_array(values), CONTRACT)
    np.testing.assert_array_equal(recent.values, values[1:])


def test_other_pixel_sizes_are_refused_averaged_or_taken_as_they_are() -> None:
    fine = rain_array(moving_rain(4, 12, 16), size=500)
    with pytest.raises(ResolutionMismatch, match=r"1000 x 1000 metres.*500 x 500 metres.*--resample average"):
        read_recent(fine, CONTRACT)
    whole = read_recent(fine, CONTRACT, any_resolution=True)
    np.testing.assert_array_equal(whole.values, fine.values)
    coarse = read_recent(fine, CONTRACT, resample=True)
    blocks = fine.values.reshape(4, 6, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(coarse.values, blocks, rtol=1e-5)
    np.testing.assert_allclose(coarse.axes["x"].values, fine.x.values.reshape(8, 2).mean(1))
    np.testing.assert_allclose(coarse.axes["y"].values, fine.y.values.reshape(6, 2).mean(1))


def test_reflectivity_becomes_rain_and_what_states_no_unit_is_rain(caplog: pytest.LogCaptureFixture) -> None:
    # 200 R^1.6 = 10^2.3010 at 1 mm/h (Marshall and Palmer 1948).
    decibels = np.full((4, 6, 8), 23.0103, np.float32)
    assert read_recent(rain_array(decibels, unit="dBZ"), CONTRACT).values == pytest.approx(1, rel=1e-4)
    unstated = rain_array(numbered(4))
    del unstated.attrs["units"]
    assert read_recent(unstated, CONTRACT).values[:, 0, 0].tolist() == [1, 2, 3, 4]
    assert not caplog.records


def test_coordinates_are_those_of_the_array() -> None:
    rain = rain_array(numbered(5)).rename(y="northing", x="easting")
    rain.easting.attrs["long_name"] = "to the east"
    recent = read_recent(rain, CONTRACT)
    assert list(recent.axes) == ["northing", "easting"]
    xr.testing.assert_identical(recent.axes["easting"], rain.easting.variable)
    opened = read_recent(open_sequence(rain), CONTRACT)
    assert list(opened.axes) == ["y", "x"]
    np.testing.assert_allclose(opened.axes["y"].values, rain.northing.values)


def test_without_a_crs_pixels_are_counted() -> None:
    plain = xr.DataArray(numbered(4), dims=("time", "y", "x"), coords={"time": rain_array(numbered(4)).time})
    recent = read_recent(plain, CONTRACT)
    assert recent.grid.crs is None and recent.axes["x"].values.tolist() == [k + 0.5 for k in range(8)]


def test_of_a_dask_array_no_other_frames_are_computed() -> None:
    computed: list[int] = []

    def frame(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            computed.append(block_info[0]["chunk-location"][0])
        return values

    rain = rain_array(numbered(9))
    lazy = rain.copy(data=da.from_array(numbered(9), chunks=(1, 6, 8)).map_blocks(frame, dtype=np.float32))
    recent = read_recent(lazy, CONTRACT, at="2020-01-01T01:00")
    assert sorted(set(computed)) == [3, 4, 5, 6]
    assert recent.values[:, 0, 0].tolist() == [4, 5, 6, 7]
