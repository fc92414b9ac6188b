"""Settlements of a simulated scene and the roads between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import spatial

from geodl.data.simulate.drawing import around, stamp, turned, wander
from geodl.data.simulate.noise import cells, fractal, hashed, smooth

__all__ = ("Site", "draw_roads", "draw_towns", "found_sites")


@dataclass(frozen=True)
class Site:
    """A settlement, an ellipse in outline; some lie beyond the scene's edge, so that roads lead somewhere."""

    place: np.ndarray
    """(row, column) of its middle."""
    radius: float
    """Half its breadth, in pixels."""
    stretch: float
    """Breadth over length, up to 1."""
    angle: float
    """Direction of its streets, radians."""


def found_sites(rng: np.random.Generator, shape: tuple[int, int], *, spacing: float = 200) -> list[Site]:
    """Founds one settlement, mostly a village, in each square of `spacing` pixels."""
    sites = []
    for corner in np.ndindex(*(int(np.ceil(size / spacing)) + 2 for size in shape)):
        place = (np.array(corner) - 1 + rng.uniform(0.15, 0.85, 2)) * spacing
        radius = float(np.clip(rng.lognormal(np.log(17), 0.55), 8, 75))
        sites.append(Site(place, radius, rng.uniform(0.55, 1), rng.uniform(0, np.pi)))
    return sites


def draw_towns(rng: np.random.Generator, shape: tuple[int, int], sites: list[Site]) -> tuple[np.ndarray, np.ndarray]:
    """Builds the settlements.

    Returns:
        Density, float32 of shape (height, width): 1 in the middle of a town, 0 at its edge, less outside; and a number
        in [0, 1) for each building plot: 0 on streets, from 0.75 in industrial areas.
    """
    density = np.full(shape, -1, np.float32)
    owner = np.zeros(shape, np.int32)
    ragged = fractal(rng, shape, 22, octaves=3, roughness=0.6) * np.float32(0.28)
    angle = np.array([site.angle for site in sites])
    for number, site in enumerate(sites):
        window = around(site.place, 2 * site.radius / site.stretch + 4, shape)
        rows, columns = np.mgrid[window].astype(np.float32)
        u, v = turned(rows - np.float32(site.place[0]), columns - np.float32(site.place[1]), angle, number)
        here = 1 - np.hypot(u, v * np.float32(site.stretch)) / np.float32(site.radius) + ragged[window]
        better = here > density[window]
        density[window][better] = here[better]
        owner[window][better] = number

    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = turned(rows, columns, angle, owner)
    block, lot, across, along = cells(u / 9, v / 14, owner)
    street = np.minimum(across * 9, along * 14) < 0.8
    house = hashed(block * 7 + np.floor(u / 3.1).astype(np.int32), lot * 5 + np.floor(v / 3.3).astype(np.int32), owner)
    works = hashed(np.floor(u / 7).astype(np.int32), np.floor(v / 11).astype(np.int32), owner)
    plot = np.where(smooth(rng, shape, 26) > 1.3, 0.75 + 0.25 * works, 0.75 * house)
    return density, np.where(street, np.float32(0), plot)


def draw_roads(rng: np.random.Generator, shape: tuple[int, int], sites: list[Site]) -> np.ndarray:
    """Joins each settlement to its two nearest neighbours by curved roads; bool of shape (height, width)."""
    road = np.zeros(shape, bool)
    places = np.array([site.place for site in sites])
    _, nearest = spatial.cKDTree(places).query(places, k=3)
    pairs = {tuple(sorted((int(row[0]), int(other)))) for row in np.asarray(nearest) for other in row[1:]}
    for one, other in sorted(pairs):
        length = max(int(np.hypot(*(places[other] - places[one]))) * 2, 8)
        share = np.linspace(0, 1, length)[:, None]
        bow = 9 * np.sin(np.pi * share) * np.stack([wander(rng, length, 160), wander(rng, length, 160)], axis=1)
        radius = 1.3 if min(sites[one].radius, sites[other].radius) > 22 else 0.8
        stamp(road, places[one] + share * (places[other] - places[one]) + bow, radius)
    return road
