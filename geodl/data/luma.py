"""Brightness of colour and grey images, as television and the papers on super-resolution count it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from geodl.contract import Band
from geodl.data.source import Source, Window, are_nameless, find_bands, one_time
from geodl.errors import BandMismatch, UnitMismatch

__all__ = ("LUMA", "Colours", "LumaSource", "find_colours")

LUMA = "luma"
"""Name and unit of the band: Y of ITU-R BT.601, 16 (black) to 235 (white)."""

_RGB = ("red", "green", "blue")
_UNITS = ("", "dn")
"""Of images whose values are 0 to 255."""
_LOG = logging.getLogger("geodl")


@dataclass(frozen=True)
class Colours:
    """Which bands of an image are its colours, 0 to 255: red, green and blue, or one of grey."""

    bands: tuple[Band, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands, as the image calls them."""
        return tuple(band.name for band in self.bands)

    def luma(self, values: np.ndarray) -> np.ndarray:
        """Returns the luma, 16 to 235, of shape (..., 1), of values 0 to 255 of shape (..., 3) or (..., 1)."""
        values = np.asarray(values, np.float32)
        if len(self.bands) == 1:
            # Grey is red, green and blue alike; the weights of the three add up to 219 / 255.
            return np.asarray(16 + values * np.float32(219 / 255), np.float32)
        from geodl.physics.sensor import rgb_to_luma

        return np.asarray(rgb_to_luma(values)[..., None], np.float32)

    def chroma(self, values: np.ndarray) -> np.ndarray:
        """Returns what luma leaves out: Cb and Cr, 16 to 240, of shape (..., 2); (..., 0) of grey."""
        if len(self.bands) == 1:
            return np.empty((*values.shape[:-1], 0), np.float32)
        from geodl.physics.sensor import rgb_to_ycbcr

        return np.asarray(rgb_to_ycbcr(np.asarray(values, np.float32))[..., 1:], np.float32)

    def join(self, luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Returns the image, neither rounded nor clipped, of shape (..., 3) or (..., 1): the inverse of the others."""
        if len(self.bands) == 1:
            return np.asarray((luma - 16) * np.float32(255 / 219), np.float32)
        from geodl.physics.sensor import ycbcr_to_rgb

        return np.asarray(ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1)), np.float32)


def find_colours(where: object, bands: Sequence[Band]) -> Colours:
    """Finds the colours of an image among its bands.

    Args:
        where: the image, for messages.
        bands: of the image: `red`, `green` and `blue` (whatever their case) among others; or three without names, which
            are these; or one of any name, which is grey.

    Returns:
        The bands that they are.

    Raises:
        BandMismatch: the image has other bands.
        UnitMismatch: its values are not 0 to 255: a unit, a scale or an integer type says so.

    Example:

    >>> find_colours("photo", [Band("Blue"), Band("nir"), Band("Red"), Band("Green")]).names
    ('Red', 'Green', 'Blue')
    """
    by_name = {band.name.casefold(): band for band in bands}
    if len(bands) == 1:
        found = tuple(bands)
    elif all(name in by_name for name in _RGB):
        found = tuple(by_name[name] for name in _RGB)
    elif len(bands) == 3 and are_nameless(band.name for band in bands):
        found = tuple(bands)
    else:
        expected = [f"{LUMA} (or red, green and blue, or one grey band, of 0 to 255, of which it is made)"]
        raise BandMismatch(where, expected=expected, received=[band.name for band in bands])
    for band in found:
        _check_range(str(where), band)
    return Colours(found)


class LumaSource(Source):
    """A colour or grey image as one band `luma`: Y of ITU-R BT.601, 16 to 235, as MATLAB's `rgb2ycbcr` gives it.

    Grey is taken as red, green and blue alike. A pixel is valid where all its colours are.

    Args:
        source: with bands red, green and blue (see `find_colours`), or one band of grey, 0 to 255; or with a band that
            is called `luma`, which is read as it is.

    Raises:
        BandMismatch: the image has other bands.
        UnitMismatch: its values are not 0 to 255.
        SourceUnreadable: it has several times.

    Example:

    >>> from geodl.data.cube import open_array
    >>> white = open_array(np.full((4, 5, 3), 255, np.uint8), bands=["red", "green", "blue"])
    >>> LumaSource(white).read()[0].max().round()
    np.float32(235.0)
    """

    def __init__(self, source: Source) -> None:
        one_time(source)
        self.name, self.grid = source.name, source.grid
        own = [band for band in source.bands if band.name.casefold() == LUMA]
        self._colours = None if own else find_colours(source.name, source.bands)
        names = self._colours.names if self._colours is not None else (own[0].name,)
        self._image = source.select(names)
        stored = {band.dtype for band in self._image.bands}
        self.bands = (Band(LUMA, LUMA, stored.pop() if len(stored) == 1 else "float32"),)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read, where the image is in files."""
        return tuple(getattr(self._image, "paths", ()))

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the source itself. Raises `BandMismatch` where another band is asked for."""
        find_bands(self.name, self.bands, names)
        return self

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        values, _ = self._image.read(window)
        luma = values if self._colours is None else self._colours.luma(values)
        return luma, np.isfinite(luma)


def _check_range(where: str, band: Band) -> None:
    """Refuses what cannot be 0 to 255, and says so where nothing tells."""
    expected = "0 to 255 (uint8)"
    if band.unit.casefold() not in _UNITS:
        raise UnitMismatch(where, band=band.name, expected=expected, received=band.unit)
    if band.scale != 1 or band.offset != 0:
        received = f"{band.dtype}, times {band.scale:g} plus {band.offset:g}"
        raise UnitMismatch(where, band=band.name, expected=expected, received=received)
    if band.dtype in ("uint16", "int8"):
        raise UnitMismatch(where, band=band.name, expected=expected, received=band.dtype)
    if band.dtype != "uint8":
        _warn(f"{where}: its values are {band.dtype}. They are taken as 0 (black) to 255 (white).")


@lru_cache(maxsize=65536)
def _warn(message: str) -> None:
    """Cached, so that each thing is said once of each image."""
    _LOG.warning(message)
