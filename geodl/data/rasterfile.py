"""One raster file: what its header says and its stored values, masks and transparency."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any
from xml.etree import ElementTree

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError as RasterioCRSError

from geodl.contract import Band
from geodl.data.asset import Asset
from geodl.data.files import is_local
from geodl.data.handles import Handle
from geodl.data.source import Grid, Window, finite_nodata
from geodl.errors import BandMismatch, SourceUnreadable

__all__ = ("RasterFile",)

_COLOURS = {
    ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir, ColorInterp.rededge, ColorInterp.swir,
    ColorInterp.mwir, ColorInterp.lwir, ColorInterp.tir, ColorInterp.pan, ColorInterp.coastal,
}  # fmt: skip

_MOST_BANDS = 8192
"""A header may claim anything, and GDAL allocates what a block of all bands takes."""


class RasterFile:
    """One raster file: what its header says, and its stored values. Safe to read from several threads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the header.

        Args:
            path: a path, or an `Asset`, which overrules the header.

        Raises:
            SourceUnreadable: it is missing, damaged, no image, or complex-valued. Palette images are not refused here.
            BandMismatch: the asset names more or fewer bands than there are.
        """
        asset = path if isinstance(path, Asset) else Asset(path)
        self.path = os.fspath(path)
        self.codes = asset.codes
        """See `Asset`."""
        self._handle = Handle(self.path)
        if self.path.lower().endswith(".vrt") and is_local(self.path) and os.path.isfile(self.path):
            _check_references(self.path)
        self._handle.use(lambda dataset: self._describe(dataset, asset))

    def _describe(self, dataset: Any, asset: Asset) -> None:
        """Reads the header."""
        if dataset.count > _MOST_BANDS:
            raise SourceUnreadable(
                self.path, f"it claims to have {dataset.count} bands; {_MOST_BANDS} at most are read"
            )
        colours = dataset.colorinterp
        self.alpha: list[int] = [i for i, colour in enumerate(colours, 1) if colour == ColorInterp.alpha]
        """Numbers of the bands that say how opaque a pixel is, from 1."""
        self.indexes: list[int] = [i for i in dataset.indexes if i not in self.alpha]
        """Numbers of the other bands."""
        if not self.indexes:
            raise SourceUnreadable(self.path, "it has no band besides transparency")
        # Each of these asks GDAL about all bands, of which there may be thousands.
        dtypes, units, nodata = dataset.dtypes, dataset.units, dataset.nodatavals
        scales, offsets = dataset.scales, dataset.offsets
        for i in self.indexes:
            if dtypes[i - 1].startswith("complex"):
                raise SourceUnreadable(
                    self.path, f"band {i} is complex ({dtypes[i - 1]})",
                    advice="Write its magnitude (or real and imaginary part) as real bands first.",
                )  # fmt: skip
        self.by_points = bool(dataset.gcps[0]) and dataset.transform.is_identity
        """Whether its pixels are placed by ground control points only, not by a transform."""
        self._grid = Grid(_crs(dataset, self.path), dataset.transform, dataset.height, dataset.width)
        if self._grid.is_degenerate:
            raise SourceUnreadable(
                self.path, f"its transform gives pixels no place or no area ({tuple(dataset.transform)[:6]})",
                advice="Assign the right one to it (for example with rio edit-info --transform).",
            )  # fmt: skip
        self.colormap: dict[int, tuple[int, int, int, int]] | None = None
        for i in self.indexes:
            if colours[i - 1] == ColorInterp.palette:
                self.colormap = _colormap(dataset, i)
        self.block: tuple[int, int] = dataset.block_shapes[0]
        self.tags: dict[str, str] = dataset.tags(1)
        self.given_names = _given_names(dataset.descriptions, colours, self.indexes)
        if asset.bands is not None:
            if len(asset.bands) != len(self.indexes):
                received = [given or f"band_{k}" for k, given in enumerate(self.given_names, 1)]
                raise BandMismatch(self.path, expected=asset.bands, received=received)
            self.given_names = list(asset.bands)
        self.masked = _masked(dataset, self.indexes)
        """Whether there are masks other than nodata values and alpha: for the `file`, by `band`, or none (None)."""
        self.bands = tuple(
            Band(
                name=given or f"band_{k}",
                unit=(units[i - 1] or "") if asset.unit is None else asset.unit,
                dtype=dtypes[i - 1],
                scale=scales[i - 1] if asset.scale is None else asset.scale,
                offset=offsets[i - 1] if asset.offset is None else asset.offset,
                nodata=finite_nodata(nodata[i - 1] if asset.nodata is None else asset.nodata),
            )
            for k, (i, given) in enumerate(zip(self.indexes, self.given_names), 1)
        )

    @property
    def grid(self) -> Grid:
        """Where the pixels lie. Raises `SourceUnreadable` where only ground control points say so."""
        if self.by_points:
            raise SourceUnreadable(
                self.path, "its pixels are placed by ground control points only, not by a transform",
                advice="Set data.resample (--resample) to bilinear, or another method, to warp it onto a regular grid.",
            )  # fmt: skip
        return self._grid

    @property
    def shape(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self._grid.shape

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
        indexes = [self.indexes[k] for k in bands]
        return self._handle.use(lambda dataset: self._stored(dataset, window, indexes))

    def _stored(self, dataset: Any, window: Window, indexes: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        valid = None
        stored = dataset.read(indexes, window=window)
        if self.masked == "file":
            valid = dataset.read_masks(self.indexes[0], window=window) > 0
        elif self.masked == "band":
            valid = dataset.read_masks(indexes, window=window) > 0
        if self.alpha:
            opaque = (dataset.read(self.alpha, window=window) > 0).all(axis=0)
            valid = opaque if valid is None else valid & opaque
        return stored, valid

    def alpha_like_data(self) -> int | None:
        """Returns the number of an alpha band that is neither quite opaque nor quite transparent nearly anywhere."""
        for i in self.alpha:
            if self._handle.use(partial(_is_mixed, index=i)):
                return i
        return None

    def close(self) -> None:
        """Closes the file in all threads that are not reading it."""
        self._handle.close()


def _colormap(dataset: Any, index: int) -> dict[int, tuple[int, int, int, int]]:
    try:
        colours = dataset.colormap(index)
    except ValueError:  # A palette image without its palette.
        return {}
    return {value: tuple(min(max(part, 0), 255) for part in colour) for value, colour in colours.items()}


def _given_names(
    descriptions: Sequence[str | None], colorinterp: Sequence[ColorInterp], indexes: Sequence[int]
) -> list[str | None]:
    """Names that the file itself gives to its bands: all different, else none."""
    described = [(descriptions[i - 1] or "").strip() or None for i in indexes]
    if any(described):
        given = [name for name in described if name]
        return described if len(set(given)) == len(given) else [None] * len(indexes)
    colours = [colorinterp[i - 1] for i in indexes]
    if set(colours) <= _COLOURS and len(set(colours)) == len(colours):
        return [colour.name for colour in colours]
    return [None] * len(indexes)


def _is_mixed(dataset: Any, index: int) -> bool:
    some = dataset.read(index, out_shape=(min(64, dataset.height), min(64, dataset.width)))
    return len(np.unique(some)) > 16 and bool(np.isin(some, (0, some.max())).mean() < 0.5)


def _check_references(path: str) -> None:
    """GDAL opens a virtual file although what it refers to is missing; and a pipe, whose other end it waits for."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError):  # GDAL reads XML that others would not.
        return
    for element in root.iter():
        name = (element.text or "").strip()
        if element.tag not in ("SourceFilename", "SourceDataset") or not name or not is_local(name) or "<" in name:
            continue
        relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
        source = os.path.join(os.path.dirname(path), name) if relative else name
        # What is no path may be one of GDAL's own words, such as NETCDF:"a.nc":band.
        missing = not os.path.exists(source) and ":" not in name
        if missing or _is_pipe(source):
            raise SourceUnreadable(
                path, f"it refers to {source}, which is {'not there' if missing else 'a pipe or a socket'}",
                advice="Bring that file there, or build the virtual file anew.",
            )  # fmt: skip


def _is_pipe(path: str) -> bool:
    if not os.path.exists(path):
        return False
    mode = os.stat(path).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _masked(dataset: Any, indexes: Sequence[int]) -> str | None:
    """Says whether masks other than nodata values and alpha are `file`-wide, by `band`, or absent (None)."""
    every = dataset.mask_flag_enums
    flags = [set(every[i - 1]) for i in indexes]
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
