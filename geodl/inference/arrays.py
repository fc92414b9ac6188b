"""Maps in memory: `xarray` objects on the grid of what they were made from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

from geodl.data.cube import ArraySource
from geodl.data.source import Grid, Source, Window
from geodl.inference.products import Layer

__all__ = ("MemorySink", "to_xarray")


class MemorySink:
    """A sink that keeps the layers of a map in memory, each of shape (band, height, width)."""

    def __init__(self, layers: Sequence[Layer], height: int, width: int) -> None:
        self.arrays = [np.full((len(layer.bands), height, width), layer.nodata, layer.dtype) for layer in layers]

    def write(self, row: int, column: int, arrays: list[np.ndarray]) -> None:
        """Stores a block; see `Sink`."""
        for kept, array in zip(self.arrays, arrays, strict=True):
            kept[:, row : row + array.shape[1], column : column + array.shape[2]] = array


def to_xarray(
    layers: Sequence[Layer], arrays: Sequence[Any], source: Source, window: Window, *, scale: int = 1
) -> xr.DataArray | xr.Dataset:
    """Wraps the layers of a map.

    Args:
        layers: what they are; the first one is the map itself.
        arrays: numpy or dask arrays of shape (band, height, width), one per layer.
        source: the scene. Where it is an xarray object, the names and coordinates of its axes are kept.
        window: the part that was mapped, in input pixels.
        scale: output pixels per input pixel.

    Returns:
        The map: dims (y, x) for classes, (band, y, x) for bands. With more than one layer, a Dataset of them.
        Classes carry CF attributes (`flag_values`, `flag_meanings`, `flag_colors`), nodata is `_FillValue`.
    """
    grid = source.grid.crop(window).finer(scale)
    dims, coordinates = _axes(source, grid, window, scale)
    found = {}
    for layer, array in zip(layers, arrays, strict=True):
        single = len(layer.bands) == 1 and layer.name not in ("bands", "residual")
        names = {} if single else {"band": [band.name for band in layer.bands]}
        wrapped = xr.DataArray(
            array[0] if single else array,
            dims=dims if single else ("band", *dims),
            coords={**names, **coordinates},
            name=layer.name,
            attrs=_attributes(layer),
        )
        if grid.crs is not None:
            wrapped = wrapped.rio.write_crs(grid.crs).rio.write_transform(grid.transform)
        found[layer.name] = wrapped.rio.write_nodata(layer.nodata)
    return found[layers[0].name] if len(layers) == 1 else xr.Dataset(found)


def _attributes(layer: Layer) -> dict[str, Any]:
    if layer.classes:
        return {
            "long_name": "class",
            "flag_values": np.array([c.value for c in layer.classes], layer.dtype),
            "flag_meanings": " ".join("_".join(c.name.split()) for c in layer.classes),
            "flag_colors": " ".join(c.colour for c in layer.classes),
        }
    units = {band.unit for band in layer.bands}
    return {
        "long_name": layer.description or layer.name,
        **({"units": units.pop()} if len(units) == 1 and units != {""} else {}),
    }


def _axes(
    source: Source, grid: Grid, window: Window, scale: int
) -> tuple[tuple[Hashable, Hashable], Mapping[Hashable, Any]]:
    """Names of the axes y and x, and their coordinates: the scene's own, else pixel centres."""
    t = grid.transform
    straight = t.b == t.d == 0
    y, x = t.f + t.e * (np.arange(grid.height) + 0.5), t.c + t.a * (np.arange(grid.width) + 0.5)
    if not isinstance(source, ArraySource):
        return ("y", "x"), {"y": y, "x": x} if straight else {}
    template = source.template
    dims = template.dims[0], template.dims[1]
    kept = {name: value for name, value in template.coords.items() if value.ndim == 0 and name not in (*dims, "band")}
    for dim, values, offset, size in zip(
        dims, (y, x), (window.row_off, window.col_off), (window.height, window.width), strict=True
    ):
        if dim in template.coords:
            own = template.coords[dim][int(offset) : int(offset + size)]
            kept[dim] = own.variable if scale == 1 else xr.Variable((dim,), values, own.attrs)
    return dims, kept
