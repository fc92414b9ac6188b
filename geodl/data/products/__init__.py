"""Satellite products by their folder: Sentinel-2 SAFE, and Landsat Collection 2."""

from __future__ import annotations

import os
from collections.abc import Sequence

from geodl.data.files import is_local
from geodl.data.products.landsat import find_landsat, read_landsat
from geodl.data.products.scene import open_bands
from geodl.data.products.sentinel2 import find_sentinel2, read_sentinel2
from geodl.data.raster import RasterSource
from geodl.data.warp import Resample
from geodl.errors import SourceUnreadable

__all__ = ("is_product", "open_product")


def is_product(path: str | os.PathLike[str]) -> bool:
    """Says whether `path` is one product: its folder or its metadata file. Only names are looked at."""
    text = os.fspath(path)
    return is_local(text) and bool(find_sentinel2(text) or find_landsat(text))


def open_product(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    bands: Sequence[str] | None = None,
    resample: Resample | None = None,
) -> RasterSource:
    """Opens a product as one scene, in physical units by what its metadata says.

    See `read_sentinel2` and `read_landsat` for the bands, their units and which of them are taken where none are named.

    Args:
        path: folder of the product, or its metadata file (`MTD_MSIL2A.xml`, `…_MTL.txt`, `…_MTL.json`).
        name: name of the scene; default: the product's.
        bands: the bands to take, in this order; default: the usual ones.
        resample: bring bands on different grids onto that of the finest; without, they are refused.

    Raises:
        SourceUnreadable: it is no product; a file is missing, damaged or contradicts what is known of the format.
        BandMismatch: one of `bands` is missing.
        GridMismatch: the bands asked for have different pixel sizes, and `resample` is not given.

    Example:

    >>> scene = open_product("S2B_MSIL2A_20230823T095559_N0509_R122_T34UCF_20230823T124759.SAFE")
    >>> [band.name for band in scene.bands]
    ['B02', 'B03', 'B04', 'B08']
    """
    text = os.fspath(path)
    if is_local(text):
        metadata = find_sentinel2(text)
        if metadata:
            return open_bands(read_sentinel2(metadata), name=name, bands=bands, resample=resample)
        metadata = find_landsat(text)
        if metadata:
            return open_bands(read_landsat(metadata), name=name, bands=bands, resample=resample)
    raise SourceUnreadable(
        text, "it is no product that is known",
        advice="Expected the folder of a Sentinel-2 product (.SAFE) or of a Landsat Collection 2 scene.",
    )  # fmt: skip
