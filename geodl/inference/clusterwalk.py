"""The engine's twin on a cluster: workers map tiles, apart from one another; here they are joined and written."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask
import numpy as np

from geodl.errors import BackendUnavailable, NoValidPixels
from geodl.inference.blend import Panel, Part
from geodl.inference.cluster import Cluster
from geodl.inference.clustertasks import Failure, SceneTask, hold, map_tile
from geodl.inference.engine import Progress, Sink, scene_parts, window_bounds
from geodl.inference.mapper import Plan
from geodl.inference.request import Request
from geodl.inference.seams import Cut, Frame, Seams
from geodl.inference.unfinished import Journal

if TYPE_CHECKING:
    from distributed import Future

__all__ = ("map_on_cluster",)

_EACH = 3
"""Tiles that a worker is given ahead: in the network, being read, and the next one."""
_AHEAD = 8
"""Tiles for each worker that may be done before the one that all others wait for: their frames are kept."""
_LOOK = 1.0
"""Seconds after which it is looked how many workers there are."""
_PATIENCE = 300.0
"""Seconds without any worker after which the map is given up."""
_FETCH = 30.0
"""Seconds after which the cluster is looked at while what a worker made is fetched."""


def map_on_cluster(
    cluster: Cluster,
    request: Request,
    plan: Plan,
    sink: Sink,
    journal: Journal,
    progress: Progress | None = None,
) -> None:
    """Maps a scene, tile by tile, on the workers of a cluster.

    A tile is a task that depends on no other one, so that a worker that dies costs what it was working on. What comes back
    of it are the finished layers of its inner part, and the sums of its frame, which are added up here in the engine's
    order: the same network on the same processor makes the same map to the last bit.

    Args:
        cluster: connected.
        request: what is asked.
        plan: of it.
        sink: receives every block of the map once, or once more where a run before was broken off.
        journal: of the map. Tiles that it tells of are not done again.
        progress: called after every tile.

    Raises:
        NoValidPixels: all is nodata.
        BackendUnavailable: the cluster is lost, or no worker survives a tile.
        GeodlError: as `map_scene` raises; of a worker.
    """
    if not _Walk(cluster, request, plan, sink, journal, progress).run():
        raise NoValidPixels(request.source.name, "Every pixel asked for is nodata")


class _Walk:
    """One scene on its way through a cluster."""

    def __init__(
        self,
        cluster: Cluster,
        request: Request,
        plan: Plan,
        sink: Sink,
        journal: Journal,
        progress: Progress | None,
    ) -> None:
        self._cluster, self._sink, self._journal, self._progress = cluster, sink, journal, progress
        self._task, self._ramp = _scene_task(request, plan), plan.tiling.ramp
        self._bounds = window_bounds(request.window)
        self._parts = list(scene_parts(plan.tiling, self._bounds))
        self._needed = _first_needed(self._parts)
        self._seams: tuple[Panel, Seams] | None = None
        self._frames: dict[int, Frame] = {}
        """Of tiles that are done, but one before them is not."""
        self._merged = journal.merged
        self._done = sum(self._pixels(k) for k in journal.valid)
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._size, self._looked, self._alive = 0, -math.inf, time.monotonic()

    def run(self) -> int:
        """Maps the scene; returns the number of valid pixels of the map."""
        # What the seams held when the run before was broken off.
        for k in range(self._needed[self._merged], self._merged):
            self._add(k, self._journal.frame(k))
        self._merge()
        todo = [k for k in range(len(self._parts)) if k not in self._journal.valid]
        if todo:
            self._work(deque(todo))
        self._journal.sync(self._needed[self._merged])
        return sum(self._journal.valid.values())

    def _work(self, todo: deque[int]) -> None:
        """Has the workers map tiles, a few ahead, in order."""
        name = uuid4().hex
        scene = self._submit(hold, self._task, key=f"geodl-scene-{name}")
        flying: dict[int, Future] = {}
        try:
            while todo or flying:
                self._look()
                most, last = _EACH * max(self._size, 1), self._merged + _AHEAD * max(self._size, 1)
                while todo and len(flying) < most and todo[0] < last:
                    k = todo.popleft()
                    flying[k] = self._submit(map_tile, scene, self._parts[k], key=f"geodl-tile-{name}-{k}")
                    flying[k].add_done_callback(partial(self._tell, k))
                with suppress(queue.Empty):
                    k = self._arrived.get(timeout=_LOOK)
                    future = flying[k]
                    self._take(k, future)
                    # Not left to its end, in which Python would swallow a Ctrl-C.
                    future.release()
                    del flying[k]
        finally:
            for future in (*flying.values(), scene):
                future.release()

    def _tell(self, k: int, future: Future) -> None:
        """Called in another thread."""
        self._arrived.put(k)

    def _submit(self, function: Callable[..., Any], *arguments: Any, key: str) -> Future:
        # Dask advises against sending much with a task; the network is sent once.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self._cluster.ask(lambda client: client.submit(function, *arguments, key=key, pure=False))

    def _look(self) -> None:
        """Looks now and then how many workers there are."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._size, self._looked = self._cluster.size, now
        if self._size:
            self._alive = now
        elif now - self._alive > _PATIENCE:
            advice = "Start workers and repeat the command: what was mapped is kept."
            raise self._cluster.unavailable(f"it has had no worker for {_PATIENCE:.0f} s", advice)

    def _take(self, k: int, future: Future) -> None:
        """Writes what is finished of a tile that has arrived, and of those before it."""
        answer, part = self._answer(k, future), self._parts[k]
        if isinstance(answer, Failure):
            raise answer.error(local=self._cluster.local)
        above, before = (n * self._scale for n in part.ramps)
        self._write(part, above, before, answer.layers)
        self._journal.add(k, answer.valid, answer.frame)
        self._frames[k] = answer.frame
        self._merge()
        self._done += self._pixels(k)
        if self._progress is not None:
            bounds = self._bounds
            self._progress(self._done, (bounds.bottom - bounds.top) * (bounds.right - bounds.left))

    def _answer(self, k: int, future: Future) -> Cut | Failure:
        """What a worker said of a tile. Where it died before all was fetched, Dask has another one do it again."""
        from distributed import CancelledError, KilledWorker

        while True:
            try:
                return future.result(timeout=_FETCH)
            except TimeoutError:
                self._look()
            except KilledWorker as error:
                part = self._parts[k]
                raise BackendUnavailable(
                    f"The tile of {part.row.size} x {part.column.size} pixels at row {part.row.start}, column "
                    f"{part.column.start} on the cluster {self._cluster.name}",
                    f"{error.allowed_failures + 1} workers died of it, one after the other",
                    advice="Most often memory did not suffice: give workers more, or set a smaller memory (--memory). "
                    "What was mapped is kept for when the command is repeated.",
                ) from error
            except (CancelledError, OSError) as error:
                raise self._cluster.lost(error) from error

    def _merge(self) -> None:
        """Adds up the frames of tiles that are done, as far as none is missing before them."""
        before = self._merged
        while self._merged in self._journal.valid:
            k, part = self._merged, self._parts[self._merged]
            for row, column, layers in self._add(
                k, self._frames.pop(k) if k in self._frames else self._journal.frame(k)
            ):
                self._write(part, row, column, layers)
            self._merged += 1
        if self._merged > before:
            self._journal.merge(self._merged, self._needed[self._merged])

    def _add(self, k: int, frame: Frame) -> list[tuple[int, int, list[np.ndarray]]]:
        """Adds a frame to those before it; gives what is finished with it."""
        part = self._parts[k]
        if self._seams is None or self._seams[0] != part.panel:
            task = self._task
            seams = Seams(
                part.panel, ramp=self._ramp, channels=task.channels, products=task.products, scale=self._scale
            )  # fmt: skip
            self._seams = part.panel, seams
        return list(self._seams[1].add(part, frame))

    def _write(self, part: Part, row: int, column: int, layers: list[np.ndarray]) -> None:
        """Writes layers whose first pixel is this one of a part."""
        top, left = part.top - self._bounds.top, part.left - self._bounds.left
        self._sink.write(top * self._scale + row, left * self._scale + column, layers)

    def _pixels(self, k: int) -> int:
        return math.prod(self._parts[k].done)

    @property
    def _scale(self) -> int:
        return self._task.contract.output.scale


def _scene_task(request: Request, plan: Plan) -> SceneTask:
    adapted = request.adapted.settled(request.source)
    return SceneTask(
        adapted.call(plan.network, request.source),
        request.source,
        adapted.contract,
        request.products,
        request.area,
        plan.tiling.cache,
    )


def _first_needed(parts: Sequence[Part]) -> list[int]:
    """For each tile the first one whose frame is needed to add up its own: that of the row above, in its panel.

    One entry more stands for the end, where none is needed.
    """
    needed = []
    above = row = 0
    for k, part in enumerate(parts):
        if k and part.panel != parts[k - 1].panel:
            above = row = k
        elif k and part.row != parts[k - 1].row:
            above, row = row, k
        needed.append(above)
    return [*needed, len(parts)]
