"""Clips: samples of radar sequences, some frames in and some to be forecast."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import shapely

from geodl.data.augment import Augmentation
from geodl.data.places import Place, boxes, locate
from geodl.data.radar.sequence import RadarSequence
from geodl.data.source import Window
from geodl.data.windows import rectangles
from geodl.errors import FramesMissing, NoValidPixels
from geodl.physics.advection import advect
from geodl.physics.motion import motion

__all__ = ("Clip", "ClipReader", "ClipSamples", "DomainClips", "find_clips")

_CELL = 16
"""Side, in pixels, of the cells in which rain is looked for before a window is chosen."""
_CANDIDATES = 12
"""Windows of which one is taken, those with rain more often."""
_STARTS = 6
"""Clips that are looked at for one with rain before a dry one is taken."""
_DRY = 0.02
"""Mean of ln(1 + rain rate in mm/h): a window with less is passed over, unless all are like it."""
_MOTIONS = 2**28
"""Bytes of motion fields that are kept."""


@dataclass(frozen=True)
class Clip:
    """A stretch of a sequence, without a gap."""

    sequence: RadarSequence
    start: int
    """Position of its first frame."""
    stop: int
    """Position after its last frame, at most `frames + leads` after the start."""
    name: str
    """Of the sequence, whatever part of it this one is."""
    group: str | None = None
    """See `geodl.data.places.Place`."""


def find_clips(
    sequences: Sequence[tuple[str, RadarSequence, str | None]],
    *,
    frames: int,
    leads: int,
    least: int = 1,
    stride: int = 1,
) -> list[Clip]:
    """Finds all clips of sequences: none reaches over a gap, or beyond its sequence.

    Args:
        sequences: name, sequence at the step of the clips, and group of each.
        frames: observed frames of a clip.
        leads: frames to be forecast.
        least: how many of these must be there.
        stride: frames between the starts of clips.

    Returns:
        The clips, by name and time.
    """
    found = []
    for name, sequence, group in sequences:
        for run in sequence.runs:
            for start in range(run.start, run.stop - frames - least + 1, stride):
                found.append(Clip(sequence, start, min(start + frames + leads, run.stop), name, group))
    return sorted(found, key=lambda clip: (clip.name, clip.sequence.times[clip.start]))


class ClipReader:
    """Reads windows of clips, with the last observed frame carried on to each lead time where that is asked for.

    The motion is that of the whole domain, so that a window sees what moves in from outside. Threads may share it.

    Args:
        frames: observed frames.
        leads: frames to be forecast.
        advected: whether the last frame is carried on.
    """

    def __init__(self, frames: int, leads: int, *, advected: bool) -> None:
        self.frames, self.leads, self.advected = frames, leads, advected
        self._motions: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, clip: Clip, window: Window | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads a window, which may reach beyond the domain; default: the whole domain.

        Returns:
            `x`, float32 (frames [+ leads], height, width, 1) in mm/h, not-a-number where nodata: the observed frames
            and behind them those carried on; `y`, float32 (leads, height, width, 1), not-a-number where nothing was
            observed; `weight`, float32 (leads, height, width), 1 where something was.
        """
        window = window or clip.sequence.grid.window
        values = clip.sequence.read(window, slice(clip.start, clip.stop))[0]
        x, y = values[: self.frames], values[self.frames :]
        if len(y) < self.leads:
            absent = np.full((self.leads - len(y), *y.shape[1:]), np.nan, np.float32)
            y = np.concatenate([y, absent])
        if self.advected:
            x = np.concatenate([x, self._carried_on(clip, window)])
        return x, y, np.isfinite(y[..., 0]).astype(np.float32)

    def _carried_on(self, clip: Clip, window: Window) -> np.ndarray:
        grid, last = clip.sequence.grid, clip.start + self.frames - 1
        top, left = max(window.row_off, 0), max(window.col_off, 0)
        bottom = min(window.row_off + window.height, grid.height)
        right = min(window.col_off + window.width, grid.width)
        found = np.full((self.leads, int(window.height), int(window.width), 1), np.nan, np.float32)
        if bottom > top and right > left:
            frame = clip.sequence.read(None, slice(last, last + 1))[0][0, ..., 0]
            rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
            at = (
                slice(None),
                slice(int(top - window.row_off), int(bottom - window.row_off)),
                slice(int(left - window.col_off), int(right - window.col_off)),
                0,
            )
            found[at] = advect(frame, self._motion(clip), self.leads, rows=rows, columns=columns)
        return found

    def _motion(self, clip: Clip) -> np.ndarray:
        """Returns the motion up to a clip's last observed frame; the latest ones are kept, with half precision."""
        key = (id(clip.sequence), clip.start)
        with self._lock:
            if key in self._motions:
                self._motions.move_to_end(key)
                return self._motions[key].astype(np.float32)
        field = motion(clip.sequence.read(None, slice(clip.start, clip.start + self.frames))[0][..., 0])
        with self._lock:
            self._motions[key] = field.astype(np.float16)
            while len(self._motions) > 1 and sum(kept.nbytes for kept in self._motions.values()) > _MOTIONS:
                self._motions.popitem(last=False)
        return field.astype(np.float16).astype(np.float32)


class ClipSamples:
    """Training clips: windows of the domain at random places, those with rain more often (Ravuri et al. 2021, Methods).

    Sample i is a clip; where it is dry, or nodata, another one is taken.

    Args:
        clips: see `find_clips`.
        reader: reads them.
        patch: side of a window, in pixels; smaller domains are filled up with nodata.
        augment: mirrors and turns windows; their motion turns with them.

    Raises:
        FramesMissing: there is no clip.

    Example:

    >>> samples = ClipSamples(clips, reader, patch=128)
    >>> x, y, weight = samples.read(0, np.random.default_rng(0))
    """

    def __init__(
        self, clips: Sequence[Clip], reader: ClipReader, *, patch: int, augment: Augmentation | None = None
    ) -> None:
        _refuse_none(clips, reader, "The training part")
        self.clips, self.patch, self._reader = list(clips), patch, reader
        # Time comes before y and x.
        self._augment = None if augment is None else replace(augment, axes=(1, 2))
        areas = np.array([np.sqrt(np.prod(clip.sequence.grid.shape)) for clip in self.clips])
        self._shares = areas / areas.sum()
        self._cells: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.clips)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws clips; those of large domains, which hold more windows, as much more often as these are wide."""
        return rng.choice(len(self.clips), size=count, p=self._shares)

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads a window of a clip; see `Samples` and `ClipReader.read`.

        Raises:
            NoValidPixels: nothing was observed in any clip.
        """
        for attempt, k in enumerate(self._tries(index, rng)):
            clip = self.clips[k]
            window = self._window(clip, rng, dry=attempt >= _STARTS)
            if window is None:
                continue
            x, y, weight = self._reader.read(clip, window)
            if not weight.any() or not np.isfinite(x[: self._reader.frames]).any():
                continue
            if self._augment is None:
                return x, y, weight
            x, y, weight = self._augment.turn((x, y, weight[..., None]), rng)
            return x, y, weight[..., 0]
        names = ", ".join(sorted({clip.name for clip in self.clips})[:4])
        raise NoValidPixels(f"Training sequences {names}", "No window holds both observed frames and truth")

    def place(self, index: int) -> Place:
        """Returns the whole domain and the time of a clip; see `Samples`."""
        return _place(self.clips[index])

    def _tries(self, index: int, rng: np.random.Generator) -> Iterator[int]:
        yield index
        yield from (int(k) for k in self.draw(rng, 2 * _STARTS - 1))
        yield from rng.permutation(len(self))

    def _window(self, clip: Clip, rng: np.random.Generator, *, dry: bool) -> Window | None:
        """Chooses a window by its rain; None where there is none to see, unless a dry one will do."""
        height, width = clip.sequence.grid.shape
        spare = np.array([height - self.patch, width - self.patch])
        low, high = np.minimum(spare, 0) // 2, np.maximum(spare, 0)
        low = np.where(spare < 0, low, 0)
        corners = rng.integers(low, np.where(spare < 0, low, high), (_CANDIDATES, 2), endpoint=True)
        rain, known = self._look(clip)
        wanted = np.array([self._mean(rain, corner) for corner in corners])
        seen = np.array([self._mean(known, corner) for corner in corners])
        lot = rng.random()
        if not dry and wanted.max() < _DRY:
            return None
        weights = np.where(seen > 0, wanted + 0.1 * _DRY, 0)
        if not weights.any():
            return None
        chosen = int(np.searchsorted(np.cumsum(weights / weights.sum())[:-1], lot, side="right"))
        row, column = (int(n) for n in corners[chosen])
        return Window(column, row, self.patch, self.patch)

    def _mean(self, cells: np.ndarray, corner: np.ndarray) -> float:
        """Mean of what lies in a window, cell by cell."""
        first = np.maximum(corner, 0) // _CELL
        last = np.maximum(-(-(corner + self.patch) // _CELL), first + 1)
        part = cells[first[0] : last[0], first[1] : last[1]]
        return float(part.mean()) if part.size else 0.0

    def _look(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        """Returns, per cell, how much it rained when last seen, and the share of known pixels.

        Of what came then nothing is asked: windows chosen for the rain to come would teach that rain grows.
        """
        return self._frame(clip.sequence, clip.start + self._reader.frames - 1)

    def _frame(self, sequence: RadarSequence, position: int) -> tuple[np.ndarray, np.ndarray]:
        key = (id(sequence), position)
        if key not in self._cells:
            frame = sequence.read(None, slice(position, position + 1))[0][0, ..., 0]
            known = np.isfinite(frame)
            self._cells[key] = (
                _by_cell(np.log1p(np.where(known, frame, 0))).astype(np.float16),
                _by_cell(known.astype(np.float32)).astype(np.float16),
            )
        return self._cells[key]


class DomainClips:
    """The clips on which one part is scored: the whole domain each, in a fixed order.

    Args:
        clips: see `find_clips`.
        reader: reads them.
        part: for messages.

    Raises:
        FramesMissing: there is no clip.
    """

    def __init__(self, clips: Sequence[Clip], reader: ClipReader, *, part: str) -> None:
        _refuse_none(clips, reader, f"The {part} part")
        self.clips, self._reader = list(clips), reader

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads a clip; nothing is random. See `Samples` and `ClipReader.read`."""
        return self._reader.read(self.clips[index])

    def place(self, index: int) -> Place:
        """Returns the domain and the time of a clip; see `Samples`."""
        return self._places[index]

    @cached_property
    def _places(self) -> list[Place]:
        return [_place(clip) for clip in self.clips]


def _refuse_none(clips: Sequence[Clip], reader: ClipReader, where: str) -> None:
    if not clips:
        raise FramesMissing(
            where,
            expected=f"at least one clip of {reader.frames} observed frames and {reader.leads} lead times without a gap",
            received="none",
            advice="Give longer sequences, a smaller clip.frames, clip.leads or data.step, or another data.split.",
        )


def _place(clip: Clip) -> Place:
    sequence = clip.sequence
    shapes, space = locate(boxes(rectangles([sequence.grid.window])), sequence.grid, clip.name)
    first, last = sequence.times[clip.start], sequence.times[clip.stop - 1]
    footprint: shapely.Geometry = shapes[0]
    name = f"{clip.name} ({str(first)[:16]})"
    return Place(footprint, space, time=(first, last), group=clip.group, name=name, source=clip.name)


def _by_cell(frame: np.ndarray) -> np.ndarray:
    """Mean over squares of cells; those at the far edges may be smaller."""
    rows, columns = (np.arange(0, size, _CELL) for size in frame.shape)
    sums = np.add.reduceat(np.add.reduceat(frame, rows, 0), columns, 1)
    counts = np.outer(*(np.diff(np.append(starts, size)) for starts, size in zip((rows, columns), frame.shape)))
    return np.asarray(sums / counts)
