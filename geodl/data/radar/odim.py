"""Radar composites in ODIM_H5, the information model of OPERA for HDF5 (Michelson et al., EUMETNET OPERA, versions 2.x)."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import h5py
import numpy as np
from affine import Affine
from pyproj import Proj

from geodl.data.radar.frames import Frame, in_metres
from geodl.data.radar.hdf5 import Image, attributes, natural, number, opened, text
from geodl.data.radar.projection import crs_of
from geodl.data.source import Grid
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR, Quantity

__all__ = ("read_frames",)

_QUANTITIES = {"RATE": "mm/h", "ACRR": "mm", **dict.fromkeys(("DBZH", "DBZV", "DBZ", "TH", "TV", "T"), "dBZ")}
"""Those of rain, the first of which that a file has is read."""
_OTHERS = {
    "PVOL": "a volume of polar scans",
    "SCAN": "a polar scan",
    "RAY": "a polar ray",
    "AZIM": "an azimuthal object",
    "CVOL": "a cartesian volume",
    "ELEV": "an elevational object",
    "XSEC": "a vertical cross-section",
    "VP": "a vertical profile",
    "PIC": "a picture",
}
_CORNERS = ("LL", "LR", "UL", "UR")


def read_frames(path: str, *, zr: ZR | None = None, minutes: float | None = None) -> list[Frame]:
    """Lists the frames of a file; only headers are read.

    Of several quantities one is taken: RATE before ACRR before reflectivity. Several datasets of it are several frames
    where they end at different times. Undetect is no rain, nodata is not-a-number.

    Args:
        path: of a composite or an image (`/what` object COMP or IMAGE).
        zr: how a reflectivity becomes a rain rate where the file does not say (`/how` zr_a, zr_b); Marshall–Palmer
            where None.
        minutes: in which the depth ACRR fell where the file does not say.

    Returns:
        Frames in order of time: of a depth its end, else the nominal time.

    Raises:
        SourceUnreadable: the file is damaged, holds another object or no rain, or several images for one time.
    """
    with opened(path) as file:
        kind = text(attributes(file, "what"), "object")
        if kind not in ("COMP", "IMAGE"):
            raise SourceUnreadable(
                path,
                f"it holds {_OTHERS.get(kind, 'no composite')} (object {kind or 'not stated'})",
                advice="Expected a composite or a cartesian image (COMP, IMAGE): make one first, with a radar toolkit.",
            )
        places = [
            f"{dataset}/{data}"
            for dataset in natural(list(file), "dataset")
            for data in natural(list(file[dataset]), "data")
        ]
        found = {place: text(_inherited(file, place, "what"), "quantity") for place in places}
        wanted = next((quantity for quantity in _QUANTITIES if quantity in found.values()), None)
        if wanted is None:
            received = ", ".join(dict.fromkeys(found.values())) or "none"
            raise SourceUnreadable(
                path, f"it has no quantity of rain: {received}", advice="Expected RATE, ACRR or DBZH."
            )
        chosen = [place for place in places if found[place] == wanted]
        frames = [_frame(path, file, place, several=len(chosen) > 1, zr=zr, minutes=minutes) for place in chosen]
    times = Counter(frame.time for frame in frames)
    if len(times) < len(frames):
        raise SourceUnreadable(
            path,
            f"it has several images of {wanted} for one time: {', '.join(chosen)}",
            advice="Write the one that is wanted into a file of its own.",
        )
    return sorted(frames, key=lambda frame: frame.time)


def _frame(path: str, file: h5py.File, place: str, *, several: bool, zr: ZR | None, minutes: float | None) -> Frame:
    what, how = _inherited(file, place, "what"), _inherited(file, place, "how")
    unit = _QUANTITIES[text(what, "quantity")]
    start, end = _moment(what, "startdate", "starttime"), _moment(what, "enddate", "endtime")
    nominal = _moment(attributes(file, "what"), "date", "time")
    if start is not None and end is not None and end > start:
        minutes = float((end - start) / np.timedelta64(1, "m"))
    time = end if end is not None and (several or unit == "mm" or nominal is None) else nominal
    if time is None:
        raise SourceUnreadable(path, "it does not state its time (/what date and time)")
    if unit == "mm":
        if minutes is None:
            raise SourceUnreadable(
                path, "it does not state from when to when its depth of rain fell", advice="Set minutes."
            )
        quantity = Quantity("mm", minutes=minutes)
    elif unit == "dBZ":
        a, b = number(how, "zr_a"), number(how, "zr_b")
        quantity = Quantity("dBZ", zr=(zr or ZR()) if a is None or b is None else ZR(a, b))
    else:
        quantity = Quantity("mm/h")
    grid = _grid(path, _inherited(file, place, "where"), file[f"{place}/data"].shape)
    codes = [() if code is None else (code,) for code in (number(what, "nodata"), number(what, "undetect"))]
    gain, offset = number(what, "gain"), number(what, "offset")
    image = Image(
        path,
        f"{place}/data",
        grid.shape,
        quantity,
        1.0 if gain is None else gain,
        offset or 0.0,
        nodata=codes[0],
        dry=codes[1],
    )
    return Frame(path, time, grid, quantity, image)


def _inherited(file: h5py.File, place: str, kind: str) -> Mapping[str, Any]:
    """Attributes of a group `what`, `where` or `how`: what the data states, else its dataset, else the file."""
    dataset = place.partition("/")[0]
    return ChainMap(*(dict(attributes(file, f"{level}{kind}")) for level in (f"{place}/", f"{dataset}/", "")))


def _moment(attrs: Mapping[str, Any], date: str, time: str) -> np.datetime64 | None:
    day, clock = text(attrs, date), text(attrs, time)
    if not day or not clock:
        return None
    return np.datetime64(datetime.strptime(day + clock[:6].ljust(6, "0"), "%Y%m%d%H%M%S"), "ns")


def _grid(path: str, where: Mapping[str, Any], shape: tuple[int, ...]) -> Grid:
    stated = (number(where, "ysize"), number(where, "xsize"))
    if len(shape) != 2 or any(size is not None and size != length for size, length in zip(stated, shape)):
        raise SourceUnreadable(
            path, f"its image has shape {shape}; expected (ysize, xsize) {stated}, as the file states"
        )
    crs = crs_of(text(where, "projdef") or "no text", where=path)
    corners = [
        (longitude, latitude)
        for corner in _CORNERS
        if (longitude := number(where, f"{corner}_lon")) is not None
        and (latitude := number(where, f"{corner}_lat")) is not None
    ]
    if len(corners) < 2:
        raise SourceUnreadable(path, "it does not say where its corners are (/where LL_lon, LL_lat, UR_lon, UR_lat, …)")
    place = np.array(
        [longitude_latitude if crs.is_geographic else Proj(crs)(*longitude_latitude) for longitude_latitude in corners]
    )
    low, high = place.min(axis=0), place.max(axis=0)
    scales = (None, None) if crs.is_geographic else (number(where, "xscale"), number(where, "yscale"))
    size = [_pixel(path, span, length, scale) for span, length, scale in zip(high - low, shape[::-1], scales)]
    # Round corners and corners at the centres of pixels, which some files have, lie evenly about the same middle.
    left, top = (low + high) / 2 + np.array([-1, 1]) * size * np.array(shape[::-1]) / 2
    return in_metres(Grid(crs, Affine(size[0], 0, float(left), 0, -size[1], float(top)), shape[0], shape[1]))


def _pixel(path: str, span: float, length: int, stated: float | None) -> float:
    """The size of a pixel in the CRS's unit: as stated, where the corners agree to a pixel and a half."""
    if not 0 < span < np.inf:
        raise SourceUnreadable(path, "its corners (/where LL_lon, …) do not enclose anything in its projection")
    if stated is None:
        return span / length
    for scale in (stated, stated / 1000):  # In metres, also where the projection is in kilometres.
        if abs(span - scale * length) <= 1.5 * scale:
            return scale
    raise SourceUnreadable(
        path, f"its {length} pixels of {stated:g} do not fit between its corners, which are {span:g} apart"
    )
