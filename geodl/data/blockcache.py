"""What GDAL must keep in memory so that no block of a file is read twice where tiles overlap."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.enums import Interleaving, MaskFlags
from rasterio.errors import CRSError

from geodl.data.handles import Handle
from geodl.data.remote import is_remote
from geodl.data.source import Source

__all__ = ("row_cache_bytes",)


class _Layout(NamedTuple):
    """How a file stores its pixels."""

    shape: tuple[int, int]
    block: tuple[int, int]
    together: bool
    """All bands of a pixel lie in one block, and come with it."""
    band_bytes: tuple[int, ...]
    """Bytes of a pixel, by band."""
    mask_bytes: int
    pixel: tuple[float, float]
    """Size along y and x, in the CRS's unit."""
    unit: str

    def bytes(self, height: float, width: float, bands: int) -> int:
        """Decoded blocks that a window touches, wherever it lies."""
        blocks = [
            min(int(np.ceil((max(size, 1) - 1) / block)) + 1, -(-length // block)) * block
            for size, block, length in zip((height, width), self.block, self.shape)
        ]
        wanted = self.band_bytes if self.together else sorted(self.band_bytes)[-bands:]
        return blocks[0] * blocks[1] * (sum(wanted) + self.mask_bytes)


def row_cache_bytes(source: Source, height: int, width: int) -> int:
    """Bytes of the decoded blocks that a window of a source touches at most, where reading them again is dear.

    With so much for GDAL's cache (`GDAL_CACHEMAX`), and `width` that of a row of overlapping tiles, each block of a
    file is requested and decoded once: a window that overlaps the row above finds what it shares with it.

    Args:
        source: what is read.
        height: of the window, in pixels of the source's grid.
        width: likewise.

    Returns:
        Block-aligned rows x columns x bytes of the stored types, over all files that are remote, or stored in strips
        as wide as they are. Zero for other files (a local tile is read again sooner than room for a row of them is
        found) and for sources that are not made of files.

    Raises:
        SourceUnreadable: a file has gone.

    Example:

    >>> row_cache_bytes(open_raster("https://host/scene.tif"), 1024, 10980)
    134922240
    """
    parts = getattr(source, "sources", ())
    if parts:
        # A mosaic. Its scenes lie side by side along a row: each takes the share of it that it is wide.
        widths = [min(width, scene.grid.width) for scene in parts]
        shares = [row_cache_bytes(scene, height, w) / w for scene, w in zip(parts, widths, strict=True)]
        return math.ceil(max(shares) * width)
    total = 0
    for path in getattr(source, "paths", ()):
        layout = _layout(path)
        if is_remote(path) or layout.block[1] >= layout.shape[1]:
            comparable = layout.unit == source.grid.unit
            y, x = (own / of if comparable else 1.0 for own, of in zip(source.grid.resolution, layout.pixel))
            total += layout.bytes(height * y, width * x, len(source.bands))
    return total


@lru_cache(maxsize=4096)
def _layout(path: str) -> _Layout:
    return Handle(path).use(_read_layout)


def _read_layout(dataset: rasterio.DatasetReader) -> _Layout:
    transform = dataset.transform
    masked = any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in dataset.mask_flag_enums)
    return _Layout(
        shape=dataset.shape,
        block=dataset.block_shapes[0],
        together=dataset.interleaving is not Interleaving.band,
        band_bytes=tuple(_item_bytes(dtype) for dtype in dataset.dtypes),
        mask_bytes=int(masked),
        pixel=(float(np.hypot(transform.b, transform.e)), float(np.hypot(transform.a, transform.d))),
        unit=_unit(dataset),
    )


def _unit(dataset: rasterio.DatasetReader) -> str:
    try:
        return str(dataset.crs.units_factor[0]) if dataset.crs else ""
    except CRSError:
        return ""


def _item_bytes(dtype: str) -> int:
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 4
