"""One request to a network for series: the answer for values, for a table, or for parcels in a cube."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geodl.contract import Contract
from geodl.data.members import Members
from geodl.data.series.calendar import fit_days
from geodl.data.series.table import SeriesTable
from geodl.data.source import Source
from geodl.errors import NoValidPixels
from geodl.inference.converted import Converted
from geodl.inference.engine import Progress
from geodl.inference.parcels import MemberArea, MemberRule, ParcelMeans, mean_predictions, mean_series
from geodl.inference.pixelseries import own_days
from geodl.inference.seriesanswer import Answer, answer_of
from geodl.inference.seriesbatches import SeriesBatches, batch_size
from geodl.inference.seriesmapper import SeriesMapper
from geodl.inference.seriesoptions import SeriesAsked

if TYPE_CHECKING:
    import geopandas

__all__ = ("SeriesRun",)

_log = logging.getLogger("geodl")


class SeriesRun:
    """A network, and what is asked of it.

    Args:
        contract: of the network.
        running: loads what runs it.
        asked: how much memory there is, and how many series go through together.
        progress: called with the series, or pixels, done and in all.
    """

    def __init__(
        self,
        contract: Contract,
        running: Callable[[], Converted],
        asked: SeriesAsked,
        progress: Progress | None = None,
    ) -> None:
        self._contract, self._running, self._asked, self._progress = contract, running, asked, progress

    def of_table(self, table: SeriesTable) -> Answer:
        """Returns what the network says of a table with its bands.

        Raises:
            DatesMismatch: the dates are none that the network can use.
            NoValidPixels: nothing was observed.
        """
        eaten = self._contract.input
        days = own_days(table.days, dated=table.dated, where=table.name, eaten=eaten)
        values, days = fit_days(table.values, days, eaten.days, fixed=eaten.dim("time").size, name=table.name)
        return self._told(self._of_values(values, days, table.name, self._progress), table.name, "series")

    def of_parcels(
        self, cube: Source, parcels: geopandas.GeoDataFrame, rule: MemberRule, *, where: str
    ) -> tuple[Answer, np.ndarray]:
        """Returns what the network says of parcels, and the number of their pixels with an observation: int64 (parcel,).

        Args:
            cube: with the network's bands.
            parcels: polygons, or points.
            rule: what a parcel is.
            where: what the parcels are of, for messages.

        Raises:
            LabelsUnreadable: the parcels cannot be brought onto the grid.
            NoValidPixels: nothing was observed in any of them.
        """
        members = Members(parcels.geometry.to_numpy(), parcels.crs, cube.grid, where=where)
        if not members.counts.any():
            raise NoValidPixels(where, f"None of them lies in {cube.name}")
        mapper = SeriesMapper(
            self._contract, self._running, cube, batch=self._asked.batch_size, within=MemberArea(members)
        )
        request = mapper.request(cube, replace(self._asked.of_map, probabilities=True, confidence=False, entropy=False))
        plan = mapper.plan(request)
        found: ParcelMeans
        if rule == "mean":
            found = mean_series(mapper.series, members, plan, self._progress)
            answer = self._of_values(found.values, mapper.series.days, where, None)
        else:
            found = mean_predictions(mapper, request, plan, members, self._progress)
            answer = Answer(self._contract.output.classes, found.values)
        return self._told(answer, where, "parcels"), found.pixels

    def _of_values(self, values: np.ndarray, days: np.ndarray, where: str, progress: Progress | None) -> Answer:
        """What the network says of series (series, time, band) on its own dates."""
        if not np.isfinite(values).any():
            raise NoValidPixels(where, "Nothing was observed on the dates that the network knows")
        classes, running = self._contract.output.classes, self._running()
        size = batch_size(
            values.shape[1],
            activations=running.activations,
            memory=self._asked.memory,
            asked=self._asked.batch_size,
        )
        batches = SeriesBatches(running.call, classes=len(classes), size=size)
        return answer_of(*batches(values, days, progress), classes)

    def _told(self, answer: Answer, where: str, what: str) -> Answer:
        """Says of how many nothing can be said."""
        lost = int((~answer.observed).sum())
        if lost:
            _log.warning(
                "%s: %d of %d %s have no observation, and get no class.", where, lost, len(answer.observed), what
            )
        return answer
