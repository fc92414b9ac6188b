"""What a network's spread is good for: probabilities of exceedance, and members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from scipy import fft, signal, special

from geodl.contract import Contract
from geodl.errors import ContractError, OptionError
from geodl.physics.advection import advect
from geodl.physics.motion import motion
from geodl.physics.rain import Transform, from_transformed, to_transformed

__all__ = ("Members", "exceedance", "space_of")

_RAIN = 0.1
"""mm/h from which on it rains."""
_ENOUGH = 100
"""Pixels with rain from which on their spectrum is that of the rain."""
_SLOPE = 2.5
"""Of the noise's power spectrum (power ~ wavenumber ** -slope) where there is too little rain to tell: a smooth field, as
rain is."""
_UNKNOWN = 0.9
"""Correlation from one step to the next, where there is too little rain to tell."""
_MOST = 0.99


def space_of(contract: Contract, option: str) -> Transform:
    """Returns in what a network's errors are Gaussian.

    Args:
        contract: of the network.
        option: what asks for it, for the message.

    Raises:
        OptionError: the network tells no spread.
        ContractError: its band `log_variance` has a unit that is not known.
    """
    band = next((band for band in contract.output.bands if band.name == "log_variance"), None)
    if band is None:
        expected = "a network that also tells its spread: train one with network.head=gaussian"
        raise OptionError(option, expected=expected, received=f"one that gives {contract.output.bands[0].name} alone")
    for known in get_args(Transform):
        if band.unit == known:
            return known  # type: ignore[no-any-return]
    expected = ", ".join(get_args(Transform))
    raise ContractError(f"The band log_variance has unit {band.unit!r}. Expected one of: {expected}.")


def exceedance(
    median: np.ndarray, log_variance: np.ndarray, thresholds: Sequence[float], space: Transform
) -> np.ndarray:
    """Returns the probability that more falls than each of some thresholds.

    Args:
        median: mm/h, float32 of shape (lead, height, width); not-a-number where nodata.
        log_variance: of the same shape, in `space`.
        thresholds: mm/h, above 0.
        space: in what errors are Gaussian.

    Returns:
        float32 of shape (threshold, lead, height, width), 0 to 1; not-a-number where nodata.

    Raises:
        OptionError: a threshold is not above 0.
    """
    low = [value for value in thresholds if not 0 < value < np.inf]
    if low or not len(thresholds):
        raise OptionError("probabilities (--thresholds)", expected="rain rates above 0 mm/h", received=list(thresholds))
    centre, spread = to_transformed(median, space), np.exp(log_variance / 2)
    edges = to_transformed(np.asarray(thresholds, np.float32), space)
    return np.stack([special.ndtr((centre - edge) / spread) for edge in edges]).astype(np.float32)


class Members:
    """Members of an ensemble: the median, shifted by as many spreads as a field of correlated noise says.

    As in STEPS (Bowler et al. 2006; Seed et al. 2013), noise has the spectrum of the rain that was seen last; from one
    lead time to the next it is an autoregressive process of order 1 with the rain's own correlation, and it goes along
    with the mean motion. Over many members each pixel has the network's median and spread.

    Args:
        median: mm/h, float32 of shape (lead, height, width); not-a-number where nodata.
        log_variance: of the same shape, in `space`.
        frames: observed ones, (frame, height, width) in mm/h.
        space: in what errors are Gaussian.
        seed: of the noise; a member's noise depends on it and the member's number alone.
        velocity: displacement along rows and columns in pixels per step, (2, height, width); default: what the frames
            show.
    """

    def __init__(
        self,
        median: np.ndarray,
        log_variance: np.ndarray,
        frames: np.ndarray,
        space: Transform,
        *,
        seed: int = 0,
        velocity: np.ndarray | None = None,
    ) -> None:
        velocity = motion(frames) if velocity is None else velocity
        self._centre, self._spread = to_transformed(median, space), np.exp(log_variance / 2)
        self._space, self._seed = space, seed
        self._shift = velocity.mean(axis=(1, 2))
        self._amplitude = _amplitude(
            to_transformed(np.nan_to_num(frames[-1], nan=0.0), space), np.nan_to_num(frames[-1])
        )
        self._correlation = _correlation(frames, velocity, space)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a member: (lead, height, width)."""
        return self._centre.shape

    def __call__(self, number: int) -> np.ndarray:
        """Returns one member: rain rates in mm/h, float32 of shape (lead, height, width)."""
        noise = self.noise(number)
        noise *= self._spread
        noise += self._centre
        return from_transformed(noise, self._space).astype(np.float32, copy=False)

    def noise(self, number: int) -> np.ndarray:
        """Returns the noise of one member: of mean 0 and variance 1 at each pixel, float32 (lead, height, width)."""
        rng = np.random.default_rng((self._seed, number))
        leads, *shape = self._centre.shape
        fields = np.empty((leads, *shape), np.float32)
        fresh = np.sqrt(1 - self._correlation**2)
        state = self._field(rng, shape)
        for lead in range(leads):
            if lead:
                state = self._correlation * state + fresh * self._field(rng, shape)
            # The field has no edges: what leaves it on one side comes in on the other.
            down, right = (round(float(part) * lead) for part in self._shift)
            fields[lead] = np.roll(state, (down, right), axis=(0, 1))
        return fields

    def _field(self, rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        white = rng.standard_normal(shape, np.float32)
        return fft.irfft2(fft.rfft2(white) * self._amplitude, s=shape).astype(np.float32, copy=False)


def _amplitude(field: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """What to multiply the half spectrum of white noise with: the rain's own spectrum, of variance 1 (height, width // 2
    + 1)."""
    height, width = field.shape
    if np.count_nonzero(rate >= _RAIN) >= _ENOUGH:
        window = np.outer(*(signal.windows.tukey(size, 0.2) for size in field.shape))
        whole = np.abs(fft.fft2((field - field.min()) * window))
    else:
        radius = np.hypot(fft.fftfreq(height)[:, None], fft.fftfreq(width))
        radius[0, 0] = np.inf
        whole = radius ** (-_SLOPE / 2)
    whole[0, 0] = 0
    power = np.mean(whole**2)
    if power == 0:  # One pixel, or rain that is the same everywhere.
        return np.ones((height, width // 2 + 1), np.float32)
    return (whole / np.sqrt(power))[:, : width // 2 + 1].astype(np.float32)


def _correlation(frames: np.ndarray, velocity: np.ndarray, space: Transform) -> float:
    """How much the last frame is the last but one, carried on."""
    if len(frames) < 2:
        return _UNKNOWN
    before, after = advect(frames[-2], velocity, 1)[0], frames[-1]
    known = np.isfinite(before) & np.isfinite(after)
    if np.count_nonzero(after[known] >= _RAIN) < _ENOUGH:
        return _UNKNOWN
    with np.errstate(invalid="ignore", divide="ignore"):  # The same everywhere.
        found = np.corrcoef(to_transformed(before[known], space), to_transformed(after[known], space))[0, 1]
    return float(np.clip(np.nan_to_num(found, nan=_UNKNOWN), 0, _MOST))
