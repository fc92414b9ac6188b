"""Sources and labels in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from affine import Affine
from pyproj import CRS

from geodl.contract import Band, ClassInfo
from geodl.data.labels import Labels
from geodl.data.source import Grid, Source, Window

UTM = CRS.from_epsg(32633)


def utm_grid(height: int, width: int, *, east: float = 0.0, south: float = 0.0) -> Grid:
    """A grid of 10 m pixels whose upper-left corner is moved `east` and `south` by that many pixels."""
    return Grid(UTM, Affine(10, 0, 500_000 + 10 * east, 0, -10, 5_400_000 - 10 * south), height, width)


def pixel_grid(height: int, width: int) -> Grid:
    return Grid(None, Affine.identity(), height, width)


class FakeSource(Source):
    """Values of shape ([time,] height, width, band); counts its reads."""

    def __init__(self, values: np.ndarray, *, name: str = "scene", grid: Grid | None = None) -> None:
        self.values = values.astype(np.float32)
        self.name = name
        self.grid = grid or pixel_grid(*values.shape[-3:-1])
        self.bands = tuple(Band(f"band_{k + 1}") for k in range(values.shape[-1]))
        self.times = np.arange(values.shape[0]).astype("datetime64[ns]") if values.ndim == 4 else None
        self.reads: list[Window | None] = []

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        self.reads.append(window)
        lead = () if self.times is None else (times or slice(None),)
        values = self.values[(*lead, *window.toslices())].copy()
        return values, ~np.isnan(values)

    def select(self, names: tuple[str, ...]) -> Self:
        chosen = [[band.name for band in self.bands].index(name) for name in names]
        other = type(self)(self.values[..., chosen], name=self.name, grid=self.grid)
        other.bands = tuple(self.bands[k] for k in chosen)
        return other

    def rename(self, names: Sequence[str]) -> Self:
        other = type(self)(self.values, name=self.name, grid=self.grid)
        other.bands = tuple(Band(name) for name in names)
        return other


class FakeLabels(Labels):
    """Class indices of shape (height, width), -1 unlabelled."""

    def __init__(self, indices: np.ndarray, *, grid: Grid | None = None, classes: int = 3) -> None:
        self.indices = indices.astype(np.int32)
        self.name = "labels"
        self.grid = grid or pixel_grid(*indices.shape)
        self.classes = tuple(ClassInfo(k, f"class_{k}", "#000000") for k in range(classes))
        self.reads: list[Window] = []

    def _read(self, window: Window) -> np.ndarray:
        self.reads.append(window)
        return self.indices[window.toslices()]
