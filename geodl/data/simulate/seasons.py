"""How crops grow through a year: how green, how ripe and how bare a field is, and what a satellite sees of that.

The greenness of a field follows the double logistic curve of Beck et al., Improved monitoring of vegetation dynamics at very
high latitudes (Remote Sensing of Environment 100, 2006, equation 3), with a level of its own before and after the season, as
in the piecewise logistic of Zhang et al., Monitoring vegetation phenology using MODIS (Remote Sensing of Environment 84,
2003). All numbers are illustrative: dates near those of the crop calendars of western Europe, reflectances of
`geodl.data.simulate.spectra.SURFACES`. They were measured nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from geodl.contract import Band, ClassInfo
from geodl.data.simulate import spectra
from geodl.data.simulate.spectra import SURFACES

__all__ = ("BANDS", "CROPS", "SHARES", "FieldSeasons", "add_ndvi", "double_logistic")

BANDS = (Band("B04", "reflectance"), Band("B08", "reflectance"), Band("B11", "reflectance"), Band("NDVI"))
"""Red, near infrared and short-wave infrared, and (B08 - B04) / (B08 + B04)."""

CROPS = (
    ClassInfo(1, "winter wheat", "#e69f00"),
    ClassInfo(2, "winter barley", "#8c510a"),
    ClassInfo(3, "rapeseed", "#f0e442"),
    ClassInfo(4, "maize", "#d55e00"),
    ClassInfo(5, "sunflower", "#56b4e9"),
    ClassInfo(6, "sugar beet", "#cc79a7"),
    ClassInfo(7, "potatoes", "#0072b2"),
    ClassInfo(8, "grassland", "#009e73"),
)
"""The classes of all simulated fields."""

SHARES = (0.27, 0.12, 0.13, 0.17, 0.09, 0.08, 0.05, 0.09)
"""How common they are."""


@dataclass(frozen=True)
class _Crop:
    """Usual season of a crop; days of the year, shares of the ground."""

    winter: float
    """Green before the season."""
    peak: float
    start: float
    """Day when half of the growth is done."""
    growth: float
    """Rate of growth per day."""
    end: float
    """Day when half of the green is gone."""
    fading: float
    """Rate of that per day."""
    bare: float
    """Green after the season."""
    standing: float
    """Days that the ripe crop stands after `end`, until harvest."""
    canopy: tuple[float, float, float]
    """Factors on the reflectance of a green crop: red, near and short-wave infrared."""
    flower: float = 0.0
    """Day of full yellow bloom; 0: none that is seen from above."""


_USUAL = (
    _Crop(0.28, 0.92, 85, 0.070, 178, 0.12, 0.08, 22, (1.00, 1.00, 1.00)),
    _Crop(0.34, 0.90, 78, 0.070, 164, 0.13, 0.08, 17, (1.05, 0.97, 1.03)),
    _Crop(0.42, 0.93, 74, 0.060, 172, 0.10, 0.08, 19, (1.00, 1.04, 0.98), flower=116),
    _Crop(0.06, 0.92, 164, 0.105, 258, 0.07, 0.08, 16, (0.95, 0.97, 0.93)),
    _Crop(0.06, 0.86, 159, 0.115, 238, 0.09, 0.06, 17, (1.08, 1.02, 1.05), flower=200),
    _Crop(0.06, 0.95, 158, 0.080, 298, 0.09, 0.12, 0, (0.92, 1.10, 0.90)),
    _Crop(0.06, 0.91, 160, 0.115, 240, 0.13, 0.08, 12, (1.02, 1.05, 0.97)),
    _Crop(0.50, 0.88, 88, 0.045, 312, 0.030, 0.50, 0, (1.15, 0.88, 1.10)),
)
_GRASS = len(CROPS) - 1
_RAPESEED, _SUNFLOWER = 2, 4
_REGROWTH = 16.0
"""Days in which mown grass recovers by 63 %."""


def double_logistic(
    days: np.ndarray,
    *,
    winter: np.ndarray | float,
    peak: np.ndarray | float,
    start: np.ndarray | float,
    growth: np.ndarray | float,
    end: np.ndarray | float,
    fading: np.ndarray | float,
    bare: np.ndarray | float | None = None,
) -> np.ndarray:
    """Returns the level of a vegetation index through a year; arguments broadcast.

    Args:
        days: day of the year.
        winter, peak: levels before and at the height of the season; the latter is not quite reached in a short one.
        start, end: days on which half of the growth is done, and half of the green is gone.
        growth, fading: rates of both, per day.
        bare: level after the season; default: that before it, which is the curve of Beck et al.

    Example:
        >>> level = double_logistic(np.array(120.0), winter=0.2, peak=0.8, start=120, growth=0.1, end=300, fading=0.1)
        >>> round(float(level), 6)
        0.5
    """
    after = winter if bare is None else bare
    return np.asarray(
        winter + (peak - winter) * expit(growth * (days - start)) - (peak - after) * expit(fading * (days - end))
    )


@dataclass(frozen=True)
class FieldSeasons:
    """The seasons of fields, all arrays (field,) but for those said otherwise."""

    crop: np.ndarray
    """Position in `CROPS`."""
    winter: np.ndarray
    peak: np.ndarray
    start: np.ndarray
    growth: np.ndarray
    end: np.ndarray
    fading: np.ndarray
    bare: np.ndarray
    harvest: np.ndarray
    """Day of the year."""
    catch: np.ndarray
    """Green of a catch crop, or of volunteers and weeds, some weeks after harvest."""
    flower: np.ndarray
    """Day of full bloom."""
    cuts: np.ndarray
    """(field, cut): days on which grass is mown; behind the year's end where it is not."""
    soil: np.ndarray
    """(field, 3): factors on the soil's reflectance."""

    @classmethod
    def draw(
        cls, rng: np.random.Generator, crop: np.ndarray, *, winter_shift: np.ndarray, summer_shift: np.ndarray
    ) -> Self:
        """Draws how each field departs from its crop's usual season.

        Args:
            rng: source of chance.
            crop: positions in `CROPS`, (field,).
            winter_shift, summer_shift: days by which the seasons of autumn-sown and of spring-sown crops are late where
                and when each field lies, (field,).
        """
        usual = {name: np.array([getattr(each, name) for each in _USUAL])[crop] for name in _NUMBERS}
        count = len(crop)
        late = np.where(usual["winter"] > 0.2, winter_shift, summer_shift) + rng.normal(0, 6, count)
        start, end = usual["start"] + late, usual["end"] + 0.7 * late + rng.normal(0, 5, count)
        harvest = end + usual["standing"] * rng.uniform(0.6, 1.4, count)
        # After an early harvest there is time for another crop.
        sown = (harvest < 235) & (crop != _GRASS) & (rng.random(count) < 0.4)
        first = rng.normal(140, 12, count) + 0.5 * late
        gaps = rng.normal(48, 8, (count, 3)).clip(25).cumsum(1)
        cuts = np.column_stack([first, first[:, None] + gaps])
        mown = (crop == _GRASS)[:, None] & (np.arange(4) < rng.integers(1, 5, count)[:, None])
        brightness = np.exp(rng.normal(0, 0.18, count))[:, None]
        return cls(
            crop=crop,
            winter=np.clip(usual["winter"] * np.exp(rng.normal(0, 0.30, count)), 0.02, 0.75),
            peak=np.clip(usual["peak"] + rng.normal(0, 0.05, count), 0.6, 0.98),
            start=start,
            growth=usual["growth"] * np.exp(rng.normal(0, 0.18, count)),
            end=end,
            fading=usual["fading"] * np.exp(rng.normal(0, 0.18, count)),
            bare=np.clip(usual["bare"] * np.exp(rng.normal(0, 0.30, count)), 0.02, 0.75),
            harvest=harvest,
            catch=np.where(sown, rng.uniform(0.25, 0.75, count), rng.uniform(0, 0.12, count) * (crop != _GRASS)),
            flower=usual["flower"] + 0.8 * late,
            cuts=np.where(mown, cuts, 1e3),
            soil=brightness * np.exp(rng.normal(0, 0.03, (count, 3))),
        )

    def covers(self, days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns how much of the ground is green, ripe or stubble, and in yellow bloom.

        Args:
            days: of the year, (field or 1, time).

        Returns:
            Three shares, 0-1, each (field, time); green and ripe are at most 1 together; what blooms is of the green.
        """
        column = {name: getattr(self, name)[:, None] for name in (*_NUMBERS[:7], "harvest", "catch", "flower")}
        curve = {name: column[name] for name in _NUMBERS[:7]}
        green = double_logistic(days, **curve)
        green += column["catch"] * expit(0.12 * (days - column["harvest"] - 45))
        for cut in self.cuts.T:
            since = days - cut[:, None]
            green *= np.where(since >= 0, 1 - 0.6 * np.exp(-np.maximum(since, 0) / _REGROWTH), 1)
        green = green.clip(0.01, 1)
        since = days - column["harvest"]
        left = np.where(since < 0, 0.85, 0.35 * np.exp(-np.maximum(since, 0) / 50))
        dry = column["peak"] * expit(column["fading"] * (days - column["end"])) * left
        ripe = np.where((self.crop == _GRASS)[:, None], 0.25 * (1 - green), np.minimum(dry, 1 - green))
        strength = np.select([self.crop == _RAPESEED, self.crop == _SUNFLOWER], [0.9, 0.35])[:, None]
        return green, ripe, strength * np.exp(-0.5 * ((days - column["flower"]) / 9) ** 2)

    def reflectance(
        self, days: np.ndarray, *, vigour: np.ndarray | float = 1.0, wetness: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Returns what is seen of the fields from above, without clouds and noise.

        Args:
            days: of the year, (field or 1, time).
            vigour: factor on the green, (field, time) or one that broadcasts to it.
            wetness: of the soil, 0-1; likewise.

        Returns:
            (field, time, 3): surface reflectance, 0-1, red, near and short-wave infrared.
        """
        green, ripe, bloom = (share[..., None] for share in self.covers(days))
        green = np.clip(green * np.broadcast_to(vigour, green.shape[:2])[..., None], 0, 1)
        ripe = np.minimum(ripe, 1 - green)
        wet = np.broadcast_to(wetness, green.shape[:2])[..., None]
        soil = _surface("field soil") * self.soil[:, None] * (1 - 0.35 * wet)
        plant = _surface("green crop") * np.array([each.canopy for each in _USUAL])[self.crop][:, None]
        plant = plant + bloom * (_surface("rapeseed") - plant)
        return np.asarray(green * plant + ripe * _surface("ripe crop") + (1 - green - ripe) * soil)


_NUMBERS = ("winter", "peak", "start", "growth", "end", "fading", "bare", "standing", "flower")


def _surface(name: str) -> np.ndarray:
    places = [spectra.BANDS.index(band.name) for band in BANDS[:3]]
    return np.array(SURFACES[name])[places]


def add_ndvi(reflectance: np.ndarray) -> np.ndarray:
    """Appends the vegetation index to red, near and short-wave infrared: (…, 3) becomes (…, 4), in `BANDS`."""
    red, near = reflectance[..., 0], reflectance[..., 1]
    return np.concatenate([reflectance, ((near - red) / (near + red))[..., None]], axis=-1)
