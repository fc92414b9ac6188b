from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geodl.data.radar import open_sequence
from geodl.errors import SourceUnreadable
from tests.data.radar.rainfiles import times, write_raster

STEP = rasterio.Affine(2, 0, 0, 0, -2, 0)
VALUES = np.array([[0, 2.5, -1], [1, 0.1, 30]], np.float32)


def test_a_series_is_read_as_rasterio_reads_it(tmp_path: Path) -> None:
    for k, name in enumerate(("202001010100", "20200101T0105", "2020-01-01_01-10-00")):
        write_raster(tmp_path / f"{name}.tif", np.where(VALUES < 0, -1, VALUES + k).astype(np.float32), unit="mm/h")
    rain = open_sequence(tmp_path)
    assert list(rain.times) == list(times(0, 5, 10))
    np.testing.assert_array_equal(np.isnan(rain.read()[0][..., 0]), np.broadcast_to(VALUES < 0, (3, 2, 3)))
    for frame in rain.frames:
        with rasterio.open(frame.path) as file:
            expected = file.read(1, masked=True).filled(np.nan)
            assert file.transform == rain.grid.transform
        np.testing.assert_array_equal(frame.load(), expected)


@pytest.mark.parametrize(
    ("unit", "description", "factor"),
    [("mm", "", 12), ("", "rain rate (mm/h)", 1), ("", "mm/h", 1), ("kg m-2", "precipitation", 12)],
)
def test_units_come_from_the_band(tmp_path: Path, unit: str, description: str, factor: float) -> None:
    for minute in (0, 5):
        write_raster(tmp_path / f"rain_2020010101{minute:02d}.tif", VALUES, unit=unit, description=description)
    values = open_sequence(tmp_path).read()[0][0, ..., 0]
    np.testing.assert_allclose(values, np.where(VALUES < 0, np.nan, VALUES * factor), rtol=1e-6)


def test_a_unit_that_no_band_states_is_asked_for(tmp_path: Path) -> None:
    write_raster(tmp_path / "rain_202001010100.tif", VALUES)
    with pytest.raises(SourceUnreadable, match="it states no unit for band_1. Say what it is: unit='mm/h'"):
        open_sequence(tmp_path)
    assert np.nanmax(open_sequence(tmp_path, unit="mm/h").read()[0]) == 30


def test_the_time_may_be_in_the_tag(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES, unit="mm/h", tag="2020:01:01 01:05:00")
    assert list(open_sequence(path).times) == list(times(5))
    with pytest.raises(SourceUnreadable, match=r"b\.tif: neither its name nor a tag TIFFTAG_DATETIME"):
        open_sequence(write_raster(tmp_path / "b.tif", VALUES, unit="mm/h"))


def test_files_of_several_bands_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "202001010100.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=3, count=2, dtype="float32", crs=3857, transform=STEP
    ) as file:
        file.write(np.stack([VALUES, VALUES]))
    with pytest.raises(SourceUnreadable, match="it has 2 bands. Expected one frame"):
        open_sequence(path)
