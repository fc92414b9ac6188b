"""Raster files on another grid, resampled by GDAL's warper through a virtual file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from pyproj import CRS
from rasterio.crs import CRS as RasterioCRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geodl.data.handles import Handle
from geodl.data.palette import PaletteFile
from geodl.data.rasterfile import RasterFile
from geodl.data.resample import METHODS, Method, Resample
from geodl.data.source import Grid, Window
from geodl.errors import SourceUnreadable

__all__ = ("METHODS", "Method", "Resample", "WarpedFile", "regular_grid", "resized")

_TOLERANCE = 1e-3
"""How far, in source pixels, a pixel may be taken from where it lies."""
_BLOCK = (128, 512)
"""Height and width of what GDAL warps at once, at most."""
_WIDE = ("int32", "uint32", "int64", "uint64", "float64")
"""Types whose values float32 cannot hold."""


class WarpedFile:
    """A raster file brought onto a grid, of any CRS. Read as a `RasterFile` is.

    Values are resampled as floating-point numbers. Nodata, masked and transparent pixels take no part: where none of
    the pixels that a value would be made of is valid, it is not-a-number. Blocks of the virtual file are fixed, so the
    same values come back whatever the window.
    """

    def __init__(self, file: RasterFile | PaletteFile, grid: Grid, *, method: Method) -> None:
        """Opens nothing yet.

        Args:
            file: what is read.
            grid: where its pixels shall lie; must have a CRS, and so must the file.
            method: how values are made; codes are always taken by `nearest`.

        Raises:
            SourceUnreadable: either has no CRS.
        """
        if grid.crs is None or (not file.by_points and file.grid.crs is None):
            raise SourceUnreadable(file.path, "it cannot be resampled without a CRS", advice="Assign it one first.")
        self.file, self.grid = file, grid
        self.method: Method = "nearest" if file.codes else method
        self.path, self.tags, self.given_names = file.path, file.tags, file.given_names
        self.block: tuple[int, int] = (min(_BLOCK[0], grid.height), min(_BLOCK[1], grid.width))
        self.colormap: dict[int, tuple[int, int, int, int]] | None = getattr(file, "colormap", None)
        dtype = "float64" if any(band.dtype in _WIDE for band in file.bands) else "float32"
        self.bands = tuple(replace(band, dtype=dtype, nodata=None) for band in file.bands)
        self._handles: dict[tuple[int, ...], Handle] = {}

    def read(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads stored values of shape (len(bands), height, width), not-a-number where invalid, and None."""
        wanted = tuple(bands)
        # The warper computes all bands of a virtual file whichever is asked for, so each choice has a file of its own.
        handle = self._handles.get(wanted)
        if handle is None:
            opener = partial(_open_warped, file=self.file, bands=wanted, grid=self.grid, method=self.method)
            handle = self._handles.setdefault(wanted, Handle(self.path, opener=opener))
        return handle.use(lambda dataset: dataset.read(window=window)), None

    def close(self) -> None:
        """Closes the file in all threads that are not reading it."""
        for handle in self._handles.values():
            handle.close()
        self.file.close()


def regular_grid(file: RasterFile | PaletteFile, crs: CRS | None = None) -> Grid:
    """Returns the grid that GDAL suggests for a file in another CRS; without one, its own grid.

    For a file that is placed by ground control points, its own CRS is that of these points.

    Raises:
        SourceUnreadable: the file has no CRS, or cannot be brought into this one.
    """
    if not file.by_points and (crs is None or file.grid.crs == crs):
        return file.grid

    def suggested(dataset: rasterio.DatasetReader) -> Grid:
        own = dataset.gcps[1] if file.by_points else dataset.crs
        if not own:
            raise SourceUnreadable(file.path, "it cannot be resampled without a CRS", advice="Assign it one first.")
        wanted = own if crs is None else RasterioCRS.from_wkt(crs.to_wkt())
        with WarpedVRT(dataset, src_crs=own, crs=wanted) as warped:
            known = crs or CRS.from_wkt(own.to_wkt(version="WKT2_2019"))
            return Grid(known, warped.transform, warped.height, warped.width)

    return Handle(file.path).use(suggested)


def resized(grid: Grid, resolution: float | tuple[float, float]) -> Grid:
    """Returns the grid with another pixel size, along y and x, from the same first corner.

    It covers what `grid` covers; the last row and column may reach beyond.

    Example:

    >>> resized(Grid(None, Affine(10, 0, 500, 0, -10, 900), 5, 4), 20).shape
    (3, 2)
    """
    sizes = (resolution, resolution) if isinstance(resolution, (int, float)) else resolution
    y, x = (size / own for size, own in zip(sizes, grid.resolution, strict=True))
    height, width = (max(1, math.ceil(n / by - 1e-3)) for n, by in ((grid.height, y), (grid.width, x)))
    return Grid(grid.crs, grid.transform @ Affine.scale(x, y), height, width)


def _open_warped(
    path: str, *, file: RasterFile | PaletteFile, bands: tuple[int, ...], grid: Grid, method: Method
) -> rasterio.DatasetReader:
    assert grid.crs is not None
    with rasterio.open(path) as dataset:
        text = _as_floats(dataset, file, bands)
    virtual = rasterio.open(text)
    options = {
        "crs": RasterioCRS.from_wkt(grid.crs.to_wkt()),
        "resampling": Resampling[method],
        "tolerance": _TOLERANCE,
        "src_nodata": math.nan,
        "nodata": math.nan,
        "dtype": virtual.dtypes[0],
        # Else a pixel that is nodata in some bands only would count as valid in these, too.
        "UNIFIED_SRC_NODATA": "NO",
    }
    if file.by_points:
        with WarpedVRT(virtual, src_crs=virtual.gcps[1], **options) as suggested:
            return _moved(suggested, grid)
    return WarpedVRT(virtual, transform=grid.transform, height=grid.height, width=grid.width, **options)


def _moved(suggested: WarpedVRT, grid: Grid) -> rasterio.DatasetReader:
    """Opens a warped file on another grid than GDAL suggests; rasterio heeds no control points once it is given one."""
    with TemporaryDirectory() as folder:
        written = os.path.join(folder, "warped.vrt")
        rasterio.shutil.copy(suggested, written, driver="VRT")
        root = ElementTree.parse(written).getroot()
    root.attrib |= {"rasterXSize": str(grid.width), "rasterYSize": str(grid.height)}
    for tag, transform in (
        ("GeoTransform", grid.transform),
        ("DstGeoTransform", grid.transform),
        ("DstInvGeoTransform", ~grid.transform),
    ):
        for element in root.iter(tag):
            element.text = ",".join(map(repr, transform.to_gdal()))
    for tag, size in (("BlockXSize", min(_BLOCK[1], grid.width)), ("BlockYSize", min(_BLOCK[0], grid.height))):
        for element in root.iter(tag):
            element.text = str(size)
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def _as_floats(dataset: rasterio.DatasetReader, file: RasterFile | PaletteFile, bands: Sequence[int]) -> str:
    """Writes a virtual file of floating-point bands that are not-a-number wherever the file is invalid.

    A band of a virtual file heeds either a nodata value or a mask, so there is one layer for each, read through the
    layer before.
    """
    # GDAL knows URLs by names of its own. Any other name may mean one of several images in a file.
    original = dataset.files[0] if dataset.files and "://" in dataset.name else dataset.name
    picture = isinstance(file, PaletteFile)
    stored = file.file if isinstance(file, PaletteFile) else file
    own = [0 if picture else k for k in bands]
    numbers = [str(stored.indexes[k]) for k in own]
    wide = any(dataset.dtypes[int(number) - 1] in _WIDE for number in numbers)
    layer = partial(_layer, dataset, by_points=file.by_points, dtype="Float64" if wide else "Float32")
    through = [{"SourceBand": str(k), "UseMaskBand": "true"} for k, _ in enumerate(bands, 1)]
    name = original
    if stored.masked is not None:
        name = layer(name, [{"SourceBand": number, "UseMaskBand": "true"} for number in numbers])
        numbers = [content["SourceBand"] for content in through]
    contents = [{"SourceBand": number} for number in numbers]
    masks = [{"SourceBand": str(number)} for number in stored.alpha]
    if picture:
        contents = [content | {"ColorTableComponent": str(k + 1)} for content, k in zip(contents, bands, strict=True)]
        masks.append({"SourceBand": str(stored.indexes[0]), "ColorTableComponent": "4"})
    for content, k in zip(contents, own, strict=True):
        if stored.bands[k].nodata is not None:
            content["NODATA"] = repr(stored.bands[k].nodata)
    for mask in masks:
        name, contents = layer(name, contents, mask=(original, mask)), through
    return layer(name, contents)


def _layer(
    dataset: rasterio.DatasetReader,
    name: str,
    contents: Sequence[dict[str, str]],
    *,
    by_points: bool,
    dtype: str,
    mask: tuple[str, dict[str, str]] | None = None,
) -> str:
    """Writes a virtual file whose bands are read from `name`, placed as `dataset` is."""
    root = ElementTree.Element("VRTDataset", {"rasterXSize": str(dataset.width), "rasterYSize": str(dataset.height)})
    if by_points:
        points, crs = dataset.gcps
        inside = ElementTree.SubElement(root, "GCPList", {"Projection": crs.to_wkt()})
        for point in points:
            place = {"Pixel": point.col, "Line": point.row, "X": point.x, "Y": point.y, "Z": point.z or 0.0}
            ElementTree.SubElement(inside, "GCP", {"Id": ""} | {key: repr(float(at)) for key, at in place.items()})
    else:
        ElementTree.SubElement(root, "SRS").text = dataset.crs.to_wkt()
        ElementTree.SubElement(root, "GeoTransform").text = ", ".join(map(repr, dataset.transform.to_gdal()))
    for number, content in enumerate(contents, 1):
        band = ElementTree.SubElement(root, "VRTRasterBand", {"dataType": dtype, "band": str(number)})
        ElementTree.SubElement(band, "NoDataValue").text = "nan"
        _add_source(band, name, content)
    if mask is not None:
        band = ElementTree.SubElement(ElementTree.SubElement(root, "MaskBand"), "VRTRasterBand", {"dataType": "Byte"})
        _add_source(band, *mask)
    return ElementTree.tostring(root, encoding="unicode")


def _add_source(band: ElementTree.Element, name: str, content: dict[str, str]) -> None:
    source = ElementTree.SubElement(band, "ComplexSource")
    ElementTree.SubElement(source, "SourceFilename", {"relativeToVRT": "0"}).text = name
    for key, value in content.items():
        ElementTree.SubElement(source, key).text = value
