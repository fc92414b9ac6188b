"""Palette images as pictures: indices of colours looked up, so that they can be averaged and learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodl.contract import Band
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid, Window, is_nodata
from geodl.errors import SourceUnreadable

__all__ = ("PaletteFile",)

_COLOURS = ("red", "green", "blue")


class PaletteFile:
    """A palette image as bands `red`, `green` and `blue`, 0–255. Read as a `RasterFile` is.

    Nodata, colours that are quite transparent and indices without a colour are invalid.
    """

    def __init__(self, file: RasterFile) -> None:
        """Takes a file with a colour table. Raises `SourceUnreadable` where it has further bands."""
        assert file.colormap is not None
        if len(file.bands) != 1:
            raise SourceUnreadable(
                file.path, f"one of its {len(file.bands)} bands is made of indices of colours, not of measurements",
                advice="Expand it to red, green and blue first (gdal_translate -expand rgb).",
            )  # fmt: skip
        self.file = file
        self.path, self.block, self.tags = file.path, file.block, file.tags
        self.by_points, self.shape, self.codes = file.by_points, file.shape, False
        self.bands = tuple(Band(name, dtype="uint8") for name in _COLOURS)
        self.given_names: list[str | None] = list(_COLOURS)
        self._colours = np.zeros((max(file.colormap, default=0) + 1, 4), np.uint8)
        for index, colour in file.colormap.items():
            self._colours[index] = colour

    @property
    def grid(self) -> Grid:
        """The file's."""
        return self.file.grid

    def read(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads colours, uint8 of shape (len(bands), height, width), and which are valid; see `RasterFile.read`."""
        stored, valid = self.file.read(window, [0])
        indices: np.ndarray = stored[0]
        known = (indices >= 0) & (indices < len(self._colours))
        colours = self._colours[np.where(known, indices, 0)]
        known &= colours[..., 3] > 0
        missing = is_nodata(indices, self.file.bands[0].nodata)
        if missing is not None:
            known &= ~missing
        if valid is not None:
            known &= valid if valid.ndim == 2 else valid[0]
        return np.moveaxis(colours[..., list(bands)], -1, 0), known

    def alpha_like_data(self) -> int | None:
        """See `RasterFile.alpha_like_data`."""
        return self.file.alpha_like_data()

    def close(self) -> None:
        """Closes the file."""
        self.file.close()
