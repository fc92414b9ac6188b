"""Rain as pictures: one scale of colours for all figures and animations, and forecasts beside what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine

from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.report.axes import draw_raster, height_to_width
from geodl.report.comparison import caption
from geodl.report.palette import NODATA_COLOUR, RAIN
from geodl.report.scalebar import draw_north_arrow, draw_scale_bar

__all__ = (
    "LEVELS",
    "WITHIN",
    "draw_rain",
    "forecast_figure",
    "lead_name",
    "paint_rain",
    "rain_bar",
    "redraw_rain",
)

LEVELS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Rain rates in mm/h at which the colour changes. Below the first there is no rain to be seen: white."""

WITHIN = (0.2, 4.0)
"""Height to width of a field, as far as a page can show it."""

_MOST_COLUMNS = 8
"""Lead times drawn at most."""


def paint_rain(rate: np.ndarray) -> np.ndarray:
    """Gives rain rates their colours: white where it is dry, grey where nothing is known.

    Args:
        rate: mm/h, shape (height, width); not-a-number is nodata.

    Returns:
        uint8 of shape (height, width, 3).

    Example:
        >>> paint_rain(np.array([[0.0, np.nan, 0.1, 3.0]]))[0].tolist()
        [[255, 255, 255], [196, 196, 196], [202, 235, 245], [124, 146, 228]]
    """
    table = np.array([to_rgb(colour) for colour in ("white", *RAIN, NODATA_COLOUR)])
    index = np.where(np.isnan(rate), len(RAIN) + 1, np.digitize(rate, LEVELS))
    return np.rint(255 * table).astype(np.uint8)[index]


def draw_rain(axes: Axes, rate: np.ndarray, grid: Grid | None) -> AxesImage:
    """Draws a rain field where it lies, north up, without coordinates; `draw_scale_bar` may tell how large it is.

    Args:
        axes: where to draw.
        rate: mm/h, shape (height, width) of `grid`, not-a-number where unknown.
        grid: None draws pixels.
    """
    image = draw_raster(axes, paint_rain(rate), grid)
    axes.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axes.patch.set(facecolor=NODATA_COLOUR, hatch=None)
    for spine in axes.spines.values():
        spine.set(color="#888888", linewidth=0.6)
    return image


def redraw_rain(image: AxesImage, rate: np.ndarray) -> None:
    """Shows another field in an image that `draw_rain` drew, of the same shape."""
    # Large fields were decimated by a whole factor.
    step = -(-max(rate.shape) // max(image.get_size()))
    image.set_data(paint_rain(rate[::step, ::step]))


def rain_bar(figure: Figure, axes: Sequence[Axes], *, location: str = "right") -> Colorbar:
    """Draws the scale of colours beside or below axes."""
    colours = ListedColormap(RAIN[:-1]).with_extremes(over=RAIN[-1], under="white")
    scale = ScalarMappable(BoundaryNorm(LEVELS, len(LEVELS) - 1), colours)
    upright = location in ("left", "right")
    width, height = figure.get_size_inches() if upright else figure.get_size_inches()[::-1]
    bar = figure.colorbar(
        scale,
        ax=list(axes),
        location=location,
        extend="both",
        spacing="uniform",
        pad=0.015 if upright else 0.03,
        fraction=0.035,
        # As long as the panels, whatever these are.
        aspect=float(np.clip(30 * height / width, 16, 90)),
    )
    bar.set_ticks(LEVELS, labels=[f"{level:g}" for level in LEVELS])
    bar.ax.tick_params(labelsize=7, length=2)
    bar.minorticks_off()
    bar.set_label("rain rate (mm/h); grey: no data", fontsize=8)
    return bar


def lead_name(minutes: float) -> str:
    """Returns a lead time in words.

    Example:
        >>> lead_name(30), lead_name(90)
        ('+30 min', '+90 min')
    """
    return f"+{minutes:g} min"


def forecast_figure(
    observed: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    *,
    lead_minutes: Sequence[float],
    grid: Grid | None = None,
    last: np.ndarray | None = None,
    start: np.datetime64 | None = None,
    title: str = "",
) -> Figure:
    """Draws a forecast below what came, one column for each lead time, and the forecasts of other methods below it.

    Args:
        observed: mm/h, shape (leads, height, width), not-a-number where unknown.
        forecasts: method → likewise, for example `{"network": …, "advection": …}`, in the order of the rows.
        lead_minutes: from the last observed frame, one for each lead. Of more than eight leads eight are drawn, the
            first and the last among them.
        grid: where all of them lie; None draws pixels.
        last: the last frame that the forecasts know of, shape (height, width): a first column; left out if None.
        start: its time, UTC; the times of the columns are then written too.
        title: above all panels.

    Raises:
        OptionError: the arrays differ in shape, or there are more or fewer lead times than leads.

    Example:
        >>> rain = np.random.gamma(0.3, 4, (3, 40, 50))
        >>> figure = forecast_figure(rain, {"persistence": rain[:1].repeat(3, 0)}, lead_minutes=(10, 20, 30))
    """
    rows = {"observed": observed, **forecasts}
    _check_shapes(rows, lead_minutes, last)
    leads = len(lead_minutes)
    shown = np.unique(np.linspace(0, leads - 1, min(leads, _MOST_COLUMNS)).round().astype(int))
    first = int(last is not None)
    columns = len(shown) + first

    tall = height_to_width(grid, observed.shape[-2:], within=WITHIN)
    width = min(2.1, 11 / columns, 2.6 / tall)
    around = 0.45 + 0.3 * bool(title) + 0.35 * (start is not None)
    figure = Figure(
        figsize=(columns * (width + 0.06) + 1.1, len(rows) * (width * tall + 0.06) + around),
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, compress=True),
    )
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for row, fields in enumerate(rows.values()):
        if first and row:
            panels[row, 0].set_axis_off()
        for axes, lead in zip(panels[row, first:], shown):
            draw_rain(axes, fields[lead], grid)
    if last is not None:
        draw_rain(panels[0, 0], last, grid)
    for row, name in enumerate(rows):
        # The name of a row stands beside its first field.
        panels[row, first if row else 0].set_ylabel(name, fontsize=9, parse_math=False)
    names = [lead_name(lead_minutes[lead]) for lead in shown]
    minutes = [float(lead_minutes[lead]) for lead in shown]
    for axes, name, after in zip(panels[0], ["last frame"] * first + names, [0.0] * first + minutes, strict=True):
        axes.set_title(name if start is None else f"{name}\n{_clock(start, after)}", fontsize=9)
    if grid is not None:
        draw_scale_bar(panels[0, 0], grid)
        draw_north_arrow(panels[0, 0], grid)
    rain_bar(figure, list(panels.flat))
    if start is not None:
        caption(figure, f"Last frame {np.datetime_as_string(start, unit='m').replace('T', ' ')} UTC.")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _check_shapes(rows: Mapping[str, np.ndarray], lead_minutes: Sequence[float], last: np.ndarray | None) -> None:
    shape = rows["observed"].shape
    if len(shape) != 3 or not shape[0]:
        raise OptionError("observed", expected="an array of shape (leads, height, width)", received=shape)
    if len(lead_minutes) != shape[0]:
        raise OptionError("lead_minutes", expected=f"{shape[0]} lead times", received=list(lead_minutes))
    for name, fields in rows.items():
        if fields.shape != shape:
            raise OptionError(f"forecasts[{name!r}]", expected=f"an array of shape {shape}", received=fields.shape)
    if last is not None and last.shape != shape[1:]:
        raise OptionError("last", expected=f"an array of shape {shape[1:]}", received=last.shape)


def _clock(start: np.datetime64, minutes: float) -> str:
    """The time of day, UTC."""
    time = start.astype("datetime64[s]") + np.timedelta64(round(60 * minutes), "s")
    return np.datetime_as_string(time, unit="m").partition("T")[2]
