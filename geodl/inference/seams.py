"""Tiles that are worked on apart: what is finished of each, and the frames in which neighbours meet, added up later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geodl.inference.blend import Panel, Part
from geodl.inference.engine import Tile
from geodl.inference.products import Products

__all__ = ("Cut", "Frame", "Seams", "cut_tile")

_ROWS = 128
"""Rows that are turned into products at a time, to keep their temporaries small."""


@dataclass(frozen=True)
class Frame:
    """The outer strips of a tile's part, to which its neighbours contribute too.

    Outputs times weights, float32 (height, width, channel), are None where nothing of the tile is wanted: they are 0.
    """

    top_wanted: np.ndarray
    """bool (height, width) of the top strip."""
    left_wanted: np.ndarray
    top: np.ndarray | None = None
    """Rows that the tiles above contribute to, as wide as what is final with this tile."""
    left: np.ndarray | None = None
    """Columns that the tile on the left contributes to, below the top strip."""
    right: np.ndarray | None = None
    """What goes to the next tile of the row: all columns beyond the final ones, from the top to the bottom."""
    bottom: np.ndarray | None = None
    """What goes to the next row of tiles, without the right strip's columns."""
    top_seen: np.ndarray | None = None
    """What the network saw there of the bands that its output is compared with, float32 (height, width, band)."""
    left_seen: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns those that there are, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}


@dataclass(frozen=True)
class Cut:
    """A tile that has been through the network."""

    layers: list[np.ndarray]
    """Finished layers (band, height, width) of the inner part, where this tile alone has a weight."""
    frame: Frame
    valid: int
    """Number of valid pixels of the map among those that are final with this tile."""


def cut_tile(tile: Tile, output: np.ndarray | None, *, products: Products, channels: int, scale: int = 1) -> Cut:
    """Finishes the inner part of a tile and cuts out its frame.

    Args:
        tile: as it was read.
        output: what the network gave for all that the tile reads, float32 (height * scale, width * scale, channels), or
            None where nothing of it is wanted.
        products: turns outputs into layers.
        channels: of the network's output.
        scale: output pixels per input pixel.

    Returns:
        Arrays of their own, so that the output can be let go.
    """
    part = tile.part
    (height, width), (above, before) = ((n * scale for n in pair) for pair in (part.done, part.ramps))
    frame = {"top_wanted": tile.wanted[:above].copy(), "left_wanted": tile.wanted[above:, :before].copy()}
    if tile.seen is not None:
        frame |= {"top_seen": tile.seen[:above].copy(), "left_seen": tile.seen[above:, :before].copy()}
    if output is None:
        inner = np.zeros((height - above, width - before, channels), np.float32)
    else:
        sums = part.weigh(output, scale)
        inner = sums[above:height, before:width]
        frame |= {
            "top": sums[:above, :width].copy(),
            "left": sums[above:height, :before].copy(),
            "right": sums[:, width:].copy(),
            "bottom": sums[height:, :width].copy(),
        }
    seen = None if tile.seen is None else tile.seen[above:, before:]
    layers = _layers(inner, tile.wanted[above:, before:], seen, products)
    return Cut(layers, Frame(**frame), int(np.count_nonzero(tile.wanted)))


class Seams:
    """Adds up the frames of one panel's tiles, as `Blender` adds up whole tiles: in the same order, to the last bit.

    Args:
        panel: what is mapped.
        ramp: most rows over which two tiles are blended, in input pixels.
        channels: channels of the network's output.
        products: turns outputs into layers.
        scale: output pixels per input pixel.
    """

    def __init__(self, panel: Panel, *, ramp: int, channels: int, products: Products, scale: int = 1) -> None:
        self._left, self._scale, self._channels, self._products = panel.left, scale, channels, products
        self._below = np.zeros((ramp * scale, (panel.right - panel.left) * scale, channels), np.float32)
        self._beside = np.zeros((0, 0, channels), np.float32)

    def add(self, part: Part, frame: Frame) -> Iterator[tuple[int, int, list[np.ndarray]]]:
        """Adds the frame of the next tile, row by row of tiles, each row from left to right.

        Args:
            part: where the tile counts.
            frame: of the tile.

        Yields:
            What is finished with it: first row and column in output pixels, from the part's upper-left corner, and layers
            (band, height, width).
        """
        scale = self._scale
        (height, width), (above, before) = ((n * scale for n in pair) for pair in (part.done, part.ramps))
        rows, columns = (part.bottom - part.top) * scale, (part.right - part.left) * scale
        top = self._own(frame.top, above, width)
        left = self._own(frame.left, height - above, before)
        bottom = self._own(frame.bottom, rows - height, width)
        if before:
            top[:, :before] += self._beside[:above]
            left += self._beside[above:height]
            bottom[:, :before] += self._beside[height:]
        self._beside = self._own(frame.right, rows, columns - width)
        column = (part.left - self._left) * scale
        below = self._below[:, column : column + width]
        top += below[:above]
        below[: len(bottom)] = bottom
        if top.size:
            yield 0, 0, _layers(top, frame.top_wanted, frame.top_seen, self._products)
        if left.size:
            yield above, 0, _layers(left, frame.left_wanted, frame.left_seen, self._products)

    def _own(self, strip: np.ndarray | None, height: int, width: int) -> np.ndarray:
        """A copy of a strip: what comes from elsewhere may be read-only."""
        return np.zeros((height, width, self._channels), np.float32) if strip is None else strip.copy()


def _layers(block: np.ndarray, wanted: np.ndarray, seen: np.ndarray | None, products: Products) -> list[np.ndarray]:
    """Turns outputs into layers, some rows at a time."""
    pieces = []
    for begin in range(0, max(len(block), 1), _ROWS):
        rows = slice(begin, begin + _ROWS)
        pieces.append(products(block[rows], wanted[rows], None if seen is None else seen[rows]))
    return [np.concatenate(of_layer, axis=1) for of_layer in zip(*pieces, strict=True)]
