"""Simulated satellite scenes with their true land cover: the data of the demo and of many tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.enums import ColorInterp
from scipy import ndimage

from geodl.contract import ClassInfo
from geodl.data.simulate.landscape import lay_out
from geodl.data.simulate.noise import fractal
from geodl.data.simulate.spectra import BANDS, Season, paint
from geodl.data.source import Grid
from geodl.errors import OptionError

__all__ = ("BANDS", "CLASSES", "SimulatedScene", "simulate_scene", "write_scene")

CLASSES = (
    ClassInfo(1, "water", "#0072b2"),
    ClassInfo(2, "forest", "#00553a"),
    ClassInfo(3, "cropland", "#e69f00"),
    ClassInfo(4, "grassland", "#b8e186"),
    ClassInfo(5, "built-up", "#cc3311"),
    ClassInfo(6, "bare soil", "#9a8478"),
)
"""The classes of every simulated scene; colours that all kinds of colour vision tell apart."""

_HAZE = np.array([0.060, 0.045, 0.034, 0.020, 0.007, 0.004], np.float32)
"""Path reflectance of a dense haze per band."""


@dataclass(frozen=True)
class SimulatedScene:
    """A scene and its truth."""

    values: np.ndarray
    """float32 of shape (height, width, 6): surface reflectance, 0-1, in `BANDS`; not-a-number under clouds."""
    labels: np.ndarray
    """uint8 of shape (height, width): values of `CLASSES`, also under clouds."""
    classes: tuple[ClassInfo, ...]
    grid: Grid


def simulate_scene(
    seed: int,
    *,
    height: int = 512,
    width: int = 512,
    crs: str = "EPSG:32633",
    resolution: float = 10.0,
    origin: tuple[float, float] | None = None,
) -> SimulatedScene:
    """Simulates a Sentinel-2-like scene of a farmed river landscape.

    Scenes of different seeds differ in season, soil, haze and light, and the spectra of the classes overlap: shape and
    texture tell a ploughed field from a gravel pit and a meadow from a crop. Features keep their size in pixels
    whatever the size of the scene.

    Args:
        seed: the same seed and size give the same scene.
        height: rows, at least 32.
        width: columns, at least 32.
        crs: any CRS that pyproj knows.
        resolution: pixel size in the CRS's unit.
        origin: (x, y) of the upper-left corner; default: places 40 km apart in UTM, so that no two of
            500 successive seeds overlap.

    Raises:
        OptionError: the scene is too small.

    Example:
        >>> scene = simulate_scene(1, height=64, width=96)
        >>> scene.values.shape, scene.labels.shape
        ((64, 96, 6), (64, 96))
    """
    if min(height, width) < 32:
        raise OptionError("height and width", expected="at least 32 pixels", received=(height, width))
    rng = np.random.default_rng([2015, 6, 23, seed])
    season = Season.draw(rng)
    layout = lay_out(rng, (height, width))
    values = paint(rng, layout, season)
    values, cloudy = _through_the_air(rng, values)
    values = _seen_by_the_sensor(rng, values)
    values = np.clip(np.rint(values * 10_000), 1, 65_535).astype(np.float32) / np.float32(10_000)
    values[cloudy] = np.nan
    x, y = origin or (280_000.0 + 40_000.0 * (seed % 10), 5_000_000.0 + 40_000.0 * (seed // 10 % 50))
    transform = Affine(resolution, 0, x, 0, -resolution, y)
    return SimulatedScene(values, layout.labels, CLASSES, Grid(CRS.from_user_input(crs), transform, height, width))


def _through_the_air(rng: np.random.Generator, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adds light of the day, haze, thin cloud and cloud shadows; returns also where clouds hide the ground."""
    height, width = values.shape[:2]
    gain = (rng.uniform(0.85, 1.15) * rng.normal(1, 0.04, len(BANDS))).astype(np.float32)
    drop, shift = (int(step) for step in rng.integers(18, 40, 2))
    sky = fractal(rng, (height + drop, width + shift), 120, octaves=6, roughness=0.55)
    opacity = np.clip((sky - rng.uniform(1.4, 2.4)) / 0.5, 0, 1)
    # The sun stands in the south-east: a shadow lies up and to the left of its cloud.
    above, casting = opacity[:height, :width], opacity[drop:, shift:]
    shade = ndimage.gaussian_filter(casting, 1.5)[..., None] * np.linspace(
        0.5, 0.68, values.shape[-1], dtype=np.float32
    )
    haze = np.clip(rng.uniform(0, 0.7) + 0.2 * fractal(rng, (height, width), 300, octaves=3), 0, 1.5)
    values = values * gain * (1 - shade) + haze[..., None] * _HAZE
    cloud = np.float32(0.7) * above[..., None]
    values = values * (1 - above[..., None]) + cloud
    return values, ndimage.binary_dilation(above > 0.25, iterations=2)


def _seen_by_the_sensor(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Blurs each band by its point spread (short-wave infrared is twice as coarse) and adds noise."""
    seen = np.empty_like(values)
    for band, name in enumerate(BANDS):
        spread = 1.0 if name in ("B11", "B12") else 0.5
        seen[..., band] = ndimage.gaussian_filter(values[..., band], spread, truncate=3)
    noise = rng.standard_normal(seen.shape, np.float32)
    return seen + noise * np.sqrt(np.float32(0.0012) ** 2 + (np.float32(0.02) * seen) ** 2)


def write_scene(scene: SimulatedScene, image_path: str | Path, label_path: str | Path) -> None:
    """Writes a scene as a satellite archive would give it.

    Args:
        scene: what to write.
        image_path: GeoTIFF, uint16: reflectance × 10,000 with the scale as a tag, nodata 0, band names.
        label_path: GeoTIFF, uint8: class values with a colour table, nodata 255.
    """
    grid = scene.grid
    profile = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs and grid.crs.to_wkt(),
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
    }
    stored = np.where(np.isnan(scene.values), 0, np.rint(scene.values * 10_000)).astype(np.uint16)
    with rasterio.open(image_path, "w", **profile, count=len(BANDS), dtype="uint16", nodata=0, predictor=2) as image:
        image.write(np.moveaxis(stored, -1, 0))
        image.descriptions = BANDS
        image.scales = (1e-4,) * len(BANDS)
        image.offsets = (0.0,) * len(BANDS)
        image.units = ("reflectance",) * len(BANDS)
    with rasterio.open(label_path, "w", **profile, count=1, dtype="uint8", nodata=255) as labels:
        labels.write(scene.labels, 1)
        colours = {c.value: (*bytes.fromhex(c.colour[1:]), 255) for c in scene.classes}
        labels.write_colormap(1, {255: (0, 0, 0, 0)} | colours)
        labels.colorinterp = (ColorInterp.palette,)
        labels.descriptions = ("land cover",)
        labels.update_tags(1, **{f"class_{c.value}": c.name for c in scene.classes})
