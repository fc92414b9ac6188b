"""Blends overlapping tiles as they come, keeping no more than the rows and columns that the next ones still change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodl.inference.blocks import Span

__all__ = ("Blender", "Panel", "Part", "ramp_weights")


@dataclass(frozen=True)
class Panel:
    """A rectangle of the scene that is mapped from top to bottom before the next one, in input pixels."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Part:
    """Where a tile counts within a panel, in input pixels of the scene."""

    row: Span
    column: Span
    panel: Panel

    @property
    def top(self) -> int:
        """First row with a weight."""
        return max(self.row.first, self.panel.top)

    @property
    def bottom(self) -> int:
        """One past the last row with a weight."""
        return min(self.row.last, self.panel.bottom)

    @property
    def left(self) -> int:
        """First column with a weight."""
        return max(self.column.first, self.panel.left)

    @property
    def right(self) -> int:
        """One past the last column with a weight."""
        return min(self.column.last, self.panel.right)

    @property
    def done(self) -> tuple[int, int]:
        """Height and width of the part that is final once this tile is added."""
        height = min(self.row.fade, self.panel.bottom) - self.top
        width = min(self.column.fade, self.panel.right) - self.left
        return max(height, 0), max(width, 0)

    @property
    def ramps(self) -> tuple[int, int]:
        """Rows at the top and columns at the left that earlier tiles also contribute to."""
        height = min(self.row.full, self.panel.bottom) - self.top
        width = min(self.column.full, self.panel.right) - self.left
        return max(height, 0), max(width, 0)

    def weigh(self, output: np.ndarray, scale: int = 1) -> np.ndarray:
        """Cuts this part out of what the network gave for the tile, and weighs it.

        Args:
            output: shape (height * scale, width * scale, channels) for all that the tile reads.
            scale: output pixels per input pixel.

        Returns:
            float32 of shape ((bottom - top) * scale, (right - left) * scale, channels), never a view of `output` where
            the part has ramps.
        """
        part = output[
            (self.top - self.row.start) * scale : (self.bottom - self.row.start) * scale,
            (self.left - self.column.start) * scale : (self.right - self.column.start) * scale,
        ]
        rows = _ramps(self.row, self.top, self.bottom)
        columns = _ramps(self.column, self.left, self.right)
        if rows or columns:
            part = part.copy()
        for low, high in rows:
            weights = ramp_weights(self.row, low, high, scale=scale)
            part[(low - self.top) * scale : (high - self.top) * scale] *= weights[:, None, None]
        for low, high in columns:
            weights = ramp_weights(self.column, low, high, scale=scale)
            part[:, (low - self.left) * scale : (high - self.left) * scale] *= weights[None, :, None]
        return part


def _ramps(span: Span, low: int, high: int) -> list[tuple[int, int]]:
    """The stretches of [low, high) in which a tile's weight is not 1."""
    ends = (max(low, span.first), min(high, span.full)), (max(low, span.fade), min(high, span.last))
    return [(begin, end) for begin, end in ends if begin < end]


def ramp_weights(span: Span, low: int, high: int, *, scale: int = 1) -> np.ndarray:
    """Weights of a tile along one axis: functions of the position in the scene alone.

    Raised-cosine ramps; those of two neighbours are each other's complement to 1.

    Args:
        span: the tile.
        low: first input pixel wanted.
        high: one past the last.
        scale: output pixels per input pixel.

    Returns:
        float32 of shape ((high - low) * scale,).
    """
    position = np.arange(low * scale, high * scale) + 0.5

    def rise(begin: int, end: int) -> np.ndarray:
        part = np.clip((position - begin * scale) / max((end - begin) * scale, 1), 0, 1)
        part[position > end * scale] = 1.0
        return (0.5 - 0.5 * np.cos(np.pi * part)).astype(np.float32)

    inside = (position > span.first * scale) & (position < span.last * scale)
    return np.where(inside, rise(span.first, span.full) * (1 - rise(span.fade, span.last)), np.float32(0))


class Blender:
    """Sums the weighted tiles of one panel, row by row of tiles, each row from left to right.

    What no later tile touches is handed back at once. Kept are the ramp to the next tile of the row, and the ramp to
    the next row of tiles: the rows over which two tiles are blended, as wide as the panel, however high the scene is.

    Args:
        panel: what is mapped.
        ramp: most rows over which two tiles are blended, in input pixels.
        channels: channels of the network's output.
        scale: output pixels per input pixel.
    """

    def __init__(self, panel: Panel, *, ramp: int, channels: int, scale: int = 1) -> None:
        self._left = panel.left
        self._scale = scale
        self._below = np.zeros((ramp * scale, (panel.right - panel.left) * scale, channels), np.float32)
        self._beside = np.zeros((0, 0, channels), np.float32)

    @property
    def kept_bytes(self) -> int:
        """Bytes kept between one tile and the next."""
        return self._below.nbytes + self._beside.nbytes

    def add(self, part: Part, output: np.ndarray | None) -> np.ndarray:
        """Adds a tile.

        Args:
            part: where it counts.
            output: what the network gave for all that the tile reads, float32 of shape (height * scale, width * scale,
                channels), or None where no pixel of the part is wanted.

        Returns:
            The finished pixels, float32 of shape (done height * scale, done width * scale, channels), from the part's
            upper-left corner on.
        """
        scale = self._scale
        (height, width), (above, before) = ((n * scale for n in pair) for pair in (part.done, part.ramps))
        if output is None:
            shape = (part.bottom - part.top) * scale, (part.right - part.left) * scale, self._below.shape[2]
            sums = np.zeros(shape, np.float32)
        else:
            sums = part.weigh(output, scale)
        if before:
            sums[:, :before] += self._beside
        self._beside = sums[:, width:].copy()
        column = (part.left - self._left) * scale
        below = self._below[:, column : column + width]
        if above:
            sums[:above, :width] += below[:above]
        below[: len(sums) - height] = sums[height:, :width]
        return sums[:height, :width]
