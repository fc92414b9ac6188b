"""How a cube of dates goes through a network for series, pixel by pixel, with the engine that maps scenes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from geodl.contract import Contract, Dim, ModelInput
from geodl.data.source import Source, Window
from geodl.data.windows import bbox_window
from geodl.errors import OptionError
from geodl.inference.adapting import Adapted
from geodl.inference.area import Area
from geodl.inference.blocks import Span, Tiling
from geodl.inference.converted import Converted
from geodl.inference.mapper import Mapper, Plan
from geodl.inference.options import Options
from geodl.inference.pixelseries import Extent, PixelNetwork, PixelSeries
from geodl.inference.planning import GDAL_CACHE, Cost
from geodl.inference.products import make_products
from geodl.inference.request import Request
from geodl.inference.seriesbatches import SeriesBatches, batch_size

__all__ = ("SeriesMapper",)

_SIDES = (256, 128, 64, 32, 16)
"""Pixels of the side of a tile, the largest that the memory holds. A network for series takes far longer for 256 x 256
than reading does, and progress is told after each."""
_CACHE_SHARE = 4
"""Part of the memory that GDAL's cache may take, in which neighbouring tiles find the blocks that they share: one in this
many."""


class SeriesMapper(Mapper):
    """A network for series, and the cube that goes through it.

    Args:
        contract: of the network.
        running: as of `Mapper`.
        cube: with the network's bands, see `geodl.inference.pixelseries.series_cube`.
        batch: series that go through the network together; default: what the memory holds, up to 4096.
        within: what lies outside is nodata.

    Raises:
        DatesMismatch: the cube's dates are none that the network can use.
    """

    def __init__(
        self,
        contract: Contract,
        running: Callable[[], Converted],
        cube: Source,
        *,
        batch: int | None = None,
        within: Extent | None = None,
    ) -> None:
        # What maps of classes are made of is asked of the output alone.
        super().__init__(replace(contract, output=replace(contract.output, kind="classes")), running)
        self.series = PixelSeries(cube, contract.input, area=within)
        self._batch = batch

    def request(self, data: Any, options: Options) -> Request:
        """Checks what is asked of the cube.

        Args:
            data: the cube itself.
            options: what is asked. Tiles share nothing, whatever it says.

        Raises:
            GeodlError: as `SeriesClassifier.predict` raises.
        """
        source = self.series
        if options.mask is not None:
            source = source.inside(Area.read(options.mask, source.grid))
        dims = Dim("y"), Dim("x"), Dim("band", len(source.bands))
        contract = replace(self.contract, input=ModelInput(dims, source.bands))
        window = source.grid.window if options.bbox is None else bbox_window(options.bbox, source.grid)
        products = make_products(
            contract.output,
            probabilities=options.probabilities,
            confidence=options.confidence,
            entropy=options.entropy,
        )
        adapted = Adapted(contract, contract)
        return Request(source, adapted, products, window, None, source.grid.crop(window), options)

    def plan(self, request: Request) -> Plan:
        """Loads the network, and chooses the tiles.

        Raises:
            OptionError: the memory does not hold the smallest ones.
        """
        memory, running = request.options.memory, self._running()
        length, classes = len(self.series.days), len(self.contract.output.classes)
        size = batch_size(length, activations=running.activations, memory=memory, asked=self._batch)
        batches = SeriesBatches(running.call, classes=classes, size=size)
        bands = len(self.series.bands)
        # Beside what tiles of scenes take: what is read before its axes are turned; and the batch in the network.
        cost = Cost(bands=bands, channels=classes, activations=6 * bands + 16)
        tiling = _tiling(request.window, cost.per_pixel(), memory, size * length * running.activations)
        return Plan(PixelNetwork(batches, self.series.days), tiling)


def _tiling(window: Window, per_pixel: int, memory: int, batch: int) -> Tiling:
    """Tiles of a window that share nothing, as large as the memory allows. Pixels do not ask in which tile they are."""
    cache = max(GDAL_CACHE, memory // _CACHE_SHARE)
    # The usual small cache is among what nobody counts.
    free = memory - batch - (cache - GDAL_CACHE)
    height, width = int(window.height), int(window.width)
    for side in _SIDES:
        if min(side, height) * min(side, width) * per_pixel <= free:
            rows, columns = _spans(int(window.row_off), height, side), _spans(int(window.col_off), width, side)
            return Tiling(rows, columns, max(width, side), cache)
    needed = memory - free + min(_SIDES[-1], height) * min(_SIDES[-1], width) * per_pixel
    raise OptionError(
        "memory",
        expected=f"at least {needed / 2**20:.0f} MiB, for tiles of {_SIDES[-1]} pixels a side, or fewer series together "
        "(batch_size)",
        received=f"{memory / 2**20:.0f} MiB",
    )


def _spans(begin: int, length: int, side: int) -> tuple[Span, ...]:
    """Cuts [begin, begin + length) into tiles."""
    cuts = [*range(begin, begin + length, side), begin + length]
    return tuple(Span(start, stop, start, start, stop, stop) for start, stop in itertools.pairwise(cuts))
