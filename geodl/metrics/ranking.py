"""Which method forecasts rain best, at each lead time and threshold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.bootstrap import paired_difference

__all__ = ("csi_table",)


def csi_table(
    details: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    *,
    name: str = "network",
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.9,
) -> tuple[tuple[str, ...], list[tuple[str | float | None, ...]]]:
    """Returns the critical success index of all methods, and who wins, for a table.

    Args:
        details: of the network, from `NowcastMetrics.details()`.
        baselines: of the others, by name, on the same samples.
        name: of the network.
        repeats: draws of the block bootstrap; see `geodl.metrics.bootstrap`.
        seed: of the draws.
        level: of the intervals.

    Returns:
        The columns `lead time`, `threshold`, one of each method, `best`, `ahead by` and the interval of that; and the
        rows. `best` is the method of the highest score (several where they are equal), `ahead by` its distance to the
        next one, and the interval is empty where it cannot be told. Undefined scores are None.

    Raises:
        OptionError: the baselines were not scored on the same samples, thresholds and lead times, or one is named as the
            network is.

    Example:
        >>> from geodl.metrics import NowcastMetrics
        >>> scores = NowcastMetrics([1.0], lead_minutes=[10], scales=[1])
        >>> scores.update(np.full((1, 1, 4, 4, 1), 2.0), np.full((1, 1, 4, 4, 1), 2.0))
        >>> csi_table(scores.details(), {})
        (('lead time', 'threshold', 'network', 'best'), [('+10 min', '1 mm/h', 1.0, 'network')])
    """
    if name in baselines:
        raise OptionError("name", expected="another name than those of the baselines", received=name)
    owners = {name: details, **baselines}
    scores = {owner: np.array([row["csi"] for row in found["leads"]], float) for owner, found in owners.items()}
    differences = {
        (one, two): paired_difference(owners[one], owners[two], repeats=repeats, seed=seed, level=level)["leads"]
        for one, two in combinations(owners, 2)
    }
    columns: tuple[str, ...] = ("lead time", "threshold", *owners, "best")
    if baselines:
        columns += ("ahead by", f"{100 * level:g} % interval")
    rows = []
    for lead, minutes in enumerate(details["lead_minutes"]):
        for rate, threshold in enumerate(details["thresholds"]):
            values = {owner: float(found[lead, rate]) for owner, found in scores.items()}
            ranked = sorted((owner for owner in owners if np.isfinite(values[owner])), key=lambda o: -values[o])
            best = [owner for owner in ranked if values[owner] == values[ranked[0]]]
            row: list[str | float | None] = [f"+{minutes:g} min", f"{threshold:g} mm/h"]
            row += [value if np.isfinite(value) else None for value in values.values()]
            row.append(" = ".join(best))
            if baselines:
                row += _lead(ranked, best, values, differences, lead, rate)
            rows.append(tuple(row))
    return columns, rows


def _lead(
    ranked: list[str],
    best: list[str],
    values: Mapping[str, float],
    differences: Mapping[tuple[str, str], Any],
    lead: int,
    rate: int,
) -> tuple[float | None, str]:
    """By how much the best is ahead of the next, and the interval of it."""
    if len(best) > 1 or len(ranked) < 2:
        return (0.0 if len(best) > 1 else None), ""
    one, two = ranked[:2]
    sign, pair = (1, (one, two)) if (one, two) in differences else (-1, (two, one))
    _, *ends = differences[pair][rate][lead]
    if None in ends:
        return values[one] - values[two], ""
    low, high = sorted(sign * end for end in ends)
    return values[one] - values[two], f"{low:+.3f} … {high:+.3f}".replace("-", "−")
