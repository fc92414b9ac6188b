"""Farmland of a simulated scene: where one field ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, spatial

from geodl.data.simulate.drawing import turned
from geodl.data.simulate.noise import cells, fractal, hashed, smooth

__all__ = ("Fields", "draw_fields")


@dataclass(frozen=True)
class Fields:
    """Arrays of shape (height, width). The whole plane is parcelled; what is a field is decided elsewhere."""

    parcel: np.ndarray
    """float32 in [0, 1): a number of its own for each field."""
    rows: np.ndarray
    """int32: index of the row of plants within a field; rows are two or three pixels wide."""
    margin: np.ndarray
    """float32: distance to the border of the field, in pixels."""
    hedge: np.ndarray
    """bool: trees along the borders between zones."""
    farmed: np.ndarray
    """float32, about -1 to 2: how much of the land is farmed."""


def draw_fields(rng: np.random.Generator, shape: tuple[int, int]) -> Fields:
    """Parcels the land: zones of about 190 pixels, each with one direction and one size of its fields."""
    zone, count = _zones(rng, shape, spacing=190, warp=8)
    angle = rng.uniform(0, np.pi, count)
    scale = rng.lognormal(0, 0.35) * rng.lognormal(0, 0.35, count)
    breadth = np.clip(17 * scale, 7, 50).astype(np.float32)[zone]
    length = np.clip(42 * scale * rng.lognormal(0, 0.3, count), 25, 110).astype(np.float32)[zone]
    drill = rng.choice([2.0, 3.0], count).astype(np.float32)[zone]
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = turned(rows, columns, angle, zone)
    strip, cell, across, along = cells(u / breadth, v / length, zone)

    border = np.zeros(shape, bool)
    border[:, 1:] |= zone[:, 1:] != zone[:, :-1]
    border[1:] |= zone[1:] != zone[:-1]
    hedge = ndimage.binary_dilation(border) & (smooth(rng, shape, 40) > 0.4)
    farmed = fractal(rng, shape, 200, octaves=2) + np.float32(0.4 + 0.6 * rng.random())
    margin = np.minimum(across * breadth, along * length)
    return Fields(hashed(zone, strip, cell), np.floor(u / drill).astype(np.int32), margin, hedge, farmed)


def _zones(rng: np.random.Generator, shape: tuple[int, int], *, spacing: float, warp: float) -> tuple[np.ndarray, int]:
    """Voronoi cells of jittered points with ragged borders: the cell of each pixel, and the number of cells."""
    down, right = (np.arange(int(np.ceil(size / spacing)) + 3) - 1 for size in shape)
    corners = np.stack(np.meshgrid(down, right, indexing="ij"), axis=-1).reshape(-1, 2)
    seeds = (corners + rng.random(corners.shape)) * spacing
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    places = np.stack([rows + warp * smooth(rng, shape, 50), columns + warp * smooth(rng, shape, 50)], axis=-1)
    _, nearest = spatial.cKDTree(seeds).query(places, workers=-1)
    return np.asarray(nearest, np.int32), len(seeds)
