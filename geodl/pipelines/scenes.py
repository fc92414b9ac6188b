"""The scenes of a data set: opened with the bands and the pixel size that a recipe, or a trained network, asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from geodl.contract import Contract
from geodl.data.files import is_local
from geodl.data.opening import needs_bands, open_source
from geodl.data.pixelsize import TOLERANCE, metres_per_pixel, to_pixel_size
from geodl.data.raster import RasterSource
from geodl.data.resample import Resample
from geodl.data.source import Source, one_time
from geodl.data.undeclared import warn_of_nodata
from geodl.errors import BandMismatch
from geodl.inference.fitting import fit_source
from geodl.recipe import Data

__all__ = ("open_fitting", "open_scenes", "resampling")

_LOG = logging.getLogger("geodl")
_LOOKED = 3
"""Scenes that are looked at for nodata that is not stated; others of a data set are likely alike."""
_ADVICE = (
    "Set data.resample to bilinear, or another method, to bring all scenes to one pixel size (data.resolution, or the "
    "first scene's)."
)
_FITTING = "Set data.resample to bilinear, or another method, to bring the scene to the network's pixel size."


def resampling(data: Data) -> Resample | None:
    """Returns how the files of a scene are brought onto one grid, or None where the recipe does not say so."""
    return None if data.resample is None else Resample(data.resample)


def open_scenes(
    scenes: Sequence[tuple[str, Any]], data: Data, *, see: Callable[[Source], Source] | None = None
) -> list[Source]:
    """Opens the scenes that a network learns from.

    Args:
        scenes: (name, spec) of each, as `find_scenes` gives them.
        data: of the recipe. Its bands, else those of the first scene, are taken of all; its resolution, else the first
            scene's pixel size, must be that of all to within a tenth, or `resample` says how they are brought to it.
        see: makes of each scene what is learnt from; its bands are then compared.

    Raises:
        BandMismatch: a scene lacks one of the bands.
        ResolutionMismatch: a scene has another pixel size, and `resample` is not given.
    """
    named = None if data.bands == "auto" else data.bands
    sources: list[Source] = []
    for name, spec in scenes:
        bands = [band.name for band in sources[0].bands] if sources and see is None and needs_bands(spec) else named
        opened = open_source(spec, name=name, bands=bands, resample=resampling(data))
        if len(sources) < _LOOKED and isinstance(opened, RasterSource) and all(map(is_local, opened.paths)):
            warn_of_nodata(opened)
        source = one_time(opened)
        source = source if see is None else see(source)
        expected = [band.name for band in (sources or [source])[0].bands]
        if [band.name for band in source.bands] != expected:
            raise BandMismatch(name, expected=expected, received=[band.name for band in source.bands])
        first = (sources or [source])[0].grid
        step, unit, tolerance = first.resolution, first.unit, TOLERANCE
        if data.resolution is not None:
            step, tolerance = (data.resolution, data.resolution), 1e-3
        elif source.grid.unit != unit:
            metres = metres_per_pixel(first)
            step, unit = (step, unit) if metres is None else (metres, "metre")
        if len(sources) == 1 and _are_bands(sources[0], source):
            _LOG.warning(
                "%s and %s have one band each, on one grid, and are taken for scenes of their own. If they are bands of one scene, "
                "set data.stack=bands.",
                sources[0].name,
                source.name,
            )
        sources.append(to_pixel_size(source, step, unit, method=data.resample, tolerance=tolerance, advice=_ADVICE))
    return sources


def _are_bands(first: Source, second: Source) -> bool:
    """Whether two scenes look like bands of one: other names of files, one band each, the same grid on the ground."""
    lone = len(first.bands) == 1 == len(second.bands)
    return lone and first.grid.crs is not None and first.grid == second.grid


def open_fitting(scenes: Sequence[tuple[str, Any]], contract: Contract, data: Data) -> list[Source]:
    """Opens scenes with the bands, units and pixel size of a trained network.

    Args:
        scenes: (name, spec) of each, as `find_scenes` gives them.
        contract: of the network.
        data: of the recipe; says whether and how scenes are resampled to the network's pixel size.

    Raises:
        BandMismatch: a scene lacks one of the bands.
        UnitMismatch: a scene and the network state different units for a band.
        ResolutionMismatch: a scene has another pixel size, and `resample` is not given.
    """
    wanted = [band.name for band in contract.input.bands]
    sources = []
    for name, spec in scenes:
        source = open_source(spec, name=name, bands=wanted if needs_bands(spec) else None, resample=resampling(data))
        sources.append(fit_source(source, contract, resample=data.resample, advice=_FITTING))
    return sources
