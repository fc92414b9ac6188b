"""Simulated rain: a lognormal cascade whose cells move, grow and decay, large ones slower than small ones."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from pyproj import CRS
from scipy import fft, ndimage, special

from geodl.errors import OptionError

__all__ = ("rain_motion", "simulate_rain")

_SLOPE = 3.3
"""Of the power spectrum of the logarithm: power falls with wavenumber to this power. Within rain real radars show 2.7
(Finland) to 4 (Switzerland, Melbourne)."""
_LARGEST = 128.0
"""Wavelength in km above which the spectrum is flat."""
_LIFETIME = (30.0, 16.0, 0.9)
"""A structure of this wavelength (second, km) lives this long (first, minutes); others by this power of the wavelength.
So long lives rain over the Netherlands, Finland and Switzerland, followed along its motion."""
_SPREAD = 1.4
"""Standard deviation of the logarithm of the rain rate, before what is too weak becomes no rain."""
_WEAKEST = 0.7
"""mm/h by which a rate of exactly lognormal rain is lowered at the edge of the rain."""
_HAIL = 120.0
"""mm/h; rates are capped here, as in radar products, because stronger echoes are hail."""
_SHEAR = 0.12
"""Standard deviation of the motion over a domain, as a share of its mean."""
_SHADOW = 0.3
"""How strong rain looks in the half-shadow of an obstacle."""
_SEEN = 0.7
"""Share of the frames in which clutter is seen: how the beam bends changes."""
_EPSG = 3035
_CORNER = (4_000_000, 3_200_000)
"""Left and upper edge in metres of EPSG:3035."""


def simulate_rain(
    shape: tuple[int, int] = (128, 128),
    frames: int = 37,
    *,
    seed: int,
    step_minutes: float = 10.0,
    pixel_km: float = 1.0,
    wet: float | None = None,
    speed: float | None = None,
    clutter: float = 0.0,
    beam_block: float = 0.0,
    coverage_km: float | None = None,
    start: str = "2024-06-01T00:00",
) -> xr.DataArray:
    """Simulates what a weather radar sees of an event.

    A Gaussian field with a power-law spectrum is carried on along `rain_motion`; meanwhile each of its wavelengths
    forgets and renews itself at its own pace, as a first-order autoregression (the cascade of S-PROG, Seed 2003, and
    of STEPS, Bowler et al. 2006, with a level for each wavenumber). Its exponential, less a threshold, is the rain.

    Args:
        shape: `(height, width)` in pixels, each at least 8.
        frames: number of frames, at least 1.
        seed: the same seed gives the same rain.
        step_minutes: time between frames.
        pixel_km: side of a pixel.
        wet: share of the pixels with rain, on average, between 0 and 1; drawn from 0.1 to 0.3, if not given.
        speed: of the rain, in km/h; drawn from 20 to 60, if not given.
        clutter: share of the pixels that show echoes of the ground, at fixed places and of fluctuating strength.
        beam_block: width in degrees of a sector behind an obstacle where rain looks weaker, and in its middle is nodata.
        coverage_km: range of the radar, which stands in the middle; nodata beyond. All is covered, if not given.
        start: time of the first frame, UTC.

    Returns:
        Array `rain_rate` (time, y, x), float32 in mm/h, not-a-number where nodata; x and y in metres of EPSG:3035.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> simulate_rain((64, 64), 6, seed=0).shape
        (6, 64, 64)
    """
    _check(shape, frames, step_minutes, pixel_km)
    rng = np.random.default_rng([seed, 1])
    wet = _share("wet", rng.uniform(0.1, 0.3) if wet is None else wet)
    torus = _torus(shape)
    wavenumber = np.hypot(fft.fftfreq(torus[0], pixel_km)[:, None], fft.rfftfreq(torus[1], pixel_km))
    amplitude = _amplitude(wavenumber, torus)
    minutes, wavelength, power = _LIFETIME
    kept = np.exp(-step_minutes / minutes * (wavelength * wavenumber) ** power)
    renewed = amplitude * np.sqrt(1 - kept**2)

    velocity = _velocity(torus, seed, step_minutes, pixel_km, speed)
    origin = np.mgrid[: torus[0], : torus[1]] - velocity
    threshold = special.ndtri(1 - wet)
    spectrum = amplitude * fft.rfft2(rng.standard_normal(torus))
    rates = np.empty((frames, *shape), np.float32)
    for k in range(frames):
        field = fft.irfft2(spectrum, torus)
        above = np.maximum(field[: shape[0], : shape[1]] - threshold, 0)
        rates[k] = np.minimum(_WEAKEST * np.expm1(_SPREAD * above), _HAIL)
        moved = ndimage.map_coordinates(field, origin, order=3, mode="grid-wrap")
        spectrum = kept * fft.rfft2(moved) + renewed * fft.rfft2(rng.standard_normal(torus))
    _disturb(rates, np.random.default_rng([seed, 2]), clutter, beam_block, coverage_km, pixel_km)
    return _array(rates, step_minutes, pixel_km, start)


def rain_motion(
    shape: tuple[int, int] = (128, 128),
    *,
    seed: int,
    step_minutes: float = 10.0,
    pixel_km: float = 1.0,
    speed: float | None = None,
) -> np.ndarray:
    """Returns the true motion of what `simulate_rain` makes with the same arguments.

    It has one mean, and eddies as wide as the domain, without divergence: rain turns and shears but is not thinned out.

    Args:
        shape: `(height, width)` in pixels, each at least 8.
        seed: the same seed gives the same motion.
        step_minutes: time between frames.
        pixel_km: side of a pixel.
        speed: in km/h, on average; drawn from 20 to 60, if not given.

    Returns:
        float32 of shape `(2, height, width)`: displacement along rows and along columns, in pixels per step.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> rain_motion((64, 64), seed=0, speed=30).shape
        (2, 64, 64)
    """
    _check(shape, 1, step_minutes, pixel_km)
    velocity = _velocity(_torus(shape), seed, step_minutes, pixel_km, speed)
    return velocity[:, : shape[0], : shape[1]].astype(np.float32)


def _check(shape: tuple[int, int], frames: int, step_minutes: float, pixel_km: float) -> None:
    if len(shape) != 2 or min(shape) < 8:
        raise OptionError("shape", expected="(height, width), each at least 8 pixels", received=shape)
    for name, value, least in (("frames", frames, 1), ("step_minutes", step_minutes, 0), ("pixel_km", pixel_km, 0)):
        if not (value >= least and value > 0):
            raise OptionError(name, expected="at least 1" if least else "above 0", received=value)


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise OptionError(name, expected="a share of the pixels, at least 0 and below 1", received=value)
    return value


def _torus(shape: tuple[int, int]) -> tuple[int, int]:
    """A periodic domain so wide that what leaves the scene has changed before it comes in again."""
    height, width = (fft.next_fast_len(max(3 * size // 2, size + 32), real=True) for size in shape)
    return height, width


def _amplitude(wavenumber: np.ndarray, torus: tuple[int, int]) -> np.ndarray:
    """What white noise of unit variance is multiplied with, in the spectrum, to be the field, of unit variance too."""
    amplitude = (wavenumber**2 + _LARGEST**-2) ** (-_SLOPE / 4)
    amplitude[0, 0] = 0
    # Of a real field the spectrum's right half is stored; the columns that mirror each other count twice.
    twice = np.full(amplitude.shape[1], 2.0)
    twice[0] = 1
    if torus[1] % 2 == 0:
        twice[-1] = 1
    return np.asarray(amplitude / np.sqrt(np.sum(amplitude**2 * twice) / (torus[0] * torus[1])))


def _velocity(
    torus: tuple[int, int], seed: int, step_minutes: float, pixel_km: float, speed: float | None
) -> np.ndarray:
    """Displacement (2, h, w) in pixels per step: a mean, and eddies from a periodic stream function."""
    rng = np.random.default_rng([seed, 0])
    drawn, towards = rng.uniform(20, 60), rng.uniform(0, 2 * np.pi)
    speed = drawn if speed is None else speed
    if not speed >= 0:
        raise OptionError("speed", expected="at least 0 km/h", received=speed)
    mean = speed * step_minutes / 60 / pixel_km
    rows, columns = (2 * np.pi * np.arange(size) / size for size in torus)
    eddies = np.zeros((2, *torus))
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1), (2, 1), (1, 2)):
        wave = np.cos(down * rows[:, None] + right * columns + rng.uniform(0, 2 * np.pi))
        strength = rng.standard_normal() / math.hypot(down, right)
        eddies += strength * wave * np.array([-right / torus[1], down / torus[0]])[:, None, None]
    eddies *= _SHEAR * mean / max(float(eddies.std()), 1e-12)
    return eddies + mean * np.array([np.sin(towards), np.cos(towards)])[:, None, None]


def _disturb(
    rates: np.ndarray,
    rng: np.random.Generator,
    clutter: float,
    beam_block: float,
    coverage_km: float | None,
    pixel_km: float,
) -> None:
    """Adds what radars do to rain, in place."""
    _share("clutter", clutter)
    if not 0 <= beam_block <= 360:
        raise OptionError("beam_block", expected="degrees, from 0 to 360", received=beam_block)
    if coverage_km is not None and not coverage_km > 0:
        raise OptionError("coverage_km", expected="above 0", received=coverage_km)
    shape = rates.shape[1:]
    down, right = ((np.arange(size) - (size - 1) / 2) * pixel_km for size in shape)
    distance = np.hypot(down[:, None], right)
    if beam_block:
        obstacle, near = rng.uniform(-180, 180), rng.uniform(0.1, 0.4) * distance.max()
        aside = np.abs((np.degrees(np.arctan2(down[:, None], right)) - obstacle + 180) % 360 - 180)
        behind = distance > near
        rates[:, behind & (aside < beam_block / 2)] *= np.float32(_SHADOW)
        rates[:, behind & (aside < beam_block / 6)] = np.nan
    if clutter:
        hills = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0, mode="wrap")
        places = hills > np.quantile(hills, 1 - clutter)
        echoes = rng.lognormal(0.5, 1.0, (len(rates), int(places.sum()))) * (rng.random((len(rates), 1)) < _SEEN)
        rates[:, places] += echoes.astype(np.float32)
    if coverage_km is not None:
        rates[:, distance > coverage_km] = np.nan


def _array(rates: np.ndarray, step_minutes: float, pixel_km: float, start: str) -> xr.DataArray:
    """Gives the frames their times and places."""
    seconds = np.round(np.arange(len(rates)) * step_minutes * 60).astype("timedelta64[s]")
    left, top = _CORNER
    side = 1000 * pixel_km
    coordinates = {
        "time": (np.datetime64(start, "s") + seconds).astype("datetime64[ns]"),
        "y": ("y", top - side * (np.arange(rates.shape[1]) + 0.5), _axis("y")),
        "x": ("x", left + side * (np.arange(rates.shape[2]) + 0.5), _axis("x")),
        "spatial_ref": ((), 0, CRS.from_epsg(_EPSG).to_cf()),
    }
    attributes = {
        "standard_name": "rainfall_rate",
        "long_name": "simulated rain rate",
        "units": "mm/h",
        "grid_mapping": "spatial_ref",
    }
    return xr.DataArray(rates, coordinates, ("time", "y", "x"), name="rain_rate", attrs=attributes)


def _axis(name: str) -> dict[str, str]:
    return {"standard_name": f"projection_{name}_coordinate", "units": "m", "axis": name.upper()}
