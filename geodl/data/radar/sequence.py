"""A radar event as a source: rain rates on one grid, at times that are evenly spaced but for gaps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Self

import numpy as np
from affine import Affine

from geodl.contract import Band
from geodl.data.pixelsize import metres_per_pixel
from geodl.data.radar.framecache import FRAMES
from geodl.data.radar.frames import Frame
from geodl.data.radar.timing import Timing
from geodl.data.source import Grid, Source, Window, find_bands
from geodl.errors import FramesMissing, OptionError, ResolutionMismatch, StepMismatch
from geodl.physics.rain import Quantity

__all__ = ("RATE", "RadarSequence", "block_mean")

RATE = Band("rain_rate", unit="mm/h")
"""The one band of a sequence."""

_LOG = logging.getLogger("geodl")
_WHOLE = 0.01
"""How far a ratio of steps or of pixel sizes may be off a whole number, as a share of it."""


class RadarSequence(Source):
    """Rain rates in mm/h at several times, on one grid. Frames are decoded when they are first read, and kept a while.

    Args:
        frames: sorted by time, on one grid; at least one.
        name: of the event.
        step: time between frames; default: the commonest.

    Example:

    >>> rain = open_sequence("radar/bom_2020").at_step(600).at_resolution(1000)
    >>> values, valid = rain.read(rain.grid.window, rain.runs[0])
    """

    times: np.ndarray

    def __init__(self, frames: Sequence[Frame], name: str, *, step: np.timedelta64 | None = None) -> None:
        """Use `open_sequence`, which checks what it is given."""
        self.name, self.grid, self.bands = name, frames[0].grid, (RATE,)
        self.frames = tuple(frames)
        self.times = np.array([frame.time for frame in frames], "datetime64[ns]")
        self._timing = Timing(self.times, step)

    @property
    def step(self) -> np.timedelta64:
        """Time from one frame to the next, timedelta64[s]; not-a-time where there is but one frame."""
        return self._timing.step

    @property
    def runs(self) -> tuple[slice, ...]:
        """Positions of frames without a gap or a jump, in order; together they are all frames."""
        return self._timing.runs

    @property
    def missing(self) -> tuple[np.datetime64, ...]:
        """Times at which a frame should be and is not, in gaps of no more than a day."""
        return self._timing.missing

    @property
    def quantity(self) -> Quantity:
        """What the files store; values read are mm/h whatever it is."""
        return self.frames[0].quantity

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = window.toslices()
        frames = self.frames[times or slice(None)]
        values = np.empty((len(frames), int(window.height), int(window.width), 1), np.float32)
        for k, frame in enumerate(frames):
            values[k, ..., 0] = FRAMES.get(frame)[rows, columns]
        return values, ~np.isnan(values)

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same sequence. Raises `BandMismatch` where `names` are not its one band."""
        find_bands(self.name, self.bands, names)
        return self

    def at_step(self, step: np.timedelta64 | timedelta | float, *, phase: int = 0) -> RadarSequence:
        """Returns every k-th frame, by time and not by number, so that a missing frame shifts nothing.

        Args:
            step: wanted time between frames, in seconds where it is a number; a whole multiple of this one's.
            phase: the position from which on frames are taken, 0 to k - 1.

        Returns:
            A sequence of that step; this one where it has it, or has but one frame and so no step.

        Raises:
            StepMismatch: `step` is no whole multiple of this sequence's step.
            OptionError: no such phase.
            FramesMissing: no frame is left.
        """
        factor, wanted = self._factor(step)
        if not 0 <= phase < factor:
            raise OptionError("phase", expected=f"0 to {factor - 1}", received=phase)
        if factor == 1:
            return self
        kept = np.flatnonzero(self._timing.positions % factor == phase)
        return self._of([self.frames[k] for k in kept], wanted, f"frames at phase {phase} of {factor}")

    def phases(self, step: np.timedelta64 | timedelta | float) -> list[RadarSequence]:
        """Returns all sequences of a step that can be made of this one, which together have all its frames.

        Args:
            step: as of `at_step`.

        Raises:
            StepMismatch: `step` is no whole multiple of this sequence's step.
        """
        factor, _ = self._factor(step)
        filled = set((self._timing.positions % factor).tolist())
        return [self.at_step(step, phase=phase) for phase in range(factor) if phase in filled]

    def coarser(self, factor: int) -> RadarSequence:
        """Returns the sequence with one pixel for `factor` × `factor` of this one; see `block_mean`.

        Raises:
            OptionError: `factor` is below 1.
        """
        if factor < 1:
            raise OptionError("factor", expected="a whole number of at least 1", received=factor)
        if factor == 1:
            return self
        height, width = (-(-size // factor) for size in self.grid.shape)
        grid = Grid(self.grid.crs, self.grid.transform @ Affine.scale(factor), height, width)
        frames = [replace(frame, grid=grid, load=_Coarse(frame, factor)) for frame in self.frames]
        return self._of(frames, self._known_step, "frames")

    def at_resolution(self, metres: float) -> RadarSequence:
        """Returns the sequence with pixels of a given size, by means over whole numbers of pixels.

        Args:
            metres: wanted pixel size along y and x, met to within 1 %.

        Raises:
            ResolutionMismatch: the pixels of this sequence do not make such pixels.
        """
        own = metres_per_pixel(self.grid)
        factors = {_whole(metres / size) for size in own} if own is not None else set()
        (factor,) = factors if len(factors) == 1 else (0,)
        if factor < 1:
            size = "unknown, without a CRS" if own is None else " x ".join(f"{length:.5g} m" for length in own[::-1])
            raise ResolutionMismatch(
                self.name, expected=f"{metres:g} m, or a whole part of it", received=size,
                advice="Warp the files onto a grid of that pixel size first (gdalwarp -tr), or choose another.",
            )  # fmt: skip
        return self.coarser(factor)

    def between(self, start: np.datetime64 | str, stop: np.datetime64 | str) -> RadarSequence:
        """Returns the frames from `start` on and before `stop`. Raises `FramesMissing` where there are none."""
        start, stop = np.datetime64(start), np.datetime64(stop)
        frames = [frame for frame in self.frames if start <= frame.time < stop]
        return self._of(frames, self._known_step, f"frames from {start} on and before {stop}")

    @property
    def _known_step(self) -> np.timedelta64 | None:
        return None if np.isnat(self.step) else self.step

    def _of(self, frames: Sequence[Frame], step: np.timedelta64 | None, what: str) -> RadarSequence:
        if not frames:
            first, last = (str(time)[:16] for time in self.times[[0, -1]])
            raise FramesMissing(self.name, expected=what, received=f"none among {len(self.frames)}, {first} to {last}")
        other = RadarSequence(frames, self.name, step=step)
        other.bands = self.bands
        return other

    def _factor(self, step: np.timedelta64 | timedelta | float) -> tuple[int, np.timedelta64 | None]:
        """How many of this sequence's steps make one of the wanted ones, and that one."""
        wanted = step if isinstance(step, (np.timedelta64, timedelta)) else timedelta(seconds=float(step))
        wanted = np.timedelta64(wanted).astype("timedelta64[s]")
        if self._known_step is None:
            return 1, None
        factor = _whole(float(wanted / self.step))
        if factor < 1:
            raise StepMismatch(self.name, expected=_minutes(wanted), received=_minutes(self.step))
        return factor, wanted


class _Coarse:
    """Loads a frame at a coarser resolution."""

    def __init__(self, frame: Frame, factor: int) -> None:
        self._frame, self._factor = frame, factor

    def __call__(self) -> np.ndarray:
        return block_mean(self._frame.load(), self._factor)


def block_mean(values: np.ndarray, factor: int) -> np.ndarray:
    """Means of the valid ones of `factor` × `factor` values.

    Args:
        values: (height, width), NaN where nodata.
        factor: at least 1. Blocks that reach beyond the edge are filled up with nodata.

    Returns:
        float32 of shape (⌈height / factor⌉, ⌈width / factor⌉), NaN where fewer than half of a block is valid.
    """
    height, width = values.shape
    padded = np.pad(values, ((0, -height % factor), (0, -width % factor)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor)
    valid = ~np.isnan(blocks)
    counts = valid.sum((1, 3))
    sums = np.where(valid, blocks, 0).sum((1, 3), dtype=np.float64)
    means = np.full(counts.shape, np.nan, np.float32)
    np.divide(sums, counts, out=means, where=2 * counts >= factor**2, casting="same_kind")
    return means


def _whole(ratio: float) -> int:
    """The whole number that a ratio is, to within a hundredth; 0 where it is none."""
    nearest = round(ratio)
    return nearest if nearest and abs(ratio - nearest) <= _WHOLE * nearest else 0


def _minutes(step: np.timedelta64) -> str:
    return f"{float(step / np.timedelta64(60, 's')):g} minutes"
