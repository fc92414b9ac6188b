"""The engine's lazy twin: a map of a dask-backed scene as a dask graph, pixel for pixel what the engine gives.

Every tile is one task, fed with the part of the scene that it reads; every chunk of the map is one task, fed with the
one to four tiles that count there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np

from geodl.contract import Contract
from geodl.data.cube import ArraySource
from geodl.data.source import Window, in_all_bands
from geodl.inference.blend import Part
from geodl.inference.blocks import Tiling
from geodl.inference.engine import finished_input, padded_window, wanted_pixels, window_bounds
from geodl.inference.products import Products

if TYPE_CHECKING:
    from dask.delayed import Delayed

    from geodl.inference.area import Area

__all__ = ("carried", "lazy_map")


@dataclass(frozen=True)
class _Weighed:
    """A tile that has been through the network."""

    part: Part
    sums: np.ndarray
    """The part's outputs times its weights."""
    wanted: np.ndarray
    """bool of the part's pixels."""
    seen: np.ndarray | None
    """What the network saw of the pixels that are final with this part; see `Products`."""


def lazy_map(
    call: Callable[[np.ndarray], np.ndarray],
    source: ArraySource,
    *,
    contract: Contract,
    products: Products,
    tiling: Tiling,
    window: Window | None = None,
    area: Area | None = None,
) -> list[da.Array]:
    """Describes the map of a scene without computing any of it; arguments as in `geodl.inference.engine.map_scene`.

    Returns:
        One array (band, height, width) per layer, in chunks of about the tiles' size.
    """
    panel = window_bounds(window or source.grid.window)
    scale = contract.output.scale
    rows = [row for row in tiling.rows if row.overlaps(panel.top, panel.bottom)]
    columns = [column for column in tiling.columns if column.overlaps(panel.left, panel.right)]
    values = source.lazy()
    run = carried(_Run(call, contract, area, products.compared))
    finish = dask.delayed(_finish, pure=False)
    tiles: dict[tuple[int, int], Any] = {}
    chunks: list[list[list[da.Array]]] = [[] for _ in products.layers]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            part = Part(row, column, panel)
            tiles[i, j] = run(part, values[row.start : row.stop, column.start : column.stop])
            height, width = (n * scale for n in part.done)
            if not height or not width:
                continue
            neighbours = [tiles.get(at) for at in ((i, j), (i, j - 1), (i - 1, j), (i - 1, j - 1))]
            arrays = finish(products, scale, *neighbours)
            for k, layer in enumerate(products.layers):
                shape = (len(layer.bands), height, width)
                if part.left == panel.left or not chunks[k]:
                    chunks[k].append([])
                chunks[k][-1].append(da.from_delayed(arrays[k], shape, layer.dtype))
    return [da.block(layer) for layer in chunks]


def carried(thing: Any) -> Delayed:
    """Returns a task that gives a thing. As a task it goes to each process of a cluster once, and not with each other task.

    Args:
        thing: what many tasks are given, such as a network. Where all happens in one process it is never copied.
    """
    return dask.delayed(_same, pure=False)(dask.delayed(thing, pure=False, traverse=False))


def _same(thing: Any) -> Any:
    return thing


@dataclass(frozen=True)
class _Run:
    """Puts one tile through the network."""

    call: Callable[[np.ndarray], np.ndarray]
    contract: Contract
    area: Area | None
    compared: tuple[int, ...]

    def __call__(self, part: Part, values: np.ndarray) -> _Weighed:
        scale = self.contract.output.scale
        wanted = wanted_pixels(part, in_all_bands(np.isfinite(values)), scale, self.area)
        window = padded_window(part, self.contract)
        seen = np.full((1, int(window.height), int(window.width), values.shape[2]), np.nan, np.float32)
        seen[0, : values.shape[0], : values.shape[1]] = values
        if wanted.any():
            output = self.call(seen)[0, : values.shape[0] * scale, : values.shape[1] * scale]
            own = finished_input(part, values, self.compared) if self.compared else None
            return _Weighed(part, part.weigh(output, scale), wanted, own)
        channels = len(self.contract.output.classes or self.contract.output.bands)
        return _Weighed(part, np.zeros((*wanted.shape, channels), np.float32), wanted, None)


def _finish(
    products: Products,
    scale: int,
    own: _Weighed,
    left: _Weighed | None,
    above: _Weighed | None,
    corner: _Weighed | None,
) -> list[np.ndarray]:
    """Adds up a chunk in the engine's order, so that the sums are the same to the last bit, and makes its layers."""
    height, width = (n * scale for n in own.part.done)
    sums = _add_ramp(own.sums, left, scale)[:, :width]
    if above is not None:
        below = _add_ramp(above.sums, corner, scale)[above.part.done[0] * scale :, :width]
        sums = sums.copy()
        sums[: len(below)] += below
    return products(sums[:height], own.wanted[:height, :width], own.seen)


def _add_ramp(sums: np.ndarray, left: _Weighed | None, scale: int) -> np.ndarray:
    """Adds what the tile on the left gave beyond its finished columns."""
    beside = None if left is None else left.sums[:, left.part.done[1] * scale :]
    if beside is None or not beside.shape[1]:
        return sums
    sums = sums.copy()
    sums[:, : beside.shape[1]] += beside
    return sums
