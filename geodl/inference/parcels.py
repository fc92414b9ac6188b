"""What grows in parcels, by the pixels of a cube that lie in them: of their mean series, or the mean of their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from geodl.data.members import MemberPixels, Members
from geodl.data.source import Window
from geodl.errors import OptionError
from geodl.inference.engine import Progress
from geodl.inference.mapper import Plan
from geodl.inference.pixelseries import PixelSeries
from geodl.inference.request import Request
from geodl.inference.seriesmapper import SeriesMapper

__all__ = ("MemberArea", "MemberRule", "ParcelMeans", "check_members", "mean_predictions", "mean_series")

MemberRule = Literal["mean", "predictions"]
"""`mean`: a parcel is what the network says of the mean series of its pixels; `predictions`: what it says of them on
average, in probabilities."""


@dataclass(frozen=True)
class ParcelMeans:
    """What the pixels of parcels hold on average."""

    values: np.ndarray
    """float32 (parcel, …), not-a-number where nothing was observed."""
    pixels: np.ndarray
    """int64 (parcel,): pixels with at least one observation."""


class MemberArea:
    """The pixels of places, as a part of a grid.

    Args:
        members: the places.
    """

    def __init__(self, members: Members) -> None:
        self._members = members

    def mask(self, window: Window) -> np.ndarray:
        """Returns which pixels of a window belong to any of the places: bool (height, width)."""
        inside = np.zeros((int(window.height), int(window.width)), bool)
        found = self._members.within(window)
        inside[found.rows - int(window.row_off), found.columns - int(window.col_off)] = True
        return inside


def check_members(rule: str) -> None:
    """Raises OptionError where there is no such rule."""
    if rule not in get_args(MemberRule):
        expected = f"one of {', '.join(get_args(MemberRule))}"
        raise OptionError("members (--parcel-members)", expected=expected, received=rule)


def mean_series(series: PixelSeries, members: Members, plan: Plan, progress: Progress | None = None) -> ParcelMeans:
    """Averages the series of the pixels of parcels, date by date and band by band, over those that were observed.

    Args:
        series: the cube.
        members: the parcels, on its grid.
        plan: says in which tiles the cube is read.
        progress: called with the pixels read and in all.

    Returns:
        Values (parcel, date, band).
    """
    shape = len(members), len(series.days), len(series.cube.bands)
    sums = _Sums(shape[0], shape[1] * shape[2])
    windows = [
        Window(column.start, row.start, column.size, row.size)
        for row in plan.tiling.rows
        for column in plan.tiling.columns
    ]
    total, done = series.grid.height * series.grid.width, 0
    for window in windows:
        found = members.within(window)
        if len(found):
            values, _ = series.read(found.window)
            sums.add(found, values[found.rows - found.rows.min(), found.columns - found.columns.min()])
        done += int(window.height) * int(window.width)
        if progress is not None:
            progress(done, total)
    return ParcelMeans(sums.means().reshape(shape), sums.pixels)


def mean_predictions(
    mapper: SeriesMapper, request: Request, plan: Plan, members: Members, progress: Progress | None = None
) -> ParcelMeans:
    """Averages the probabilities that the network gives the pixels of parcels, block by block.

    Args:
        mapper: the network.
        request: with probabilities, of the pixels of the parcels.
        plan: of it.
        members: the parcels, on its grid.
        progress: called with the pixels done and in all.

    Returns:
        Values (parcel, class).

    Raises:
        NoValidPixels: nothing was observed in any parcel.
    """
    names = [layer.name for layer in request.products.layers]
    sink = _ParcelSink(members, names.index("probabilities"), len(mapper.contract.output.classes))
    mapper.map(request, plan, sink, progress)
    return ParcelMeans(sink.sums.means(), sink.sums.pixels)


class _ParcelSink:
    """Takes blocks of a map of probabilities, and keeps their sums over parcels."""

    def __init__(self, members: Members, layer: int, classes: int) -> None:
        self._members, self._layer = members, layer
        self.sums = _Sums(len(members), classes)

    def write(self, row: int, column: int, arrays: list[np.ndarray]) -> None:
        """Adds a block; see `Sink`."""
        probabilities = arrays[self._layer]
        found = self._members.within(Window(column, row, probabilities.shape[2], probabilities.shape[1]))
        if len(found):
            self.sums.add(found, probabilities[:, found.rows - row, found.columns - column].T)


class _Sums:
    """Sums over the pixels of each parcel, and how many they are of."""

    def __init__(self, parcels: int, size: int) -> None:
        self.pixels = np.zeros(parcels, np.int64)
        self._sums = np.zeros((parcels, size))
        self._counts = np.zeros((parcels, size), np.int32)

    def add(self, found: MemberPixels, values: np.ndarray) -> None:
        """Adds values (pixel, size), not-a-number where there are none."""
        known = np.isfinite(values)
        which = found.place[found.starts]
        self._sums[which] += np.add.reduceat(np.where(known, values, 0), found.starts, axis=0, dtype=np.float64)
        self._counts[which] += np.add.reduceat(known, found.starts, axis=0, dtype=np.int32)
        self.pixels[which] += np.add.reduceat(known.any(1), found.starts, dtype=np.int64)

    def means(self) -> np.ndarray:
        """Returns float32 (parcel, size), not-a-number where nothing was added."""
        means = np.full(self._sums.shape, np.nan, np.float32)
        np.divide(self._sums, self._counts, out=means, where=self._counts > 0, casting="same_kind")
        return means
