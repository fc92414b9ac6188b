"""How sure a critical success index is: a bootstrap of blocks of consecutive forecasts.

Forecasts that start a few minutes apart see the same rain, so blocks of them are drawn again, not single ones (Hamill
1999, "Hypothesis tests for evaluating numerical precipitation forecasts").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.contingency import table_scores
from geodl.metrics.pooling import plain

__all__ = ("intervals", "paired_difference")

_CHUNK = 1 << 22
"""Numbers of drawn blocks that are in memory at a time."""


def intervals(details: Mapping[str, Any], *, repeats: int = 1000, seed: int = 0, level: float = 0.9) -> dict[str, Any]:
    """Returns intervals of the critical success index.

    Args:
        details: from `NowcastMetrics.details()` or `geodl.metrics.pooling.combine`.
        repeats: how often blocks are drawn, with replacement, as many as there are.
        seed: of the draws.
        level: share of the draws that lie within the interval, between 0 and 1.

    Returns:
        `level`, `repeats`, `blocks` (how many there are) and, each as value, lower and upper end (None where undefined;
        the ends also where there are fewer than two blocks): `csi` (3,), the mean over thresholds of all lead times
        together; `thresholds` (threshold, 3), of all lead times together; `leads` (threshold, lead, 3).

    Raises:
        OptionError: `repeats` below 1, or a `level` that is not between 0 and 1.
    """
    _check(repeats, level)
    drawn = _drawn(_blocks(details), repeats, seed)
    return _summary(_scores(_blocks(details).sum(axis=0)), drawn, len(_blocks(details)), repeats, level)


def paired_difference(
    details: Mapping[str, Any],
    other: Mapping[str, Any],
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.9,
) -> dict[str, Any]:
    """Returns intervals of a difference, the critical success index of `details` minus that of `other`.

    The same blocks are drawn for both, so that what makes an hour hard for both does not count. An interval without 0
    says that the difference is no chance of the hours that were scored.

    Args:
        details: as in `intervals`.
        other: of another method on the same samples.
        repeats: as in `intervals`.
        seed: as in `intervals`.
        level: as in `intervals`.

    Returns:
        As `intervals` returns it.

    Raises:
        OptionError: as `intervals`, or both were not scored on the same samples, thresholds and lead times.
    """
    _check(repeats, level)
    for key in ("thresholds", "lead_minutes"):
        if details[key] != other[key]:
            raise OptionError(f"other: {key}", expected=str(details[key]), received=other[key])
    if details["blocks"]["names"] != other["blocks"]["names"]:
        count = len(details["blocks"]["names"])
        raise OptionError(
            "other", expected=f"scores of the same {count} blocks of samples", received=other["blocks"]["names"]
        )
    one, two = _blocks(details), _blocks(other)
    value = _minus(_scores(one.sum(axis=0)), _scores(two.sum(axis=0)))
    drawn = _minus(_drawn(one, repeats, seed), _drawn(two, repeats, seed))
    return _summary(value, drawn, len(one), repeats, level)


def _check(repeats: int, level: float) -> None:
    if repeats < 1:
        raise OptionError("repeats", expected="1 or more", received=repeats)
    if not 0 < level < 1:
        raise OptionError("level", expected="a number between 0 and 1", received=level)


def _blocks(details: Mapping[str, Any]) -> np.ndarray:
    """Hits, misses and false alarms of each block, of shape (block, threshold, lead, 3)."""
    shape = (-1, len(details["thresholds"]), len(details["lead_minutes"]), 3)
    return np.asarray(details["blocks"]["tables"], np.float64).reshape(shape)


def _scores(tables: np.ndarray) -> dict[str, np.ndarray]:
    """CSI of tables of shape (…, threshold, lead, 3)."""
    full = np.concatenate([tables, np.zeros_like(tables[..., :1])], axis=-1)
    thresholds = table_scores(full.sum(axis=-2))["csi"]
    known = np.isfinite(thresholds)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, thresholds, 0).sum(axis=-1) / known.sum(axis=-1)
    return {"csi": mean, "thresholds": thresholds, "leads": table_scores(full)["csi"]}


def _drawn(blocks: np.ndarray, repeats: int, seed: int) -> dict[str, np.ndarray]:
    """CSI of each draw, along the first axis."""
    drawn = [_scores(tables) for tables in _draws(blocks, repeats, seed)]
    return {name: np.concatenate([found[name] for found in drawn]) for name in drawn[0]} if drawn else {}


def _draws(blocks: np.ndarray, repeats: int, seed: int) -> Iterator[np.ndarray]:
    count = len(blocks)
    if count < 2:
        return
    rng, flat = np.random.default_rng(seed), blocks.reshape(count, -1)
    chunk = max(1, _CHUNK // count)
    for start in range(0, repeats, chunk):
        # How often each block is drawn is all that its sum needs.
        often = rng.multinomial(count, np.full(count, 1 / count), size=min(chunk, repeats - start))
        yield (often @ flat).reshape(-1, *blocks.shape[1:])


def _minus(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: one[name] - two[name] for name in one}


def _summary(
    values: dict[str, np.ndarray], drawn: dict[str, np.ndarray], blocks: int, repeats: int, level: float
) -> dict[str, Any]:
    """Values with the ends of their intervals, as JSON takes them."""
    found: dict[str, Any] = {"level": level, "repeats": repeats, "blocks": blocks}
    for name, value in values.items():
        ends = _ends(drawn[name], level) if drawn else np.full((2, *value.shape), np.nan)
        found[name] = plain(np.stack([value, *ends], axis=-1))
    return found


def _ends(drawn: np.ndarray, level: float) -> np.ndarray:
    """Ends of the intervals, of shape (2, …), from the draws in which the score is defined."""
    defined = np.isfinite(drawn)
    # Draws without rain have no score; what is never defined has no interval.
    known = np.where(defined.any(axis=0), drawn, 0.0)
    ends = np.nanquantile(known, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(np.where(defined.any(axis=0), ends, np.nan))
