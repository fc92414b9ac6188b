"""The engine: a thread reads ahead, the network works, a thread blends and writes behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import rasterio

from geodl.contract import Contract, Dim
from geodl.data.source import Source, Window, in_all_bands
from geodl.inference.blend import Blender, Panel, Part
from geodl.inference.blocks import Tiling, panels, round_up
from geodl.inference.products import Products

if TYPE_CHECKING:
    from geodl.inference.area import Area

__all__ = (
    "Progress",
    "Sink",
    "Tile",
    "finished_input",
    "map_scene",
    "padded_window",
    "read_tile",
    "scene_parts",
    "wanted_pixels",
    "window_bounds",
)

Progress = Callable[[int, int], None]
"""Told the pixels done and the pixels in all."""

_BEHIND = 2
"""Tiles that may wait to be blended and written."""
_ROWS = 128
"""Rows that are turned into products at a time, to keep their temporaries small."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Sink(Protocol):
    """Takes finished blocks of a map."""

    def write(self, row: int, column: int, arrays: list[np.ndarray]) -> None:
        """Stores one array (band, height, width) per layer, whose first pixel is `row`, `column` of the map."""
        ...


@dataclass(frozen=True)
class Tile:
    """A tile that was read."""

    part: Part
    values: np.ndarray | None
    """What the network is to see; None where nothing of its output is wanted."""
    wanted: np.ndarray
    """bool of the part's finished pixels, in output pixels: valid, and inside the area asked for."""
    seen: np.ndarray | None
    """What the network sees of these pixels, in the bands that its output is compared with; None where there are none,
    or nothing is wanted."""


def map_scene(
    call: Callable[[np.ndarray], np.ndarray],
    source: Source,
    sink: Sink,
    *,
    contract: Contract,
    products: Products,
    tiling: Tiling,
    window: Window | None = None,
    area: Area | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> int:
    """Maps a scene, block by block.

    Args:
        call: the network: float32 (batch, height, width, band) to (batch, height * scale, width * scale, channel).
        source: the scene, with the bands of the contract.
        sink: receives every block of the map once.
        contract: what the network eats and gives.
        products: turns outputs into layers.
        tiling: of the whole scene, whatever the window: a part of a map equals that part of the whole map.
        window: the part to map, in input pixels; default: all.
        area: what lies outside is nodata.
        batch_size: most tiles, of equal shape, that go through the network together.
        progress: called in this thread after every tile.

    Returns:
        Number of valid pixels of the map.

    Raises:
        SourceUnreadable: the source is damaged.
        OutputUnwritable: the sink cannot be written.
    """
    window = window or source.grid.window
    bounds = window_bounds(window)
    total, done, valid = int(window.height) * int(window.width), 0, 0
    blender: Blender | None = None
    scale = contract.output.scale
    channels = len(contract.output.classes or contract.output.bands)
    waiting: deque[Future[None]] = deque()
    reader, writer = ThreadPoolExecutor(1, "geodl-read"), ThreadPoolExecutor(1, "geodl-write")
    panel = None
    try:
        with rasterio.Env(GDAL_CACHEMAX=tiling.cache):
            read = partial(read_tile, source, contract, area, products.compared)
            tiles = _ahead(reader, read, scene_parts(tiling, bounds), batch_size)
            for batch in _batches(tiles, batch_size):
                for tile, output in zip(batch, _outputs(call, batch, scale), strict=True):
                    part = tile.part
                    if blender is None or part.panel != panel:
                        panel = part.panel
                        blender = Blender(panel, ramp=tiling.ramp, channels=channels, scale=scale)
                    place = (part.top - bounds.top) * scale, (part.left - bounds.left) * scale
                    # In the other thread too, and in order: the network shall not wait for it.
                    waiting.append(writer.submit(_write, sink, products, blender, tile, output, place))
                    if len(waiting) > _BEHIND:
                        waiting.popleft().result()
                    valid += int(np.count_nonzero(tile.wanted))
                    done += part.done[0] * part.done[1]
                    if progress is not None:
                        progress(done, total)
            while waiting:
                waiting.popleft().result()
    finally:
        for executor in (reader, writer):
            executor.shutdown(cancel_futures=True)
    return valid


def padded_window(part: Part, contract: Contract) -> Window:
    """What a tile reads, enlarged (beyond the scene, if need be) where the network asks for a size or a multiple."""
    height = _allowed(part.row.size, contract.input.dim("y"))
    width = _allowed(part.column.size, contract.input.dim("x"))
    return Window(part.column.start, part.row.start, width, height)


def wanted_pixels(part: Part, valid: np.ndarray, scale: int, area: Area | None) -> np.ndarray:
    """Which output pixels of a part are valid and inside the area asked for.

    Args:
        part: where the tile counts.
        valid: bool (height, width) of what the tile reads.
        scale: output pixels per input pixel.
        area: on the grid of the map; None: everything.

    Returns:
        bool of shape ((bottom - top) * scale, (right - left) * scale).
    """
    y, x = part.top - part.row.start, part.left - part.column.start
    height, width = part.bottom - part.top, part.right - part.left
    wanted = valid[y : y + height, x : x + width]
    if scale > 1:
        wanted = wanted.repeat(scale, axis=0).repeat(scale, axis=1)
    if area is not None:
        wanted = wanted & area.mask(Window(part.left * scale, part.top * scale, width * scale, height * scale))
    return wanted


def finished_input(part: Part, values: np.ndarray, bands: Sequence[int]) -> np.ndarray:
    """Cuts the pixels of a part that are final with it out of what its tile reads.

    Args:
        part: where the tile counts.
        values: (height, width, band) of what the tile reads.
        bands: positions of those that are wanted.

    Returns:
        A copy, (done height, done width, len(bands)).
    """
    y, x = part.top - part.row.start, part.left - part.column.start
    height, width = part.done
    return values[y : y + height, x : x + width, list(bands)]


def window_bounds(window: Window) -> Panel:
    """A window as a panel."""
    top, left = int(window.row_off), int(window.col_off)
    return Panel(top, top + int(window.height), left, left + int(window.width))


def _allowed(size: int, dim: Dim) -> int:
    return dim.size or round_up(size, dim.multiple)


def scene_parts(tiling: Tiling, bounds: Panel) -> Iterator[Part]:
    """Gives all tiles in the order in which they are worked on, panel by panel, each row from left to right."""
    rows = [row for row in tiling.rows if row.overlaps(bounds.top, bounds.bottom)]
    for left, right in panels(tiling.columns, bounds.left, bounds.right, tiling.panel):
        panel = Panel(bounds.top, bounds.bottom, left, right)
        columns = [column for column in tiling.columns if column.overlaps(left, right)]
        for row in rows:
            for column in columns:
                yield Part(row, column, panel)


def read_tile(source: Source, contract: Contract, area: Area | None, compared: Sequence[int], part: Part) -> Tile:
    """Reads a tile.

    Args:
        source: the scene, with the bands of the contract.
        contract: what the network eats and gives.
        area: what lies outside is not wanted.
        compared: positions of the bands that the output is compared with.
        part: where the tile counts.

    Returns:
        The tile, not read any further where nothing of it is wanted.

    Raises:
        SourceUnreadable: the source is damaged.
    """
    scale = contract.output.scale
    values, valid = source.read(padded_window(part, contract))
    whole = in_all_bands(np.broadcast_to(valid, values.shape))
    wanted = wanted_pixels(part, whole, scale, area)
    finished = wanted[: part.done[0] * scale, : part.done[1] * scale].copy()
    if not wanted.any():
        return Tile(part, None, finished, None)
    return Tile(part, values, finished, finished_input(part, values, compared) if compared else None)


def _ahead(
    executor: ThreadPoolExecutor, function: Callable[[_Item], _Result], items: Iterable[_Item], depth: int
) -> Iterator[_Result]:
    """Applies `function` in the executor's thread, `depth` items ahead of what is asked for; order is kept."""
    pending: deque[Future[_Result]] = deque()
    for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _batches(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    """Groups tiles, in order, so that each group holds at most `size` of one shape that the network must see."""
    group: list[Tile] = []
    shapes: list[tuple[int, ...]] = []
    for tile in tiles:
        if tile.values is not None and shapes and tile.values.shape != shapes[0]:
            yield group
            group, shapes = [], []
        group.append(tile)
        if tile.values is not None:
            shapes.append(tile.values.shape)
        if len(shapes) == size or not shapes:
            yield group
            group, shapes = [], []
    if group:
        yield group


def _outputs(call: Callable[[np.ndarray], np.ndarray], batch: list[Tile], scale: int) -> Iterator[np.ndarray | None]:
    """The network's output for each tile of a batch, without what was only padding."""
    seen = [tile.values for tile in batch if tile.values is not None]
    # A single tile is not copied.
    outputs = iter(call(seen[0][None] if len(seen) == 1 else np.stack(seen))) if seen else iter(())
    for tile in batch:
        height, width = tile.part.row.size * scale, tile.part.column.size * scale
        yield None if tile.values is None else next(outputs)[:height, :width]


def _write(
    sink: Sink, products: Products, blender: Blender, tile: Tile, output: np.ndarray | None, place: tuple[int, int]
) -> None:
    """Blends a tile, turns what is finished by it into layers and stores them; runs in the writing thread."""
    block = blender.add(tile.part, output)
    row, column = place
    for begin in range(0, len(block) if block.size else 0, _ROWS):
        rows = slice(begin, begin + _ROWS)
        seen = None if tile.seen is None else tile.seen[rows]
        sink.write(row + begin, column, products(block[rows], tile.wanted[rows], seen))
