"""Series of dated rasters: a GeoTIFF for each frame."""

from __future__ import annotations

import re

import numpy as np

from geodl.contract import Band
from geodl.data.handles import Handle
from geodl.data.radar.cubes import stated_unit
from geodl.data.radar.filedates import date_in
from geodl.data.radar.frames import StoredFrame, in_metres
from geodl.data.raster import open_raster
from geodl.errors import OptionError, SourceUnreadable
from geodl.physics.rain import quantity_of

__all__ = ("geotiff_frames",)

_TAG = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")


def geotiff_frames(path: str, *, unit: str | None = None) -> list[StoredFrame]:
    """Makes a frame of a raster file of one band.

    Its time is in its name (`rain_20160101T0105.tif`, `201601010105.tif`, `2016-01-01_01-05-30.tif`), else in its tag
    `TIFFTAG_DATETIME`. Its unit is the band's, else what the band's description ends with, as in `rain rate (mm/h)`.

    Args:
        path: of the file.
        unit: of a file that states none.

    Raises:
        SourceUnreadable: the file is damaged, has several bands, no time or no unit.
    """
    source = open_raster(path)
    if len(source.bands) != 1:
        raise SourceUnreadable(
            path,
            f"it has {len(source.bands)} bands",
            advice="Expected one frame, of one band, in each file of a series.",
        )
    time = date_in(path)
    time = _tagged(path) if time is None else time
    if time is None:
        raise SourceUnreadable(
            path,
            "neither its name nor a tag TIFFTAG_DATETIME says when it is",
            advice="Name it like rain_20160101T0105.tif.",
        )
    (band,) = source.bands
    unit = stated_unit(Band(band.name, unit=band.unit or _described(band.name)), path, unit)
    return [StoredFrame(path, time, in_metres(source.grid), unit, None, lambda: source.read()[0][..., 0])]


def _tagged(path: str) -> np.datetime64 | None:
    stated = Handle(path).use(lambda dataset: dataset.tags().get("TIFFTAG_DATETIME", ""))
    found = _TAG.match(stated.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (part or "00" for part in found.groups())
    try:
        return np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}:{second}", "ns")
    except ValueError:
        return None


def _described(description: str) -> str:
    """The unit at the end of a band's description, in brackets or as all of it; empty where there is none."""
    text = description.rpartition("(")[2].rpartition("[")[2].strip(" )]")
    try:
        quantity_of(text, minutes=1.0)
    except OptionError:
        return ""
    return text
