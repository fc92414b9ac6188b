"""Rivers and brooks of a simulated scene."""

from __future__ import annotations

import numpy as np
from scipy import spatial

from geodl.data.simulate.drawing import stamp, wander

__all__ = ("draw_rivers",)


def draw_rivers(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Draws rivers, and brooks that join them.

    Returns:
        Mask, bool of shape (height, width), and the width of the first river in pixels.
    """
    height, width = shape
    water = np.zeros(shape, bool)
    breadths = 7 + 9 * rng.random(max(1, round(height * width / 900**2)))
    for number, breadth in enumerate(breadths):
        start = _dry_point(rng, water, border=0.3 if number == 0 else 0.1)
        upstream, downstream = _course(rng, start, 2 * (height + width), breadth)
        _flow(water, upstream, breadth)
        _flow(water, downstream, breadth)
    for _ in range(2 * len(breadths) + round(height * width / 500**2)):
        breadth = 2.2 + rng.random()
        _, downstream = _course(rng, _dry_point(rng, water, border=0.0), 2 * (height + width), breadth)
        _flow(water, downstream, breadth)
    return water, float(breadths[0])


def _dry_point(rng: np.random.Generator, water: np.ndarray, *, border: float) -> np.ndarray:
    """The driest of a few random points, at least a share `border` of the size from the edge."""
    points = (border + (1 - 2 * border) * rng.random((12, 2))) * (np.array(water.shape) - 1)
    wet = np.argwhere(water[::4, ::4]) * 4
    if wet.size == 0:
        return points[0]
    away, _ = spatial.cKDTree(wet).query(points)
    return points[np.argmax(np.minimum(away, 150))]


def _course(rng: np.random.Generator, start: np.ndarray, length: int, breadth: float) -> tuple[np.ndarray, np.ndarray]:
    """A sine-generated curve (Langbein & Leopold 1966, "River meanders") through a point: both ways from there."""
    step = np.arange(2 * length, dtype=np.float64)
    bend = 60 + 9 * breadth
    phase = 2 * np.pi * (step / bend + 0.35 * wander(rng, 2 * length, 2 * bend))
    swing = np.clip(0.75 + 0.35 * wander(rng, 2 * length, 3 * bend), 0.2, 1.3)
    angle = rng.uniform(0, 2 * np.pi) + 0.5 * wander(rng, 2 * length, 6 * bend) + swing * np.sin(phase)
    path = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=1), axis=0)
    path += start - path[length]
    return path[length::-1], path[length:]


def _flow(water: np.ndarray, path: np.ndarray, breadth: float) -> None:
    """Fills a course with water until it leaves the scene or meets other water."""
    inside = ((path >= -20) & (path < np.array(water.shape) + 20)).all(axis=1)
    last = len(path) if inside.all() else int(np.argmin(inside))
    row, column = np.clip(np.rint(path[:last]).astype(int), 0, np.array(water.shape) - 1).T
    met = water[row, column]
    met[: int(2 * breadth) + 2] = False
    if met.any():
        last = int(np.argmax(met)) + 1
    wave = 0.15 * np.sin(np.arange(last) / 11) * np.sin(np.arange(last) / 29)
    stamp(water, path[:last], 0.5 * breadth * (1 + wave))
