"""The frames that a forecast is made from: the last ones of a sequence, at the network's step and pixel size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from geodl.contract import Contract
from geodl.data.cubegrid import find_axes
from geodl.data.pixelsize import TOLERANCE, size_ratio
from geodl.data.radar import RadarSequence, open_sequence
from geodl.data.source import Grid
from geodl.errors import FramesMissing, NoValidPixels, OptionError, ResolutionMismatch

__all__ = ("Instant", "Recent", "network_step", "read_recent")

Instant: TypeAlias = str | np.datetime64 | datetime
"""A time, UTC where it says no other: `"2016-09-28T15:00"`."""

_JITTER = 0.1
"""Share of the step by which a frame may be off its time: radars do not finish to the second."""


@dataclass(frozen=True)
class Recent:
    """The frames that a forecast is made from."""

    name: str
    """Of their sequence."""
    times: np.ndarray
    """datetime64[ns] of shape (frame,), one step apart; the last one is the time of the analysis."""
    values: np.ndarray
    """float32 of shape (frame, height, width) in mm/h; not-a-number is nodata."""
    grid: Grid
    axes: dict[str, xr.Variable]
    """y and x, under the names they had, with the coordinates of pixel centres."""
    paths: tuple[str, ...] = ()
    """Files of the sequence."""

    @property
    def analysis(self) -> np.datetime64:
        """Time of the last frame, from which lead times count."""
        return np.datetime64(self.times[-1])


def network_step(contract: Contract) -> np.timedelta64:
    """Returns the time between frames that a network was trained with: timedelta64[ns]."""
    return np.timedelta64(round((contract.input.dim("time").step or 0) * 1e9), "ns")


def read_recent(
    data: Any,
    contract: Contract,
    *,
    at: Instant | None = None,
    any_resolution: bool = False,
    resample: bool = False,
) -> Recent:
    """Reads the frames that a forecast is made from.

    Args:
        data: what `open_sequence` takes. An array that states no unit is in mm/h.
        contract: of the network.
        at: the analysis: the last frame that is not later than this is the last one seen. Default: the sequence's last.
        any_resolution: accept any pixel size, as it is.
        resample: average whole blocks of pixels to the network's pixel size.

    Raises:
        FramesMissing: there are too few frames, or some in between are not there.
        StepMismatch: no whole number of the sequence's steps makes the network's.
        ResolutionMismatch: the pixels have another size.
        NoValidPixels: the last frame is all nodata.
        OptionError: `at` is no time.
        GeodlError: as `open_sequence` raises.
    """
    unstated = isinstance(data, xr.DataArray) and not data.attrs.get("units")
    opened = open_sequence(data, unit="mm/h") if unstated else open_sequence(data)
    sequence = _at_pixel_size(opened, contract, any_resolution=any_resolution, resample=resample)
    found = _find(sequence, contract, at)
    values = np.stack([sequence.read(None, slice(k, k + 1))[0][0, ..., 0] for k in found])
    if not np.isfinite(values[-1]).any():
        last = _minute(sequence.times[found[-1]])
        raise NoValidPixels(sequence.name, f"Every pixel of the last frame ({last}) is nodata")
    own = data if isinstance(data, xr.DataArray | xr.Dataset) else None
    paths = tuple(frame.path for frame in sequence.frames)
    return Recent(sequence.name, sequence.times[found], values, sequence.grid, _axes(sequence.grid, own), paths)


def _find(sequence: RadarSequence, contract: Contract, at: Instant | None) -> list[int]:
    """Positions of the frames, one network step apart, that end with the analysis."""
    times, step = sequence.times, network_step(contract)
    count = contract.input.dim("time").size or 1
    until = times[-1] if at is None else _instant(at)
    expected = f"{count} frames, {_minutes(step)} apart"
    last = int(np.searchsorted(times, until, side="right")) - 1
    if last < 0 or until - times[last] >= step:
        received = f"frames from {_minute(times[0])} to {_minute(times[-1])}"
        raise FramesMissing(sequence.name, expected=f"{expected}, the last one at {_minute(until)}", received=received)
    wanted = times[last] - step * np.arange(count - 1, -1, -1)
    found = [int(np.abs(times - time).argmin()) for time in wanted]
    missing = [time for time, k in zip(wanted, found, strict=True) if abs(times[k] - time) > _JITTER * step]
    if missing:
        if len(times) > 1:
            sequence.at_step(step)  # Says so where the step is to blame.
        received = f"{len(times)} frames in all, {count - len(missing)} of these among them"
        raise FramesMissing(
            sequence.name,
            expected=f"{expected}, from {_minute(wanted[0])} to {_minute(wanted[-1])}",
            received=received,
            missing=[_minute(time) for time in missing],
        )
    return found


def _at_pixel_size(
    sequence: RadarSequence, contract: Contract, *, any_resolution: bool, resample: bool
) -> RadarSequence:
    y, x = (contract.input.dim(name) for name in ("y", "x"))
    if y.step is None or x.step is None:
        return sequence
    ratio = size_ratio(sequence.grid, (y.step, x.step), y.unit)
    if ratio is None or all(abs(part - 1) <= TOLERANCE for part in ratio):
        return sequence
    if resample and y.unit == "metre":
        return sequence.at_resolution(y.step)
    if any_resolution:
        return sequence
    raise ResolutionMismatch(
        sequence.name,
        expected=f"{x.step:.4g} x {y.step:.4g} {y.unit}s (to within {TOLERANCE:.0%})",
        received=f"{x.step * ratio[1]:.4g} x {y.step * ratio[0]:.4g} {y.unit}s",
        advice="Pass resample=True (--resample average) to average whole blocks of pixels, or any_resolution=True "
        "(--any-resolution) to take them as they are.",
    )


def _axes(grid: Grid, own: xr.DataArray | xr.Dataset | None) -> dict[str, xr.Variable]:
    """Coordinates of y and x: an array's own where its pixels are the grid's, else pixel centres."""
    t = grid.transform
    straight = t.b == t.d == 0
    centres = t.f + t.e * (np.arange(grid.height) + 0.5), t.c + t.a * (np.arange(grid.width) + 0.5)
    named = (None, None) if own is None else find_axes(own.dims, own.coords)
    axes = {}
    for default, dim, values in zip(("y", "x"), named, centres, strict=True):
        coordinate = None if own is None or dim is None else own.coords.get(dim)
        size = abs(values[1] - values[0]) if len(values) > 1 else 1.0
        if (
            coordinate is not None
            and coordinate.shape == values.shape
            and np.allclose(coordinate.values, values, rtol=0, atol=0.01 * size)
        ):
            axes[str(dim)] = coordinate.variable.copy()
        elif straight and (grid.crs is not None or not t.is_identity):
            axes[default] = xr.Variable((default,), values)
        else:
            axes[default] = xr.Variable((default,), np.arange(len(values)) + 0.5)
    return axes


def _instant(at: Instant) -> np.datetime64:
    if isinstance(at, np.datetime64) and not np.isnat(at):
        return at.astype("datetime64[ns]")
    try:
        time = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
        naive = time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
        return np.datetime64(naive, "ns")
    except ValueError:
        raise OptionError("at (--at)", expected="a time, such as 2016-09-28T15:00", received=str(at)) from None


def _minute(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="s")).removesuffix(":00")


def _minutes(step: np.timedelta64) -> str:
    return f"{step / np.timedelta64(60, 's'):g} minutes"
