"""Figures of verified forecasts of rain: skill by lead time, spectra, reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from geodl.errors import OptionError
from geodl.metrics.contingency import table_scores
from geodl.report.comparison import caption
from geodl.report.lines import name_axes, styles
from geodl.report.palette import BACKDROP, INK, NETWORK

__all__ = ("csi_figure", "reliability_figure", "spectrum_figure")

_LOST = 25.0
"""Decibels by which power may differ from what was observed, in the drawing."""


def csi_figure(
    details: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    intervals: Mapping[str, Any] | None = None,
    name: str = "network",
    title: str = "",
) -> Figure:
    """Draws the critical success index, hits / (hits + misses + false alarms), by lead time: one panel per threshold.

    Args:
        details: of the network, as `geodl.metrics.nowcast.NowcastMetrics.details` gives them: `thresholds` (mm/h),
            `lead_minutes` and `tables` (threshold, lead, 4) are used.
        baselines: name → likewise, of the same thresholds and lead times.
        intervals: of the network, as `geodl.metrics.bootstrap.intervals` gives them: a band about its line.
        name: of the network, in the legend.
        title: above all panels.

    Raises:
        OptionError: a baseline was scored for other thresholds or lead times.

    Example:
        >>> tables = [[[50, 20, 30, 900], [40, 30, 40, 890]]]
        >>> scores = {"thresholds": [1.0], "lead_minutes": [10, 20], "tables": tables}
        >>> figure = csi_figure(scores, {"persistence": scores})
    """
    thresholds, minutes = [float(value) for value in details["thresholds"]], np.asarray(details["lead_minutes"], float)
    owners = {name: details, **(baselines or {})}
    for owner, found in owners.items():
        for key in ("thresholds", "lead_minutes"):
            if not np.array_equal(found[key], details[key]):
                raise OptionError(f"{owner}: {key}", expected=f"{list(details[key])}", received=list(found[key]))

    columns = len(thresholds) if len(thresholds) <= 4 else 3
    rows = math.ceil(len(thresholds) / columns)
    figure = _figure(max(columns * 2.75 + 0.5, 4.2), rows * 2.75 + (1.2 if title else 0.85))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    scores = {owner: table_scores(np.asarray(found["tables"]))["csi"] for owner, found in owners.items()}
    frequency = _frequency(np.asarray(details["tables"], float))
    shape = (len(thresholds), len(minutes), 3)
    bands = np.full(shape, np.nan) if intervals is None else np.asarray(intervals["leads"], float)
    for number, (axes, threshold) in enumerate(zip(panels.flat, thresholds)):
        for style, (owner, csi) in zip(styles(len(owners)), scores.items()):
            axes.plot(minutes, csi[number], label=owner, **style)
        if intervals is not None:
            _, low, high = bands[number].T
            label = f"{100 * intervals['level']:g} % interval"
            axes.fill_between(minutes, low, high, color=NETWORK, alpha=0.18, linewidth=0, label=label)
        share = frequency[number]
        known = f", in {_percent(share)} of the pixels" if math.isfinite(share) else ""
        axes.set_title(f"> {threshold:g} mm/h{known}", fontsize=9)
        name_axes(axes, "lead time (min)", "critical success index (no unit)")
        _lead_ticks(axes, minutes)
        axes.label_outer()
        if number + columns >= len(thresholds):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("lead time (min)", fontsize=8)
    for axes in panels.flat[len(thresholds) :]:
        axes.set_axis_off()
    highest = np.concatenate([bands, *(csi[..., None] for csi in scores.values())], axis=-1)
    panels[0, 0].set_ylim(0, min(1.02, 1.06 * np.max(highest, where=np.isfinite(highest), initial=0.1)))
    handles, labels = panels[0, 0].get_legend_handles_labels()
    wide = max(1, int(figure.get_figwidth() // 1.25))
    figure.legend(handles, labels, loc="outside lower center", ncols=wide, fontsize=9, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def spectrum_figure(
    details: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    lead: int = -1,
    name: str = "network",
    title: str = "",
) -> Figure:
    """Draws the radially averaged power spectrum of observed and forecast rain at one lead time, by wavelength.

    A forecast below the observed line has lost variability at that scale: it is too smooth.

    Args:
        details: of the network, as `geodl.metrics.nowcast.NowcastMetrics.details` gives them; of `spectra` are used
            `wavelength_km` (or `wavelength_pixels`), and `observed` and `forecast` of shape (lead, wavelength).
        baselines: name → likewise.
        lead: position of the lead time; -1 is the last one.
        name: of the network, in the legend.
        title: above the panel.

    Example:
        >>> power = [[4.0, 1.0, 0.1]]
        >>> spectra = {"wavelength_km": [64, 16, 4], "observed": power, "forecast": power}
        >>> figure = spectrum_figure({"lead_minutes": [30], "spectra": spectra})
    """
    figure = _figure(9.2, 4.0 if title else 3.7)
    power, ratio = figure.subplots(1, 2, sharex=True)
    owners = {name: details, **(baselines or {})}
    unit = "km" if "wavelength_km" in details["spectra"] else "pixels"
    wavelength = np.asarray(details["spectra"][f"wavelength_{unit}"], float)
    observed = _decibels(np.asarray(details["spectra"]["observed"], float)[lead])
    power.plot(wavelength, observed, color="black", linewidth=2.6, label="observed", zorder=3)
    ratio.axhline(0, color="black", linewidth=2.6, zorder=3)
    for style, (owner, found) in zip(styles(len(owners)), owners.items()):
        forecast = _decibels(np.asarray(found["spectra"]["forecast"], float)[lead])
        power.plot(wavelength, forecast, label=owner, **{**style, "marker": None})
        ratio.plot(wavelength, forecast - observed, **{**style, "marker": None})
    known = wavelength[np.isfinite(wavelength) & (wavelength > 0)]
    if known.size:
        power.set_xscale("log")
        for axes in (power, ratio):
            _wavelength_ticks(axes, float(known.min()), float(known.max()))
        power.set_xlim(known.max(), 0.98 * known.min())
    ratio.set_ylim(max(ratio.get_ylim()[0], -_LOST), min(max(ratio.get_ylim()[1], 3), _LOST))
    name_axes(power, f"wavelength ({unit})", "power (dB)")
    name_axes(ratio, f"wavelength ({unit})", "power, forecast / observed (dB)")
    power.set_title(f"Power spectrum at +{details['lead_minutes'][lead]:g} min", fontsize=10)
    ratio.set_title("Below the black line: too smooth", fontsize=10)
    handles, labels = power.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, fontsize=9, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def reliability_figure(details: Mapping[str, Any], *, title: str = "") -> Figure:
    """Draws how often it rained where a probability was given: one panel per threshold, with the forecasts' number below.

    Points on the diagonal are reliable; below it, rain was forecast with too high a probability.

    Args:
        details: as `geodl.metrics.nowcast.NowcastMetrics.details` gives them of forecasts with a spread; `reliability` is
            used: by threshold `probability` (mean forecast of each bin), `frequency` (how often it rained) and `count`.
        title: above all panels.
    """
    found = details["reliability"]
    figure = _figure(max(2.7 * len(found) + 0.4, 3.6), 3.9 if title else 3.6)
    panels = figure.subplots(2, len(found), squeeze=False, sharex=True, sharey="row", height_ratios=(3.2, 1))
    for (upper, lower), (threshold, bins) in zip(panels.T, found.items()):
        probability, frequency, count = (np.asarray(bins[key], float) for key in ("probability", "frequency", "count"))
        upper.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
        upper.plot(probability, frequency, **styles(1)[0])
        upper.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
        upper.set_title(f"≥ {float(threshold):g} mm/h", fontsize=9)
        edges = np.linspace(0, 1, len(count) + 1)
        lower.bar(edges[:-1], count, width=0.9 * edges[1], align="edge", color=BACKDROP)
        lower.set(yscale="log", box_aspect=0.3, ylim=(0.5, None))
        lower.yaxis.set_major_locator(LogLocator(numticks=4))
        lower.yaxis.set_minor_locator(NullLocator())
        name_axes(upper, "", "observed frequency")
        name_axes(lower, "forecast probability", "pixels")
        for axes in (upper, lower):
            axes.label_outer()
    caption(figure, "Dashed: perfectly reliable.")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, compress=True))


def _frequency(tables: np.ndarray) -> np.ndarray:
    """Share of pixels with observed rain, by threshold."""
    sums = tables.reshape(*tables.shape[:-2], -1, 4).sum(axis=-2)
    total = sums.sum(axis=-1)
    return np.divide(sums[..., 0] + sums[..., 1], total, out=np.full(total.shape, np.nan), where=total > 0)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.where(power > 0, power, np.nan))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _lead_ticks(axes: Axes, minutes: Sequence[float] | np.ndarray) -> None:
    if len(minutes) <= 6:
        axes.set_xticks(list(minutes), labels=[f"{value:g}" for value in minutes])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 6, 10]))


def _wavelength_ticks(axes: Axes, low: float, high: float) -> None:
    """Labels powers of two, which wavelengths of a grid come in."""
    # The shortest wavelength, two pixels, is a little above its power of two where the field has an odd side.
    exponents = range(math.ceil(math.log2(low) - 0.05), math.floor(math.log2(high)) + 1)
    ticks = [2.0**exponent for exponent in exponents]
    axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
