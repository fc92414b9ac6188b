"""One raster file: what its header says and its stored values, masks and transparency."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError as RasterioCRSError

from geodl.contract import Band
from geodl.data.handles import Handle, reading
from geodl.data.source import Grid, Window, finite_nodata
from geodl.errors import SourceUnreadable

__all__ = ("RasterFile",)

_COLOURS = {
    ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir, ColorInterp.rededge, ColorInterp.swir,
    ColorInterp.mwir, ColorInterp.lwir, ColorInterp.tir, ColorInterp.pan, ColorInterp.coastal,
}  # fmt: skip


class RasterFile:
    """One raster file: what its header says, and its stored values. Safe to read from several threads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the header.

        Raises:
            SourceUnreadable: see `open_raster`; palette images are not refused here.
        """
        self.path = os.fspath(path)
        self._handle = Handle(self.path)
        dataset = self._handle.dataset()
        with reading(self.path):
            if dataset.gcps[0] and dataset.transform.is_identity:
                raise SourceUnreadable(
                    self.path, "its pixels are placed by ground control points only, not by a transform",
                    advice="Warp it onto a regular grid first (for example with rio warp or gdalwarp).",
                )  # fmt: skip
            colours = dataset.colorinterp
            self._alpha = [i for i, colour in enumerate(colours, 1) if colour == ColorInterp.alpha]
            self._indexes = [i for i in dataset.indexes if i not in self._alpha]
            if not self._indexes:
                raise SourceUnreadable(self.path, "it has no band besides transparency")
            for i in self._indexes:
                if dataset.dtypes[i - 1].startswith("complex"):
                    raise SourceUnreadable(
                        self.path, f"band {i} is complex ({dataset.dtypes[i - 1]})",
                        advice="Write its magnitude (or real and imaginary part) as real bands first.",
                    )  # fmt: skip
            self.grid = Grid(_crs(dataset, self.path), dataset.transform, dataset.height, dataset.width)
            self.colormap: dict[int, tuple[int, int, int, int]] | None = None
            for i in self._indexes:
                if colours[i - 1] == ColorInterp.palette:
                    self.colormap = dataset.colormap(i)
            self.block: tuple[int, int] = dataset.block_shapes[0]
            self.tags: dict[str, str] = dataset.tags(1)
            self.given_names = _given_names(dataset, self._indexes)
            self._masked = _masked(dataset, self._indexes)
            self.bands = tuple(
                Band(
                    name=given or f"band_{k}",
                    unit=dataset.units[i - 1] or "",
                    dtype=dataset.dtypes[i - 1],
                    scale=dataset.scales[i - 1],
                    offset=dataset.offsets[i - 1],
                    nodata=finite_nodata(dataset.nodatavals[i - 1]),
                )
                for k, (i, given) in enumerate(zip(self._indexes, self.given_names), 1)
            )

    def read(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads stored values.

        Args:
            window: whole pixels inside the grid.
            bands: positions in `self.bands`.

        Returns:
            Stored values of shape (len(bands), height, width), and what masks and alpha say of them: bool of shape
            (height, width) or (len(bands), height, width), or None where there is neither. Nodata values are left to
            `decode`.

        Raises:
            SourceUnreadable: the file is damaged or cut short.
        """
        dataset = self._handle.dataset()
        indexes = [self._indexes[k] for k in bands]
        valid = None
        with reading(self.path):
            stored = dataset.read(indexes, window=window)
            if self._masked == "file":
                valid = dataset.read_masks(self._indexes[0], window=window) > 0
            elif self._masked == "band":
                valid = dataset.read_masks(indexes, window=window) > 0
            if self._alpha:
                opaque = (dataset.read(self._alpha, window=window) > 0).all(axis=0)
                valid = opaque if valid is None else valid & opaque
        return stored, valid

    def alpha_like_data(self) -> int | None:
        """Returns the number of an alpha band that is neither quite opaque nor quite transparent nearly anywhere."""
        dataset = self._handle.dataset()
        for i in self._alpha:
            with reading(self.path):
                some = dataset.read(i, out_shape=(min(64, dataset.height), min(64, dataset.width)))
            if len(np.unique(some)) > 16 and np.isin(some, (0, some.max())).mean() < 0.5:
                return i
        return None

    def close(self) -> None:
        """Closes the file in all threads that are not reading it."""
        self._handle.close()


def _given_names(dataset: Any, indexes: Sequence[int]) -> list[str | None]:
    """Names that the file itself gives to its bands: all different, else none."""
    described = [(dataset.descriptions[i - 1] or "").strip() or None for i in indexes]
    if any(described):
        given = [name for name in described if name]
        return described if len(set(given)) == len(given) else [None] * len(indexes)
    colours = [dataset.colorinterp[i - 1] for i in indexes]
    if set(colours) <= _COLOURS and len(set(colours)) == len(colours):
        return [colour.name for colour in colours]
    return [None] * len(indexes)


def _masked(dataset: Any, indexes: Sequence[int]) -> str | None:
    """Says whether masks other than nodata values and alpha are `file`-wide, by `band`, or absent (None)."""
    flags = [set(dataset.mask_flag_enums[i - 1]) for i in indexes]
    if all(flag & {MaskFlags.all_valid, MaskFlags.alpha} or flag == {MaskFlags.nodata} for flag in flags):
        return None
    return "file" if all(MaskFlags.per_dataset in flag for flag in flags) else "band"


def _crs(dataset: Any, path: str) -> CRS | None:
    if not dataset.crs:
        return None
    try:
        return _from_wkt(dataset.crs.to_wkt(version="WKT2_2019"))
    except (CRSError, RasterioCRSError):
        pass
    try:
        return _from_wkt(dataset.crs.to_wkt())
    except (CRSError, RasterioCRSError) as error:
        raise SourceUnreadable(
            path, f"its CRS is not understood ({error})", advice="Assign another CRS to it."
        ) from error


@lru_cache(maxsize=256)
def _from_wkt(wkt: str) -> CRS:
    return CRS.from_wkt(wkt)
