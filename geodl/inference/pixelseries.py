"""Cubes of dates as scenes, so that they go through the engine that maps scenes: what a pixel holds is its series."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from geodl.contract import Band, Contract, ModelInput
from geodl.data.datedcube import DatedCube
from geodl.data.resample import Method, Resample
from geodl.data.series.calendar import fit_days
from geodl.data.source import Source, Window
from geodl.data.timecube import cube_days, open_time_cube
from geodl.errors import BandMismatch, DatesMismatch
from geodl.inference.bandorder import in_band_order
from geodl.inference.seriesbatches import SeriesBatches

__all__ = ("Extent", "Factor", "PixelNetwork", "PixelSeries", "own_days", "series_cube")

_log = logging.getLogger("geodl")

Factor = float | Mapping[str, float]
"""A number, or one by band."""


class Extent(Protocol):
    """Part of a grid."""

    def mask(self, window: Window) -> np.ndarray:
        """Returns which pixels of a window belong to it: bool (height, width)."""
        ...


def series_cube(
    data: Any,
    contract: Contract,
    *,
    resample: Method | None = None,
    scale: Factor | None = None,
    offset: Factor | None = None,
) -> DatedCube:
    """Opens a cube with the bands of a network, in its order, without what its clouds hide.

    Args:
        data: what `open_time_cube` takes.
        contract: of the network: its bands, and what tells clouds. A cube without that band is taken as it is; a warning
            says so.
        resample: method by which rasters on several grids are brought onto the finest; default: as the contract says.
        scale: physical = stored × scale + offset, where the files do not state it: default: as in
            training, where the network learnt from such a cube, whose numbers were of the same type.
        offset: likewise.

    Raises:
        BandMismatch: a band is missing.
        UnitMismatch: a band has another unit.
        GeodlError: as `open_time_cube` raises.
    """
    wanted, cloud = contract.input.bands, contract.input.cloud_band
    clouds: dict[str, Any] = {"cloud_band": cloud, "cloud_values": contract.input.cloud_values}
    method = resample or contract.input.resample
    grids = None if method is None else Resample(method)  # type: ignore[arg-type]
    cube = None
    if not isinstance(data, DatedCube):
        # Products have to be told what is wanted of them.
        with contextlib.suppress(BandMismatch):
            cube = open_time_cube(data, bands=[band.name for band in wanted], resample=grids, **clouds)
    if cube is None:
        cube = open_time_cube(data, resample=grids)
        if cloud and cloud in {band.name for band in cube.bands}:
            cube = cube.clouded(cloud, contract.input.cloud_values)
        elif cloud and not isinstance(data, DatedCube):
            _log.warning("%s has no band %s, which tells clouds: all its observations are used.", cube.name, cloud)
        cube = in_band_order(cube, wanted)
    return _in_physical_units(in_band_order(cube, wanted), wanted, scale, offset)


def _in_physical_units(
    cube: DatedCube, wanted: Sequence[Band], scale: Factor | None, offset: Factor | None
) -> DatedCube:
    if scale is not None or offset is not None:
        return cube.stated(scale=scale, offset=offset, nodata=None)
    pairs = list(zip(cube.bands, wanted, strict=True))
    plain = [(own, asked) for own, asked in pairs if (own.scale, own.offset) == (1, 0) and own.dtype[0] in "iu"]
    known = [(own, asked) for own, asked in plain if own.dtype == asked.dtype and (asked.scale, asked.offset) != (1, 0)]
    if known:
        return cube.stated(
            scale={own.name: asked.scale for own, asked in known},
            offset={own.name: asked.offset for own, asked in known},
            nodata={own.name: asked.nodata for own, asked in known if own.nodata is None and asked.nodata is not None},
        )
    odd = [own for own, asked in plain if asked.dtype[0] == "f"]
    if odd:
        _log.warning(
            "%s: band %s holds whole numbers (%s) without a scale, and the network learnt from others: set scale (--scale) "
            "unless they are in its unit.",
            cube.name, odd[0].name, odd[0].dtype,
        )  # fmt: skip
    return cube


def own_days(days: np.ndarray, *, dated: bool, where: object, eaten: ModelInput) -> np.ndarray:
    """Returns the days of a source as a network counts them: of the year, or positions where it knows no dates.

    Args:
        days: (time,) or (series, time), not-a-number behind the end of shorter series.
        dated: whether they are days of the year.
        where: what they are of, for messages.
        eaten: input of the network.

    Raises:
        DatesMismatch: the network knows dates, and the source has none.
    """
    if eaten.dim("time").unit and not dated:
        raise DatesMismatch(
            where,
            expected="dates, which the network was trained with",
            received=f"{days.shape[-1]} observations without",
            advice="State them: a column, a time axis, or dates in the names of files.",
        )
    if eaten.dim("time").unit or not dated:
        return days
    return np.where(np.isfinite(days), np.arange(days.shape[-1], dtype=np.float32), np.float32(np.nan))


class PixelSeries(Source):
    """A cube of dates as a scene without dates: its bands are those of the first date, then those of the next, …

    A pixel is valid where anything was observed on any date.

    Args:
        cube: with times and the bands of a network.
        eaten: input of the network, whose dates are found in the cube; see `geodl.data.series.calendar.fit_days`.
        area: what lies outside is nodata, and not read where nothing lies inside.

    Raises:
        DatesMismatch: the dates do not fit.
        SeriesUnusable: the cube's times do not increase.
    """

    def __init__(self, cube: Source, eaten: ModelInput, *, area: Extent | None = None) -> None:
        days, year = cube_days(cube)
        found = own_days(days, dated=year is not None, where=cube.name, eaten=eaten)
        positions, fitted = fit_days(
            np.arange(len(days), dtype=np.float32)[:, None],
            found,
            eaten.days,
            fixed=eaten.dim("time").size,
            name=cube.name,
        )
        self.days = fitted.astype(np.float32)
        """float32 (date,): what the network is told of the dates."""
        self.dates = np.where(np.isfinite(positions[:, 0]), positions[:, 0], -1).astype(np.int64)
        """int64 (date,): which of the cube's they are, −1 where it has none."""
        self.name, self.grid, self.cube, self.area = cube.name, cube.grid, cube, area
        self.bands = tuple(
            replace(band, name=f"{band.name}_{k}", scale=1.0, offset=0.0, nodata=None)
            for k in range(len(self.days))
            for band in cube.bands
        )

    def inside(self, area: Extent) -> PixelSeries:
        """Returns the same scene, of which what lies outside of an area is nodata."""
        other = copy.copy(self)
        other.area = area
        return other

    @property
    def paths(self) -> tuple[str, ...]:
        """The cube's files, as far as it tells."""
        return tuple(getattr(self.cube, "paths", ()))

    def select(self, names: tuple[str, ...]) -> Source:
        """Returns the scene itself where all bands are meant, in their order. Raises `BandMismatch` otherwise."""
        own = tuple(band.name for band in self.bands)
        if names != own:
            raise BandMismatch(self.name, expected=own, received=names)
        return self

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        shape = int(window.height), int(window.width)
        values = np.full((*shape, len(self.days), len(self.cube.bands)), np.nan, np.float32)
        inside = None if self.area is None else self.area.mask(window)
        if inside is None or inside.any():
            known = np.flatnonzero(self.dates >= 0)
            # Neighbouring dates are read together.
            for run in np.split(known, np.flatnonzero(np.diff(self.dates[known]) > 1) + 1):
                wanted = slice(int(self.dates[run[0]]), int(self.dates[run[-1]]) + 1)
                read = self.cube.read(window, wanted)[0]
                values[:, :, run] = np.moveaxis(read, 0, 2)
            if inside is not None:
                values[~inside] = np.nan
        scene = values.reshape(*shape, -1)
        return scene, np.asarray(np.isfinite(scene).any(-1, keepdims=True))


class PixelNetwork:
    """A network for series as a network for scenes of `PixelSeries`.

    Args:
        batches: the network.
        days: (time,), of all pixels.
    """

    def __init__(self, batches: SeriesBatches, days: np.ndarray) -> None:
        self._batches, self._days = batches, days

    def __call__(self, scenes: np.ndarray) -> np.ndarray:
        """Returns logits (batch, height, width, classes) for (batch, height, width, dates × bands)."""
        logits, _ = self._batches(scenes.reshape(np.prod(scenes.shape[:3]), len(self._days), -1), self._days)
        return logits.reshape(*scenes.shape[:3], -1)
