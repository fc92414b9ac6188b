"""Arrays as sources: `xarray.DataArray`, `xarray.Dataset` (in memory, dask, NetCDF, Zarr) and `numpy`."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import dask
import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError

from geodl.contract import Band
from geodl.data.source import Grid, Source, Window, decode, find_bands, finite_nodata, name_bands
from geodl.errors import SourceUnreadable

__all__ = ("ArraySource", "open_array", "open_cube")

_Y = ("y", "lat", "latitude", "northing", "nav_lat", "row")
_X = ("x", "lon", "longitude", "easting", "nav_lon", "col")
_DEGREES = ("lat", "latitude")
_NODATA = ("_FillValue", "missing_value", "fill_value", "nodata")
_ADVICE = "Expected dims (band, y, x), (y, x, band) or (y, x), or a Dataset whose variables are the bands."


def open_cube(
    thing: xr.DataArray | xr.Dataset | np.ndarray, *, name: str | None = None, bands: Sequence[str] | None = None
) -> ArraySource:
    """Opens an array as a source. Only what is read of it is ever computed.

    Args:
        thing: a `DataArray` with dims among y, x (or lat, lon, …) and at most one more, the bands; a `Dataset` whose
            variables over y and x are the bands; or an array of shape (height, width[, band]), see `open_array`.
            The CRS is taken from the grid mapping (`spatial_ref`, as rioxarray writes it) or from `attrs["crs"]`;
            without one, latitude and longitude are EPSG:4326 and anything else is without CRS. The coordinates of pixel
            centres make the transform. Scale, offset and nodata found in `attrs` are applied; those in `encoding` have
            been already, by xarray.
        name: default: the array's name.
        bands: the bands to take, in this order; an array whose bands have no names takes these.

    Raises:
        SourceUnreadable: other dims, several times, complex numbers, or coordinates that are not evenly spaced.
        BandMismatch: one of `bands` is missing.

    Example:

    >>> scene = xr.DataArray(np.ones((2, 4, 5)), dims=("band", "y", "x"))
    >>> open_cube(scene).read()[0].shape
    (4, 5, 2)
    """
    if isinstance(thing, xr.Dataset):
        source = _from_dataset(thing, name or "dataset")
    elif isinstance(thing, xr.DataArray):
        called = name or (str(thing.name) if thing.name is not None else "array")
        parts = [_spatial(thing, called)]
        source = ArraySource(parts, _grid(thing, parts[0], called), _bands(parts[0]), called)
    elif isinstance(thing, np.ndarray):
        return open_array(thing, name=name or "array", bands=bands)
    else:
        raise SourceUnreadable(
            f"a {type(thing).__name__}", "it is none of the kinds that are known",
            advice="Expected a path, a mapping of bands to paths, a DataArray, a Dataset or a numpy array.",
        )  # fmt: skip
    return source if bands is None else name_bands(source, bands)


def open_array(
    values: np.ndarray,
    *,
    bands: Sequence[str] | None = None,
    crs: Any = None,
    transform: Affine | None = None,
    nodata: float | None = None,
    name: str = "array",
) -> ArraySource:
    """Opens an array of shape (height, width, band) or (height, width), in physical units, as a source.

    Args:
        values: not-a-number, and masked elements of a masked array, are nodata.
        bands: names of the bands; default: `band_1`, `band_2`, …
        crs: anything that `pyproj.CRS` understands; default: none, a plain pixel grid.
        transform: from (column, row) of upper-left pixel corners to CRS coordinates; default: pixels.
        nodata: value that means nodata.
        name: of the scene.

    Raises:
        SourceUnreadable: another number of dims, or complex numbers.
        BandMismatch: not as many names as bands.
    """
    if np.ma.isMaskedArray(values):
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    if values.ndim not in (2, 3):
        raise SourceUnreadable(
            name, f"it has {values.ndim} dims", advice="Expected shape (height, width, band) or (height, width)."
        )
    array = xr.DataArray(values, dims=("y", "x", "band")[: values.ndim])
    if nodata is not None:
        array.attrs["nodata"] = nodata
    part = _spatial(array, name)
    grid = Grid(None if crs is None else CRS.from_user_input(crs), transform or Affine.identity(), *values.shape[:2])
    source = ArraySource([part], grid, _bands(part), name)
    return source if bands is None else name_bands(source, bands)


class ArraySource(Source):
    """A scene held by arrays with dims (y, x, band), each with one or several bands."""

    def __init__(self, parts: Sequence[xr.DataArray], grid: Grid, bands: Sequence[Band], name: str) -> None:
        """Use `open_cube` or `open_array`."""
        self.name, self.grid, self.bands = name, grid, tuple(bands)
        self._parts = tuple(parts)
        self._places = tuple((part, k) for part, array in enumerate(parts) for k in range(array.shape[2]))

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same scene with these bands in this order. Raises `BandMismatch` where one is missing."""
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other._places = tuple(self._places[k] for k in positions)
        return other

    @property
    def template(self) -> xr.DataArray:
        """The first of the arrays, of dims (y, x, band) under their own names: it has the coordinates of y and x."""
        return self._parts[0]

    @property
    def is_lazy(self) -> bool:
        """Whether any of the bands is held by dask."""
        return any(self._parts[part].chunks is not None for part, _ in self._places)

    def lazy(self) -> da.Array:
        """Returns what `read` would, as a dask array (y, x, band), chunked as the scene is."""
        planes = [
            da.asarray(self._parts[part].data)[..., k].map_blocks(decode, band, dtype=np.float32)
            for (part, k), band in zip(self._places, self.bands, strict=True)
        ]
        return da.stack(planes, axis=-1)

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        columns = slice(int(window.col_off), int(window.col_off + window.width))
        wanted = {part: sorted({k for owner, k in self._places if owner == part}) for part, _ in self._places}
        pieces = {part: self._parts[part][rows, columns, chosen] for part, chosen in wanted.items()}
        # One computation for all bands, so that what they share is computed once.
        stored = dict(zip(pieces, dask.compute(*(piece.variable for piece in pieces.values()))))
        values = np.empty((rows.stop - rows.start, columns.stop - columns.start, len(self.bands)), np.float32)
        for axis, (part, k) in enumerate(self._places):
            values[..., axis] = decode(stored[part].values[..., wanted[part].index(k)], self.bands[axis])
        return values, np.isfinite(values)


def _from_dataset(dataset: xr.Dataset, name: str) -> ArraySource:
    axes = [_find(dataset.sizes, known) for known in (_Y, _X)]
    variables = {
        str(key): array for key, array in dataset.data_vars.items() if None not in axes and set(axes) <= set(array.dims)
    }
    if not variables:
        raise SourceUnreadable(name, f"no variable has dims y and x; there are {_sizes(dataset.sizes)}", advice=_ADVICE)
    parts, bands = [], []
    for key, array in variables.items():
        part = _spatial(array, f"{name}: {key}")
        own = _bands(part)
        parts.append(part)
        bands += [replace(band, name=key if len(own) == 1 else f"{key}_{band.name}") for band in own]
    first = next(iter(variables.values()))
    mapping = dataset.variables.get(_mapping_name(first))
    return ArraySource(parts, _grid(first, parts[0], name, {} if mapping is None else mapping.attrs), bands, name)


def _spatial(array: xr.DataArray, name: str) -> xr.DataArray:
    """Brings an array to dims (y, x, band); other dims must have size 1."""
    if array.dtype.kind not in "fiub":
        raise SourceUnreadable(name, f"its values are {array.dtype}", advice="Expected real numbers.")
    y, x = (_find(array.sizes, known) for known in (_Y, _X))
    if y is None or x is None:
        raise SourceUnreadable(name, f"no dims y and x among {_sizes(array.sizes)}", advice=_ADVICE)
    rest = [dim for dim in array.dims if dim not in (y, x)]
    squeezed = [dim for dim in rest if array.sizes[dim] == 1 and (len(rest) > 1 or _is_time(array, dim))]
    rest = [dim for dim in rest if dim not in squeezed]
    if any(_is_time(array, dim) for dim in rest):
        raise SourceUnreadable(
            name, f"it has several times ({_sizes(array.sizes)})", advice="Choose one, with .isel(time=0)."
        )
    if len(rest) > 1:
        raise SourceUnreadable(name, f"its dims are {_sizes(array.sizes)}", advice=_ADVICE)
    if 0 in array.shape:
        raise SourceUnreadable(name, f"it is empty ({_sizes(array.sizes)})", advice=_ADVICE)
    array = array.isel(dict.fromkeys(squeezed, 0))
    if not rest:
        array = array.expand_dims("band", axis=-1)
        rest = ["band"]
    return array.transpose(y, x, rest[0])


def _grid(array: xr.DataArray, part: xr.DataArray, name: str, mapping: Mapping[Hashable, Any] | None = None) -> Grid:
    y, x = part.dims[:2]
    height, width = part.shape[:2]
    if not mapping:
        coordinate = array.coords.get(_mapping_name(array))
        mapping = {} if coordinate is None else coordinate.attrs
    crs = _crs(mapping, array.attrs, name)
    if crs is None and str(y).lower() in _DEGREES and y in part.coords:
        crs = CRS.from_epsg(4326)
    stated = _stated_transform(mapping)
    if y not in part.coords or x not in part.coords:
        if any(coordinate.ndim == 2 for coordinate in part.coords.values()) and stated is None:
            raise SourceUnreadable(
                name,
                "its coordinates are two-dimensional (a curvilinear grid)",
                advice="Resample it onto a regular grid first.",
            )
        return Grid(crs, stated or Affine.identity(), height, width)
    left, step_x = _axis(part[x], name)
    top, step_y = _axis(part[y], name)
    # A single row or column does not say how wide it is.
    step_x = step_x or (stated.a if stated else abs(step_y or 1.0))
    step_y = step_y or (stated.e if stated else -abs(step_x))
    return Grid(crs, Affine(step_x, 0, left - step_x / 2, 0, step_y, top - step_y / 2), height, width)


def _axis(coordinate: xr.DataArray, name: str) -> tuple[float, float | None]:
    """Returns the first pixel centre and the spacing (None: only one pixel) of an evenly spaced coordinate."""
    if coordinate.dtype.kind not in "fiu":
        raise SourceUnreadable(
            name, f"its coordinate {coordinate.name} holds {coordinate.dtype}", advice="Expected numbers."
        )
    values = coordinate.values.astype(np.float64)
    if len(values) == 1:
        return float(values[0]), None
    step = (values[-1] - values[0]) / (len(values) - 1)
    rounding = np.finfo(coordinate.dtype).eps * np.abs(values).max() if coordinate.dtype.kind == "f" else 0.0
    uneven = np.abs(values - (values[0] + step * np.arange(len(values)))).max()
    if not step or not np.isfinite(step) or not uneven <= max(0.05 * abs(step), 2 * rounding):
        raise SourceUnreadable(
            name,
            f"its coordinate {coordinate.name} is not evenly spaced",
            advice="Resample it onto a regular grid first.",
        )
    return float(values[0]), float(step)


def _crs(mapping: Mapping[Hashable, Any], attrs: Mapping[Hashable, Any], name: str) -> CRS | None:
    try:
        for key in ("crs_wkt", "spatial_ref"):
            if mapping.get(key):
                return CRS.from_wkt(str(mapping[key]))
        if "grid_mapping_name" in mapping:
            return CRS.from_cf({str(key): value for key, value in mapping.items()})
        if attrs.get("crs") is not None:
            return CRS.from_user_input(attrs["crs"])
    except CRSError as error:
        raise SourceUnreadable(
            name, f"its CRS is not understood ({error})", advice="Set another, with .rio.write_crs."
        ) from error
    return None


def _stated_transform(mapping: Mapping[Hashable, Any]) -> Affine | None:
    text = str(mapping.get("GeoTransform", "")).split()
    return Affine.from_gdal(*map(float, text)) if len(text) == 6 else None


def _mapping_name(array: xr.DataArray) -> str:
    return str(array.encoding.get("grid_mapping") or array.attrs.get("grid_mapping") or "spatial_ref")


def _bands(part: xr.DataArray) -> list[Band]:
    """Describes the bands of an array with dims (y, x, band)."""
    attrs, count = part.attrs, part.shape[2]
    names = _band_names(part)
    nodata = next((attrs[key] for key in _NODATA if attrs.get(key) is not None), attrs.get("nodatavals"))
    if nodata is None and part.dtype.kind in "iu":
        # Integers can't have been masked while reading, so what the encoding says still holds.
        nodata = part.encoding.get("_FillValue")
    per_band = {
        "unit": _each(attrs.get("units"), count, ""),
        "scale": _each(attrs.get("scale_factor", attrs.get("scales")), count, 1.0),
        "offset": _each(attrs.get("add_offset", attrs.get("offsets")), count, 0.0),
        "nodata": _each(nodata, count, None),
    }
    return [
        Band(
            name=names[k],
            unit=str(per_band["unit"][k] or ""),
            dtype=str(part.dtype),
            scale=float(per_band["scale"][k]),
            offset=float(per_band["offset"][k]),
            nodata=finite_nodata(per_band["nodata"][k]),
        )
        for k in range(count)
    ]


def _band_names(part: xr.DataArray) -> list[str]:
    count, dim = part.shape[2], part.dims[2]
    labels = part.coords[dim].values if dim in part.coords and part.coords[dim].ndim == 1 else np.array([])
    described = part.attrs.get("long_name")
    if labels.dtype.kind in "UTO" and len(labels) == count and len({str(label) for label in labels}) == count:
        return [str(label) for label in labels]
    if isinstance(described, (tuple, list)) and len(described) == count == len(set(described)) and all(described):
        return [str(text) for text in described]
    if count == 1:
        own = described if isinstance(described, str) and described else part.name
        if own is not None and not str(own).startswith("__"):
            return [str(own)]
    return [f"band_{k}" for k in range(1, count + 1)]


def _each(value: Any, count: int, default: Any) -> list[Any]:
    """Spreads one value over all bands; takes a list with one value for each as it is."""
    if value is None:
        return [default] * count
    values = list(value) if isinstance(value, (tuple, list, np.ndarray)) and np.ndim(value) else [value]
    return values if len(values) == count else [values[0]] * count


def _find(sizes: Mapping[Hashable, int], known: Sequence[str]) -> Hashable | None:
    return next((dim for dim in sizes if str(dim).lower() in known), None)


def _is_time(array: xr.DataArray, dim: Hashable) -> bool:
    return str(dim).lower() in ("time", "t", "date") or (dim in array.coords and array.coords[dim].dtype.kind == "M")


def _sizes(sizes: Mapping[Hashable, int]) -> str:
    return ", ".join(f"{dim}: {size}" for dim, size in sizes.items())
