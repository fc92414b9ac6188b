"""Nowcasts without learning: the last frame kept or carried on, and the extrapolation, S-PROG and ANVIL of pysteps."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import math
import warnings
from collections import OrderedDict
from typing import Any, ClassVar, Self

import numpy as np

from geodl.data.samples import Samples
from geodl.errors import BackendUnavailable, OptionError
from geodl.physics.advection import advected
from geodl.physics.rain import from_decibel, to_decibel

__all__ = ("ANVIL", "SPROG", "Advection", "Extrapolation", "Persistence")

_RAIN = 0.1
"""mm/h; less is no rain."""
_NO_RAIN = -15.0
"""dB that stand for no rain."""
_LEVELS = 6
"""Most levels of a cascade."""
_SMALLEST = 16
"""Least height and width, in pixels, of fields that rain is tracked in."""
_TRACKED = 3
"""Last frames that pysteps' Lucas–Kanade tracks rain through, as in its own examples."""
_NEIGHBOURHOOD = 50
"""Radius in pixels within which ANVIL takes growth and decay to be alike: pysteps' default."""
_CACHE = 256 << 20
"""Most bytes of motion that the nowcasts of pysteps share."""
_CHOKED = (ArithmeticError, IndexError, RuntimeError, ValueError, np.linalg.LinAlgError)
"""What pysteps raises on fields that have too little rain in them."""


class Persistence:
    """The last frame stays as it is.

    Args:
        leads: number of lead times.
        advected: how many frames at the end of a batch's time axis are advected ones, not observed.

    Raises:
        OptionError: `leads` is less than 1, or `advected` is negative.

    Example:
        >>> Persistence(2)(np.zeros((1, 4, 8, 8, 1), np.float32)).shape
        (1, 2, 8, 8, 1)
    """

    name: str = "persistence"

    def __init__(self, leads: int, *, advected: int = 0) -> None:
        if leads < 1:
            raise OptionError("leads", expected="at least 1", received=leads)
        if advected < 0:
            raise OptionError("advected", expected="at least 0", received=advected)
        self.leads, self.advected = leads, advected

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Forecasts a batch.

        Args:
            x: `(batch, time, height, width, 1)`, rain rate in mm/h, NaN is nodata.

        Returns:
            float32 of shape `(batch, leads, height, width, 1)` in mm/h, NaN where nothing is known.

        Raises:
            OptionError: `x` has another shape, or no observed frame.
        """
        x = np.asarray(x, np.float32)
        if x.ndim != 5 or x.shape[-1] != 1 or x.shape[1] <= self.advected:
            expected = f"an array (batch, time, height, width, 1), time more than {self.advected}"
            raise OptionError("x", expected=expected, received=x.shape)
        forecasts = np.empty((len(x), self.leads, *x.shape[2:]), np.float32)
        observed = x.shape[1] - self.advected
        for forecast, frames in zip(forecasts[..., 0], x[..., 0], strict=True):
            forecast[:] = self._forecast(frames[:observed], frames[observed:])
        return forecasts

    def _forecast(self, frames: np.ndarray, carried: np.ndarray) -> np.ndarray:
        """Forecasts (leads, h, w) from observed (time, h, w) and advected ones (lead, h, w); may be one for all leads."""
        return frames[-1]


class Advection(Persistence):
    """The last frame carried on along its motion by `geodl.physics.advection`; see `Persistence`.

    A batch that holds advected frames already, for all lead times, is answered with them.

    Example:
        >>> Advection(2)(np.zeros((1, 4, 32, 32, 1), np.float32)).shape
        (1, 2, 32, 32, 1)
    """

    name = "advection"

    def _forecast(self, frames: np.ndarray, carried: np.ndarray) -> np.ndarray:
        return carried[: self.leads] if len(carried) >= self.leads else advected(frames, self.leads)


class Extrapolation(Persistence):
    """pysteps' extrapolation: dense Lucas–Kanade motion, semi-Lagrangian advection; see `Persistence`.

    Args:
        leads: number of lead times.
        advected: how many frames at the end of a batch's time axis are advected ones, not observed.

    Raises:
        BackendUnavailable: pysteps or OpenCV is not installed.

    Example:
        >>> baseline = Extrapolation(6)                        # where Extrapolation.available()
        >>> forecast = baseline(x)                             # (batch, 6, height, width, 1), mm/h
    """

    name = "pysteps extrapolation"
    _most: ClassVar[int] = 1
    """Last frames that are used, if there are as many."""
    _least: ClassVar[int] = 1
    """Last frames that must be there, and hold rain."""
    _motions: ClassVar[OrderedDict[bytes, np.ndarray]] = OrderedDict()

    def __init__(self, leads: int, *, advected: int = 0) -> None:
        super().__init__(leads, advected=advected)
        if not self.available():
            raise BackendUnavailable(
                f"The baseline {self.name}",
                "it needs pysteps and OpenCV, and one of them is not installed",
                advice="Install with: pip install 'geodl[nowcasting]'",
            )
        self.simpler = 0
        """How many forecasts are a simpler method's: this one cannot be had from so few or small frames, or so little rain."""

    @staticmethod
    def available() -> bool:
        """Says whether pysteps, and OpenCV by which it tracks rain, are installed."""
        return all(importlib.util.find_spec(name) is not None for name in ("pysteps", "cv2"))

    def _forecast(self, frames: np.ndarray, carried: np.ndarray) -> np.ndarray:
        if not np.any(frames[-1] >= _RAIN):
            return frames[-1]
        if len(frames) > 1 and min(frames.shape[1:]) >= _SMALLEST:
            velocity = self._motion(frames)
            used = frames[-self._most :]
            if len(used) >= self._least and np.all(np.any(used >= _RAIN, axis=(1, 2))):
                with contextlib.suppress(*_CHOKED):
                    return _rates(self._nowcast(used, velocity))
            self._say_simpler()
            return _rates(Extrapolation._nowcast(self, frames[-1:], velocity))
        self._say_simpler()
        return frames[-1]

    def _say_simpler(self) -> None:
        if not self.simpler:
            advice = "fields without a motion are kept, others extrapolated"
            warnings.warn(
                f"{self.name} cannot be had from so few or small frames, or so little rain: {advice}.", stacklevel=5
            )
        self.simpler += 1

    def _nowcast(self, frames: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Forecasts mm/h (leads, h, w) from the frames (time, h, w) that the method uses."""
        return _quiet("nowcasts.extrapolation", "forecast", frames[-1].astype(np.float64), velocity, self.leads)

    def _motion(self, frames: np.ndarray) -> np.ndarray:
        """Tracks rain through the last frames: (2, h, w), columns first as in pysteps; all its nowcasts share them."""
        frames = frames[-_TRACKED:]
        key = hashlib.blake2b(frames.tobytes(), key=str(frames.shape).encode()).digest()
        if key not in self._motions:
            nodata = np.isnan(frames)
            tracked = np.ma.masked_array(to_decibel(np.where(nodata, 0, frames).astype(np.float64)), nodata)
            found = _quiet("motion.lucaskanade", "dense_lucaskanade", tracked)
            self._motions[key] = np.where(np.isfinite(found), found, 0).astype(np.float32)
            while len(self._motions) > 1 and sum(kept.nbytes for kept in self._motions.values()) > _CACHE:
                self._motions.popitem(last=False)
        self._motions.move_to_end(key)
        return self._motions[key].astype(np.float64)


class SPROG(Extrapolation):
    """pysteps' S-PROG (Seed 2003): an extrapolation that smooths away what cannot be foreseen; see `Extrapolation`.

    Example:
        >>> forecast = SPROG(6)(x)                             # where SPROG.available()
    """

    name = "S-PROG"
    _most, _least = 3, 2

    def _nowcast(self, frames: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        return from_decibel(
            _quiet(
                "nowcasts.sprog",
                "forecast",
                to_decibel(frames.astype(np.float64), threshold=_RAIN, zero=_NO_RAIN),
                velocity,
                self.leads,
                precip_thr=10 * math.log10(_RAIN),
                n_cascade_levels=_levels(frames),
                ar_order=len(frames) - 1,
            ),
            threshold=_RAIN,
        )


class ANVIL(Extrapolation):
    """pysteps' ANVIL (Pulkkinen et al. 2020) on rain rates: an extrapolation that grows and decays; see `Extrapolation`.

    Example:
        >>> forecast = ANVIL(6)(x)                             # where ANVIL.available()
    """

    name = "ANVIL"
    _most, _least = 4, 3

    def _nowcast(self, frames: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        return _quiet(
            "nowcasts.anvil",
            "forecast",
            frames.astype(np.float64),
            velocity,
            self.leads,
            n_cascade_levels=_levels(frames),
            ar_order=len(frames) - 2,
            ar_window_radius=min(_NEIGHBOURHOOD, min(frames.shape[1:]) // 2),
        )


def _levels(frames: np.ndarray) -> int:
    """The levels of a cascade that a field of this size has: each about half as wide as the one before."""
    return min(_LEVELS, int(math.log2(min(frames.shape[1:]))) - 2)


def _rates(forecast: np.ndarray) -> np.ndarray:
    """Rain rates at least 0; ANVIL's cascade oscillates below."""
    return np.maximum(forecast, 0).astype(np.float32)


def _quiet(module: str, function: str, *arguments: Any, **options: Any) -> np.ndarray:
    """Calls a function of pysteps, which prints its settings and warns of empty slices, without hearing it."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(getattr(importlib.import_module(f"pysteps.{module}"), function)(*arguments, **options))
