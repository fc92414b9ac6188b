"""Real NetCDF files: read as xarray decodes them, or refused by named cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geodl.data.cubefile import open_cube_file
from geodl.data.opening import find_scenes
from geodl.errors import SourceUnreadable

READ = {
    "weather/bcsd_obs_1999.nc": ("EPSG:4326", (0.125, 0, -85, 0, 0.125, 33), 12),
    "weather/tos_O1_2001-2002.nc": ("EPSG:4326", (2, 0, 0, 0, 1, -80), 24),
    "radar/bom_2018/*.nc": (None, (500, 0, -128250, 0, -500, 128250), None),
    "radar/bom_2020/*.nc": (None, (500, 0, -128000, 0, -500, 128000), None),
}
REFUSED = {
    "weather/test-1.nc": "its dims are c5: 3, c4: 2, c3: 2, y: 3, x: 2",
    "weather/test_stageiv_xyt.nc": "its coordinates are two-dimensional .a curvilinear grid.",
    "weather/timeseries.nc": "no variable has dims y and x; there are station: 10, time: 20",
}


def real(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"real data absent: {folder / pattern}")
    return found


@pytest.mark.parametrize("pattern", READ)
def test_values_are_those_of_xarrays_decoding(real_data: Path, pattern: str) -> None:
    crs, transform, times = READ[pattern]
    files = real(real_data, pattern)
    for path in files[:: max(1, len(files) // 8)]:
        source = open_cube_file(path)
        values, valid = source.read()
        engine = "scipy" if path.read_bytes()[:3] == b"CDF" else "h5netcdf"
        with xr.open_dataset(path, engine=engine) as expected:
            for k, band in enumerate(source.bands):
                np.testing.assert_allclose(values[..., k], expected[band.name].values, rtol=1e-6)
            assert (source.times is None and times is None) or len(source.times) == times == len(expected.time)
        np.testing.assert_array_equal(valid, np.isfinite(values))
        assert tuple(source.grid.transform)[:6] == pytest.approx(transform)
        assert source.grid.crs is not None
        assert crs is None or source.grid.crs.to_string() == crs
        # The radars' equal-area grids have no code, but metres, where the files have kilometres.
        assert source.grid.unit == ("degree" if crs else "metre")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused_by_name(real_data: Path, name: str) -> None:
    (path,) = real(real_data, name)
    with pytest.raises(SourceUnreadable, match=f"{path.name}.*{REFUSED[name]}"):
        open_cube_file(path)


def test_every_netcdf_file_is_one_or_the_other(real_data: Path) -> None:
    known = {path for pattern in (*READ, *REFUSED) for path in real(real_data, pattern)}
    assert known == set(real_data.rglob("*.nc"))


def test_one_month_of_a_calendar_of_360_days(real_data: Path) -> None:
    (path,) = real(real_data, "weather/tos_O1_2001-2002.nc")
    values = open_cube_file(f"{path}:tos@2001-12").read()[0]
    with xr.open_dataset(path, engine="scipy") as expected:
        np.testing.assert_allclose(values[..., 0], expected.tos[11], rtol=1e-6)


def test_radar_files_are_scenes_of_their_folder(real_data: Path) -> None:
    files = real(real_data, "radar/bom_2018/*.nc")
    assert len(find_scenes(files[0].parent)) == len(files) == 61
