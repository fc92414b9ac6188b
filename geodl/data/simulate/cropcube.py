"""A simulated data cube of farmland: images of a year under passing clouds, and its fields with their crops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from pyproj import CRS, Transformer
from scipy.special import betaincinv, ndtr

from geodl.data.simulate.noise import fractal
from geodl.data.simulate.phenology import (
    REGIONS,
    check_season,
    cloud_share,
    draw_crops,
    overpasses,
    season_shifts,
    weather,
)
from geodl.data.simulate.seasons import BANDS, CROPS, FieldSeasons
from geodl.errors import OptionError

if TYPE_CHECKING:
    import geopandas
    import xarray

__all__ = ("simulate_crop_cube",)

_CUBE = 3
_FIELD = 380.0
"""Mean area of a field, in pixels."""
_EDGE = 0.7
"""Pixels of grass along the edge of each field."""
_SKY = 90.0
"""Size of the clouds, in pixels."""
_CHANGE = 1.3
"""The smaller, the more days are either clear or overcast (sum of the parameters of a beta distribution)."""


def simulate_crop_cube(
    *,
    seed: int,
    size: int = 256,
    year: int = 2021,
    region: str = "west",
    cloudiness: float = 0.4,
    irregular: bool = True,
    revisit: int = 8,
    noise: float = 1.0,
    resolution: float = 10.0,
) -> tuple[xarray.Dataset, geopandas.GeoDataFrame]:
    """Simulates a year of images of farmland; seasons and overpasses are those of `simulate_series` with the same seed.

    Args:
        seed: at least 0; the same arguments give the same cube.
        size: height and width, in pixels, at least 32.
        year, region: see `simulate_series`.
        cloudiness: mean share of the images, from 0 and below 1, that clouds hide, most of it by overcast days.
        irregular, revisit, noise: see `simulate_series`.
        resolution: of a pixel, in metres.

    Returns:
        The cube, dims (time, y, x): float32 `B04`, `B08`, `B11` and `NDVI`, also where a cloud or its shadow is seen, and
        uint8 `cloud`: 0 clear, 1 cloud, 2 shadow of a cloud; in UTM. And its fields in the same CRS: `parcel`, `crop` (a
        name of `CROPS`) and polygons that do not touch. Between them, and beyond, there is grass.

    Raises:
        OptionError: an argument is out of range.

    Example:

    >>> cube, fields = simulate_crop_cube(seed=0, size=64)
    >>> dict(cube.sizes), list(fields.columns)
    ({'time': 42, 'y': 64, 'x': 64}, ['parcel', 'crop', 'geometry'])
    """
    import geopandas

    check_season(seed=seed, cloudiness=cloudiness, noise=noise, revisit=revisit)
    if size < 32:
        raise OptionError("size", expected="at least 32 pixels", received=size)
    if region not in REGIONS:
        raise OptionError("region", expected=f"one of {', '.join(REGIONS)}", received=region)
    if not resolution > 0:
        raise OptionError("resolution", expected="metres, above 0", received=resolution)
    rng = np.random.default_rng([seed, _CUBE, year, list(REGIONS).index(region)])
    shapes = _fields(rng, size)
    crop = draw_crops(rng, len(shapes))
    days = overpasses(seed, year, region, revisit=revisit, irregular=irregular)
    # Behind the fields comes the grass between them.
    kinds = np.append(crop, len(CROPS) - 1)
    winter, summer = (np.full(len(kinds), shift) for shift in season_shifts(seed, year, region))
    seasons = FieldSeasons.draw(rng, kinds, winter_shift=winter, summer_shift=summer)
    images, cloud = _images(rng, seasons, _owners(shapes, size), days, cloudiness, noise)

    lon, lat, _ = REGIONS[region]
    crs = CRS.from_epsg(32601 + int((lon + 180) // 6))
    west, north = (round(at, -3) for at in Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat))
    on_ground = shapely.transform(shapes, lambda points: points * [resolution, -resolution] + [west, north])
    names = np.array([each.name for each in CROPS])
    fields = geopandas.GeoDataFrame(
        {"parcel": [f"field_{k}" for k in range(len(shapes))], "crop": names[crop]}, geometry=on_ground, crs=crs
    )
    return _cube(images, cloud, days, year, (west, north), resolution, crs), fields


def _cube(
    images: np.ndarray,
    cloud: np.ndarray,
    days: np.ndarray,
    year: int,
    corner: tuple[float, float],
    resolution: float,
    crs: CRS,
) -> xarray.Dataset:
    import xarray

    dims, mapping = ("time", "y", "x"), {"grid_mapping": "spatial_ref"}
    middles = (np.arange(images.shape[-1]) + 0.5) * resolution
    variables = {
        band.name: (dims, image, {"units": band.unit, **mapping} if band.unit else mapping)
        for band, image in zip(BANDS, images, strict=True)
    }
    clouds = (dims, cloud, {"flag_values": [0, 1, 2], "flag_meanings": "clear cloud shadow", **mapping})
    return xarray.Dataset(
        {**variables, "cloud": clouds},
        coords={
            "time": (np.datetime64(f"{year}-01-01") + (days - 1).astype("timedelta64[D]")).astype("datetime64[ns]"),
            "y": corner[1] - middles,
            "x": corner[0] + middles,
            "spatial_ref": ((), 0, crs.to_cf()),
        },
    )


def _fields(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cuts a square into convex fields: the largest in two, across its length, until they are small enough."""
    whole: list[shapely.Geometry] = [shapely.box(0, 0, size, size)]
    while len(whole) < max(6, round(size**2 / _FIELD)):
        largest = whole.pop(int(np.argmax(shapely.area(whole))))
        corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(largest))[:4]
        sides = corners[1] - corners[0], corners[2] - corners[1]
        along = sides[int(np.hypot(*sides[1]) > np.hypot(*sides[0]))] / size
        angle = rng.normal(0, 0.08)
        along = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ along
        across = np.array([-along[1], along[0]]) / np.hypot(*along) * 4 * size
        along = along / np.hypot(*along)
        length = max(np.hypot(*side) for side in sides)
        middle = shapely.get_coordinates(shapely.centroid(largest))[0] + along * length * rng.uniform(-0.15, 0.15)
        half = shapely.Polygon(
            [middle - across, middle + across, middle + across + along * 4 * size, middle - across + along * 4 * size]
        )
        whole += [shapely.intersection(largest, half), shapely.difference(largest, half)]
    inner = shapely.buffer(whole, -_EDGE, join_style="mitre")
    return np.asarray(inner)[shapely.area(inner) > 9]


def _owners(shapes: np.ndarray, size: int) -> np.ndarray:
    """Returns the field of each pixel by its middle, int (y, x); their number where there is none."""
    from rasterio.features import rasterize

    pairs = [(shape, k) for k, shape in enumerate(shapes)]
    return np.asarray(rasterize(pairs, out_shape=(size, size), fill=len(shapes), dtype="int32"))


def _images(
    rng: np.random.Generator,
    seasons: FieldSeasons,
    owner: np.ndarray,
    days: np.ndarray,
    cloudiness: float,
    noise: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Paints all dates: float32 (band, time, y, x), and uint8 (time, y, x), what hides the ground."""
    shape, when = owner.shape, days[None].astype(np.float64)
    wetness = rng.random(when.shape) * (0.6 + 0.4 * np.cos(2 * np.pi * (when - 15) / 365))
    # What a pixel shows is linear in its vigour but where it is all green: two pictures of each field are mixed.
    thin, dense = (seasons.reflectance(when, vigour=by, wetness=wetness).astype(np.float32) for by in (0.85, 1.15))
    spots = np.clip(0.5 + 0.25 * fractal(rng, shape, 14, octaves=3), 0, 1)
    overcast = _overcast(rng, days, cloudiness)
    images = np.empty((len(BANDS), len(days), *shape), np.float32)
    cloud = np.zeros((len(days), *shape), np.uint8)
    height, width = shape
    for k, cover in enumerate(overcast):
        light = np.float32(1 + 0.03 * noise * rng.standard_normal())
        sky = fractal(rng, (height + 12, width + 12), _SKY, octaves=4)
        over, casting = sky[:height, :width], sky[12:, 12:]
        edge = np.inf if cover <= 0 else np.quantile(over, 1 - cover)
        cloud[k][casting > edge] = 2
        cloud[k][over > edge] = 1
        opacity = np.where(cloud[k] == 1, np.clip(0.45 + (over - edge), 0.45, 1), 0) if cover > 0 else np.float32(0)
        for band in range(3):
            image = images[band, k]
            image[:] = thin[owner, k, band]
            image += spots * (dense[owner, k, band] - image)
            image *= light
            if cover > 0:
                image[cloud[k] == 2] *= np.float32(0.6)
                image += opacity * (np.float32(0.6) - image)
            if noise:
                image += np.float32(noise) * (0.003 + 0.02 * image) * rng.standard_normal(shape, np.float32)
        np.maximum(images[:3, k], np.float32(1e-4), out=images[:3, k])
    red, near = images[0], images[1]
    images[3] = (near - red) / (near + red)
    return images, cloud


def _overcast(rng: np.random.Generator, days: np.ndarray, cloudiness: float) -> np.ndarray:
    """Returns the share of each image that clouds hide: often nearly none or all of it, alike on days close together."""
    if not cloudiness:
        return np.zeros(len(days))
    share = cloud_share(days, cloudiness)
    return np.asarray(betaincinv(_CHANGE * share, _CHANGE * (1 - share), ndtr(weather(rng, days[None])[0])))
