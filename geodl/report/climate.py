"""Figure of the climate of a system: what a long free run has in common with the truth when no single state does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geodl.errors import OptionError
from geodl.metrics.invariant import power_spectrum
from geodl.report.lines import WIDTH, line_figure, name_axes
from geodl.report.palette import NETWORK, RULE, TRUTH

__all__ = ("climate_figure",)

_MOST = 3
"""Variables whose density is drawn, at most."""
_BINS = 80
_LEAST = 16
"""States that a spectrum can be estimated from."""
_FLOOR = 1e-7
"""Power, in parts of the highest, below which a spectrum is not drawn: there the window of its estimate leaks."""
_TOLD = 4
"""Exponents that there is room to write down."""


def climate_figure(
    truth: np.ndarray,
    learned: np.ndarray,
    *,
    variables: Sequence[str],
    step: float,
    exponents: np.ndarray | Sequence[float] | None = None,
    true_exponents: np.ndarray | Sequence[float] | None = None,
    errors: np.ndarray | Sequence[float] | None = None,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Draws the statistics of a long free run beside those of the system: densities, a spectrum, Lyapunov exponents.

    The spectrum is `geodl.metrics.invariant.power_spectrum` of the last variable: z of Lorenz-63, in which its two wings are
    alike.

    Args:
        truth: states at a regular step, shape (time, state).
        learned: likewise; any number of times. States from the first that is not finite on are left out.
        variables: their names, with a unit where they have one; densities are those of the first three.
        step: time between two states.
        exponents: of the network, per unit of time, from the largest on; None draws none.
        true_exponents: of the system, likewise, where they are known.
        errors: standard errors of `exponents`.
        unit: of time; "" if it has none.
        title: above all panels.

    Raises:
        OptionError: shapes that do not fit, or fewer than 16 finite states.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> figure = climate_figure(rng.normal(size=(999, 2)), rng.normal(size=(999, 2)), variables=("x", "y"), step=0.1)
    """
    runs = {"true": np.asarray(truth, float), "learned": np.asarray(learned, float)}
    size = len(variables)
    for name, states in runs.items():
        if states.ndim != 2 or states.shape[1] != size:
            raise OptionError(name, expected=f"states of shape (time, {size})", received=states.shape)
        finite = np.isfinite(states).all(axis=-1)
        runs[name] = states if finite.all() else states[: int(np.argmin(finite))]
        if len(runs[name]) < _LEAST:
            raise OptionError(
                name, expected=f"at least {_LEAST} states before any is not finite", received=len(runs[name])
            )
    figure = line_figure(WIDTH, 4.9 + 0.3 * bool(title))
    top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
    drawn = min(size, _MOST)
    densities = np.atleast_1d(top.subplots(1, drawn))
    for number, axes in enumerate(densities):
        _draw_density(axes, *(states[:, number] for states in runs.values()))
        name_axes(axes, variables[number], "" if number else "density")
    lower = np.atleast_1d(bottom.subplots(1, 1 if exponents is None else 2))
    _draw_spectrum(lower[0], *(states[:, -1] for states in runs.values()), step=step)
    name_axes(lower[0], f"frequency (1/{unit or 'time unit'})", "power", f"Spectrum of {variables[-1]}")
    if exponents is not None:
        _draw_exponents(lower[1], exponents, true_exponents, errors)
        few = " (true in brackets)" if true_exponents is not None and len(exponents) <= _TOLD else ""
        name_axes(lower[1], "number", f"1/{unit or 'time unit'}", f"Lyapunov exponents{few}")
    handles, labels = densities[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _draw_density(axes: Axes, truth: np.ndarray, learned: np.ndarray) -> None:
    """Draws both densities over the range of the truth and a little beyond; the learned one loses what lies farther."""
    low, high = float(truth.min()), float(truth.max())
    margin = 0.1 * (high - low) or 1.0
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    true, found = (np.histogram(v, edges)[0] / (len(v) * np.diff(edges)) for v in (truth, learned))
    axes.stairs(true, edges, fill=True, color=TRUTH, alpha=0.3, label="true")
    axes.stairs(found, edges, color=NETWORK, linewidth=1.5, label="learned")
    beyond = float(np.mean((learned < edges[0]) | (learned > edges[-1])))
    if beyond:
        axes.annotate(
            f"{100 * beyond:.2g} % beyond",
            (0.98, 0.97),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=8,
            color=NETWORK,
        )


def _draw_spectrum(axes: Axes, truth: np.ndarray, learned: np.ndarray, *, step: float) -> None:
    """Draws both power spectra up to the frequency beyond which the true one has no power."""
    shorter = min(len(truth), len(learned))
    (frequency, true), (_, found) = (
        power_spectrum(run, step=step, segment=min(max(256, shorter // 8), shorter)) for run in (truth, learned)
    )
    axes.plot(frequency, np.where(true > 0, true, np.nan), color=TRUTH, linewidth=2.6, alpha=0.5)
    axes.plot(frequency, np.where(found > 0, found, np.nan), color=NETWORK, linewidth=1.1)
    highest = float(true.max())
    if highest > 0:
        axes.set_yscale("log")
        axes.set_ylim(0.5 * _FLOOR * highest, 3 * highest)
    axes.set_xlim(0, float(frequency[true >= _FLOOR * highest][-1]))


def _draw_exponents(
    axes: Axes,
    found: np.ndarray | Sequence[float],
    true: np.ndarray | Sequence[float] | None,
    errors: np.ndarray | Sequence[float] | None,
) -> None:
    """Draws exponents in order. Where they span decades the axis is linear to one per unit of time, then logarithmic."""
    values = np.asarray(found, float)
    number = np.arange(1, len(values) + 1)
    known = np.full(0, np.nan) if true is None else np.asarray(true, float)
    axes.axhline(0, color=RULE, linewidth=0.8)
    mark: dict[str, Any] = {
        "marker": "_",
        "markersize": 20 if len(values) <= _TOLD else 7,
        "markeredgewidth": 3,
        "alpha": 0.5,
    }
    axes.plot(np.arange(1, len(known) + 1), known, color=TRUTH, linestyle="none", **mark)
    axes.errorbar(number, values, yerr=errors, color=NETWORK, marker="o", markersize=4, linestyle="none", capsize=3)
    if len(values) <= _TOLD:
        for k, value in enumerate(values):
            said = [f"{v:.3f}" if abs(v) < 10 else f"{v:.2f}" for v in (value, *known[k : k + 1])]
            text = "\n".join((said[0], *(f"({other})" for other in said[1:]))).replace("-", "−")
            place: dict[str, Any] = {"xytext": (12, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(text, (k + 1, value), fontsize=8, color=NETWORK, **place)
    if np.abs(values[np.isfinite(values)]).max(initial=0) > 10:
        axes.set_yscale("symlog", linthresh=1)
    axes.margins(y=0.15)
    axes.set_xlim(0.6 if len(values) <= _TOLD else 0, len(values) + (0.7 if len(values) <= _TOLD else 1))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
