"""From frames to what a network makes of them: the whole domain in one pass, or tiles where the memory asks for them."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from geodl.contract import Band, Contract, Dim, ModelOutput
from geodl.data.source import Grid, Source, Window
from geodl.inference.arrays import MemorySink
from geodl.inference.blocks import Tiling, axis_spans
from geodl.inference.converted import Call, Converted
from geodl.inference.engine import Progress, map_scene
from geodl.inference.planning import DEFAULT_MEMORY, GDAL_CACHE, Cost, plan_tiling
from geodl.inference.products import BandProducts
from geodl.physics.advection import advect
from geodl.physics.motion import motion

__all__ = ("run_domain",)

_log = logging.getLogger("geodl")


def run_domain(
    running: Converted,
    contract: Contract,
    frames: np.ndarray,
    *,
    grid: Grid,
    velocity: np.ndarray | None = None,
    memory: int = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> np.ndarray:
    """Runs a network over a domain of any size.

    Args:
        running: the network.
        contract: of the network.
        frames: observed ones, float32 of shape (frame, height, width) in mm/h, not-a-number where nodata.
        grid: of the frames.
        velocity: displacement along rows and columns in pixels per step, (2, height, width), for a network that is fed
            with the advected last frame. Default: what the frames show.
        memory: bytes that may be taken beyond the backend, the frames and the forecast. A domain that does not fit is
            done in tiles that are blended; a warning tells so.
        progress: called with the pixels done and in all.

    Returns:
        float32 of shape (lead, channel, height, width); not-a-number where the last frame is nodata.

    Raises:
        OptionError: the memory does not hold one tile.
    """
    if contract.input.advected and velocity is None:
        velocity = motion(frames)
    source = _Folded(frames, grid, contract.input.advected, velocity)
    folded = _fold(contract, len(source.bands))
    products = BandProducts(folded.output)
    sink = MemorySink(products.layers, *grid.shape)
    map_scene(
        _folding(running.call, contract),
        source,
        sink,
        contract=folded,
        products=products,
        tiling=_tiling(folded, grid.shape, running.activations * len(source.bands), memory),
        progress=progress,
    )
    return sink.arrays[0].reshape(contract.output.leads, len(contract.output.bands), *grid.shape)


class _Folded(Source):
    """Frames, and the last one carried on, as the bands of one scene; valid where the last frame is."""

    def __init__(self, frames: np.ndarray, grid: Grid, advected: int, velocity: np.ndarray | None) -> None:
        self.name, self.grid = "frames", grid
        self.bands = tuple(Band(f"frame_{k}") for k in range(len(frames) + advected))
        self._frames, self._advected, self._velocity = frames, advected, velocity

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = (slice(start, stop) for start, stop in window.toranges())
        seen = self._frames[:, rows, columns]
        valid = np.isfinite(seen[-1])[..., None]
        if self._velocity is not None and self._advected:
            # Of the whole frame, for this window only: tiles see the very same.
            ahead = advect(self._frames[-1], self._velocity, self._advected, rows=rows, columns=columns)
            seen = np.concatenate([seen, ahead])
        return np.ascontiguousarray(np.moveaxis(seen, 0, -1), np.float32), valid

    def select(self, names: tuple[str, ...]) -> Source:
        raise NotImplementedError


def _fold(contract: Contract, count: int) -> Contract:
    """The contract as the engine sees it: times are bands, on both sides."""
    bands = tuple(
        Band(f"{band.name}_{k + 1}", band.unit) for k in range(contract.output.leads) for band in contract.output.bands
    )
    axes = contract.input.dim("y"), contract.input.dim("x")
    frames = tuple(Band(f"frame_{k}") for k in range(count))
    return replace(
        contract,
        input=replace(contract.input, dims=(*axes, Dim("band", count)), bands=frames),
        output=ModelOutput("bands", bands=bands, nodata=np.nan),
    )


def _folding(call: Call, contract: Contract) -> Call:
    """The network as a function from (batch, height, width, time) to (batch, height, width, lead * channel)."""

    def folded(inputs: np.ndarray) -> np.ndarray:
        output = call(np.moveaxis(inputs, -1, 1)[..., None])
        batch, _, height, width, _ = output.shape
        return np.moveaxis(output, 1, 3).reshape(batch, height, width, -1)

    return folded


def _tiling(contract: Contract, shape: tuple[int, int], activations: int, memory: int) -> Tiling:
    """One tile where the memory holds it."""
    bands, channels = len(contract.input.bands), len(contract.output.bands)
    cost = Cost(bands=bands, channels=channels, activations=activations)
    needed = shape[0] * shape[1] * cost.per_pixel()
    fixed = any(contract.input.dim(axis).size for axis in ("y", "x"))
    if needed <= memory and not fixed:
        rows, columns = (axis_spans(length, tile=length, overlap=0, hold=0) for length in shape)
        return Tiling(rows, columns, shape[1], GDAL_CACHE)
    tiling = plan_tiling(shape, contract, cost=cost, memory=memory)
    if tiling.count > 1:
        _log.warning(
            "The domain of %d x %d pixels is forecast in %d tiles, which are blended: one pass takes %.0f MiB, and memory "
            "(--memory) allows %.0f.",
            *(shape[1], shape[0], tiling.count, needed / 2**20, memory / 2**20),
        )
    return tiling
