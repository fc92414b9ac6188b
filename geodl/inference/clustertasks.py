"""What the workers of a cluster do: one tile after the other, each apart from the others."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import rasterio

from geodl import errors
from geodl.contract import Contract
from geodl.data.source import Source
from geodl.errors import GeodlError
from geodl.inference.blend import Part
from geodl.inference.converted import Call
from geodl.inference.engine import read_tile
from geodl.inference.products import Products
from geodl.inference.seams import Cut, cut_tile

if TYPE_CHECKING:
    from distributed import Worker

    from geodl.inference.area import Area

__all__ = ("Failure", "SceneTask", "dask_setup", "hold", "map_tile")

_PROCESS = uuid4().hex
"""Tells this process from others, also of other machines."""
_AT_ONCE = 2
"""Tiles that a process has at once, however many threads its worker has: memory is planned for that."""
_SEATS = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class SceneTask:
    """A scene, what is asked of it, and the network; each worker is given it once."""

    call: Call
    """The network, in terms of the scene. It loads itself, once in a process, when it is first called there."""
    source: Source
    contract: Contract
    products: Products
    area: Area | None
    cache: int
    """Bytes of decoded blocks that GDAL is to keep."""
    client: str = _PROCESS
    """The process that it is from."""

    @property
    def channels(self) -> int:
        """Channels of the network's output."""
        return len(self.contract.output.classes or self.contract.output.bands)


@dataclass(frozen=True)
class Failure:
    """What a worker could not do, in one sentence for the user."""

    kind: str
    """Name of the exception."""
    sentence: str
    worker: str
    """Its address."""

    def error(self, *, local: bool) -> GeodlError:
        """Returns the exception, as it was raised there.

        Args:
            local: whether it does not matter which worker it was.
        """
        kind = getattr(errors, self.kind, GeodlError)
        made: GeodlError = kind.__new__(kind)
        said = self.sentence if local else f"{self.sentence} (Worker {self.worker} says so.)"
        Exception.__init__(made, said)
        return made


def dask_setup(worker: Worker) -> None:
    """Called by Dask in each process that `local:N` starts: Ctrl-C in a terminal is for the command, which ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def hold(task: SceneTask) -> SceneTask:
    """Returns its argument: what tiles depend on is sent to each worker once, and again should all holders die."""
    return task


def map_tile(task: SceneTask, part: Part) -> Cut | Failure:
    """Reads a tile, puts it through the network and cuts it.

    Args:
        task: the scene.
        part: where the tile counts.

    Returns:
        The tile; or what went wrong, where trying again would be of no use.
    """
    if task.client != _PROCESS:
        _take_share()
    scale = task.contract.output.scale
    try:
        with _SEATS, rasterio.Env(GDAL_CACHEMAX=task.cache):
            tile = read_tile(task.source, task.contract, task.area, task.products.compared, part)
            output = None
            if tile.values is not None:
                output = task.call(tile.values[None])[0, : part.row.size * scale, : part.column.size * scale]
            return cut_tile(tile, output, products=task.products, channels=task.channels, scale=scale)
    except GeodlError as error:
        return Failure(type(error).__name__, str(error), _worker())


def _take_share() -> None:
    """Bounds the cores that networks will take to what the worker was started with, unless that was said."""
    from distributed import get_worker

    threads = str(get_worker().state.nthreads)
    for name in ("GEODL_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, threads)


def _worker() -> str:
    from distributed import get_worker

    return str(get_worker().address)
