"""Arrays as sources: `xarray.DataArray`, `xarray.Dataset` (in memory, dask, or lazily from files) and `numpy`."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import dask
import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from pyproj import CRS

from geodl.contract import Band
from geodl.data.cubegrid import array_grid, find_axes, is_place, is_time, mapping_name
from geodl.data.packing import Packing
from geodl.data.source import Grid, Source, Window, find_bands, finite_nodata, name_bands
from geodl.data.timeaxis import read_times
from geodl.errors import SourceUnreadable

__all__ = ("ArraySource", "open_array", "open_cube")

_SCALES = ("scale_factor", "scales")
_OFFSETS = ("add_offset", "offsets")
_FILL = ("_FillValue", "nodata")
_ADVICE = "Expected dims (band, y, x), (y, x, band) or (y, x), and time; or a Dataset whose variables over them are the bands."


def open_cube(
    thing: xr.DataArray | xr.Dataset | np.ndarray,
    *,
    name: str | None = None,
    bands: Sequence[str] | None = None,
    as_stored: bool = False,
) -> ArraySource:
    """Opens an array as a source. Only what is read of it is ever computed.

    Args:
        thing: a `DataArray` with dims y and x (or lat, lon, …), perhaps time, and at most one more, the bands; a
            `Dataset` whose variables over y and x are the bands; or an array of shape (height, width[, band]), see
            `open_array`. One time is no time: such a source has none. The CRS is taken from the grid mapping
            (`spatial_ref`, as rioxarray writes it, or as CF conventions have it) or from `attrs["crs"]`; without one,
            latitude and longitude are EPSG:4326 and anything else is without CRS. The coordinates of pixel centres
            make the transform. Scale, offset and nodata found in `attrs` are applied; those in `encoding` have been
            already, by xarray.
        name: default: the array's name.
        bands: the bands to take, in this order; an array whose bands have no names takes these.
        as_stored: the values are as a file stores them, so that its `valid_min`, `valid_max` and `valid_range` hold.

    Raises:
        SourceUnreadable: other dims, complex numbers, or coordinates that are not evenly spaced.
        BandMismatch: one of `bands` is missing.

    Example:

    >>> scene = xr.DataArray(np.ones((2, 4, 5)), dims=("band", "y", "x"))
    >>> open_cube(scene).read()[0].shape
    (4, 5, 2)
    """
    if isinstance(thing, xr.Dataset):
        source = _from_variables(_band_variables(thing, name or "dataset"), name or "dataset", thing, as_stored)
    elif isinstance(thing, xr.DataArray):
        called = name or (str(thing.name) if thing.name is not None else "array")
        source = _from_variables({"": thing}, called, None, as_stored)
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
    part = _part(array, name, as_stored=False)
    grid = Grid(None if crs is None else CRS.from_user_input(crs), transform or Affine.identity(), *values.shape[:2])
    source = ArraySource([part], grid, _bands(part), name)
    return source if bands is None else name_bands(source, bands)


@dataclass(frozen=True)
class _Part:
    """One array of a scene, and which of its dims is which. Its dims stay in their order, so that it stays lazy."""

    array: xr.DataArray
    y: Hashable
    x: Hashable
    band: Hashable | None
    time: Hashable | None
    packing: Packing

    @property
    def dims(self) -> tuple[Hashable, ...]:
        return tuple(dim for dim in (self.time, self.y, self.x, self.band) if dim is not None)

    @property
    def count(self) -> int:
        return 1 if self.band is None else self.array.sizes[self.band]


class ArraySource(Source):
    """A scene, or a cube of several times, held by arrays that each have one or several bands."""

    def __init__(
        self,
        parts: Sequence[_Part],
        grid: Grid,
        bands: Sequence[Band],
        name: str,
        times: np.ndarray | None = None,
    ) -> None:
        """Use `open_cube` or `open_array`."""
        self.name, self.grid, self.bands, self.times = name, grid, tuple(bands), times
        self._parts = tuple(parts)
        self._places = tuple((number, k) for number, part in enumerate(parts) for k in range(part.count))

    @property
    def parts(self) -> tuple[_Part, ...]:
        """The arrays that hold the bands."""
        return self._parts

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same scene with these bands in this order. Raises `BandMismatch` where one is missing."""
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other._places = tuple(self._places[k] for k in positions)
        return other

    @property
    def template(self) -> xr.DataArray:
        """The first of the arrays, of dims (y, x, …) under their own names: it has the coordinates of y and x."""
        part = self._parts[0]
        return part.array.transpose(part.y, part.x, ...)

    @property
    def is_lazy(self) -> bool:
        """Whether any of the bands is held by dask."""
        return any(self._parts[number].array.chunks is not None for number, _ in self._places)

    def lazy(self) -> da.Array:
        """Returns what `read` would, as a dask array ([time,] y, x, band), chunked as the scene is."""
        planes = []
        for (number, k), band in zip(self._places, self.bands, strict=True):
            part = self._parts[number]
            array = part.array if part.band is None else part.array.isel({part.band: k})
            stored = da.asarray(array.transpose(*(dim for dim in part.dims if dim != part.band)).data)
            planes.append(stored.map_blocks(part.packing.decode, band, dtype=np.float32))
        return da.stack(da.broadcast_arrays(*planes) if self.times is not None else planes, axis=-1)

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        columns = slice(int(window.col_off), int(window.col_off + window.width))
        wanted = {number: sorted({k for owner, k in self._places if owner == number}) for number, _ in self._places}
        pieces = {}
        for number, chosen in wanted.items():
            part = self._parts[number]
            where: dict[Hashable, Any] = {part.y: rows, part.x: columns}
            if part.band is not None:
                where[part.band] = chosen
            if part.time is not None:
                where[part.time] = times or slice(None)
            pieces[number] = part.array.isel(where).variable
        # One computation for all bands, so that what they share is computed once.
        stored = dict(zip(pieces, dask.compute(*pieces.values())))
        for number, piece in stored.items():
            # Loaded first: turning the axes of what still lies in a file would make it read element by element.
            stored[number] = piece.load().transpose(*self._parts[number].dims).values
        lead = () if self.times is None else (len(self.times[times or slice(None)]),)
        values = np.empty((*lead, rows.stop - rows.start, columns.stop - columns.start, len(self.bands)), np.float32)
        for axis, (number, k) in enumerate(self._places):
            part = self._parts[number]
            plane = stored[number] if part.band is None else stored[number][..., wanted[number].index(k)]
            values[..., axis] = part.packing.decode(plane, self.bands[axis])
        return values, np.isfinite(values)


def _band_variables(dataset: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    """The variables of a data set over y and x that hold measurements, and not times or places."""
    axes = find_axes(dataset.sizes, dataset.coords)
    over = {
        str(key): array for key, array in dataset.data_vars.items() if None not in axes and set(axes) <= set(array.dims)
    }
    variables = {key: array for key, array in over.items() if array.dtype.kind not in "mMOSU" and not is_place(array)}
    if not variables:
        raise SourceUnreadable(name, f"no variable has dims y and x; there are {_sizes(dataset.sizes)}", advice=_ADVICE)
    # Latitudes and longitudes of every pixel that are not marked as coordinates still tell of a curvilinear grid.
    places = {key: array.variable for key, array in over.items() if is_place(array)}
    return {key: array.assign_coords(places) for key, array in variables.items()}


def _from_variables(
    variables: Mapping[str, xr.DataArray], name: str, dataset: xr.Dataset | None, as_stored: bool
) -> ArraySource:
    parts, bands = [], []
    for key, array in variables.items():
        part = _part(array, f"{name}: {key}" if dataset is not None else name, as_stored=as_stored)
        own = _bands(part)
        parts.append(part)
        if len(own) == 1 and key:
            own = [replace(own[0], name=key)]
        elif len(variables) > 1:
            own = [replace(band, name=f"{key}_{band.name}") for band in own]
        bands += own
    axes = {part.time for part in parts if part.time is not None}
    if len(axes) > 1:
        raise SourceUnreadable(
            name,
            f"its variables have several time axes ({', '.join(map(str, axes))})",
            advice="Choose variables with one.",
        )
    first = parts[0]
    mapping = None if dataset is None else dataset.variables.get(mapping_name(first.array))
    grid = array_grid(first.array, (first.y, first.x), name, {} if mapping is None else mapping.attrs)
    timed = next((part for part in parts if part.time is not None), None)
    times = None if timed is None else read_times(timed.array, timed.time)
    return ArraySource(parts, grid, bands, name, times)


def _part(array: xr.DataArray, name: str, *, as_stored: bool) -> _Part:
    """Finds out which dim of an array is which; dims other than y, x, time and bands must have size 1."""
    if array.dtype.kind not in "fiub":
        raise SourceUnreadable(name, f"its values are {array.dtype}", advice="Expected real numbers.")
    y, x = find_axes(array.dims, array.coords)
    if y is None or x is None:
        raise SourceUnreadable(name, f"no dims y and x among {_sizes(array.sizes)}", advice=_ADVICE)
    if 0 in array.shape:
        raise SourceUnreadable(name, f"it is empty ({_sizes(array.sizes)})", advice=_ADVICE)
    rest = [dim for dim in array.dims if dim not in (y, x)]
    timely = [dim for dim in rest if is_time(dim, array.coords)]
    # A single band stays a dim, because its coordinate may name it.
    spare = [dim for dim in rest if dim not in timely]
    squeezed = [dim for dim in rest if array.sizes[dim] == 1 and (dim in timely or len(spare) > 1)]
    times = [dim for dim in timely if dim not in squeezed]
    others = [dim for dim in rest if dim not in squeezed and dim not in times]
    if len(others) > 1 or len(times) > 1:
        raise SourceUnreadable(name, f"its dims are {_sizes(array.sizes)}", advice=_ADVICE)
    array = array.isel(dict.fromkeys(squeezed, 0))
    packing = Packing.of(array.attrs, array.dtype, limits=as_stored)
    for key in ("units", *_SCALES, *_OFFSETS, *_FILL, "nodatavals"):
        _check_count(array.attrs.get(key), array.sizes[others[0]] if others else 1, key, name)
    return _Part(array, y, x, others[0] if others else None, times[0] if times else None, packing)


def _bands(part: _Part) -> list[Band]:
    """Describes the bands of an array."""
    attrs, count = part.array.attrs, part.count
    nodata: Any = part.packing.missing[0] if part.packing.missing else attrs.get("nodatavals")
    per_band = next((attrs[key] for key in _FILL if np.size(attrs.get(key, "")) > 1), None)
    if per_band is not None:
        nodata = per_band
    elif nodata is None and part.array.dtype.kind in "iu":
        # Integers can't have been masked while reading, so what the encoding says still holds.
        nodata = part.array.encoding.get("_FillValue")
    stated = {
        "unit": _each(attrs.get("units"), count, ""),
        "scale": _each(_first(attrs, _SCALES), count, 1.0),
        "offset": _each(_first(attrs, _OFFSETS), count, 0.0),
        "nodata": _each(nodata, count, None),
    }
    names = _band_names(part)
    return [
        Band(
            name=names[k],
            unit=str(stated["unit"][k] or ""),
            dtype=str(part.packing.dtype.newbyteorder("=")),
            scale=float(stated["scale"][k]),
            offset=float(stated["offset"][k]),
            nodata=finite_nodata(stated["nodata"][k]),
        )
        for k in range(count)
    ]


def _band_names(part: _Part) -> list[str]:
    array, count = part.array, part.count
    in_order = part.band in array.coords and array.coords[part.band].ndim == 1
    labels = array.coords[part.band].values if in_order else np.array([])
    described = array.attrs.get("long_name")
    if labels.dtype.kind in "UTO" and len(labels) == count and len({str(label) for label in labels}) == count:
        return [str(label) for label in labels]
    if isinstance(described, (tuple, list)) and len(described) == count == len(set(described)) and all(described):
        return [str(text) for text in described]
    if count == 1:
        own = described if isinstance(described, str) and described else array.name
        if own is not None and not str(own).startswith("__"):
            return [str(own)]
    return [f"band_{k}" for k in range(1, count + 1)]


def _first(attrs: Mapping[Hashable, Any], keys: Sequence[str]) -> Any:
    return next((attrs[key] for key in keys if key in attrs), None)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (tuple, list, np.ndarray)) and np.ndim(value) else [value]


def _each(value: Any, count: int, default: Any) -> list[Any]:
    """Spreads one value over all bands; takes a list with one value for each as it is."""
    values = _listed(value) or [default]
    return values if len(values) == count else [values[0]] * count


def _check_count(value: Any, count: int, key: str, name: str) -> None:
    """Refuses different values for more or fewer bands than there are: a selection of bands leaves them all behind."""
    values = _listed(value)
    if len(values) not in (1, count) and len({str(one) for one in values}) > 1:
        raise SourceUnreadable(
            name,
            f"its attribute {key} has {len(values)} values, and its bands are {count}",
            advice="Give one for each.",
        )


def _sizes(sizes: Mapping[Hashable, int]) -> str:
    return ", ".join(f"{dim}: {size}" for dim, size in sizes.items())
