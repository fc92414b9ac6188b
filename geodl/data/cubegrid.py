"""Where the pixels of an array lie: axes, CRS and transform from coordinates and CF grid mappings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError

from geodl.data.source import Grid
from geodl.errors import SourceUnreadable

__all__ = ("REGRID", "array_grid", "find_axes", "is_place", "is_time", "mapping_name")

REGRID = "Resample it onto a regular grid first."

_NAMES = (
    ("y", "lat", "latitude", "northing", "nav_lat", "row", "rlat", "ydim"),
    ("x", "lon", "longitude", "easting", "nav_lon", "col", "rlon", "xdim"),
)
_STANDARD_NAMES = (
    ("latitude", "grid_latitude", "projection_y_coordinate", "projection_y_angular_coordinate"),
    ("longitude", "grid_longitude", "projection_x_coordinate", "projection_x_angular_coordinate"),
)
_DEGREES = (
    ("degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"),
    ("degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"),
)
_METRES = {
    "m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0,
    "km": 1e3, "kilometre": 1e3, "kilometres": 1e3, "kilometer": 1e3, "kilometers": 1e3,
}  # fmt: skip


def find_axes(
    dims: Iterable[Hashable], coords: Mapping[Any, xr.DataArray | xr.Variable]
) -> tuple[Hashable | None, Hashable | None]:
    """Returns the dims that are y and x, by their names or what their coordinates' CF attributes say; None: no such."""
    dims = list(dims)
    found: list[Hashable | None] = []
    for axis, names, standard, units in zip("YX", _NAMES, _STANDARD_NAMES, _DEGREES):
        named = [dim for dim in dims if str(dim).lower() in names]
        told = [
            dim for dim in dims
            if dim in coords
            and (_told(coords[dim], "axis") == axis or _told(coords[dim], "standard_name") in standard
                 or _told(coords[dim], "units").lower() in units)
        ]  # fmt: skip
        found.append(next(iter([*named, *told]), None))
    return found[0], found[1]


def is_place(variable: xr.DataArray | xr.Variable) -> bool:
    """Whether a variable says where pixels are: latitudes or longitudes, or distances in a projection."""
    return any(
        _told(variable, "standard_name") in standard or _told(variable, "units").lower() in units
        for standard, units in zip(_STANDARD_NAMES, _DEGREES)
    )


def _is_latitude(dim: Hashable, coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds latitudes, and not those of a rotated pole or distances in a projection."""
    told = _told(coordinate, "standard_name")
    if told in _STANDARD_NAMES[0]:
        return told == "latitude"
    return str(dim).lower() in ("lat", "latitude") or _told(coordinate, "units").lower() in _DEGREES[0]


def is_time(dim: Hashable, coords: Mapping[Any, xr.DataArray]) -> bool:
    """Whether a dim is time: by its name, its coordinate's type, or what CF attributes say."""
    if str(dim).lower() in ("time", "t", "date"):
        return True
    if dim not in coords:
        return False
    coordinate = coords[dim]
    is_calendar = coordinate.dtype.kind == "O" and coordinate.size > 0 and hasattr(coordinate.values[0], "calendar")
    told = _told(coordinate, "axis") == "T" or _told(coordinate, "standard_name") == "time"
    return coordinate.dtype.kind == "M" or is_calendar or told


def mapping_name(array: xr.DataArray) -> str:
    """Returns the name of the variable that holds an array's CRS."""
    stated = str(array.encoding.get("grid_mapping") or array.attrs.get("grid_mapping") or "spatial_ref")
    # The extended form, "crs: x y", names the coordinates that it holds for.
    return stated.split(":")[0].strip()


def array_grid(
    array: xr.DataArray, axes: tuple[Hashable, Hashable], name: str, mapping: Mapping[Hashable, Any] | None = None
) -> Grid:
    """Makes the grid of an array.

    The CRS is taken from the grid mapping, else from `attrs["crs"]`; else latitude and longitude are EPSG:4326. The
    coordinates of pixel centres make the transform, converted to the CRS's unit where they have another (km, the
    radians of geostationary views). Longitudes that jump from 360 to 0 or from 180 to -180 are taken to go on; beyond
    that they are left as they are: a grid of longitudes 0 to 360 has an extent of 0 to 360.

    Args:
        array: with dims `axes` among its own.
        axes: its dims y and x.
        name: for messages.
        mapping: attributes of its grid mapping; default: those of the coordinate that it names.

    Raises:
        SourceUnreadable: two-dimensional coordinates, uneven ones, or a CRS that is not understood.
    """
    y, x = axes
    height, width = array.sizes[y], array.sizes[x]
    if not mapping:
        coordinate = array.coords.get(mapping_name(array))
        mapping = {} if coordinate is None else coordinate.attrs
    crs = _crs(mapping, array.attrs, name)
    if crs is None and y in array.coords and _is_latitude(y, array.coords[y]):
        crs = CRS.from_epsg(4326)
    stated = _stated_transform(mapping)
    if y not in array.coords or x not in array.coords:
        if stated is None and any(coordinate.ndim == 2 for coordinate in array.coords.values()):
            raise SourceUnreadable(name, "its coordinates are two-dimensional (a curvilinear grid)", advice=REGRID)
        return Grid(crs, stated or Affine.identity(), height, width)
    left, step_x = _axis(array.coords[x], name, turn=crs is not None and crs.is_geographic)
    top, step_y = _axis(array.coords[y], name)
    if crs is not None and crs.is_projected:
        unit_x, unit_y = (_unit(array.coords[axis], crs, mapping) for axis in (x, y))
        left, step_x = left * unit_x, step_x and step_x * unit_x
        top, step_y = top * unit_y, step_y and step_y * unit_y
    # A single row or column does not say how wide it is.
    step_x = step_x or (stated.a if stated else abs(step_y or 1.0))
    step_y = step_y or (stated.e if stated else -abs(step_x))
    return Grid(crs, Affine(step_x, 0, left - step_x / 2, 0, step_y, top - step_y / 2), height, width)


def _axis(coordinate: xr.DataArray, name: str, *, turn: bool = False) -> tuple[float, float | None]:
    """Returns the first pixel centre and the spacing (None: only one pixel) of an evenly spaced coordinate."""
    if coordinate.dtype.kind not in "fiu":
        raise SourceUnreadable(
            name, f"its coordinate {coordinate.name} holds {coordinate.dtype}", advice="Expected numbers."
        )
    values = coordinate.values.astype(np.float64)
    if len(values) == 1:
        return float(values[0]), None
    if turn and np.isfinite(values).all():
        values = np.unwrap(values, period=360)
    step = (values[-1] - values[0]) / (len(values) - 1)
    rounding = np.finfo(coordinate.dtype).eps * np.abs(values).max() if coordinate.dtype.kind == "f" else 0.0
    uneven = np.abs(values - (values[0] + step * np.arange(len(values)))).max()
    if not step or not np.isfinite(step) or not uneven <= max(0.05 * abs(step), 2 * rounding):
        raise SourceUnreadable(name, f"its coordinate {coordinate.name} is not evenly spaced", advice=REGRID)
    return float(values[0]), float(step)


def _unit(coordinate: xr.DataArray, crs: CRS, mapping: Mapping[Hashable, Any]) -> float:
    """Units of a projected CRS in one unit of a coordinate."""
    unit = _told(coordinate, "units").lower()
    if unit in ("rad", "radian", "radians"):
        height = mapping.get("perspective_point_height", crs.to_cf().get("perspective_point_height", 1.0))
        return float(np.ravel(height)[0])
    metres = _METRES.get(unit)
    return 1.0 if metres is None else metres / crs.axis_info[0].unit_conversion_factor


def _crs(mapping: Mapping[Hashable, Any], attrs: Mapping[Hashable, Any], name: str) -> CRS | None:
    try:
        for key in ("crs_wkt", "spatial_ref"):
            if mapping.get(key):
                return CRS.from_wkt(str(mapping[key]))
        if "grid_mapping_name" in mapping:
            return _from_cf(frozenset((str(key), _plain(value)) for key, value in mapping.items()))
        if attrs.get("crs") is not None:
            return CRS.from_user_input(attrs["crs"])
    except (CRSError, KeyError, TypeError, ValueError) as error:
        raise SourceUnreadable(
            name, f"its CRS is not understood ({error})", advice="Set another, with .rio.write_crs."
        ) from error
    return None


@lru_cache(maxsize=256)
def _from_cf(mapping: frozenset[tuple[str, Any]]) -> CRS:
    """Cached: an ellipsoid without a name takes PROJ most of a second, and the files of a folder have the same."""
    return CRS.from_cf({key: list(value) if isinstance(value, tuple) else value for key, value in mapping})


def _plain(value: Any) -> Any:
    """Files give numbers as arrays of one."""
    values = np.ravel(value).tolist()
    return value if isinstance(value, str) else values[0] if len(values) == 1 else tuple(values)


def _stated_transform(mapping: Mapping[Hashable, Any]) -> Affine | None:
    text = str(mapping.get("GeoTransform", "")).split()
    return Affine.from_gdal(*map(float, text)) if len(text) == 6 else None


def _told(variable: xr.DataArray | xr.Variable, key: str) -> str:
    return str(variable.attrs.get(key, "")).strip()
