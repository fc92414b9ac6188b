"""Surface reflectance of a landscape: mixtures of two surfaces per pixel, times texture and light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geodl.data.simulate import landscape as land
from geodl.data.simulate.landscape import Landscape
from geodl.data.simulate.noise import fractal, rehashed, smooth

__all__ = ("BANDS", "SURFACES", "Season", "paint")

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")

SURFACES: dict[str, tuple[float, ...]] = {
    "clear water": (0.035, 0.040, 0.024, 0.014, 0.007, 0.005),
    "turbid water": (0.062, 0.088, 0.084, 0.038, 0.013, 0.009),
    "broadleaf": (0.022, 0.044, 0.023, 0.320, 0.155, 0.068),
    "conifer": (0.019, 0.031, 0.021, 0.205, 0.095, 0.042),
    "lush grass": (0.030, 0.064, 0.040, 0.340, 0.200, 0.098),
    "dry grass": (0.058, 0.086, 0.098, 0.240, 0.275, 0.175),
    "green crop": (0.027, 0.058, 0.030, 0.400, 0.180, 0.082),
    "ripe crop": (0.072, 0.108, 0.132, 0.265, 0.320, 0.230),
    "rapeseed": (0.046, 0.118, 0.098, 0.390, 0.195, 0.100),
    "field soil": (0.072, 0.094, 0.122, 0.185, 0.275, 0.235),
    "sand": (0.118, 0.152, 0.188, 0.246, 0.332, 0.302),
    "rock": (0.082, 0.098, 0.116, 0.155, 0.220, 0.200),
    "tiles": (0.072, 0.092, 0.140, 0.200, 0.250, 0.225),
    "bright roof": (0.150, 0.166, 0.178, 0.205, 0.235, 0.215),
    "asphalt": (0.082, 0.090, 0.098, 0.120, 0.150, 0.140),
}
"""Surface reflectance (0-1) in `BANDS`: set by hand to values typical of Sentinel-2 level 2A in mid-latitude summers,
with the shapes of the ECOSTRESS spectral library (Meerdink et al. 2019, https://speclib.jpl.nasa.gov). Plausible, not
measured."""

_INDEX = {name: number for number, name in enumerate(SURFACES)}


@dataclass(frozen=True)
class Season:
    """What differs from one scene to the next."""

    time: float
    """0: early spring, 1: late summer."""
    dryness: float
    """0: wet year, 1: drought."""
    turbidity: float
    """0: clear rivers, 1: muddy ones."""
    conifers: float
    """Share of conifers in the woods, 0-1."""
    soil: np.ndarray
    """Colour of the soil: factor per band."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Season:
        """Draws a season and a region."""
        red = rng.normal(0, 0.12)
        tint = 1 + red * np.array([-0.8, -0.4, 0.3, 0.4, 0.2, 0.1]) + rng.normal(0, 0.02, len(BANDS))
        soil = (rng.uniform(0.75, 1.25) * tint).astype(np.float32)
        return cls(rng.uniform(0.15, 0.9), rng.random(), rng.random(), rng.random(), soil)


class _Palette:
    """A picture under way: which two surfaces each pixel has, in what mixture, and how bright."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.one = np.zeros(shape, np.uint8)
        self.other = np.zeros(shape, np.uint8)
        self.share = np.zeros(shape, np.float32)
        self.light = np.ones(shape, np.float32)

    def put(self, where: np.ndarray, one: str, other: str, share: np.ndarray, light: np.ndarray) -> None:
        """Paints `one`, mixed with a share of `other`, where asked."""
        self.one[where], self.other[where] = _INDEX[one], _INDEX[other]
        self.share[where], self.light[where] = share[where], light[where]

    def reflectance(self, surfaces: np.ndarray) -> np.ndarray:
        """Returns float32 of shape (height, width, band)."""
        share = np.clip(self.share, 0, 1)[..., None]
        values = surfaces[self.one]
        values += share * (surfaces[self.other] - values)
        values *= self.light[..., None]
        return values


class _Texture(NamedTuple):
    """Unit-variance noise that the surfaces share, fine to coarse; each of shape (height, width)."""

    grain: np.ndarray
    """Trees, tussocks: 1.4 pixels."""
    mottle: np.ndarray
    """Wet and dry spots: 18 pixels."""
    broad: np.ndarray
    """Soils: 60 pixels."""
    rough: np.ndarray
    """Gullies and heaps: 9 pixels."""


def paint(rng: np.random.Generator, scene: Landscape, season: Season) -> np.ndarray:
    """Paints the reflectance of a landscape in a season, without atmosphere or clouds.

    Returns:
        float32 of shape (height, width, 6): reflectance in `BANDS`.
    """
    shape = scene.labels.shape
    picture = _Palette(shape)
    texture = _Texture(
        smooth(rng, shape, 1.4),
        fractal(rng, shape, 18, octaves=3),
        fractal(rng, shape, 60, octaves=2),
        fractal(rng, shape, 9, octaves=2),
    )
    mud = season.turbidity + 0.12 * texture.broad
    picture.put(scene.labels == land.WATER, "clear water", "turbid water", mud, 1 + 0.02 * texture.grain)
    _paint_grass(picture, scene, season, texture)
    _paint_crops(picture, scene, season, texture)
    _paint_woods(picture, scene, season, texture)
    _paint_bare(picture, scene, texture)
    _paint_towns(picture, scene, texture)
    _cast_shadows(picture, scene)
    surfaces = np.array(list(SURFACES.values()), np.float32)
    for name in ("field soil", "sand", "rock"):
        surfaces[_INDEX[name]] *= season.soil
    return picture.reflectance(surfaces)


def _paint_grass(picture: _Palette, scene: Landscape, season: Season, texture: _Texture) -> None:
    """Meadows, some lately mown and some as green as a crop, with single trees."""
    grass = scene.labels == land.GRASSLAND
    mown = rehashed(scene.parcel, 8)
    spots = 0.16 * texture.broad + 0.12 * texture.mottle + 0.05 * texture.grain + 0.06 * scene.relief
    dry = 0.5 * season.dryness + 0.3 * mown + spots
    vigour = 0.9 + 0.2 * mown + 0.06 * texture.mottle + 0.07 * texture.grain
    picture.put(grass, "lush grass", "dry grass", dry, vigour)
    picture.put(grass & (mown < 0.25), "green crop", "dry grass", dry, vigour)
    trees = grass & (texture.mottle + 0.9 * texture.grain > 2.4)
    picture.put(trees, "broadleaf", "lush grass", np.full_like(dry, 0.35), 0.8 + 0.1 * texture.grain)


def _paint_crops(picture: _Palette, scene: Landscape, season: Season, texture: _Texture) -> None:
    """Each field has a crop and a date; rows, tracks between fields, and thin spots show its soil."""
    crops = scene.labels == land.CROPLAND
    kind = rehashed(scene.parcel, 3)
    age = season.time + 0.22 * (rehashed(scene.parcel, 4) - 0.5)
    cereal, summer = kind < 0.42, (kind >= 0.42) & (kind < 0.74)
    rape, fodder = (kind >= 0.74) & (kind < 0.84), kind >= 0.84
    bare = (cereal & (age > 0.78)) | (summer & (age < 0.36)) | (rape & (age > 0.72))
    ripe = cereal & (age > 0.5) & ~bare
    yellow = rape & (age > 0.24) & (age < 0.46)
    green = crops & ~(bare | ripe | yellow)
    grassy = fodder | (rehashed(scene.parcel, 9) < 0.25)

    stripe = rehashed(scene.parcel, scene.rows) - 0.5
    light = (1 + 0.24 * stripe + 0.04 * texture.grain) * (0.9 + 0.2 * rehashed(scene.parcel, 5))
    soil = 0.10 * rehashed(scene.parcel, 6) + 0.05 * texture.mottle + 0.04 * texture.broad
    soil += 0.25 * np.maximum(stripe, 0) + 0.6 * (scene.margin < 0.7)
    young = 1 - np.clip(np.where(summer, (age - 0.3) / 0.25, age / 0.25), 0.35, 1)
    stubble = 0.5 * rehashed(scene.parcel, 7) + 0.25 * stripe + 0.05 * texture.mottle
    picture.put(green, "green crop", "field soil", soil + 0.5 * young, light)
    picture.put(green & grassy, "lush grass", "field soil", soil, light)
    picture.put(crops & ripe, "ripe crop", "field soil", soil, light)
    picture.put(crops & yellow, "rapeseed", "green crop", soil, light)
    picture.put(crops & bare, "field soil", "ripe crop", stubble, light)


def _paint_woods(picture: _Palette, scene: Landscape, season: Season, texture: _Texture) -> None:
    """Stands of broadleaved trees and conifers under a rough canopy, and open young growth."""
    woods = scene.labels == land.FOREST
    conifers = 0.5 + 1.6 * (season.conifers - 0.5) + 0.9 * scene.patches
    canopy = np.clip(1.05 + 0.25 * texture.grain + 0.08 * texture.broad, 0.4, 1.7)
    picture.put(woods, "broadleaf", "conifer", conifers, canopy)
    young = woods & (scene.patches + 1.5 * rehashed(scene.parcel, 10) > 1.9)
    picture.put(young, "broadleaf", "lush grass", 0.45 + 0.2 * texture.grain, canopy)


def _paint_bare(picture: _Palette, scene: Landscape, texture: _Texture) -> None:
    """Sand and rock, on high ground the soil of the fields; gullied."""
    bare = scene.labels == land.BARE
    share = np.clip(0.3 + 0.3 * texture.mottle + 0.2 * texture.broad, 0, 1)
    gullies = np.clip(0.7 * (np.roll(texture.rough, 1, axis=0) - texture.rough), -0.35, 0.35)
    light = np.clip(0.95 + gullies + 0.05 * texture.grain, 0.5, 1.4)
    picture.put(bare, "sand", "rock", share, light)
    earthy = bare & (scene.relief + 0.3 * texture.broad > 1.0)
    picture.put(earthy, "field soil", "sand", 0.35 + 0.5 * share, light)


def _paint_towns(picture: _Palette, scene: Landscape, texture: _Texture) -> None:
    """Roofs, streets, gardens and trees; greener towards the edge of the town."""
    built = scene.labels == land.BUILT
    plot, shade = scene.plot, rehashed(scene.plot, 2)
    light = (0.8 + 0.35 * shade) * (1 + 0.05 * texture.grain)
    mix = np.minimum(rehashed(plot, 3), np.float32(0.6))
    picture.put(built, "tiles", "asphalt", mix, light)
    picture.put(built & (plot > 0.68), "bright roof", "asphalt", mix, light)
    garden = built & (plot < 0.75) & (rehashed(plot, 1) > 0.35 + 0.6 * scene.density)
    leafy = (shade > 0.5).astype(np.float32)
    picture.put(garden, "lush grass", "broadleaf", leafy, 0.85 + 0.12 * texture.grain)
    dusty = np.where(scene.road, np.float32(0.12), np.float32(0.05))
    picture.put(built & ((plot == 0) | scene.road), "asphalt", "sand", dusty, 1 + 0.05 * texture.grain)


def _cast_shadows(picture: _Palette, scene: Landscape) -> None:
    """Slopes face the sun in the south-east or turn from it; woods shade what lies north-west of them."""
    down, right = np.gradient(scene.relief)
    slope = np.clip(-6.0 * (down + right), -0.25, 0.25)
    picture.light *= np.where(scene.labels == land.WATER, np.float32(1), (1 + slope).astype(np.float32))
    tall = scene.labels == land.FOREST
    shaded = np.zeros_like(tall)
    shaded[:-1, :-1] = tall[1:, 1:] & ~tall[:-1, :-1]
    picture.light[shaded] *= np.float32(0.72)
