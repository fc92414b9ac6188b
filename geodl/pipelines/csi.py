"""The critical success index by threshold and lead time, in tables that fit a terminal: who wins, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geodl.metrics.bootstrap import intervals, paired_difference
from geodl.pipelines.evaluation import Evaluation
from geodl.pipelines.task import Table

__all__ = ("csi_tables",)

_COLUMNS = 6
"""Lead times of a table."""


def csi_tables(evaluation: Evaluation, *, seed: int = 0) -> tuple[Table, ...]:
    """Lays out the critical success index, hits / (hits + misses + false alarms), of a network and its baselines.

    Below the network's stand the ends of its 90 % interval, from a bootstrap over blocks of consecutive forecasts; and at
    the end by how much it is ahead of the best other method (behind, where negative), with the interval of that.

    Args:
        evaluation: with the details of `geodl.metrics.nowcast.NowcastMetrics`, and those of the baselines.
        seed: of the bootstrap.

    Returns:
        A table for each threshold, or several where there are many lead times. The best of each column has a star.
    """
    own, minutes = evaluation.details, evaluation.details["lead_minutes"]
    others = {name: other.details for name, other in evaluation.baselines.items()}
    scores = {name: _csi(details) for name, details in {evaluation.pipeline: own, **others}.items()}
    sure = np.array(intervals(own, seed=seed)["leads"], float)
    ahead = {
        name: np.array(paired_difference(own, details, seed=seed)["leads"], float) for name, details in others.items()
    }
    tables = []
    for rate, threshold in enumerate(own["thresholds"]):
        for first in range(0, len(minutes), _COLUMNS):
            leads = range(first, min(first + _COLUMNS, len(minutes)))
            values = {name: [float(found[lead, rate]) for lead in leads] for name, found in scores.items()}
            rows: list[tuple[object, ...]] = []
            for name, found in values.items():
                rows.append((name, *(_starred(values, name, k) for k in range(len(found)))))
                if name == evaluation.pipeline:
                    rows += [(f"  {word}", *sure[rate, leads, end].tolist()) for word, end in (("from", 1), ("to", 2))]
            if others:
                rows += _ahead(scores, ahead, rate, leads)
            title = f"CSI above {threshold:g} mm/h (* best; from – to: 90 % interval)"
            tables.append(Table(title, ("method", *(f"+{minutes[lead]:g} min" for lead in leads)), tuple(rows)))
    return tuple(tables)


def _csi(details: Mapping[str, Any]) -> np.ndarray:
    """CSI of shape (lead, threshold), not-a-number where undefined."""
    return np.array([row["csi"] for row in details["leads"]], float)


def _starred(values: Mapping[str, list[float]], name: str, column: int) -> str:
    found, best = values[name][column], max((row[column] for row in values.values()), key=_or_least)
    if math.isnan(found):
        return "–"
    return f"{found:.4f}{'*' if found == best and len(values) > 1 else ' '}"


def _or_least(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _ahead(
    scores: Mapping[str, np.ndarray], ahead: Mapping[str, np.ndarray], rate: int, leads: range
) -> list[tuple[object, ...]]:
    """By how much the network is ahead of the best other method at each lead time, and the interval of that."""
    cells = []
    for lead in leads:
        best = max(ahead, key=lambda name: _or_least(float(scores[name][lead, rate])))
        cells.append(ahead[best][rate, lead].tolist())
    words = ("ahead of the best other", "  from", "  to")
    return [(word, *(cell[end] for cell in cells)) for end, word in enumerate(words)]
