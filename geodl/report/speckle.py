"""Figures of despeckled radar: what was removed should be speckle, the same everywhere, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from scipy import stats

from geodl.metrics.speckle import Area, enl, ratio_image, ratio_statistics
from geodl.physics.speckle import Unit, to_intensity
from geodl.report.axes import draw_raster
from geodl.report.comparison import caption, check_shape
from geodl.report.insets import draw_frame
from geodl.report.palette import BACKDROP, CAPTION, FRAMES, INK, NETWORK
from geodl.report.picture import limits

__all__ = ("RADAR", "RATIO_LABEL", "RATIO_TICKS", "decibels", "draw_ratio", "radar_ends", "ratio_figure")

RADAR = (6, 99)
"""Percentiles in dB shown black and white: the logarithm of speckle has a long dark tail."""

RATIO_LABEL = "ratio of intensities (no unit)"
RATIO_TICKS = (0.0, 0.5, 1.0, 2.0, 3.0)

_MOST_AREAS = 12
"""Areas that the table tells of."""


def ratio_figure(
    noisy: np.ndarray,
    denoised: np.ndarray,
    *,
    areas: Sequence[Area] = (),
    looks: float | None = None,
    unit: Unit = "intensity",
    title: str = "",
) -> Figure:
    """Draws noisy | denoised | ratio image, and below the ratio's histogram beside that of speckle, and a table.

    What an ideal filter removes is speckle without structure: the ratio of the intensities, noisy / denoised, then
    follows Gamma(L, 1/L), its mean is 1 and its variance 1/L (Gomez et al. 2017). Images are drawn whole; of
    large ones every k-th row and column, so that no side has more than 1200; the figure then says so. The histogram and
    the table use all pixels.

    Args:
        noisy: shape (height, width, band) or (height, width), in `unit`, not-a-number where invalid; the first band is
            drawn.
        denoised: likewise. There is a ratio only where both are above zero.
        areas: homogeneous areas, for example from `geodl.metrics.speckle.homogeneous_areas`; framed and numbered, and
            each with its equivalent numbers of looks in the table, as far as that has room.
        looks: of the noisy image; None takes the median equivalent number of looks of the areas.
        unit: of both images.
        title: above all panels.

    Raises:
        OptionError: the two images differ in shape.

    Example:
        >>> noisy = np.random.default_rng(0).gamma(4, 1 / 4, (64, 64, 1))
        >>> figure = ratio_figure(noisy, np.ones_like(noisy), areas=[Area(8, 8, 32, 32)], looks=4)
    """
    check_shape("denoised", denoised, noisy.shape)
    noisy, denoised = (image.reshape(*image.shape[:2], -1)[..., 0] for image in (noisy, denoised))
    above, below = to_intensity(noisy, unit), to_intensity(denoised, unit)
    ratio = ratio_image(above, below)
    means = [ratio_statistics(area.of(ratio))[0] for area in areas]
    table = np.array([enl(above, areas), enl(below, areas), means]).T
    known = table[np.isfinite(table[:, 0]), 0]
    guessed = looks is None and bool(known.size)
    looks = float(np.median(known)) if guessed else looks

    tall = min(max(noisy.shape[0] / noisy.shape[1], 0.1), 1.5)
    lower = max(2.7, 0.8 + 0.2 * (min(len(areas), _MOST_AREAS) + 2))
    figure = Figure(
        figsize=(13, 4.2 * tall + lower + (1.5 if title else 1.0)),
        layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.08),
    )
    spec = figure.add_gridspec(2, 1, height_ratios=(4.2 * tall + 0.6, lower))
    upper, lowest = spec[0].subgridspec(1, 3), spec[1].subgridspec(1, 2, width_ratios=(1.25, 1))
    panels = [figure.add_subplot(upper[0, column]) for column in range(3)]
    images = {"noisy (dB)": decibels(above), "denoised (dB)": decibels(below)}
    low, high = radar_ends(images.values())[:, 0]
    for axes, (name, shown) in zip(panels, images.items()):
        style = {"cmap": "gray", "norm": Normalize(low, high)}
        drawn = draw_raster(axes, np.ma.masked_invalid(np.maximum(shown, low)), None, **style)
        axes.set_title(name, fontsize=10)
    removed = draw_ratio(panels[2], ratio)
    panels[2].set_title("ratio: noisy / denoised", fontsize=10)
    for image, owners, label, ticks in (
        (drawn, panels[:2], "intensity (dB), both images", None),
        (removed, panels[2:], RATIO_LABEL, RATIO_TICKS),
    ):
        bar = figure.colorbar(image, ax=owners, location="bottom", aspect=30 * len(owners), pad=0.03, ticks=ticks)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    for number, area in enumerate(areas, start=1):
        draw_frame(panels[0], area, FRAMES[0], str(number))
    _draw_histogram(figure.add_subplot(lowest[0]), ratio, looks, source=" (from the areas)" if guessed else "")
    _draw_table(figure.add_subplot(lowest[1]), areas, table)
    rows, columns = drawn.get_size()
    if (rows, columns) != noisy.shape:
        caption(figure, f"Drawn: {rows} × {columns} of {noisy.shape[0]} × {noisy.shape[1]} pixels.")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def decibels(intensity: np.ndarray) -> np.ndarray:
    """Returns intensities in dB: -infinity where there is none at all, not-a-number where invalid."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.maximum(intensity, 0))


def radar_ends(images: Iterable[np.ndarray]) -> np.ndarray:
    """Returns one stretch for images in dB, shape (2, 1), as `geodl.report.picture.paint` takes it.

    It is the percentiles `RADAR` of the pixels of all images: the range of the denoised one alone is so narrow that
    the speckle of the noisy one would be black and white. Alike images get 5 dB to either side.
    """
    pixels = np.concatenate([image[np.isfinite(image)] for image in images])
    ends = np.nan_to_num(limits(pixels.reshape(1, -1, 1), percentiles=RADAR))
    return ends if ends[1] > ends[0] else ends + np.array([[-5], [5]])


def draw_ratio(axes: Axes, ratio: np.ndarray) -> AxesImage:
    """Draws a ratio image, 1 in the middle of the greys, 3 and above white."""
    norm = TwoSlopeNorm(1, vmin=0, vmax=3)
    return draw_raster(axes, np.ma.masked_invalid(ratio), None, cmap="gray", norm=norm)


def _draw_histogram(axes: Axes, ratio: np.ndarray, looks: float | None, *, source: str) -> None:
    values = ratio[np.isfinite(ratio)]
    mean, variance = ratio_statistics(ratio)
    most = 4.0 if looks is None else float(np.clip(stats.gamma.ppf(0.999, looks, scale=1 / looks), 2, 6))
    edges = np.linspace(0, most, 101)
    heights = np.histogram(values, edges)[0] / (max(len(values), 1) * edges[1])
    axes.stairs(heights, edges, fill=True, color=BACKDROP, label="ratio image")
    if looks is not None:
        x = np.linspace(0, most, 401)
        name = f"speckle: Gamma(L, 1/L), L = {looks:.3g}{source}"
        axes.plot(x, stats.gamma.pdf(x, looks, scale=1 / looks), color=NETWORK, linewidth=1.6, label=name)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")
    ideal = "" if looks is None else f" (ideal {1 / looks:.3f})"
    found = f"mean {mean:.3f} (ideal 1), variance {variance:.3f}{ideal}" if len(values) else "no data"
    axes.set_title(f"Ratio: {found}", fontsize=10)
    # The density of less than one look is infinite at zero.
    axes.set(xlim=(0, most), ylim=(0, 1.25 * max(heights.max(), 0.4)))
    axes.set_xlabel(RATIO_LABEL, fontsize=8)
    axes.set_ylabel("density", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_table(axes: Axes, areas: Sequence[Area], values: np.ndarray) -> None:
    """Lists the areas' equivalent numbers of looks and mean ratios, and the medians of all areas."""
    axes.set_axis_off()
    axes.set_title("Equivalent number of looks (ENL) of homogeneous areas", fontsize=10)
    if not areas:
        axes.text(0.5, 0.9, "no homogeneous area", ha="center", va="top", fontsize=9, color=CAPTION)
        return
    cells = [
        [str(number), f"{area.height} × {area.width}", *_cells(row)]
        for number, (area, row) in enumerate(zip(areas, values), start=1)
    ][:_MOST_AREAS]
    if len(areas) > _MOST_AREAS:
        cells.append(["…", f"{len(areas) - _MOST_AREAS} more", "", "", ""])
    known = values[~np.isnan(values).any(axis=1)]
    medians = np.median(known, axis=0) if len(known) else np.full(3, np.nan)
    cells.append(["all", "median", *_cells(medians)])
    columns = ("area", "pixels", "ENL noisy", "ENL denoised", "mean ratio")
    table = axes.table(cells, colLabels=columns, loc="upper center", cellLoc="center", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(9)


def _cells(values: np.ndarray) -> list[str]:
    """Two equivalent numbers of looks and a mean ratio in words; what is not known is a dash."""
    formats = ("{:,.1f}", "{:,.1f}", "{:.3f}")
    return ["–" if np.isnan(v) else "∞" if np.isinf(v) else text.format(v) for text, v in zip(formats, values)]
