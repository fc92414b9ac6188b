"""Whether a source is what a network was trained on: bands, units, pixel size."""

from __future__ import annotations

import re

import shapely
from pyproj import CRS, Geod

from geodl.contract import Contract
from geodl.data.source import Grid, Source
from geodl.errors import BandMismatch, ResolutionMismatch, SourceUnreadable, UnitMismatch

__all__ = ("fit_source", "metres_per_pixel")

_TOLERANCE = 0.1
"""Pixel sizes may differ by this share."""
_NAMELESS = re.compile(r"band_\d+")


def fit_source(source: Source, contract: Contract, *, any_resolution: bool = False) -> Source:
    """Returns the source with the bands of the contract, in its order, or says why it does not fit.

    Bands are found by name, whatever their case. Where the source's or the network's bands have no names, their number
    must be the same and their order is taken.

    Args:
        source: what is to be mapped.
        contract: of the network.
        any_resolution: accept any pixel size.

    Raises:
        BandMismatch: a band is missing, or there are too few or too many without names.
        UnitMismatch: both state a unit for a band, and they differ.
        ResolutionMismatch: the pixel size differs by more than a tenth.
        SourceUnreadable: the source has several times.
    """
    if source.times is not None:
        raise SourceUnreadable(source.name, "it has several times", advice="Choose one.")
    fitted = _with_bands(source, contract)
    for band, wanted in zip(fitted.bands, contract.input.bands, strict=True):
        if band.unit and wanted.unit and band.unit.casefold() != wanted.unit.casefold():
            raise UnitMismatch(source.name, band=wanted.name, expected=wanted.unit, received=band.unit)
    if not any_resolution:
        _check_resolution(fitted, contract)
    return fitted


def metres_per_pixel(grid: Grid) -> tuple[float, float] | None:
    """Pixel size along y and x in metres at the grid's centre; None without a CRS, or in a unit that is no length."""
    if grid.crs is None:
        return None
    if not grid.crs.is_geographic:
        factor = _metres(grid.unit, grid.crs)
        return None if factor is None else (grid.resolution[0] * factor, grid.resolution[1] * factor)
    geod = grid.crs.get_geod() or Geod(ellps="WGS84")
    centre = shapely.centroid(grid.footprint())
    ends = [grid.transform @ (grid.width / 2 + x, grid.height / 2 + y) for y, x in ((1, 0), (0, 1))]
    return tuple(geod.inv(centre.x, centre.y, *end)[2] for end in ends)  # type: ignore[return-value]


def _with_bands(source: Source, contract: Contract) -> Source:
    own, wanted = ([band.name for band in bands] for bands in (source.bands, contract.input.bands))
    folded = {name.casefold(): name for name in own}
    if len(folded) == len(own) and all(name.casefold() in folded for name in wanted):
        chosen = tuple(folded[name.casefold()] for name in wanted)
        return source.select(chosen)
    nameless = any(all(_NAMELESS.fullmatch(name) for name in names) for names in (own, wanted))
    if nameless and len(own) == len(wanted):
        return source
    raise BandMismatch(source.name, expected=wanted, received=own)


def _check_resolution(source: Source, contract: Contract) -> None:
    grid = source.grid
    expected = [contract.input.dim(name) for name in ("y", "x")]
    units = {dim.unit for dim in expected}
    if grid.crs is None or units == {""} or None in (dim.step for dim in expected):
        return
    unit = units.pop()
    factor = _metres(unit, None)
    received: tuple[float, float] | None = grid.resolution
    steps = [float(dim.step or 0) for dim in expected]
    if unit != grid.unit:
        received, unit = metres_per_pixel(grid), "metre"
        if received is None or factor is None:
            return
        steps = [step * factor for step in steps]
    if received and any(abs(got - step) > _TOLERANCE * step for got, step in zip(received, steps, strict=True)):
        sizes = (" x ".join(f"{value:.4g}" for value in pair[::-1]) for pair in (steps, received))
        wanted, found = (f"{size} {unit}s" for size in sizes)
        raise ResolutionMismatch(source.name, expected=f"{wanted} (to within 10 %)", received=found)


def _metres(unit: str, crs: CRS | None) -> float | None:
    """Metres in one of `unit`; None where it is no length that is known."""
    if unit in ("metre", "meter", "m"):
        return 1.0
    return crs.axis_info[0].unit_conversion_factor if crs is not None and crs.is_projected else None
