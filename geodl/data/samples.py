"""Samples: what a network learns from, whatever the task; and those that are windows of labelled scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import shapely

from geodl.data.anchors import Anchors, find_anchors
from geodl.data.augment import Augmentation, resize_labels, resize_values
from geodl.data.labels import IGNORE, Labels
from geodl.data.places import Place, boxes, locate
from geodl.data.source import Grid, Source, Window, in_all_bands
from geodl.data.splits import Part, SceneSplit
from geodl.data.windows import expand, intersects, partition, position_range, rectangles, to_window
from geodl.errors import EmptyDataset, NoValidPixels

__all__ = (
    "DrawnSamples",
    "GatheredSamples",
    "RegionSamples",
    "Samples",
    "Sampling",
    "Scene",
    "SceneSamples",
    "StagedSamples",
    "class_counts",
)

Sampling = Literal["balanced", "random", "grid"]

_POSITIONS = 16
_READS = 3
_REPLACEMENTS = 32
_STREAM = 1024


@runtime_checkable
class Samples(Protocol):
    """What a network learns from: windows of scenes, clips of radar sequences, rows of series, parts of trajectories.

    Batches and the leakage check know nothing else. All methods may be called from several threads at once.
    """

    def __len__(self) -> int:
        """Returns how many there are, at least one; `read` and `place` take 0 to this, exclusive."""
        ...

    def read(self, index: int, rng: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
        """Reads one sample, without the batch axis.

        Args:
            index: which one.
            rng: the only source of chance (offset, augmentation): the same state gives the same arrays.

        Returns:
            `x`: floating-point array in physical units, not-a-number where invalid (or a dict or tuple of such);
            `y`: the target (or a dict or tuple of such); `weight`: floating point, of the shape that the loss has for
            one sample, 0 where the target must not count, not normalised. When training, all samples have the same
            shapes and dtypes, and at least one weight is above 0.

        Raises:
            NoValidPixels: no sample with a valid pixel can be had.
        """
        ...

    def place(self, index: int) -> Place:
        """Returns where all that lies which `read(index, …)` can give a weight above 0, whatever the generator."""
        ...


@runtime_checkable
class DrawnSamples(Samples, Protocol):
    """Samples that say which to take; of other kinds, each is visited once per pass over all, in random order."""

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray | None:
        """Draws the samples of one batch.

        Args:
            rng: the only source of chance.
            count: how many.

        Returns:
            Indices of shape (count,), or None where each is to be visited once per pass.
        """
        ...


@runtime_checkable
class StagedSamples(Samples, Protocol):
    """Samples that change as training goes on, such as segments that grow longer."""

    @property
    def changes(self) -> tuple[int, ...]:
        """Global steps from which on they have other shapes."""
        ...

    def at(self, step: int) -> Samples:
        """Returns the samples of a global step, the same ones whenever it is asked for."""
        ...


@runtime_checkable
class GatheredSamples(Samples, Protocol):
    """Samples that lie in memory and are read together faster than one by one."""

    def read_batch(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
        """Reads what `read` gives for each index, with the batch axis first; `rng` is the only source of chance."""
        ...


class Scene(NamedTuple):
    """An image with its labels, on one grid, and what it gives to each part."""

    source: Source
    labels: Labels
    split: SceneSplit = SceneSplit()


class SceneSamples:
    """Training windows of labelled scenes.

    Sample i is an anchor: a small cell with labelled pixels. It is read as a window around that cell, placed at random,
    inside the scene if it fits and off the excluded rectangles; so the pixels that decided the draw are in it.

    Args:
        scenes: those whose split does not train are left out. Their labels are read once, block by block.
        patch: side of a sample, in pixels.
        sampling: `balanced`: each class is drawn equally often, then an anchor by how many pixels of it that holds;
            `random`: an anchor by how many labelled pixels it holds; `grid`: windows side by side, each once per pass.
        augment: changes each sample; its `scale` makes the window smaller or larger before it is resized to `patch`.

    Raises:
        EmptyDataset: there is no labelled pixel in the training area.

    Example:
        >>> samples = SceneSamples([Scene(source, labels, split)], patch=128)
        >>> x, y, weight = samples.read(0, np.random.default_rng(0))   # (128, 128, bands), (128, 128), (128, 128)
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        *,
        patch: int,
        sampling: Sampling = "balanced",
        augment: Augmentation | None = None,
    ) -> None:
        self.patch, self.sampling, self.augment = patch, sampling, augment
        self._scenes = [Scene(*scene) for scene in scenes if scene[2].trains]
        self._excluded = [rectangles(scene.split.excluded) for scene in self._scenes]
        found = [
            find_anchors(scene.labels, excluded, patch=patch, side_by_side=sampling == "grid")
            for scene, excluded in zip(self._scenes, self._excluded, strict=True)
        ]
        self._owner = np.repeat(np.arange(len(found)), np.array([len(anchors.cells) for anchors in found], np.int64))
        if not len(self._owner):
            raise EmptyDataset(
                "The training area",
                expected=f"a labelled pixel in a window of {patch} x {patch} pixels off what is held out",
                received="none; choose a smaller data.patch or data.split.buffer, or check the labels",
            )
        anchors = Anchors(*(np.concatenate(column) for column in zip(*found, strict=True)))
        self._cells, self._corners = anchors.cells, anchors.corners
        self._crowded = np.concatenate(
            [intersects(self._reach(k), excluded) for k, excluded in enumerate(self._excluded)]
        )
        self.class_counts: np.ndarray = anchors.counts.sum(0)
        """Labelled pixels of each class in the anchors, int64 of shape (classes,)."""
        self._drawers = _drawers(anchors.counts, balanced=sampling == "balanced")

    def __len__(self) -> int:
        return len(self._owner)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray | None:
        """Draws anchors as `sampling` says; None for `grid`. See `DrawnSamples`."""
        return None if self.sampling == "grid" else self._draw(rng, count)

    def _draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        kinds, lots = rng.integers(len(self._drawers), size=count), rng.random(count)
        return np.array([self._drawers[kind](lot) for kind, lot in zip(kinds, lots, strict=True)], np.int64)

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads a window around an anchor; see `Samples`.

        Where nodata leaves no valid labelled pixel in it, another position is tried, then another anchor drawn.

        Returns:
            `x` float32 (patch, patch, band), not-a-number where invalid; `y` int32 (patch, patch), class indices, -1
            where unlabelled or invalid; `weight` float32 (patch, patch), 0 or 1.
        """
        for k in self._replacements(index, rng):
            for corner, size in self._positions(k, rng):
                x, y = _read(self._scenes[self._owner[k]], to_window((*corner, *(corner + size))))
                if size != self.patch and (y != IGNORE).any():
                    x = resize_values(x, self.patch)
                    y = _known(resize_labels(y, self.patch), np.isfinite(x))
                if (y != IGNORE).any():
                    weight = (y != IGNORE).astype(np.float32)
                    return self.augment(x, y, weight, rng) if self.augment else (x, y, weight)
        names = ", ".join(scene.source.name for scene in self._scenes[:4])
        raise NoValidPixels(f"Training scenes {names}", "every labelled pixel is nodata in the image")

    def _replacements(self, index: int, rng: np.random.Generator) -> Iterator[int]:
        yield index
        yield from self._draw(rng, _REPLACEMENTS)
        yield from rng.permutation(len(self))

    def _positions(self, k: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
        """Yields corners and sizes of windows to try for anchor `k`; the last one always stands clear."""
        owner = self._owner[k]
        shape = self._scenes[owner].source.grid.shape
        size = self.augment.read_size(self.patch, rng) if self.augment else self.patch
        size = min(size, max(self.patch, min(shape)))
        if self.sampling != "grid" or size != self.patch:
            low, high = position_range(self._cells[k : k + 1], size, shape)
            corners = rng.integers(low, high, (_POSITIONS, 2), endpoint=True)
            if self._crowded[k]:
                corners = corners[~intersects(np.hstack([corners, corners + size]), self._excluded[owner])]
            yield from ((corner, size) for corner in corners[:_READS])
        yield self._corners[k], self.patch

    def place(self, index: int) -> Place:
        """Returns the area that windows around this anchor can cover; see `Samples`."""
        scene = self._scenes[self._owner[index]]
        footprint, space = self._footprints[index]
        top, left = self._cells[index, :2]
        return Place(
            footprint,
            space,
            group=scene.split.group,
            name=f"{scene.source.name} (row {top}, column {left})",
            source=scene.source.name,
        )

    @cached_property
    def _footprints(self) -> list[tuple[shapely.Geometry, str]]:
        found: list[tuple[shapely.Geometry, str]] = []
        for k, (scene, excluded) in enumerate(zip(self._scenes, self._excluded, strict=True)):
            shapes, crowded = boxes(self._reach(k)), self._crowded[self._owner == k]
            shapes[crowded] = shapely.difference(shapes[crowded], shapely.union_all(boxes(excluded)))
            shapes, space = locate(shapes, scene.source.grid, scene.source.name)
            found += [(shape, space) for shape in shapes]
        return found

    def _reach(self, scene: int) -> np.ndarray:
        """Returns the rectangles (n, 4) that windows around each anchor of a scene can cover."""
        mine, shape = self._owner == scene, self._scenes[scene].source.grid.shape
        size = max(self.augment.greatest_read_size(self.patch) if self.augment else self.patch, self.patch)
        size = min(size, max(self.patch, min(shape)))
        low, high = position_range(self._cells[mine], size, shape)
        if self.sampling == "grid" and (self.augment is None or self.augment.scale == (1, 1)):
            low = high = self._corners[mine]
        return np.clip(np.hstack([low, high + size]), 0, [*shape, *shape])


def _drawers(counts: np.ndarray, *, balanced: bool) -> list[Callable[[float], int]]:
    """Returns, per class (or once for all), what takes a number from 0 to 1 to an anchor, weighted by pixels."""
    columns = counts[:, counts.sum(0) > 0].T if balanced else counts.sum(1)[None]
    return [_drawer(column) for column in columns]


def _drawer(weights: np.ndarray) -> Callable[[float], int]:
    holders = np.flatnonzero(weights)
    ends = np.cumsum(weights[holders], dtype=np.float64)
    return lambda lot: int(holders[np.searchsorted(ends[:-1], lot * ends[-1], side="right")])


class RegionSamples:
    """The windows in which one part of labelled scenes is scored: each of its pixels in exactly one, in a fixed order.

    Args:
        scenes: those whose split has no regions of this part are left out.
        part: `validation` or `test`.
        size: side of a window, in pixels; the last ones of a region are smaller.
        margin: pixels read around each window as context, as far as the scene goes; they do not count.
        whole: regions of at most this height and width are one window.

    Raises:
        EmptyDataset: there is no labelled pixel in this part.
    """

    def __init__(
        self, scenes: Sequence[Scene], *, part: Part, size: int = 512, margin: int = 0, whole: int = 1024
    ) -> None:
        self._margin = margin
        self._windows: list[tuple[Scene, Window]] = []
        counts = []
        for scene in (Scene(*scene) for scene in scenes):
            for region in scene.split.regions.get(part, ()):
                small = max(region.height, region.width) <= whole
                for window in [region] if small else partition(region, size):
                    found = class_counts(scene.labels, window)
                    if found.any():
                        self._windows.append((scene, window))
                        counts.append(found)
        if not counts:
            raise EmptyDataset(f"The {part} part", expected="at least one labelled pixel", received="none")
        self.class_counts: np.ndarray = np.sum(counts, 0)
        """Labelled pixels of each class, int64 of shape (classes,)."""

    def __len__(self) -> int:
        return len(self._windows)

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads a window with its context; nothing is random. See `Samples`.

        Returns:
            `x` float32 (height, width, band), not-a-number where invalid; `y` int32 (height, width), class indices, -1
            where unlabelled or invalid; `weight` float32 (height, width), 1 where labelled, 0 in the context, whose
            labels only tell where boundaries are. The weights may all be 0.
        """
        scene, window = self._windows[index]
        seen = expand(window, self._margin, scene.source.grid.shape)
        x, y = _read(scene, seen)
        weight = np.zeros(y.shape, np.float32)
        row, col = window.row_off - seen.row_off, window.col_off - seen.col_off
        inside = (slice(row, row + window.height), slice(col, col + window.width))
        weight[inside] = y[inside] != IGNORE
        return x, y, weight

    def grid(self, index: int) -> Grid:
        """Returns the grid of a window with its context: of all that `read` gives."""
        scene, window = self._windows[index]
        return scene.source.grid.crop(expand(window, self._margin, scene.source.grid.shape))

    def place(self, index: int) -> Place:
        """Returns where the window lies, without its context; see `Samples`."""
        scene, window = self._windows[index]
        footprint, space = self._footprints[index]
        name = f"{scene.source.name} (row {window.row_off}, column {window.col_off})"
        return Place(footprint, space, group=scene.split.group, name=name, source=scene.source.name)

    @cached_property
    def _footprints(self) -> list[tuple[shapely.Geometry, str]]:
        found: list[tuple[shapely.Geometry, str]] = []
        for _, pairs in groupby(self._windows, key=lambda pair: id(pair[0])):
            scenes, windows = zip(*pairs, strict=True)
            shapes, space = locate(boxes(rectangles(windows)), scenes[0].source.grid, scenes[0].source.name)
            found += [(shape, space) for shape in shapes]
        return found


def class_counts(labels: Labels, window: Window) -> np.ndarray:
    """Counts the labelled pixels of each class in a window, block by block: int64 of shape (classes,)."""
    counts = np.zeros(len(labels.classes), np.int64)
    for block in partition(window, _STREAM):
        found = labels.read(block)
        counts += np.bincount(found[found != IGNORE], minlength=len(counts))
    return counts


def _read(scene: Scene, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Reads values and labels; labels of pixels that are not valid in all bands are ignored."""
    values, valid = scene.source.read(window)
    return values, _known(scene.labels.read(window), valid)


def _known(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    # Most windows are all valid, and that is seen many times faster than which pixels are.
    return labels if valid.all() else np.where(in_all_bands(valid), labels, np.int32(IGNORE))
