"""Animated pictures of a forecast of rain, with what came above it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.report.axes import height_to_width
from geodl.report.palette import INK, NODATA_COLOUR, RAIN
from geodl.report.rain import WITHIN, draw_rain, lead_name, rain_bar, redraw_rain
from geodl.report.scalebar import draw_north_arrow, draw_scale_bar
from geodl.wholefile import whole_file

__all__ = ("animate",)

_FORECAST = "#a23b00"
"""Colour of the headings of forecast fields, dark enough for letters."""
_GREYS = 24
"""Shades that smooth letters and lines."""


def animate(
    observed: np.ndarray,
    forecast: np.ndarray,
    *,
    times: np.ndarray,
    path: str | Path,
    grid: Grid | None = None,
    name: str = "forecast",
    title: str = "",
    seconds: float = 0.5,
    pause: float = 1.5,
) -> Path:
    """Writes an animated GIF, observed above forecast: first the frames that the forecast knows of, then its lead times.

    Until the forecast starts the lower half shows what was observed too. All frames share one palette, so that a
    colour is one rain rate throughout. The file is written under a temporary name and renamed when it is whole.

    Args:
        observed: mm/h, shape (times, height, width), not-a-number where unknown. It may end before `times` does: what
            has not come yet is drawn as unknown.
        forecast: mm/h, shape (leads, height, width), for the last so many of `times`.
        times: of all frames, datetime64, UTC, shape (times,): at least one before the forecast's.
        path: of the file; one that is there is replaced.
        grid: where the fields lie; None draws pixels, without a scale bar.
        name: of the forecast, above it.
        title: above both halves.
        seconds: that each frame is shown.
        pause: seconds that the last frame is shown more.

    Returns:
        The path.

    Raises:
        OptionError: arrays and times do not fit together.
        OutputUnwritable: no permission, disk full.

    Example:
        >>> rain = np.random.default_rng(0).gamma(0.3, 4, (6, 40, 50))
        >>> times = np.datetime64("2024-06-01T12:00") + np.arange(6) * np.timedelta64(10, "m")
        >>> path = animate(rain, rain[2:5], times=times, path="forecast.gif")
    """
    past = _past_frames(observed, forecast, times)
    unknown = np.full(forecast.shape[1:], np.nan, np.float32)
    figure = _figure(grid, unknown.shape, title)
    canvas = FigureCanvasAgg(figure)
    halves = figure.subplots(2, 1)
    images = [draw_rain(axes, unknown, grid) for axes in halves]
    rain_bar(figure, list(halves))
    if grid is not None:
        draw_scale_bar(halves[0], grid)
        draw_north_arrow(halves[0], grid)
    headings = [axes.set_title(name, loc="left", fontsize=9, parse_math=False) for axes in halves]
    words = textwrap.fill(title, int(figure.get_figwidth() * 72 / 6))
    heading = figure.suptitle(f"{words}\n0000-00-00".strip(), fontsize=10, parse_math=False)
    # Laid out once: what is drawn must not move about.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")

    pages = []
    for k, time in enumerate(times):
        upper = observed[k] if k < len(observed) else unknown
        redraw_rain(images[0], upper)
        redraw_rain(images[1], upper if k < past else forecast[k - past])
        headings[0].set_text("observed" if k < len(observed) else "not observed yet")
        minutes = (time - times[past - 1]) / np.timedelta64(1, "s") / 60
        headings[1].set_text("observed" if k < past else f"{name} {lead_name(minutes)}")
        headings[1].set_color(INK if k < past else _FORECAST)
        heading.set_text(f"{words}\n{np.datetime_as_string(time, unit='m').replace('T', ' ')} UTC".strip())
        canvas.draw()
        pages.append(_indexed(np.asarray(canvas.buffer_rgba())[..., :3]))
    duration = [round(1000 * seconds)] * len(pages)
    duration[-1] += round(1000 * pause)
    return _write(pages, duration, Path(path))


def _figure(grid: Grid | None, shape: tuple[int, ...], title: str) -> Figure:
    """A figure of at most about 600 × 900 pixels."""
    tall = height_to_width(grid, shape, within=WITHIN)
    width = min(4.6, 3.9 / tall)
    return Figure(
        figsize=(max(width, 1.8) + 0.9, 2 * (width * tall + 0.3) + (0.6 if title else 0.35)),
        dpi=100,
        layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05, compress=True),
    )


def _past_frames(observed: np.ndarray, forecast: np.ndarray, times: np.ndarray) -> int:
    """How many frames come before the forecast."""
    if forecast.ndim != 3 or not len(forecast):
        raise OptionError("forecast", expected="an array of shape (leads, height, width)", received=forecast.shape)
    past = len(times) - len(forecast)
    if past < 1:
        expected = f"those of {len(forecast)} leads, and of one frame before them at least"
        raise OptionError("times", expected=expected, received=f"{len(times)} times")
    if observed.shape[1:] != forecast.shape[1:] or not past <= len(observed) <= len(times):
        height, width = forecast.shape[1:]
        expected = f"an array of shape ({past} to {len(times)}, {height}, {width})"
        raise OptionError("observed", expected=expected, received=observed.shape)
    return past


def _indexed(picture: np.ndarray) -> Image.Image:
    """Brings a picture (height, width, 3) to the palette that all frames share."""
    greys = [[level / (_GREYS - 1)] * 3 for level in range(_GREYS)]
    named = [to_rgb(colour) for colour in (*RAIN, NODATA_COLOUR, _FORECAST)]
    # Letters in colour fade into the white around them.
    faded = [[1 - share * (1 - part) for part in to_rgb(_FORECAST)] for share in (0.25, 0.5, 0.75)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * np.array([*greys, *named, *faded])).astype(np.uint8).tobytes())
    return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)


def _write(pages: list[Image.Image], duration: list[int], path: Path) -> Path:
    """Writes frames, milliseconds each: whole or not at all."""
    with whole_file(path) as temporary:
        pages[0].save(
            temporary, format="GIF", save_all=True, append_images=pages[1:], duration=duration, loop=0, optimize=False
        )
    return path
