"""Maps of dask-backed cubes of dates as dask graphs: pixels know nothing of one another, so that each chunk is one task."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import dask.array as da
import numpy as np

from geodl.contract import ModelInput
from geodl.data.cube import ArraySource
from geodl.data.source import Window, decode, name_bands
from geodl.inference.lazy import carried
from geodl.inference.mapper import Plan
from geodl.inference.pixelseries import Extent, PixelSeries
from geodl.inference.products import Products
from geodl.inference.request import Request

__all__ = ("lazy_series_map",)

_CHUNK = 64 << 20
"""Bytes of a chunk of the cube."""


def lazy_series_map(array: ArraySource, request: Request, plan: Plan, *, eaten: ModelInput) -> list[da.Array]:
    """Describes the map of a cube without computing any of it.

    Args:
        array: the cube as it was given, with times.
        request: what is asked, of the same cube.
        plan: of it.
        eaten: input of the network.

    Returns:
        One array (band, height, width) per layer.
    """
    series = request.source
    assert isinstance(series, PixelSeries)
    top, left, height, width = (
        int(n) for n in (request.window.row_off, request.window.col_off, request.window.height, request.window.width)
    )
    values = _values(array, series, eaten)[:, top : top + height, left : left + width]
    values = values.rechunk({0: -1, 1: "auto", 2: "auto", 3: -1}, block_size_limit=_CHUNK)
    run = carried(_Run(plan.network, series.dates, series.area, request.products))
    layers = request.products.layers
    chunks: list[list[list[da.Array]]] = [[] for _ in layers]
    for row, tall in zip(accumulate(values.chunks[1], initial=0), values.chunks[1], strict=False):
        for rows in chunks:
            rows.append([])
        for column, wide in zip(accumulate(values.chunks[2], initial=0), values.chunks[2], strict=False):
            block = values[:, row : row + tall, column : column + wide]
            arrays = run(block, top + row, left + column)
            for k, layer in enumerate(layers):
                shape = (len(layer.bands), tall, wide)
                chunks[k][-1].append(da.from_delayed(arrays[k], shape, layer.dtype))
    return [da.block(layer) for layer in chunks]


@dataclass(frozen=True)
class _Run:
    """Puts one chunk through the network."""

    network: Any
    dates: np.ndarray
    area: Extent | None
    products: Products

    def __call__(self, values: np.ndarray, row: int, column: int) -> list[np.ndarray]:
        _, height, width, bands = values.shape
        scene = np.full((height, width, len(self.dates), bands), np.nan, np.float32)
        known = np.flatnonzero(self.dates >= 0)
        scene[:, :, known] = np.moveaxis(values[self.dates[known]], 0, 2)
        if self.area is not None:
            scene[~self.area.mask(Window(column, row, width, height))] = np.nan
        scene = scene.reshape(1, height, width, -1)
        return self.products(self.network(scene)[0], np.isfinite(scene[0]).any(-1))


def _values(array: ArraySource, series: PixelSeries, eaten: ModelInput) -> da.Array:
    """What `series.cube` would read, as a dask array (time, y, x, band)."""
    assert array.times is not None
    bands = series.cube.bands
    named = name_bands(array, [band.name for band in bands])
    stated = [
        (k, band) for k, (band, own) in enumerate(zip(bands, named.bands, strict=True)) if band.scale != own.scale
        or band.offset != own.offset or band.nodata != own.nodata
    ]  # fmt: skip
    values = named.lazy()
    if stated:
        values = values.rechunk({3: -1}).map_blocks(_in_physical_units, stated, dtype=np.float32)
    if eaten.cloud_band and eaten.cloud_band in {band.name for band in array.bands}:
        codes = array.select((eaten.cloud_band,)).lazy()
        cloudy = da.isin(codes, np.array(eaten.cloud_values, np.float32))
        values = da.where(cloudy, np.float32(np.nan), values)
    order = np.argsort(array.times, kind="stable")
    return values if (order == np.arange(len(order))).all() else values[order]


def _in_physical_units(values: np.ndarray, stated: list[tuple[int, Any]]) -> np.ndarray:
    values = values.copy()
    for k, band in stated:
        values[..., k] = decode(values[..., k], band)
    return values
