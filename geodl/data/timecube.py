"""What a user means by a cube of dates: NetCDF, arrays, folders of dated rasters, products, STAC items, several sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geodl.data.datedcube import DatedCube, DatedPart, day_dates
from geodl.data.datedscenes import dated_parts
from geodl.data.raster import Resample
from geodl.data.source import Source, name_bands
from geodl.errors import BandMismatch, OptionError, SeriesUnusable

__all__ = ("cube_days", "open_time_cube")


def open_time_cube(
    where: Any,
    *,
    bands: Sequence[str] | None = None,
    cloud_band: str = "",
    cloud_values: Sequence[float] = (),
    scale: float | Mapping[str, float] | None = None,
    offset: float | Mapping[str, float] | None = None,
    nodata: float | Mapping[str, float] | None = None,
    resample: Resample | None = None,
    name: str | None = None,
) -> DatedCube:
    """Opens a cube of dates. Nothing but headers is read.

    Args:
        where: one of

            - a NetCDF file or Zarr store, as a word like `fields.nc:ndvi` (see `geodl.data.cubeword`); an
              `xarray.DataArray` or `Dataset` with a time axis; an array (time, height, width, band); or a `Source` that has
              times;
            - a folder, glob or list of dated rasters, one for each date and band, or one for each date with several
              bands; NetCDF files and Zarr stores, too. Dates are in their names (see `geodl.data.datednames`), or in those of
              the folders they lie in; of a range the first one counts. Bands are called by their descriptions, else by
              what differs between the names of files of one date;
            - one raster whose bands are called by dates: `2018-08-29`, `20180829_B04`, …;
            - a folder, glob or list of Sentinel-2 or Landsat products, or of STAC items, or a STAC search: each is a date;
            - a mapping of sensors to any of these: all on one grid, their bands side by side on the dates of all. Names
              that several sensors have are put behind the sensor's, as `s2_red`.

        bands: the bands to take, in this order; default: all but that of the clouds. A cube whose bands have no names takes
            these. Products and STAC items have them on several grids, so for these it should be given.
        cloud_band: a band of the cube, not necessarily one of `bands`. Where it has one of `cloud_values`, all bands
            of that date are not-a-number; with several sensors, those of each sensor that has such a band.
        cloud_values: see `cloud_band`.
        scale: physical = stored × scale + offset, where files do not state it; one number, or one by band. The cloud band
            stays as it is.
        offset: likewise, in physical units.
        nodata: likewise, the stored value that means nodata.
        resample: brings rasters on several grids onto that of the finest of them (the first, where several are alike);
            see `open_raster`.
        name: default: from the file, the folder, or what the names of the files have in common.

    Returns:
        The cube: `times` increase strictly and are whole days, unless several are of one day; not-a-time all of them where
        nobody states any. `read` gives (time, height, width, band), not-a-number where a band was not taken on a date.

    Raises:
        SeriesUnusable: no dates; two files of one band and date.
        GridMismatch: not all is on one grid.
        BandMismatch: one of `bands`, or the cloud band, is missing.
        DatesMismatch: several sensors, of which some state no dates.
        OptionError: cloud values without a cloud band, or the other way round; a scale beside one that files state.
        SourceUnreadable: a file is missing or damaged.
        EmptyDataset: the folder holds nothing that can be read.

    Example:

    >>> import xarray as xr
    >>> dates = np.array(["2020-05-11", "2020-05-01"], "datetime64[ns]")
    >>> field = xr.DataArray(np.ones((2, 3, 4)), {"time": dates}, ("time", "y", "x"), name="ndvi")
    >>> cube = open_time_cube(field)
    >>> cube.times.astype("datetime64[D]").astype(str).tolist(), cube.read()[0].shape
    (['2020-05-01', '2020-05-11'], (2, 3, 4, 1))
    """
    if bool(cloud_band) != bool(len(cloud_values)):
        raise OptionError(
            "cloud_values", expected="values of cloud_band that mean cloud; or neither of the two",
            received={"cloud_band": cloud_band, "cloud_values": list(cloud_values)},
        )  # fmt: skip
    if isinstance(where, Mapping) and not hasattr(where, "dims") and "stac" not in where:
        cube = _of_sensors(where, cloud_band, cloud_values, resample, name or "cube")
        coded = [cloud_band, *(f"{sensor}_{cloud_band}" for sensor in where)]
    else:
        wanted = None if bands is None else tuple(dict.fromkeys([*bands, *filter(None, [cloud_band])]))
        cube, coded = _open(where, resample, name, wanted=wanted, codes=cloud_band), [cloud_band]
        if cloud_band:
            cube = cube.clouded(cloud_band, cloud_values)
    if bands is not None:
        cube = name_bands(cube, bands)
    elif cloud_band:
        others = tuple(band.name for band in cube.bands if band.name not in coded)
        if not others:
            raise BandMismatch(cube.name, expected=[f"a band beside {cloud_band}"], received=[cloud_band])
        cube = cube.select(others)
    if any(given is not None for given in (scale, offset, nodata)):
        cube = cube.stated(scale=scale, offset=offset, nodata=nodata, but=coded)
    return cube


def cube_days(source: Source) -> tuple[np.ndarray, int | None]:
    """Returns the days on which a cube was observed, as in `geodl.data.series.SeriesTable.days`.

    Args:
        source: with times.

    Returns:
        float32 (time,): the day of the year, 1 being the 1st of January of the year in which the cube begins, so that 366
        and more follow in the next; positions 0, 1, … where the times are not stated. And that year, or None.

    Raises:
        SeriesUnusable: it has no times, or they do not increase.

    Example:

    >>> cube_days(open_time_cube("sentinel2_cube"))
    (array([122., 132., 172., 214.], dtype=float32), 2020)
    """
    if source.times is None:
        raise SeriesUnusable(source.name, "it has no time axis", advice="Expected a cube of several dates.")
    missing = np.isnat(source.times)
    if missing.all():
        return np.arange(len(source.times), dtype=np.float32), None
    times = day_dates(source.times)
    if missing.any() or (np.diff(times) <= np.timedelta64(0)).any():
        raise SeriesUnusable(
            source.name, "its times do not increase", advice="Open it with open_time_cube, which puts them in order."
        )
    year = times[0].astype("datetime64[Y]")
    days = (times - year.astype("datetime64[ns]")) / np.timedelta64(1, "D") + 1
    return days.astype(np.float32), int(year.astype(np.int64)) + 1970


def _open(
    where: Any, resample: Resample | None, name: str | None, *, wanted: Sequence[str] | None = None, codes: str = ""
) -> DatedCube:
    """Opens what is not a mapping of sensors, with all its bands; of products and items, with those that are wanted."""
    if isinstance(where, DatedCube):
        return where
    if isinstance(where, np.ndarray) and where.ndim == 4:
        import xarray as xr

        where = xr.DataArray(where, dims=("time", "y", "x", "band"), name=name or "array")
    parts, called = dated_parts(where, bands=wanted, codes=codes, resample=resample)
    return DatedCube(parts, name or called)


def _of_sensors(
    where: Mapping[str, Any], cloud_band: str, cloud_values: Sequence[float], resample: Resample | None, name: str
) -> DatedCube:
    if not where:
        raise OptionError("a cube", expected="at least one sensor", received=dict(where))
    cubes = {str(sensor): _open(own, resample, str(sensor), codes=cloud_band) for sensor, own in where.items()}
    for sensor, cube in cubes.items():
        if [band.name for band in cube.bands] == ["band_1"]:
            cubes[sensor] = name_bands(cube, [sensor])
    names = [band.name for cube in cubes.values() for band in cube.bands]
    if cloud_band:
        found = [
            (sensor, band.name)
            for sensor, cube in cubes.items()
            for band in cube.bands
            if cloud_band in (band.name, f"{sensor}_{band.name}")
        ]
        if not found:
            raise BandMismatch(name, expected=[cloud_band], received=list(dict.fromkeys(names)))
        for sensor, band in found:
            cubes[sensor] = cubes[sensor].clouded(band, cloud_values)
    parts = []
    for sensor, cube in cubes.items():
        own = [band.name for band in cube.bands]
        parts.append(
            DatedPart(cube, cube.times, tuple(each if names.count(each) == 1 else f"{sensor}_{each}" for each in own))
        )
    return DatedCube(parts, name)
