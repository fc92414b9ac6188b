"""Chooses how a scene is tiled so that the result is right and the memory is bounded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lcm
from typing import Literal

from geodl.contract import Contract
from geodl.errors import OptionError
from geodl.inference.blocks import Span, Tiling, axis_spans, hold_for, round_up

__all__ = ("DEFAULT_MEMORY", "DEFAULT_OVERLAP", "GDAL_CACHE", "Cost", "Overlap", "plan_tiling")

DEFAULT_MEMORY = 2 << 30
"""Bytes that mapping may take beyond the loaded backend."""
GDAL_CACHE = 64 << 20
"""Bytes of decoded blocks that GDAL may keep; its own default is a share of the machine's memory. More only where a
block that is read again is dear: one of a remote file, or a strip as wide as the scene."""
_CACHE_SHARE = 4
"""Part of the memory that such a cache may take: one in this many."""
DEFAULT_OVERLAP = 128
"""Pixels that neighbouring tiles share where nothing else was asked for; or as many as the network's margin, up to
twice this. U-Nets of width 16 trained on simulated scenes, cut at 384 pixels: with 128 pixels for a margin of 107,
probabilities differ from one whole pass by 1e-5 on average and 0.004 at most, and 0.003 % of the classes; with 224 for
a margin of 215, by 3e-5, 0.009 and 0.013 %. Linear ramps, and ramps over all of the overlap, are 2 to 8 times worse."""
_TILE = 1152
"""Largest side of a tile in pixels: 1.27 times the work of one whole pass with the default overlap. Larger ones save
less than is lost before the first one has been through, while nothing else can be done: mapping 4096 x 4096 pixels
(U-Net of width 16, OpenVINO, two cores) took 10.9 s with tiles of 1120, 11.8 s with 1456 and 12.4 s with 2112."""
_PANEL_SHARE = 16
"""Part of the memory that the ramps kept for the next row of tiles may take: one in this many."""

Overlap = int | Literal["auto", "exact"]
"""Pixels that tiles share; `exact`: as many as make tiling equal to one whole pass; `auto`: the default, or exact where
that takes no more."""


@dataclass(frozen=True)
class Cost:
    """What a tile costs in memory."""

    bands: int
    """Bands read."""
    channels: int
    """Channels of the network's output."""
    activations: int
    """Bytes that the network takes per input pixel while it works."""
    scale: int = 1
    """Output pixels per input pixel, along each axis."""
    batch: int = 1
    """Tiles that go through the network together."""
    turned: bool = False
    """Whether each tile is seen several times, mirrored and turned."""
    kept: int = 0
    """Bands of the input that are kept until the output is written."""

    def per_pixel(self) -> int:
        """Bytes per input pixel of a tile: read ahead, in the network, being blended, waiting to be written."""
        outputs = 4 * self.channels * self.scale**2
        read = (5 * self.bands + 2) * (2 * self.batch + 1)
        turned = (8 * self.bands + outputs) * self.batch if self.turned else 0
        kept = 4 * self.kept * (2 * self.batch + 4)
        return read + kept + self.activations * self.batch + outputs * (self.batch + 5) + turned

    def per_column(self, ramp: int) -> int:
        """Bytes per input column of a panel: the ramp kept for the next row of tiles."""
        return 4 * self.channels * self.scale**2 * ramp


def plan_tiling(
    shape: tuple[int, int],
    contract: Contract,
    *,
    cost: Cost,
    overlap: Overlap = "auto",
    memory: int = DEFAULT_MEMORY,
    decoded: Callable[[int, int], int] | None = None,
) -> Tiling:
    """Chooses tile size, overlap, panel width and the size of GDAL's cache.

    Args:
        shape: height and width of the scene in pixels.
        contract: of the network: its lattice, margin and size rules along y and x.
        cost: memory of a tile.
        overlap: see `Overlap`.
        memory: bytes that may be taken beyond the loaded backend.
        decoded: bytes of the decoded blocks that reading so many rows and columns touches, where reading them again is
            dear: a row of tiles is kept then, because the next row overlaps it and shares blocks with it.

    Returns:
        The tiling of the whole scene.

    Raises:
        OptionError: the memory does not hold one tile, or exact tiling cannot be had.
    """
    axes = contract.input.dim("y"), contract.input.dim("x")
    step = lcm(*(axis.lattice for axis in axes), *(axis.multiple for axis in axes))
    margins = [axis.margin for axis in axes]
    margin = None if None in margins else max(m for m in margins if m is not None)
    fixed = next((axis.size for axis in axes if axis.size), None)

    def cache_for(rows: int) -> int:
        kept = decoded(min(rows, shape[0]), shape[1]) if decoded is not None else 0
        return min(max(kept, GDAL_CACHE), max(memory // _CACHE_SHARE, GDAL_CACHE))

    def fits(tile: int) -> bool:
        # The usual small cache is among what nobody counts: code, handles, temporaries.
        free = memory - (cache_for(tile) - GDAL_CACHE)
        return min(tile, shape[0]) * min(tile, shape[1]) * cost.per_pixel() <= free

    if overlap == "exact" and margin is None:
        if fixed is None and fits(max(shape)):
            rows, columns = (axis_spans(length, tile=length, overlap=0, hold=0) for length in shape)
            return Tiling(rows, columns, shape[1], GDAL_CACHE)
        raise OptionError(
            "overlap",
            expected="a number of pixels: each output of this network depends on the whole scene (global pooling or "
            f"group normalisation), which does not fit the memory of {memory / 2**20:.0f} MiB",
            received=overlap,
        )
    shared = _shared_pixels(overlap, margin, step, fixed)
    hold = hold_for(shared, margin)
    least = fixed or round_up(max(shared + max(shared - 2 * hold, 1), 2 * step), step)
    for tile in _candidates(shared, step, least) if fixed is None else (fixed,):
        if fits(tile):
            break
    else:
        needed = min(least, shape[0]) * min(least, shape[1]) * cost.per_pixel() + cache_for(least) - GDAL_CACHE
        raise OptionError(
            "memory",
            expected=f"at least {needed / 2**20:.0f} MiB, for tiles of {least} pixels a side"
            + (f" that share {shared}" if shared else ""),
            received=f"{memory / 2**20:.0f} MiB",
        )
    panel = memory // _PANEL_SHARE // max(cost.per_column(shared - 2 * hold), 1)
    cache = cache_for(tile)
    if decoded is not None:
        panel = min(panel, _widest(decoded, min(tile, shape[0]), shape[1], cache))
    alike = all(axis.multiple == 1 and axis.size is None for axis in axes)
    rows, columns = (_cut(length, tile, shared, margin, step if alike else None) for length in shape)
    return Tiling(rows, columns, max(panel, tile), cache)


def _cut(length: int, most: int, shared: int, margin: int | None, step: int | None) -> tuple[Span, ...]:
    """Cuts an axis into tiles of at most `most` pixels; all of one size if a lattice of `step` is given.

    As few tiles as `most` allows are made as small as the axis allows. Then there is nothing to compile for the last
    one, and not much of what it shares with the last but one.
    """
    if step is None or length <= most:
        return axis_spans(length, tile=most, overlap=shared, hold=hold_for(shared, margin))
    fewest = -(-(length - shared) // (most - shared))
    # One more where the sizes that suit the lattice are all too large.
    for count in (fewest, fewest + 1):
        smallest = -(-(length + (count - 1) * shared) // count)
        # Tiles start at multiples of the step; if their size is the length's but for a multiple, the last one does too.
        for tile in range(smallest + (length - smallest) % step, most + 1, step):
            stride = (tile - shared) // step * step
            overlap = tile - stride
            hold = hold_for(overlap, margin)
            if (count - 1) * stride + tile >= length and stride >= max(1, overlap - 2 * hold):
                return axis_spans(length, tile=tile, overlap=overlap, hold=hold, lattice=step)
    return axis_spans(length, tile=most, overlap=shared, hold=hold_for(shared, margin), lattice=step)


def _widest(decoded: Callable[[int, int], int], rows: int, columns: int, cache: int) -> int:
    """Most columns whose blocks the cache holds; all of them where fewer would not need less, as in strips."""
    if decoded(rows, columns) <= cache or decoded(rows, 1) > cache:
        return columns
    return bisect_right(range(columns), cache, key=lambda width: decoded(rows, width)) - 1


def _shared_pixels(overlap: Overlap, margin: int | None, step: int, fixed: int | None) -> int:
    """Pixels that neighbouring tiles share: a multiple of `step`."""
    if isinstance(overlap, int):
        if overlap < 0 or (fixed and overlap > fixed // 2):
            limit = f" up to {fixed // 2}, half of the network's fixed input" if fixed else ""
            expected = f"'auto', 'exact' or a number of pixels, 0 or more{limit}"
            raise OptionError("overlap", expected=expected, received=overlap)
        return round_up(overlap, step)
    exact = None if margin is None else round_up(2 * margin, step)
    if overlap == "exact" and exact is not None:
        if fixed and exact >= fixed:
            raise OptionError(
                "overlap",
                expected=f"a number of pixels: the network's fixed input of {fixed} pixels is not larger than twice "
                f"its receptive margin of {margin}, so that no tile sees all it depends on",
                received=overlap,
            )
        return exact
    if overlap != "auto":
        raise OptionError("overlap", expected="'auto', 'exact' or a number of pixels", received=overlap)
    if fixed is not None:
        usual = fixed // 4 // step * step
    else:
        usual = round_up(min(max(DEFAULT_OVERLAP, margin or 0), 2 * DEFAULT_OVERLAP), step)
    return usual if exact is None else min(usual, exact)


def _candidates(overlap: int, step: int, least: int) -> Iterator[int]:
    """Tile sizes worth trying, large ones first; the overlap is at most a sixth of the first."""
    tile = round_up(max(_TILE, 6 * overlap), step)
    while tile > least:
        yield tile
        tile = round_up(tile * 3 // 4, step) if round_up(tile * 3 // 4, step) < tile else least
    yield least
