from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import CRS
from rasterio.windows import Window

from geodl.data.radar.sequence import RadarSequence, block_mean
from geodl.data.source import Grid
from geodl.errors import BandMismatch, FramesMissing, OptionError, ResolutionMismatch, StepMismatch
from tests.data.radar.rainfiles import GRID, frames, times

MINUTE = np.timedelta64(60, "s")


def event(*minutes: float, grid: Grid = GRID, values: np.ndarray | None = None) -> RadarSequence:
    return RadarSequence(frames(times(*minutes), values, grid), "event")


def test_reads_windows_of_times_with_nodata() -> None:
    values = np.random.default_rng(0).random((3, 6, 8)).astype(np.float32)
    values[1, 2, 3] = np.nan
    rain = event(0, 5, 10, values=values)
    read, valid = rain.read(Window(2, 1, 4, 3), slice(1, 3))
    np.testing.assert_array_equal(read[..., 0], values[1:3, 1:4, 2:6])
    np.testing.assert_array_equal(valid, ~np.isnan(read))
    assert read.shape == (2, 3, 4, 1)
    assert read.flags.writeable
    beyond, seen = rain.read(Window(-1, -1, 3, 3))
    np.testing.assert_array_equal(beyond[:, 1:, 1:, 0], values[:, :2, :2])
    assert not seen[:, 0].any()
    assert rain.dims == ("time", "y", "x", "band")
    assert [(band.name, band.unit) for band in rain.bands] == [("rain_rate", "mm/h")]
    assert rain.select(("rain_rate",)) is rain
    with pytest.raises(BandMismatch):
        rain.select(("snow",))


@pytest.mark.parametrize("step", [600, 600.0, np.timedelta64(10, "m"), timedelta(minutes=10)], ids=repr)
def test_every_second_frame(step: float | np.timedelta64 | timedelta) -> None:
    rain = event(0, 5, 10, 15, 20)
    even, odd = rain.phases(step)
    assert list(even.times) == list(times(0, 10, 20))
    assert list(odd.times) == list(times(5, 15))
    assert even.step == odd.step == 10 * MINUTE
    assert list(rain.at_step(step, phase=1).times) == list(odd.times)
    np.testing.assert_array_equal(odd.read()[0][:, 0, 0, 0], [1, 3])


def test_a_missing_frame_shifts_nothing() -> None:
    rain = event(0, 5, 15, 20, 25, 30, 35)
    even, odd = rain.phases(600)
    assert list(even.times) == list(times(0, 20, 30))
    assert list(even.missing) == list(times(10))
    assert even.runs == (slice(0, 1), slice(1, 3))
    assert list(odd.times) == list(times(5, 15, 25, 35))
    assert odd.runs == (slice(0, 4),)


def test_a_phase_that_has_no_frames_is_left_out_of_the_phases() -> None:
    rain = RadarSequence(frames(times(0, 10, 20)), "event", step=5 * MINUTE)
    assert [list(part.times) for part in rain.phases(600)] == [list(times(0, 10, 20))]
    with pytest.raises(FramesMissing, match="event: .*Expected frames at phase 1 of 2.*Received: none among 3"):
        rain.at_step(600, phase=1)


def test_steps_that_are_no_whole_multiples_are_refused() -> None:
    rain = event(0, 6, 12)
    assert rain.at_step(360) is rain
    for step in (600, 180):
        with pytest.raises(StepMismatch, match=rf"event: .* Expected {step // 60} minutes. Received: 6 minutes"):
            rain.at_step(step)
    with pytest.raises(OptionError, match="phase: expected 0 to 1"):
        rain.at_step(720, phase=2)
    single = event(0)
    assert single.at_step(600) is single


def test_parts_in_time_are_half_open_and_keep_the_step() -> None:
    rain = event(0, 5, 15, 20)
    part = rain.between("2020-01-01T01:05", times(20)[0])
    assert list(part.times) == list(times(5, 15))
    assert part.step == 5 * MINUTE
    assert list(part.missing) == list(times(10))
    with pytest.raises(FramesMissing, match="Expected frames from 2021.*2020-01-01T01:00 to 2020-01-01T01:20"):
        rain.between("2021-01-01", "2022-01-01")


def test_coarser_frames_are_means_on_the_coarser_grid() -> None:
    values = np.random.default_rng(0).random((2, 6, 8))
    fine = event(0, 5, values=values)
    coarse = fine.at_resolution(1000)
    np.testing.assert_allclose(coarse.read()[0][..., 0], values.reshape(2, 3, 2, 4, 2).mean((2, 4)), rtol=1e-6)
    assert coarse.grid.shape == (3, 4)
    assert coarse.grid.resolution == (1000, 1000)
    assert coarse.grid.footprint().equals(fine.grid.footprint())
    assert fine.coarser(1) is fine
    ragged = fine.coarser(5)
    assert ragged.grid.shape == (2, 2)
    np.testing.assert_allclose(ragged.read()[0][0, 0, 0], values[0, :5, :5].mean(), rtol=1e-6)
    assert np.isnan(ragged.read()[0][0, 1, 1]).all()
    with pytest.raises(OptionError, match="factor"):
        fine.coarser(0)


def test_pixel_sizes_are_met_to_a_hundredth_or_refused() -> None:
    nearly = Grid(GRID.crs, Affine(999.7, 0, 0, 0, -1001, 0), 6, 8)
    rain = event(0, grid=nearly)
    assert rain.at_resolution(1000) is rain
    assert rain.at_resolution(2000).grid.shape == (3, 4)
    for metres in (1500, 500):
        with pytest.raises(ResolutionMismatch, match=rf"Expected {metres} m.* Received: 999.7 m x 1001 m. Warp"):
            rain.at_resolution(metres)
    with pytest.raises(ResolutionMismatch, match="unknown, without a CRS"):
        event(0, grid=Grid(None, Affine.identity(), 6, 8)).at_resolution(1000)
    degrees = Grid(CRS(4326), Affine(0.01, 0, 2, 0, -0.01, 46), 6, 8)
    with pytest.raises(ResolutionMismatch, match="Received: 77"):
        event(0, grid=degrees).at_resolution(2000)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2.5, np.nan])),
    st.integers(1, 4),
)
def test_block_means_are_those_of_the_valid_pixels(values: np.ndarray, factor: int) -> None:
    means = block_mean(values, factor)
    for (row, column), mean in np.ndenumerate(means):
        block = values[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        known = block[~np.isnan(block)]
        if 2 * known.size < factor**2:
            assert np.isnan(mean)
        else:
            assert mean == pytest.approx(known.mean())
    assert means.shape == (-(-values.shape[0] // factor), -(-values.shape[1] // factor))
