"""Asset: a raster file together with what metadata beside it says of its values."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ("Asset",)


@dataclass(frozen=True)
class Asset:
    """A raster file, and what a product's or catalogue's metadata says of all its bands. None: as the file says.

    Example:

    >>> Asset("T32_B04.jp2", unit="reflectance", scale=1e-4, offset=-0.1, nodata=0, bands=("B04",)).bands
    ('B04',)
    """

    path: str | os.PathLike[str]
    """Path, URL or one of GDAL's own names."""
    unit: str | None = None
    """Unit of the physical values, such as `reflectance` or `kelvin`."""
    scale: float | None = None
    """physical = stored × scale + offset."""
    offset: float | None = None
    """See `scale`; in physical units."""
    nodata: float | None = None
    """Stored value that means nodata, in place of the file's own; not-a-number: no value does."""
    bands: tuple[str, ...] | None = None
    """A name for each band of the file, transparency left out."""
    codes: bool = False
    """Whether values are codes (classes, bit flags), which are resampled by `nearest`, whatever the method."""

    def __fspath__(self) -> str:
        return os.fspath(self.path)
