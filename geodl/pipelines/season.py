"""What a finished network of series knows, and when: accuracy against date, and what each date and band is worth."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from geodl.contract import Contract, ModelInput
from geodl.data.series import SeriesSamples
from geodl.errors import OptionError
from geodl.inference.importance import attention_importance, gradient_importance
from geodl.inference.runtime import compile_network
from geodl.metrics.classification import ClassificationMetrics
from geodl.report.figures import to_png
from geodl.report.importance import importance_figure
from geodl.report.scores import reliability_figure
from geodl.report.series import early_season_figure, profiles_figure

__all__ = ("early_season", "importance", "season_figures")

_SCORES = ("accuracy", "macro_f1")
_BATCH = 1024
_QUANTILES = (0.1, 0.5, 0.9)
"""Of the values of a class that its profile shows."""
_DATES = 64
"""Most steps of profiles whose series have no dates in common."""
_GREEN = ("ndvi", "evi", "savi", "b08", "b8", "nir")
"""Bands that profiles show, the first one that there is."""


def early_season(
    network: keras.Model, samples: SeriesSamples, metrics: ClassificationMetrics, dates: int
) -> dict[str, list[float]]:
    """Scores a network on series that end early.

    Args:
        network: of series.
        samples: what it is scored on.
        metrics: of the same classes; forgets what it counted.
        dates: how many ends, spread evenly over the days of all series; all where these are fewer.

    Returns:
        `days`, the last ones that the network sees, and for each `accuracy` and `macro_f1`.
    """
    x, y = samples.arrays()
    observed = np.isfinite(x["values"]).any(-1)
    days = np.unique(np.round(x["days"][observed]))
    ends = days[np.unique(np.linspace(0, len(days) - 1, dates + 1).round().astype(int)[1:])]
    call = compile_network(network)
    found: dict[str, list[float]] = {"days": ends.tolist(), **{name: [] for name in _SCORES}}
    for end in ends:
        metrics.reset()
        for start in range(0, len(y), _BATCH):
            rows = slice(start, start + _BATCH)
            seen = np.where(x["days"][rows, :, None] <= end + 0.5, x["values"][rows], np.nan)
            metrics.update(y[rows], _in_batches(call, {"values": seen, "days": x["days"][rows]}))
        scores = metrics.result()
        for name in _SCORES:
            found[name].append(scores[name])
    return found


def importance(
    network: keras.Model, samples: SeriesSamples, eaten: ModelInput, count: int, *, seed: int
) -> dict[str, Any]:
    """Measures what each date and band is worth; see `geodl.inference.importance`.

    Args:
        network: of series.
        samples: of which some are looked at.
        eaten: what the network eats.
        count: how many of them.
        seed: draws them.

    Returns:
        `days` and `bands` of the lists in `values`, one for each date with a number for each band; and `attention`, a
        number for each date, of networks that have such.
    """
    x, _ = samples.arrays()
    rows = np.sort(np.random.default_rng(seed).permutation(len(samples))[:count])
    values, days = x["values"][rows], x["days"][rows]
    calendar = eaten.days or _spread(days[np.isfinite(values).any(-1)])
    worth = gradient_importance(network, values, days, calendar=np.array(calendar))
    found = {
        "days": list(calendar),
        "bands": [band.name for band in eaten.bands],
        "values": worth.tolist(),
    }
    # Few networks pool dates by attention.
    with contextlib.suppress(OptionError):
        found["attention"] = attention_importance(network, values, days, calendar=np.array(calendar)).tolist()
    return found


def season_figures(samples: SeriesSamples, contract: Contract, details: dict[str, Any]) -> dict[str, bytes]:
    """Draws profiles of the classes, the curve over the season, importance and calibration: caption → PNG."""
    unit = contract.input.dim("time").unit
    figures = {f"Profiles of the classes ({_shown_band(contract)})": _profiles(samples, contract)}
    early = details.get("early_season")
    if early and len(early["days"]) > 1:
        scores = {"accuracy": np.array(early["accuracy"]), "macro F1": np.array(early["macro_f1"])}
        figures["Scores of series that end early"] = to_png(
            early_season_figure(np.array(early["days"]), scores, unit=unit)
        )
    worth = details.get("importance")
    if worth:
        figures["What each date and band is worth to the network"] = to_png(
            importance_figure(np.array(worth["days"]), worth["bands"], np.array(worth["values"]), unit=unit)
        )
    told = details["reliability"]
    figures["How often the network is right, against how sure it is"] = to_png(
        reliability_figure(np.array(told["count"]), np.array(told["confidence"]), np.array(told["accuracy"]))
    )
    return figures


def _profiles(samples: SeriesSamples, contract: Contract) -> bytes:
    """Draws how one band goes over the season in each class."""
    x, y = samples.arrays()
    names = [band.name for band in contract.input.bands]
    band = names.index(_shown_band(contract))
    calendar = np.array(contract.input.days or _spread(x["days"][np.isfinite(x["values"]).any(-1)]))
    nearest = np.abs(x["days"][..., None] - calendar).argmin(-1)
    profiles = {}
    for k, info in enumerate(contract.output.classes):
        of = y == k
        values, where = x["values"][of][..., band], nearest[of]
        seen = np.isfinite(values)
        curves = np.full((len(_QUANTILES), len(calendar)), np.nan)
        for step in range(len(calendar)):
            here = values[seen & (where == step)]
            if len(here):
                curves[:, step] = np.quantile(here, _QUANTILES)
        if np.isfinite(curves).any():
            profiles[info.name] = (curves[0], curves[1], curves[2])
    colours = {info.name: info.colour for info in contract.output.classes}
    unit = contract.input.dim("time").unit
    shown = contract.input.bands[band]
    named = f"{shown.name} ({shown.unit or 'no unit'})"
    told = f"{100 * _QUANTILES[0]:g}–{100 * _QUANTILES[-1]:g} % of the series"
    return to_png(profiles_figure(calendar, profiles, band=named, unit=unit, spread=told, colours=colours))


def _shown_band(contract: Contract) -> str:
    names = [band.name for band in contract.input.bands]
    return next((name for green in _GREEN for name in names if name.lower() == green), names[0])


def _spread(days: np.ndarray) -> Sequence[float]:
    """Days that stand for those of series that have none in common."""
    own = np.unique(np.round(days))
    return own.tolist() if len(own) <= _DATES else np.linspace(own[0], own[-1], _DATES).tolist()


def _in_batches(call: Any, x: dict[str, np.ndarray]) -> np.ndarray:
    """Fills the last batch up, so that the network is compiled for one shape only."""
    count = len(x["days"])
    if count == _BATCH:
        return np.asarray(call(x))
    filled = {name: np.concatenate([array, np.repeat(array[:1], _BATCH - count, 0)]) for name, array in x.items()}
    return np.asarray(call(filled))[:count]
