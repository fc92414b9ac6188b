"""Pictures of one place side by side: the same cut, the same stretch, titles with scores."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from geodl.errors import OptionError
from geodl.report.axes import draw_raster
from geodl.report.palette import CAPTION, signed
from geodl.report.picture import drawn_bands, limits

__all__ = (
    "MOST",
    "PANEL",
    "Scores",
    "caption",
    "check_shape",
    "colour_bar",
    "colours",
    "excerpt",
    "draw_difference",
    "figure_of",
    "panel_width",
    "row_height",
    "shared_ends",
    "shorten",
    "title",
    "unit_sign",
)

Scores = Sequence[Mapping[str, Mapping[str, float]]]
"""For each sample the scores of its panels: panel → metric → value, for example `{"noisy": {"psnr": 20.17}}`."""

PANEL = 2.95
"""Width in inches of one of up to four panels; five are narrower."""

MOST = 340
"""Rows and columns shown at most, so that a pixel of the image is about one of the figure and noise keeps its grain."""


def excerpt(valid: np.ndarray, most: int = MOST) -> tuple[slice, slice]:
    """Returns the part of an image to show: a window with the most valid pixels, nearest to the middle among equals.

    Args:
        valid: shape (height, width).
        most: rows and columns of the window at most. It is no wider than 2 : 1 and no higher than 3 : 2 either, so that
            titles and colour bars have room.
    """
    height, width = (min(side, most) for side in valid.shape)
    height, width = min(height, math.ceil(1.5 * width)), min(width, 2 * height)
    corners = [
        (int(top), int(left))
        for top in np.unique(np.linspace(0, valid.shape[0] - height, 9).astype(int))
        for left in np.unique(np.linspace(0, valid.shape[1] - width, 9).astype(int))
    ]
    middle = (valid.shape[0] - height) / 2, (valid.shape[1] - width) / 2

    def worth(corner: tuple[int, int]) -> tuple[int, float]:
        top, left = corner
        return int(valid[top : top + height, left : left + width].sum()), -math.dist(corner, middle)

    top, left = max(corners, key=worth)
    return slice(top, top + height), slice(left, left + width)


def colours(values: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Returns what is drawn of an image (height, width, band): three bands or one; not-a-number where any is invalid."""
    chosen = values[..., list(drawn_bands(bands))]
    return np.where(np.isfinite(values).all(axis=-1, keepdims=True), chosen, np.nan)


def shared_ends(images: Iterable[np.ndarray], *, natural: bool = False) -> np.ndarray:
    """Returns one stretch for several images: for each colour the percentiles of the first image that is not flat.

    Args:
        images: shape (height, width, colour) each, the one to rely on first.
        natural: whether the colours are those of the eye; then all are stretched alike, so that grey stays grey even in
            a small cut with little colour.

    Returns:
        Values shown black and full, shape (2, colour), as `geodl.report.picture.paint` takes them; not-a-number where
        no image has a valid pixel.
    """
    first, *others = (limits(image) for image in images)
    for ends in others:
        first = np.where((first[1] > first[0]) | np.isnan(ends[0]), first, ends)
    if natural:
        first = np.stack([np.full_like(first[0], first[0].min()), np.full_like(first[1], first[1].max())])
    return first


def panel_width(columns: int) -> float:
    """Returns how many inches each of so many panels beside each other is wide."""
    return PANEL if columns <= 4 else 4 * PANEL / columns


def figure_of(columns: int, height: float, *, bar: bool = False) -> Figure:
    """Returns a figure `height` inches high, with room for so many panels beside each other and for a colour bar."""
    width = columns * (panel_width(columns) + 0.09) + 0.2 + 1.1 * bar
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.04 + 0.06 * bar, h_pad=0.06))


def row_height(cut: tuple[slice, slice], columns: int) -> float:
    """Returns how many inches the panel of an excerpt is high, one of so many beside each other."""
    height, width = (part.stop - part.start for part in cut)
    return panel_width(columns) * height / width


def title(axes: Axes, name: str, scores: Mapping[str, float]) -> None:
    """Writes the name of a column, where given, and the panel's scores above it."""
    # Lines break between scores, not within.
    words = [_score(metric, value).replace(" ", "\xa0") for metric, value in scores.items() if math.isfinite(value)]
    lines = [name] * bool(name) + textwrap.wrap(" · ".join(words), 46)
    axes.set_title("\n".join(lines).replace("\xa0", " "), fontsize=9, parse_math=False)


def _score(metric: str, value: float) -> str:
    name = metric.replace("_", " ").upper()
    if "PSNR" in name or "SRE" in name:
        return f"{name} {value:.2f} dB"
    if "SSIM" in name:
        return f"{name} {value:.3f}"
    return f"{name} {value:.2f}°" if name == "SAM" else f"{name} {value:.4g}"


def shorten(name: str, inches: float) -> str:
    """Returns a name, each line without its middle if that is longer than its place in small letters."""
    most = max(int(inches * 72 / 5), 7)
    return "\n".join(
        line if len(line) <= most else f"{line[: most // 2]}…{line[len(line) - (most - 1) // 2 :]}"
        for line in name.split("\n")
    )


def colour_bar(
    axes: Axes, scale: ScalarMappable, label: str, *, ticks: Sequence[float] | None = None, extend: str = "neither"
) -> None:
    """Draws the colour bar of a panel, right beside it and as high; `extend` says at which ends values go on."""
    bar = axes.figure.colorbar(scale, cax=axes.inset_axes((1.03, 0, 0.045, 1)), ticks=ticks, extend=extend)
    bar.set_label(label, fontsize=8, parse_math=False)
    bar.ax.tick_params(labelsize=7)


def draw_difference(axes: Axes, difference: np.ndarray, label: str) -> np.ndarray:
    """Draws a difference around zero, blue below and red above, with its colour bar; in hatching what is unknown.

    Of several colours that one is drawn, pixel by pixel, in which the difference is largest. The bar ends where 99.5 % of
    the pixels do.

    Args:
        axes: where to draw.
        difference: shape (height, width, colour), not-a-number where unknown.
        label: of the bar, with the unit.

    Returns:
        What was drawn, as colours: uint8 of shape (height, width, 4).
    """
    known = np.isfinite(difference).all(axis=-1)
    filled = np.where(known[..., None], difference, 0)
    largest = np.take_along_axis(filled, np.abs(filled).argmax(axis=-1, keepdims=True), axis=-1)[..., 0]
    sizes = np.abs(largest[known])
    limit = float(np.percentile(sizes, 99.5)) if sizes.size else 0.0
    scale = ScalarMappable(Normalize(-limit or -1.0, limit or 1.0), signed())
    painted = scale.to_rgba(np.ma.masked_array(largest, ~known), bytes=True)
    draw_raster(axes, painted, None)
    which = "" if difference.shape[-1] == 1 else f"\nlargest of {difference.shape[-1]} bands"
    colour_bar(axes, scale, f"{label}{which}", extend="both")
    return np.asarray(painted)


def unit_sign(unit: str) -> str:
    """Returns a unit as an axis is labelled with it; "no unit" where none is stated.

    Example:
        >>> unit_sign("metre"), unit_sign("reflectance"), unit_sign("")
        ('m', 'reflectance', 'no unit')
    """
    return {"metre": "m", "degree": "°", "degrees": "°", "kelvin": "K", "": "no unit"}.get(unit, unit)


def caption(figure: Figure, text: str) -> None:
    """Writes below all panels how they were drawn."""
    most = int(figure.get_figwidth() * 72 / 4.2)
    figure.supxlabel(textwrap.fill(text, most), fontsize=8, color=CAPTION, parse_math=False)


def check_shape(name: str, values: np.ndarray, expected: tuple[int, ...]) -> None:
    """Refuses an image that does not lie on the other one's pixels.

    Raises:
        OptionError: the shape is not the expected one.
    """
    if values.shape != expected:
        raise OptionError(name, expected=f"an image of shape {expected}", received=values.shape)
