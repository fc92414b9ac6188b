"""Simulated time series of farmed fields, as satellites see them: irregular dates, clouds, noise and their crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from pyproj import CRS
from scipy.special import ndtri

from geodl.data.folds import PARTS, Part
from geodl.data.series.table import SeriesTable
from geodl.data.simulate.seasons import BANDS, CROPS, SHARES, FieldSeasons, add_ndvi
from geodl.errors import OptionError

__all__ = (
    "REGIONS",
    "Region",
    "check_season",
    "cloud_share",
    "draw_crops",
    "overpasses",
    "season_shifts",
    "simulate_series",
    "weather",
)

_SERIES, _YEAR, _ORBIT = range(3)
_ORBITS = 3
"""Tracks from which a region is seen; fields of each have dates of their own."""
_LOST = 0.08
"""Share of the overpasses without a picture."""
_MEMORY = 4.0
"""Days after which the clouds of one day tell little of those of another."""


class Region(NamedTuple):
    """A place where fields are simulated."""

    lon: float
    lat: float
    """Of its middle, in degrees."""
    late: float
    """Days by which seasons begin later than usual."""


REGIONS = {
    "north": Region(2.9, 49.8, 4.0),
    "west": Region(0.9, 48.2, 0.0),
    "east": Region(5.1, 48.8, 3.0),
    "south": Region(1.3, 43.6, -9.0),
}
"""Farmland in France, roughly."""


def simulate_series(
    count: int,
    *,
    seed: int,
    part: Part = "train",
    years: Sequence[int] = (2019, 2020, 2021),
    regions: Sequence[str] = tuple(REGIONS),
    cloudiness: float = 0.4,
    irregular: bool = True,
    revisit: int = 5,
    noise: float = 1.0,
    per_parcel: int = 1,
) -> SeriesTable:
    """Simulates series of single pixels in fields; see `geodl.data.simulate.seasons`.

    Years, regions and overpasses are those of the seed, in all parts and in `simulate_crop_cube`; the fields of each part
    are its own.

    Args:
        count: how many series, at least 1; each crop is there from 20 on or so, as common as it is (`SHARES`).
        seed: at least 0; the same arguments give the same series.
        part: train, validation or test.
        years: calendar years; each parcel is of one.
        regions: some of `REGIONS`.
        cloudiness: share of the dates, from 0 and below 1, that clouds hide, in runs: half as many again in January, half
            as many in July. Dates that are hidden are there, with values not-a-number.
        irregular: whether the fields of each region, year and orbit have dates of their own, some of which are lost;
            otherwise all have one calendar.
        revisit: days between overpasses of one or the other of two satellites, at least 1.
        noise: factor on the usual errors of the sensor, its view and the haze that no mask finds; 0: none.
        per_parcel: series of each parcel, at least 1.

    Returns:
        Bands `BANDS`; labels in `CROPS`; columns `parcel` and `region`; points in EPSG:4326; years.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> table = simulate_series(100, seed=0)
        >>> table.values.shape[2], table.counts.tolist()
        (4, [27, 12, 13, 17, 9, 8, 5, 9])
    """
    check_season(seed=seed, cloudiness=cloudiness, noise=noise, revisit=revisit)
    for name, number in (("count", count), ("per_parcel", per_parcel)):
        if number < 1:
            raise OptionError(name, expected="at least 1", received=number)
    if part not in PARTS:
        raise OptionError("part", expected=", ".join(PARTS), received=part)
    if not regions or not set(regions) <= set(REGIONS):
        raise OptionError("regions", expected=f"some of {', '.join(REGIONS)}", received=list(regions))
    if not years:
        raise OptionError("years", expected="at least one year", received=list(years))
    rng = np.random.default_rng([seed, _SERIES, PARTS.index(part)])
    parcels = -(-count // per_parcel)
    crop = draw_crops(rng, parcels)
    year, region = rng.choice(np.asarray(years, int), parcels), rng.integers(len(regions), size=parcels)
    orbit = rng.integers(_ORBITS, size=parcels)
    shifts = np.array([season_shifts(seed, int(y), regions[r]) for y, r in zip(year, region, strict=True)])
    seasons = FieldSeasons.draw(rng, crop, winter_shift=shifts[:, 0], summer_shift=shifts[:, 1])
    middle = np.array([REGIONS[name][:2] for name in regions])[region] + rng.uniform(-0.7, 0.7, (parcels, 2))

    days = np.full((parcels, 366), np.nan, np.float32)
    for key in sorted(set(zip(year.tolist(), region.tolist(), orbit.tolist(), strict=True))):
        found = overpasses(seed, key[0], regions[key[1]], orbit=key[2], revisit=revisit, irregular=irregular)
        days[(year == key[0]) & (region == key[1]) & (orbit == key[2]), : len(found)] = found
    days = days[:, np.isfinite(days).any(0)]
    of = np.repeat(np.arange(parcels), per_parcel)[:count]
    when = np.where(np.isfinite(days), days, 366)
    vigour = rng.normal(1, 0.04, count)[:, None]
    rain = rng.random(when.shape) * (0.6 + 0.4 * _winter(when))
    clear = _each(seasons, of).reflectance(when[of], vigour=vigour, wetness=rain[of])
    values = add_ndvi(_observed(rng, clear, noise)).astype(np.float32)
    values[_clouded(rng, when, cloudiness)[of] | np.isnan(days[of])] = np.nan
    places = middle[of] + rng.uniform(-5e-4, 5e-4, (count, 2))
    return SeriesTable(
        f"simulated_{part}",
        values,
        days[of],
        BANDS,
        ids=np.array([f"{part}_{k}" for k in range(count)]),
        years=year[of],
        labels=crop[of],
        classes=CROPS,
        columns={
            "parcel": np.array([f"{part}_parcel_{k}" for k in of]),
            "region": np.array(list(regions))[region[of]],
        },
        geometry=np.asarray(shapely.points(places)),
        crs=CRS.from_epsg(4326),
    )


def check_season(*, seed: int, cloudiness: float, noise: float, revisit: int) -> None:
    """Refuses what no season can be simulated with. Raises `OptionError`."""
    for name, number, least in (("seed", seed, 0), ("revisit", revisit, 1)):
        if number < least:
            raise OptionError(name, expected=f"at least {least}", received=number)
    if not 0 <= cloudiness < 1:
        raise OptionError("cloudiness", expected="a share, at least 0 and below 1", received=cloudiness)
    if not (noise >= 0 and np.isfinite(noise)):
        raise OptionError("noise", expected="at least 0", received=noise)


def draw_crops(rng: np.random.Generator, count: int) -> np.ndarray:
    """Deals crops to fields, int (count,): as many of each as its share says, and one of each where there is room."""
    ideal = np.array(SHARES) * count
    number = np.maximum(np.floor(ideal), 1 if count >= 2 * len(CROPS) else 0).astype(int)
    while number.sum() != count:
        over = number.sum() > count
        off = number - ideal
        number[np.argmax(np.where(number > 1, off, -np.inf)) if over else np.argmin(off)] += -1 if over else 1
    return rng.permutation(np.repeat(np.arange(len(CROPS)), number))


def season_shifts(seed: int, year: int, region: str) -> tuple[float, float]:
    """Returns by how many days the seasons of autumn-sown and of spring-sown crops are late in a year and region."""
    common, spring = np.random.default_rng([seed, _YEAR, year]).normal(0, 4, 2)
    late = REGIONS[region].late
    return late + common, late + 0.5 * common + spring


def overpasses(
    seed: int, year: int, region: str, *, orbit: int = 0, revisit: int = 5, irregular: bool = True
) -> np.ndarray:
    """Returns the days of the year, increasing whole numbers, on which one of two satellites takes a picture.

    Args:
        seed, year, region, orbit: each choice has its own days.
        revisit: days from the one satellite's overpass to the other's.
        irregular: whether days begin anywhere and some are lost; otherwise they are 1, 1 + revisit, …
    """
    if not irregular:
        return np.arange(1, 366, revisit)
    rng = np.random.default_rng([seed, _ORBIT, year, list(REGIONS).index(region), orbit])
    # The second satellite does not come exactly in the middle between two overpasses of the first.
    first, other = 1 + rng.integers(2 * revisit), revisit + rng.integers(-(revisit // 4), revisit // 4 + 1)
    found = np.union1d(np.arange(first, 366, 2 * revisit), np.arange(first + other, 366, 2 * revisit))
    kept = found[rng.random(len(found)) >= _LOST]
    return kept if len(kept) else found


def cloud_share(days: np.ndarray, cloudiness: float) -> np.ndarray:
    """Returns the share of the sky that clouds hide on days of the year; its mean over a year is `cloudiness`."""
    return cloudiness + 0.5 * min(cloudiness, 1 - cloudiness) * _winter(days)


def _winter(days: np.ndarray) -> np.ndarray:
    """1 in the middle of January, -1 in the middle of July."""
    return np.asarray(np.cos(2 * np.pi * (days - 15) / 365))


def weather(rng: np.random.Generator, days: np.ndarray) -> np.ndarray:
    """Returns standard normal numbers, (place, time), that are alike on days close to one another."""
    alike = np.exp(-np.diff(days, axis=-1) / _MEMORY)
    found = rng.standard_normal(days.shape)
    for k in range(1, days.shape[-1]):
        rho = alike[..., k - 1]
        found[..., k] = rho * found[..., k - 1] + np.sqrt(1 - rho**2) * found[..., k]
    return found


def _clouded(rng: np.random.Generator, days: np.ndarray, cloudiness: float) -> np.ndarray:
    state = weather(rng, days)
    if not cloudiness:
        return np.zeros(days.shape, bool)
    return np.asarray(state < ndtri(cloud_share(days, cloudiness)))


def _each(seasons: FieldSeasons, of: np.ndarray) -> FieldSeasons:
    """Returns the season of the field that each series is of."""
    return FieldSeasons(**{name: values[of] for name, values in vars(seasons).items()})


def _observed(rng: np.random.Generator, reflectance: np.ndarray, noise: float) -> np.ndarray:
    """Adds what the angle of view, haze that no mask finds, and the sensor change."""
    light = 1 + 0.03 * noise * rng.standard_normal((*reflectance.shape[:-1], 1))
    hazy = rng.random(reflectance.shape[:-1]) < 0.03
    haze = noise * hazy * rng.uniform(0.01, 0.10, reflectance.shape[:-1])
    seen = reflectance * light + haze[..., None] * np.array([1.0, 0.8, 0.5])
    seen += noise * (0.003 + 0.02 * reflectance) * rng.standard_normal(reflectance.shape)
    return np.asarray(seen.clip(1e-4))
