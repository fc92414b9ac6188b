"""How a scene is cut into tiles: pure geometry, one axis at a time.

Tiles lie on one lattice anchored at the scene's first pixel, are clipped at its borders (never padded), and overlap. Of
the overlap between two tiles each drops the outer `hold` pixels, which saw too little of their surroundings, and the
rest is a ramp from one tile to the other. Where the overlap is twice the network's receptive margin there is no ramp:
each pixel comes from a tile that saw all of its receptive field, and tiling gives what one whole pass gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ("Span", "Tiling", "axis_spans", "hold_for", "panels", "round_up")


def round_up(value: int, multiple: int) -> int:
    """Returns the smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in input pixels of the scene: what it reads and what of it counts.

    The weight rises from 0 to 1 on [first, full), is 1 on [full, fade) and falls to 0 on [fade, last); the next tile
    rises where this one falls, so that weights sum to 1 everywhere.
    """

    start: int
    """First pixel read."""
    stop: int
    """One past the last pixel read."""
    first: int
    """First pixel with a weight."""
    full: int
    """First pixel with weight 1."""
    fade: int
    """One past the last pixel with weight 1; where the next tile begins to count."""
    last: int
    """One past the last pixel with a weight."""

    @property
    def size(self) -> int:
        """Pixels read."""
        return self.stop - self.start

    def overlaps(self, low: int, high: int) -> bool:
        """Whether any pixel of [low, high) has a weight in this tile."""
        return self.first < high and self.last > low


@dataclass(frozen=True)
class Tiling:
    """The tiles of a scene."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    panel: int
    """Most columns, in input pixels, that are worked on from top to bottom before the next ones are begun."""
    cache: int = 64 << 20
    """Bytes of decoded blocks that GDAL is to keep."""

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    @property
    def ramp(self) -> int:
        """Most rows over which two tiles are blended."""
        return max(span.last - span.fade for span in self.rows)

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of the largest tile."""
        return max(span.size for span in self.rows), max(span.size for span in self.columns)


def hold_for(overlap: int, margin: int | None) -> int:
    """Pixels of an overlap that each tile drops at its edge.

    A quarter, which leaves half of the overlap for the ramp; more where the overlap allows to keep every pixel within
    the receptive margin of where it changes when a scene grows; half (no ramp) where that makes tiling exact.
    """
    hold = overlap // 4
    return hold if margin is None else min(overlap // 2, max(hold, overlap - margin))


def axis_spans(length: int, *, tile: int, overlap: int, hold: int, lattice: int | None = None) -> tuple[Span, ...]:
    """Cuts one axis into tiles.

    Args:
        length: pixels of the scene along this axis.
        tile: pixels of a tile; the last one is shorter where it meets the scene's border.
        overlap: pixels that two neighbours share; tiles start at multiples of `tile - overlap`.
        hold: pixels that a tile drops at each inner edge, at most half of `overlap`.
        lattice: where given, the last tile reads as many pixels as the others, as far as it may start at a multiple of
            this: tiles of one size are one compiled network. Where tiles count is the same with and without.

    Returns:
        Tiles in order. The parts [first, fade) partition [0, length).

    Example:

    >>> [(s.start, s.stop, s.first, s.last) for s in axis_spans(100, tile=64, overlap=16, hold=4)]
    [(0, 64, 0, 60), (48, 100, 52, 100)]
    """
    step = tile - overlap
    if not 0 <= 2 * hold <= overlap or step < max(1, overlap - 2 * hold):
        raise ValueError(f"no tiling with tile {tile}, overlap {overlap}, hold {hold}")
    count = 1 if length <= tile else -(-(length - tile) // step) + 1
    spans = []
    for k in range(count):
        start, final = k * step, k == count - 1
        early = start
        if final and k and lattice is not None:
            early = min(start, round_up(length - tile, lattice))
        spans.append(
            Span(
                start=early,
                stop=min(start + tile, length),
                first=start + hold if k else 0,
                full=start + overlap - hold if k else 0,
                fade=length if final else start + step + hold,
                last=length if final else start + tile - hold,
            )
        )
    return tuple(spans)


def panels(columns: Sequence[Span], low: int, high: int, most: int) -> Iterator[tuple[int, int]]:
    """Cuts the output columns [low, high) into ranges of at most `most` columns (at least one tile's).

    Ranges end where a tile begins to count, so that only one column of tiles is computed for both neighbours.
    """
    begin = low
    ends = [min(span.fade, high) for span in columns if span.overlaps(low, high) and span.fade > low]
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or following - begin > most:
            if end > begin:
                yield begin, end
            begin = end
