"""Radar images in the HDF5 of KNMI (Roozekrans and Holleman 2003, "KNMI HDF5 data format specification", version 3.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import h5py
import numpy as np
from affine import Affine

from geodl.data.radar.frames import Frame, in_metres
from geodl.data.radar.hdf5 import Image, attributes, natural, number, opened, text
from geodl.data.radar.projection import crs_of
from geodl.data.source import Grid
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR, Quantity, quantity_of

__all__ = ("read_frames",)

_NUMBER = r"([+-]?\s*\d*\.?\d+(?:[eE][+-]?\d+)?)"
_FORMULA = re.compile(rf"GEO\s*=\s*{_NUMBER}\s*\*\s*PV\s*\+?\s*{_NUMBER}?\s*")
_PREFERRED = ("mm/h", "mm", "dBZ")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_METRES = {"KM": 1000.0, "M": 1.0}


def read_frames(path: str, *, zr: ZR | None = None, minutes: float | None = None) -> list[Frame]:
    """Lists the frames of a file; only headers are read.

    Of images in several units one is taken: mm/h before mm before dBZ. Several of it are several frames where each says
    for which time it is valid.

    Args:
        path: of the file.
        zr: how a reflectivity becomes a rain rate; Marshall–Palmer where None.
        minutes: in which a depth fell where the file does not say.

    Returns:
        Frames in order of time: when the product ends, or an image is valid.

    Raises:
        SourceUnreadable: the file is damaged, holds no rain, or several images for one time.
    """
    with opened(path) as file:
        overview = attributes(file, "overview")
        start, end = (_moment(overview, f"product_datetime_{which}") for which in ("start", "end"))
        if start is not None and end is not None and end > start:
            minutes = float((end - start) / np.timedelta64(1, "m"))
        names = natural(list(file), "image")
        told = {name: text(attributes(file, name), "image_geo_parameter") for name in names}
        quantities = {name: _quantity(path, what, zr=zr, minutes=minutes) for name, what in told.items()}
        units = {quantity.unit for quantity in quantities.values() if quantity}
        wanted = next((unit for unit in _PREFERRED if unit in units), None)
        if wanted is None:
            received = ", ".join(told.values()) or "no image"
            raise SourceUnreadable(path, f"it has no image of rain: {received}", advice="Expected mm/h, mm or dBZ.")
        chosen = {name: quantity for name, quantity in quantities.items() if quantity and quantity.unit == wanted}
        frames = []
        for name, quantity in chosen.items():
            time = _moment(attributes(file, name), "image_datetime_valid")
            time = end if time is None else time
            if time is None:
                raise SourceUnreadable(path, "it does not state its time (/overview product_datetime_end)")
            grid = _grid(path, file, file[f"{name}/image_data"].shape)
            frames.append(Frame(path, time, grid, quantity, _image(path, file, name, grid, quantity)))
    if len({frame.time for frame in frames}) < len(frames):
        raise SourceUnreadable(
            path,
            f"it has several images in {wanted} for one time: {', '.join(chosen)}",
            advice="Write the one that is wanted into a file of its own.",
        )
    return sorted(frames, key=lambda frame: frame.time)


def _quantity(path: str, what: str, *, zr: ZR | None, minutes: float | None) -> Quantity | None:
    """What `ACCUMULATED_PRECIPITATION_[MM]` or `REFLECTIVITY_[DBZ]` says; None where it is nothing of rain."""
    unit = what.rpartition("[")[2].rstrip("] ")
    if unit.upper() not in ("MM/H", "MM", "DBZ"):
        return None
    if unit.upper() == "MM" and minutes is None:
        raise SourceUnreadable(
            path, "it does not state from when to when its depth of rain fell", advice="Set minutes."
        )
    return quantity_of(unit, minutes=minutes, zr=zr)


def _image(path: str, file: h5py.File, name: str, grid: Grid, quantity: Quantity) -> Image:
    calibration = attributes(file, f"{name}/calibration")
    formula = text(calibration, "calibration_formulas")
    found = _FORMULA.fullmatch(formula)
    if found is None:
        raise SourceUnreadable(path, f"its calibration {formula!r} is not understood", advice="Expected GEO=a*PV+b.")
    gain, offset = (float((part or "0").replace(" ", "")) for part in found.groups())
    missing = number(calibration, "calibration_missing_data")
    outside = number(calibration, "calibration_out_of_image")
    # In reflectivities 0 is the code both of missing echoes and of missing data; what no radar sees has its own.
    dry = (0.0,) if quantity.unit == "dBZ" and missing == 0 and outside not in (None, 0) else ()
    nodata = tuple(code for code in (missing, outside) if code is not None and code not in dry)
    return Image(path, f"{name}/image_data", grid.shape, quantity, gain, offset, nodata=nodata, dry=dry)


def _moment(attrs: Mapping[str, Any], key: str) -> np.datetime64 | None:
    """Reads `26-AUG-2010;00:05:00.000`, whatever the language of the machine."""
    stated = text(attrs, key)
    if not stated or stated == "NA":
        return None
    day, month, rest = stated.split("-", 2)
    calendar = f"{day}-{_MONTHS.index(month.upper()) + 1}-{rest.partition('.')[0]}"
    moment = datetime.strptime(calendar, "%d-%m-%Y;%H:%M:%S")
    return np.datetime64(moment, "ns")


def _grid(path: str, file: h5py.File, shape: tuple[int, ...]) -> Grid:
    where = attributes(file, "geographic")
    keys = ("number_rows", "number_columns", "row_offset", "column_offset", "pixel_size_y", "pixel_size_x")
    stated = {key: number(where, f"geo_{key}") for key in keys}
    lacking = [f"geo_{key}" for key, value in stated.items() if value is None]
    if lacking:
        raise SourceUnreadable(path, f"it does not say where its pixels lie (/geographic lacks {', '.join(lacking)})")
    height, width, top, left, size_y, size_x = (value or 0.0 for value in stated.values())
    if shape != (height, width):
        raise SourceUnreadable(
            path, f"its image has shape {shape}; expected {(int(height), int(width))}, as the file states"
        )
    if text(where, "geo_pixel_def") == "CC":
        top, left = top - 0.5, left - 0.5
    projection = text(attributes(file, "geographic/map_projection"), "projection_proj4_params")
    crs = crs_of(projection or "no text", where=path)
    unit = text(where, "geo_dim_pixel").upper().partition(",")[0]
    if unit not in _METRES or not crs.is_projected:
        raise SourceUnreadable(
            path, f"its pixels are in {unit or 'no unit'} of {projection!r}", advice="Expected KM or M."
        )
    # Most write the projection in kilometres too, by its ellipsoid; some write it in metres.
    one = in_metres(Grid(crs, Affine.identity(), 1, 1))
    scale = _METRES[unit]
    return Grid(
        one.crs,
        Affine(size_x * scale, 0, left * size_x * scale, 0, size_y * scale, top * size_y * scale),
        shape[0],
        shape[1],
    )
