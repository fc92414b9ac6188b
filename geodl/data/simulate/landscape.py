"""What lies where in a simulated scene, and the classes that it makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geodl.data.simulate.drawing import around, turned
from geodl.data.simulate.fields import draw_fields
from geodl.data.simulate.noise import fractal, rehashed
from geodl.data.simulate.rivers import draw_rivers
from geodl.data.simulate.towns import draw_roads, draw_towns, found_sites

__all__ = ("BARE", "BUILT", "CROPLAND", "FOREST", "GRASSLAND", "WATER", "Landscape", "lay_out")

WATER, FOREST, CROPLAND, GRASSLAND, BUILT, BARE = range(1, 7)


@dataclass(frozen=True)
class Landscape:
    """Arrays of shape (height, width) that the spectra are painted from."""

    labels: np.ndarray
    """uint8: `WATER`, `FOREST`, …"""
    relief: np.ndarray
    """float32 of unit variance: height of the ground."""
    patches: np.ndarray
    """float32 of unit variance: spots of another kind within a class, some 24 pixels across."""
    bank: np.ndarray
    """float32: distance to water, in pixels; 0 and less within."""
    parcel: np.ndarray
    """float32 in [0, 1): a number of its own for each field."""
    rows: np.ndarray
    """int32: index of the row of plants within a field."""
    margin: np.ndarray
    """float32: distance to the border of the field, in pixels."""
    density: np.ndarray
    """float32: 1 in the middle of a town, 0 and less outside."""
    plot: np.ndarray
    """float32 in [0, 1): a number of its own for each building plot; 0 on streets, from 0.75 in industrial areas."""
    road: np.ndarray
    """bool: roads between settlements."""


def lay_out(rng: np.random.Generator, shape: tuple[int, int]) -> Landscape:
    """Draws a landscape. All scales are in pixels of about 10 m, whatever the size of the scene."""
    relief = fractal(rng, shape, 260, octaves=4)
    region = fractal(rng, shape, 70, octaves=4, roughness=0.6)
    patches = fractal(rng, shape, 24, octaves=2)
    sites = found_sites(rng, shape)
    water, width = draw_rivers(rng, shape)
    lake = ndimage.binary_opening((relief < -1.3) & (region < -0.7), iterations=3)
    water |= lake
    bank = ndimage.distance_transform_edt(~water).astype(np.float32) if water.any() else np.full(shape, 1e3, np.float32)
    fields = draw_fields(rng, shape)
    density, plot = draw_towns(rng, shape, sites)
    road = draw_roads(rng, shape, sites) & ~lake

    labels = np.full(shape, GRASSLAND, np.uint8)
    meadows = 0.22 + 0.18 * rng.random()
    floods = np.clip(1 - bank / (16 + 3 * width), 0, 1)
    labels[(rehashed(fields.parcel, 1) > meadows + 0.7 * floods) & (fields.farmed > -0.25)] = CROPLAND
    # Woods stand on the hills; where the land is farmed, whole fields are or are not wood, so its edges are straight.
    wooded = 0.55 * relief + 0.85 * region + 0.5 * (rehashed(fields.parcel, 2) - 0.5) - 0.35 * fields.farmed
    gallery = (bank > 0) & (bank < 3 + 2 * patches) & (region > -0.3)
    labels[(wooded > 0.35 + 0.3 * rng.random()) | fields.hedge | gallery] = FOREST
    sandbars = (bank > 0) & (bank < 7 * (patches - 0.9))
    badlands = (relief + 0.6 * patches > 2.8) & (region > -0.3)
    labels[sandbars | badlands | _pits(rng, shape, patches)] = BARE
    labels[(density > 0) | road] = BUILT
    labels[water & ~road] = WATER
    return Landscape(
        labels, relief, patches, bank, fields.parcel, fields.rows, fields.margin, density, plot.astype(np.float32), road
    )


def _pits(rng: np.random.Generator, shape: tuple[int, int], patches: np.ndarray) -> np.ndarray:
    """Quarries, gravel pits and building sites."""
    pits = np.zeros(shape, bool)
    for _ in range(max(2, round(shape[0] * shape[1] / 250**2))):
        place, radius = rng.random(2) * shape, float(np.clip(rng.lognormal(np.log(18), 0.45), 8, 45))
        near = around(place, 2 * radius, shape)
        rows, columns = np.mgrid[near].astype(np.float32)
        u, v = turned(rows - place[0], columns - place[1], rng.uniform(0, np.pi, 1), 0)
        # A norm between a circle's and a square's: pits are dug with straight walls.
        away = ((np.abs(u) / rng.uniform(0.5, 1)) ** 5 + np.abs(v) ** 5) ** 0.2 / radius
        pits[near] |= away + 0.3 * patches[near] < 1
    return pits
