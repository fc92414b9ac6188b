"""What a user means by a radar event, or by several: each opened by the reader that its format needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from geodl.data.radar.finding import event_name, find_events, frame_files
from geodl.data.radar.formats import file_frames
from geodl.data.radar.frames import Frame, StoredFrame
from geodl.data.radar.sequence import RadarSequence
from geodl.data.radar.timing import Timing
from geodl.errors import EmptyDataset, GridMismatch, SourceUnreadable, UnitMismatch
from geodl.physics.rain import ZR, Quantity, quantity_of

__all__ = ("find_sequences", "open_sequence")

_LOG = logging.getLogger("geodl")
_PERIODS = 0.1
"""Share by which the accumulation periods of one sequence may differ."""


def open_sequence(
    thing: Any,
    *,
    name: str | None = None,
    zr: ZR | None = None,
    unit: str | None = None,
    minutes: float | None = None,
) -> RadarSequence:
    """Opens one radar event. Only headers are read; frames are decoded when they are first needed.

    Args:
        thing: one of

            - a folder whose files are frames, a glob, or a list of files, of any format in `geodl.data.radar`: NetCDF
              (CF), GeoTIFF, ODIM HDF5, KNMI HDF5, npz, and what pysteps' importers read;
            - one file; a variable of NetCDF files is chosen as in `rain.nc:pr` or `folder/*.nc:pr`;
            - an `xarray.DataArray` (time, y, x[, band]) or a `Dataset` with one variable of rain;
            - a `RadarSequence`, which is returned as it is.

        name: of the event; default: that of the folder, or what the files' names have in common.
        zr: relation of reflectivity and rain rate, for files that hold reflectivity; default: Marshall and Palmer's, or
            the file's own.
        unit: of files that state none: `mm/h`, `mm`, `dBZ`, …
        minutes: accumulation period of depths whose files do not state it; default: the time step.

    Returns:
        The sequence. What is missing of it, or comes at odd times, is reported once on the log `geodl`.

    Raises:
        EmptyDataset: no frame was found.
        SourceUnreadable: a file is missing, damaged or of an unknown format, lacks a time or a unit; or two frames have
            one time.
        GridMismatch: the frames do not lie on one grid.
        UnitMismatch: they hold different quantities, or state another unit than `unit`.
        OptionError: a depth without a period; or a unit that is none of rain.

    Example:

    >>> open_sequence("radar/bom_2020").step
    np.timedelta64(600,'s')
    """
    if isinstance(thing, RadarSequence):
        return thing
    if hasattr(thing, "dims"):
        from geodl.data.radar.arrays import array_frames

        name = name or str(getattr(thing, "name", None) or "array")
        found: list[Frame | StoredFrame] = list(array_frames(thing, name, unit=unit))
    else:
        paths = frame_files(thing)
        name = name or event_name(thing, paths)
        found = [frame for path in paths for frame in file_frames(path, zr=zr, unit=unit, minutes=minutes)]
    if not found:
        raise EmptyDataset(name, expected="at least one radar frame")
    found.sort(key=lambda frame: frame.time)
    times = np.array([frame.time for frame in found], "datetime64[ns]")
    _refuse_twins(name, found, times)
    timing = Timing(times)
    if minutes is None and len(found) > 1:
        minutes = float(timing.step / np.timedelta64(60, "s"))
    frames = [frame.as_rate(zr=zr, minutes=minutes) if isinstance(frame, StoredFrame) else frame for frame in found]
    frames = _on_one_grid(frames)
    _refuse_mixture(frames, unit)
    _report(name, timing)
    return RadarSequence(frames, name)


def find_sequences(where: Any) -> list[tuple[str, Any]]:
    """Lists the events that `where` means.

    Args:
        where: a folder with frames is one event; one with folders of frames is an event for each; a list is each of its
            items, a glob each folder that it matches, or one event of all the files; anything else that `open_sequence`
            opens is one.

    Returns:
        A (name, spec) for each; a spec is what `open_sequence` opens. Names are unique.

    Raises:
        EmptyDataset: nothing was found.
        SourceUnreadable: there is no such file or folder.
    """
    specs = find_events(where)
    names = [event_name(spec, [spec] if isinstance(spec, str) else []) for spec in specs]
    return list(zip(_distinct(names), specs))


def _distinct(names: Sequence[str]) -> list[str]:
    """Numbers names that occur more than once."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if names.count(name) == 1 else f"{name}_{seen[name]}")
    return distinct


def _refuse_twins(name: str, frames: Sequence[Frame | StoredFrame], times: np.ndarray) -> None:
    twins = np.flatnonzero(np.diff(times) == np.timedelta64(0, "ns"))
    if len(twins):
        one, other = frames[twins[0]], frames[twins[0] + 1]
        cause = f"two frames have the time {str(one.time)[:19]}: {one.path} and {other.path}"
        advice = "Leave one of them out, or open each product by a pattern of its own."
        raise SourceUnreadable(name, cause, advice=advice)


def _on_one_grid(frames: Sequence[Frame]) -> list[Frame]:
    """The frames, all with the grid of the first. Raises `GridMismatch` where one has another."""
    first, same = frames[0], {id(frames[0].grid)}
    for frame in frames:
        if id(frame.grid) in same:
            continue
        differs = first.grid.differs(frame.grid)
        if differs is not None:
            what, expected, received = differs
            raise GridMismatch(
                first.path, frame.path, differs=what, expected=expected, received=received,
                advice="Frames of one sequence must lie on one grid: open each by itself, or warp the files first.",
            )  # fmt: skip
        same.add(id(frame.grid))
    return [frame if frame.grid is first.grid else replace(frame, grid=first.grid) for frame in frames]


def _refuse_mixture(frames: Sequence[Frame], unit: str | None) -> None:
    first = frames[0]
    if unit is not None and quantity_of(unit, minutes=1.0).unit != first.quantity.unit:
        raise UnitMismatch(first.path, band="rain_rate", expected=unit, received=_described(first.quantity))
    for frame in frames:
        if not _alike(first.quantity, frame.quantity):
            raise UnitMismatch(
                frame.path, band="rain_rate", received=_described(frame.quantity),
                expected=f"{_described(first.quantity)}, as in {first.path}",
            )  # fmt: skip


def _alike(one: Quantity, other: Quantity) -> bool:
    if one is other:
        return True
    periods = one.minutes is None or abs(one.minutes - (other.minutes or 0)) <= _PERIODS * one.minutes
    return one.unit == other.unit and periods and one.zr == other.zr


def _described(quantity: Quantity) -> str:
    return f"mm in {quantity.minutes:g} minutes" if quantity.minutes is not None else quantity.unit


def _report(name: str, timing: Timing) -> None:
    """Says once what is missing of a sequence, and where."""
    count, said = len(timing.times), []
    if timing.missing:
        total = count + len(timing.missing)
        said.append(f"{len(timing.missing)} of {total} frames are missing ({_some(timing.missing)})")
    if timing.irregular:
        said.append(f"{len(timing.irregular)} of {count} frames come at odd times ({_some(timing.irregular)})")
    if timing.breaks:
        said.append(f"frames go on after more than a day without any ({_some(timing.breaks)})")
    if said:
        _LOG.warning("%s: %s; clips do not cross gaps.", name, "; ".join(said))


def _some(times: Sequence[np.datetime64]) -> str:
    shown = ", ".join(str(time)[:16].replace("T", " ") for time in times[:3])
    return f"{shown} …" if len(times) > 3 else shown
