"""Writes maps as cloud-optimised GeoTIFFs that appear under their names whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geodl.data.source import Grid
from geodl.errors import OptionError, OutputExists, OutputUnwritable
from geodl.inference.planning import GDAL_CACHE
from geodl.inference.products import Layer
from geodl.inference.scratch import reserve, scratch_folder

__all__ = ("MapWriter", "check_room", "layer_path")

_SUFFIXES = (".tif", ".tiff")
_GDAL_TYPES = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32"}
_COG = {
    "driver": "COG",
    "compress": "DEFLATE",
    "blocksize": 512,
    "bigtiff": "IF_SAFER",
    "num_threads": "ALL_CPUS",
}


def layer_path(target: Path, layer: Layer, *, main: bool) -> Path:
    """Where a layer is written: the map itself to `map.tif`, others beside it, to `map.confidence.tif`, …"""
    return target if main else target.with_name(f"{target.stem}.{layer.name}{target.suffix}")


def check_room(
    target: Path,
    layers: Sequence[Layer],
    grid: Grid,
    *,
    apart: Mapping[str, Path] = MappingProxyType({}),
    held: Callable[[Path], int] = lambda path: 0,
) -> None:
    """Refuses a map that its disk cannot hold, however much a header claims, before any work is done.

    Args:
        target: path of the map.
        layers: what it consists of.
        grid: of the map.
        apart: as `MapWriter` takes it.
        held: tells how many bytes the map of a path has there already.

    Raises:
        OutputUnwritable: what is free there is less than the pixels take, which are kept uncompressed at first.
    """
    for path in (target, *apart.values()):
        beside = [layer for layer in layers if apart.get(layer.name, target) == path]
        needed = int(grid.height) * sum(_row_bytes(layer, grid) for layer in beside)
        try:
            usage = shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists()))
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error
        # Some network file systems do not know their size: all is 0 then.
        if usage.total and needed > usage.free + held(path):
            raise OutputUnwritable(
                path,
                f"a map of {grid.height} x {grid.width} pixels takes {_size(needed)}, and {_size(usage.free)} are free",
            )


class MapWriter:
    """A sink that writes the layers of one map, beside the target, and renames them when all are whole.

    Blocks go to plain binary files first: GDAL tells nobody when a cached block of a GeoTIFF could not be written, and
    their disk space can be reserved at once. They lie in a hidden folder beside the target; one that a killed process
    left is removed by the next run for the same target.

    Args:
        target: path of the map, ending in `.tif`. Missing folders are made.
        layers: what it consists of; the first one is the map itself.
        grid: of the map.
        overwrite: replace existing files.
        tags: metadata of the files.
        passing: names of layers that are made (see `make`), but not kept.
        apart: paths of layers that do not go beside the map, by name; perhaps on other disks.
        folder: makes the hidden folder beside a file. Blocks that it holds already, of the same map, are kept.

    Raises:
        OptionError: the name does not end in `.tif`.
        OutputExists: there is such a file already.
        OutputUnwritable: no permission, no space.

    Example:

    >>> with MapWriter(Path("map.tif"), products.layers, grid) as writer:
    ...     writer.write(0, 0, products(output, valid))
    ...     writer.finish()
    """

    def __init__(
        self,
        target: Path,
        layers: Sequence[Layer],
        grid: Grid,
        *,
        overwrite: bool = False,
        tags: dict[str, str] | None = None,
        passing: Collection[str] = (),
        apart: Mapping[str, Path] = MappingProxyType({}),
        folder: Callable[[Path], AbstractContextManager[Path]] = scratch_folder,
    ) -> None:
        for option, path in {"target": target, **apart}.items():
            if path.suffix.lower() not in _SUFFIXES:
                raise OptionError(option, expected="a file name that ends in .tif", received=str(path))
        self._apart, self._folder = apart, folder
        self.fresh = True
        """Once it is open: whether none of the map's blocks were there already."""
        self.home = target.parent
        """Once it is open: the hidden folder beside the target."""
        self._targets = {
            layer.name: apart[layer.name] if layer.name in apart else layer_path(target, layer, main=k == 0)
            for k, layer in enumerate(layers)
            if layer.name not in passing
        }
        self._whole: dict[str, Path] = {}
        self._layers, self._grid, self._target, self._tags = layers, grid, target, tags or {}
        self._files: list[IO[bytes]] = []
        self._open, self._finished = ExitStack(), False
        for path in self.paths:
            if path.is_dir():
                raise OutputUnwritable(path, "it is a folder")
            if path.exists() and not overwrite:
                raise OutputExists(path, "a map")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the layers that are kept, the map itself first."""
        return tuple(self._targets.values())

    def __enter__(self) -> Self:
        path = self._target
        try:
            self.home = self._open.enter_context(self._folder(path))
            held = []
            for layer in self._layers:
                path = self._home(layer)
                own = self._open.enter_context(self._folder(path)) if layer.name in self._apart else self.home
                raw, made = own / f"{layer.name}.raw", own / f"{layer.name}.tif"
                held.append(raw.exists() or made.exists())
                if made.exists() and not raw.exists():
                    # The process before came as far as this.
                    self._whole[layer.name] = made
                    self._files.append(io.BytesIO())
                    continue
                file = open(raw, "r+b" if raw.exists() else "wb")
                self._files.append(file)
                reserve(file, self._grid.height * _row_bytes(layer, self._grid))
            self.fresh = not all(held)
        except BaseException as error:  # Reserving may take long enough to be interrupted.
            self._discard(type(error), error, error.__traceback__)
            if isinstance(error, OSError):
                raise OutputUnwritable(path, error.strerror or error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard(*((None, None, None) if self._finished else (kind, error, trace)))

    def write(self, row: int, column: int, arrays: list[np.ndarray]) -> None:
        """Stores a block; see `Sink`.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        path = self._target
        try:
            for layer, file, array in zip(self._layers, self._files, arrays, strict=True):
                path = self._home(layer)
                size = np.dtype(layer.dtype).itemsize
                lines = np.ascontiguousarray(array.transpose(1, 0, 2), layer.dtype)
                for y, bands in enumerate(lines, row):
                    for band, line in enumerate(bands):
                        file.seek(y * _row_bytes(layer, self._grid) + (band * self._grid.width + column) * size)
                        file.write(line)
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error

    def flush(self, *, to_disk: bool = False) -> None:
        """Hands what was written to the system, so that it outlives this process; or even waits until the disk has it.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        path = self._target
        try:
            for layer, file in zip(self._layers, self._files, strict=True):
                path = self._home(layer)
                file.flush()
                if to_disk and not isinstance(file, io.BytesIO):
                    os.fsync(file.fileno())
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error

    def make(self) -> dict[str, Path]:
        """Makes the COGs, beside the target, for what is to be made of them before they get their names.

        Returns:
            Their paths by the names of the layers.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        path = self._target
        try:
            # GDAL reports to a handler that is in place for the thread as long as an Env is.
            with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE), warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                for layer, file in zip(self._layers, self._files, strict=True):
                    path = self._home(layer)
                    if layer.name not in self._whole:
                        self._whole[layer.name] = self._make_cog(layer, file)
        except (OSError, RasterioError) as error:
            raise OutputUnwritable(path, getattr(error, "strerror", None) or error) from error
        return dict(self._whole)

    def finish(self) -> tuple[Path, ...]:
        """Makes the COGs, if that was not done, and gives them their names, the map itself last.

        Returns:
            Their paths.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        whole, path = self.make(), self._target
        try:
            for name, path in reversed(self._targets.items()):
                os.replace(whole[name], path)
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error
        self._finished = True
        return self.paths

    def _home(self, layer: Layer) -> Path:
        """The file beside which a layer is made."""
        return self._apart.get(layer.name, self._target)

    def _make_cog(self, layer: Layer, file: IO[bytes]) -> Path:
        """Describes the binary file to GDAL and copies it into a COG."""
        file.close()
        folder = Path(file.name).parent
        described = folder / f"{layer.name}.vrt"
        described.write_text(_raw_vrt(layer, self._grid))
        with rasterio.open(described, "r+") as dataset:
            if self._grid.crs is not None:
                dataset.crs = rasterio.CRS.from_user_input(self._grid.crs)
            if not self._grid.transform.is_identity:
                dataset.transform = self._grid.transform
            dataset.nodata = layer.nodata
            about = {"TIFFTAG_IMAGEDESCRIPTION": layer.description} if layer.description else {}
            dataset.update_tags(**self._tags, **about)
            for index, band in enumerate(layer.bands, 1):
                dataset.set_band_description(index, band.name)
                dataset.set_band_unit(index, band.unit)
            if layer.classes:
                dataset.update_tags(1, **{f"class_{c.value}": c.name for c in layer.classes})
                if layer.dtype == "uint8":
                    colours = {c.value: (*bytes.fromhex(c.colour[1:]), 255) for c in layer.classes}
                    dataset.write_colormap(1, {**colours, int(layer.nodata): (0, 0, 0, 0)})
        made = folder / f"{layer.name}.tif"
        # Differences of class numbers compress worse than the numbers.
        options = {**_COG, "predictor": "NO" if layer.classes else "YES"}
        rasterio.shutil.copy(described, made, overview_resampling=layer.resampling.upper(), **options)
        _check_end(made)
        os.remove(file.name)
        return made

    def _discard(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        for file in self._files:
            try:
                file.close()
            except OSError:
                continue  # What it still held back belongs to a map that is given up.
        self._open.__exit__(kind, error, trace)


def _row_bytes(layer: Layer, grid: Grid) -> int:
    return np.dtype(layer.dtype).itemsize * len(layer.bands) * int(grid.width)


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def _raw_vrt(layer: Layer, grid: Grid) -> str:
    """A VRT over the binary file, in which each row holds all bands one after the other."""
    size = np.dtype(layer.dtype).itemsize
    line = size * grid.width
    bands = "".join(
        f'<VRTRasterBand dataType="{_GDAL_TYPES[layer.dtype]}" band="{k + 1}" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativetoVRT="1">{layer.name}.raw</SourceFilename><ImageOffset>{k * line}</ImageOffset>'
        f"<PixelOffset>{size}</PixelOffset><LineOffset>{len(layer.bands) * line}</LineOffset>"
        f"<ByteOrder>{'LSB' if sys.byteorder == 'little' else 'MSB'}</ByteOrder></VRTRasterBand>"
        for k in range(len(layer.bands))
    )
    return f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">{bands}</VRTDataset>'


def _check_end(path: Path) -> None:
    """Reads the blocks that a COG ends with. GDAL does not tell when the last of them did not reach the disk."""
    with rasterio.open(path) as dataset:
        height, width = dataset.block_shapes[0]
        top = (dataset.height - 1) // height * height
        for left in range(0, dataset.width, width):
            dataset.read(window=Window(left, top, min(width, dataset.width - left), dataset.height - top))
