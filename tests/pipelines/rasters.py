"""Small rasters that restoration is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

__all__ = ("landscape", "write")


def landscape(height: int, width: int, bands: int = 1, *, step: float = 1.0, seed: int = 0) -> np.ndarray:
    """Hills between 40 and 220, (height, width, band), sampled every `step` pixels: the same ground at any pixel size."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] * step + (step - 1) / 2
    found = []
    for _ in range(bands):
        (a, b), (c, d) = random.uniform(0.1, 0.4, 2), random.uniform(0, 6, 2)
        found.append(130 + 90 * np.sin(a * y + c) * np.cos(b * x + d))
    return np.stack(found, -1)


def write(
    path: Path,
    values: np.ndarray,
    *,
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    pixel: float = 10.0,
    east: float = 0.0,
    **profile: Any,
) -> str:
    """Writes (height, width, band) as GeoTIFF in UTM, its corner moved by `east` metres, and returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, count = values.shape
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(pixel, 0, 500_000 + east, 0, -pixel, 5_400_000)}
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=values.dtype, **place, **profile) as file:
        file.write(np.moveaxis(values, -1, 0))
        if names:
            file.descriptions = tuple(names)
        if units:
            file.units = tuple(units)
    return str(path)
