"""Figure of one forecast of a dynamical system: how it departs from the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.metrics.validtime import relative_error, valid_prediction_time
from geodl.report.lines import WIDTH, add_own_time, axis_unit, line_figure, name_axes, unit_name
from geodl.report.palette import INK, LIMIT, NETWORK, TRUTH

__all__ = ("divergence_figure",)

_MOST = 3
"""Variables drawn at most."""


def divergence_figure(
    times: np.ndarray,
    truth: np.ndarray,
    forecast: np.ndarray,
    *,
    variables: Sequence[str],
    spread: float,
    lyapunov_time: float | None,
    threshold: float = 0.4,
    ensemble: np.ndarray | None = None,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Draws one forecast beside the truth, variable by variable, and below how its error grows.

    The error is `geodl.metrics.validtime.relative_error`. A vertical line stands at the end of the valid prediction time,
    where it first exceeds `threshold` or the forecast is not finite. The dotted line has the slope e^(λ₁ t) with which
    small errors grow on the attractor: along it a forecast is as good as its initial state lets it be.

    Args:
        times: shape (time,), in the trajectory's unit, from the initial state on.
        truth: states, shape (time, state); not-a-number where not observed.
        forecast: likewise.
        variables: their names, with a unit where they have one; the first three are drawn.
        spread: of the attractor: the square root of the mean squared distance of its states from their mean.
        lyapunov_time: 1/λ₁, in the unit of time; None: not known, and the axes are in that unit.
        threshold: error from which a forecast is not valid, in parts of `spread`.
        ensemble: members, shape (member, time, state); drawn as the band that holds 90 % of them.
        unit: of time; "" if it has none.
        title: above all panels.

    Raises:
        OptionError: shapes that do not fit, or a spread, threshold or Lyapunov time that is not positive.

    Example:
        >>> times = np.linspace(0, 5, 500)
        >>> truth = np.stack([np.sin(times), np.cos(times)], axis=-1)
        >>> forecast = truth + 1e-3 * np.exp(times)[:, None]
        >>> figure = divergence_figure(times, truth, forecast, variables=("x", "y"), spread=1.0, lyapunov_time=1.0)
    """
    times, truth, forecast = (np.asarray(values, float) for values in (times, truth, forecast))
    shape = (len(times), len(variables))
    given = {"truth": truth, "forecast": forecast}
    if ensemble is not None:
        ensemble = np.asarray(ensemble, float)
        given["ensemble"] = ensemble
    for name, values in given.items():
        if values.shape[-2:] != shape or values.ndim != 2 + (name == "ensemble"):
            raise OptionError(
                name, expected=f"shape {('member', *shape) if name == 'ensemble' else shape}", received=values.shape
            )
    elapsed = (times - times[0]) / axis_unit(lyapunov_time)
    error = relative_error(truth[None], forecast[None], spread=spread)[0]
    end = None
    if (error > threshold).any():
        end = float(valid_prediction_time(truth[None], forecast[None], elapsed, spread=spread, threshold=threshold)[0])

    drawn = min(len(variables), _MOST)
    figure = line_figure(WIDTH, 1.15 * drawn + 2.5 + 0.3 * bool(title))
    panels = figure.subplots(drawn + 1, 1, sharex=True, height_ratios=[1] * drawn + [1.7])
    for number, axes in enumerate(panels[:-1]):
        if ensemble is not None:
            low, high = np.nanquantile(ensemble[..., number], (0.05, 0.95), axis=0)
            axes.fill_between(elapsed, low, high, color=NETWORK, alpha=0.22, linewidth=0, label="90 % of the members")
        axes.plot(elapsed, truth[:, number], color=TRUTH, linewidth=1.6, label="truth")
        axes.plot(elapsed, forecast[:, number], color=NETWORK, linewidth=1.3, linestyle=(0, (5, 1.5)), label="forecast")
        name_axes(axes, "", variables[number])
        axes.set_ylim(*_ends(truth[:, number], forecast[:, number]))
    _draw_error(panels[-1], elapsed, error, threshold=threshold)
    if lyapunov_time is not None:
        _draw_growth(panels[-1], elapsed, error, end=end)
    said = "valid to the end" if end is None else f"valid for {end:.3g} {unit_name(lyapunov_time, unit)}"
    name_axes(panels[-1], f"time ({unit_name(lyapunov_time, unit)})", "error / spread", said)
    panels[-1].title.set_color(LIMIT)
    for axes in panels:
        if end is not None:
            axes.axvline(end, color=LIMIT, linewidth=1.2, zorder=5)
    panels[0].set_xlim(0, elapsed[-1])
    if lyapunov_time is not None:
        add_own_time(panels[0], lyapunov_time, unit)
    handles, labels = panels[0].get_legend_handles_labels()
    more, names = panels[-1].get_legend_handles_labels()
    figure.legend(handles + more, labels + names, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _draw_error(axes: Axes, elapsed: np.ndarray, error: np.ndarray, *, threshold: float) -> None:
    """Draws the error on a logarithmic axis, with the threshold."""
    known = np.isfinite(error) & (error > 0)
    axes.plot(elapsed, np.where(known, error, np.nan), color=NETWORK, linewidth=1.4)
    axes.axhline(threshold, color=LIMIT, linewidth=1, linestyle="--", label=f"threshold, {threshold:g}")
    axes.set_yscale("log")
    low = float(np.min(error, where=known, initial=threshold)) / 2
    axes.set_ylim(low, 6 * max(threshold, 1))


def _draw_growth(axes: Axes, elapsed: np.ndarray, error: np.ndarray, *, end: float | None) -> None:
    """Draws the slope of the leading exponent through the last error of the valid forecast."""
    valid = elapsed <= (elapsed[-1] if end is None else end)
    known = np.flatnonzero(valid & np.isfinite(error) & (error > 0))
    if not known.size:
        return
    when, height = float(elapsed[known[-1]]), float(error[known[-1]])
    earlier = elapsed[elapsed <= when]
    axes.plot(
        earlier, height * np.exp(earlier - when), color=INK, linewidth=1, linestyle=":", label="growth $e^{λ_1 t}$"
    )


def _ends(truth: np.ndarray, forecast: np.ndarray) -> tuple[float, float]:
    """Limits that show the truth, with a margin, and cut a forecast that leaves it by far."""
    shown = truth if np.isfinite(truth).any() else forecast
    known = shown[np.isfinite(shown)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    margin = 0.15 * (high - low) or 1.0
    return low - margin, high + margin
