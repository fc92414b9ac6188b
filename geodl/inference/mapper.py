"""Mapper: plans how a scene goes through a network, and lets it go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from geodl.contract import Contract
from geodl.data.blockcache import row_cache_bytes
from geodl.errors import NoValidPixels
from geodl.inference.blocks import Tiling
from geodl.inference.converted import Call, Converted
from geodl.inference.engine import Progress, Sink, map_scene
from geodl.inference.options import Options
from geodl.inference.planning import Cost, plan_tiling
from geodl.inference.request import Request, make_request
from geodl.inference.turns import with_turns

if TYPE_CHECKING:
    import dask.array as da

__all__ = ("Mapper", "Plan")

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class Plan:
    """How a scene goes through the network."""

    network: Call
    tiling: Tiling


class Mapper:
    """A network that scenes go through.

    Args:
        contract: of the network.
        running: loads what runs the network; called when that is needed, and again, so it should keep it.
    """

    def __init__(self, contract: Contract, running: Callable[[], Converted]) -> None:
        self.contract = contract
        self._running = running
        self._warned = False

    @property
    def network(self) -> Call:
        """The network as a function, loaded if need be."""
        return self._running().call

    def request(self, data: Any, options: Options) -> Request:
        """Opens a scene and checks what is asked of it; see `make_request`."""
        return make_request(data, self.contract, options)

    def plan(self, request: Request) -> Plan:
        """Loads the network, and chooses the tiles.

        Raises:
            OptionError: an option has a value that cannot be used with this network or this scene.
        """
        options, adapted, running = request.options, request.adapted, self._running()
        contract = adapted.contract
        network = with_turns(running.call, options.turns, contract=self.contract)
        cost = Cost(
            bands=len(contract.input.bands),
            channels=len(contract.output.classes or contract.output.bands),
            activations=running.activations + adapted.extra_bytes,
            scale=contract.output.scale,
            batch=options.batch_size,
            turned=options.turns > 1,
            kept=len(request.products.compared),
        )
        tiling = plan_tiling(
            request.source.grid.shape,
            contract,
            cost=cost,
            overlap=options.overlap,
            memory=options.memory,
            decoded=partial(row_cache_bytes, request.source),
        )
        if contract.input.dim("y").margin is None and tiling.count > 1 and not self._warned:
            self._warned = True
            _log.warning(
                "Each output of this network depends on the whole scene (global pooling or group normalisation): "
                "seams between tiles are possible. overlap='exact' maps scenes that fit the memory in one pass."
            )
        return Plan(network, tiling)

    def map(self, request: Request, plan: Plan, sink: Sink, progress: Progress | None = None) -> None:
        """Maps a scene into a sink.

        Raises:
            NoValidPixels: all is nodata.
            GeodlError: as `map_scene` does.
        """
        call = request.adapted.call(plan.network, request.source)
        batch = request.options.batch_size
        if not map_scene(
            call, request.source, sink, batch_size=batch, progress=progress, **_walk(request, plan)
        ):  # fmt: skip
            raise NoValidPixels(request.source.name, "Every pixel asked for is nodata")

    def lazy(self, request: Request, plan: Plan) -> list[da.Array]:
        """Describes the map of a dask-backed scene; see `lazy_map`."""
        from geodl.data.cube import ArraySource
        from geodl.inference.lazy import lazy_map

        assert isinstance(request.source, ArraySource)
        call = request.adapted.call(plan.network, request.source)
        return lazy_map(call, request.source, **_walk(request, plan))


def _walk(request: Request, plan: Plan) -> dict[str, Any]:
    return {
        "contract": request.adapted.contract,
        "products": request.products,
        "tiling": plan.tiling,
        "window": request.window,
        "area": request.area,
    }
