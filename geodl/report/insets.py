"""Where to look closer: places in which two images differ in detail, framed and drawn enlarged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from geodl.metrics.speckle import Area
from geodl.report.axes import draw_raster
from geodl.report.palette import FRAMES

__all__ = ("detail_areas", "draw_frame", "draw_insets")


def detail_areas(image: np.ndarray, other: np.ndarray, *, count: int, side: int, step: int = 1) -> list[Area]:
    """Finds the places where two images differ most in detail: squares that do not overlap.

    Detail is what a Gaussian with a standard deviation of `step` pixels smooths away. Squares with invalid pixels are
    taken only when there are no others, and in a large image a side's width is kept between two. Where the images do
    not differ at all, the detail of the first one counts.

    Args:
        image: shape (height, width, colour), not-a-number where invalid; colours on a comparable scale.
        other: likewise.
        count: squares wanted.
        side: of a square in pixels, a multiple of `step`.
        step: squares begin at multiples of it, so that they hold whole pixels of a grid so much coarser.

    Returns:
        Areas, the most different first; fewer than `count` where there is no room.

    Example:
        >>> image = np.zeros((64, 64, 1))
        >>> image[40:44, 20:24] = np.random.rand(4, 4, 1)
        >>> bool(detail_areas(image, 0 * image, count=1, side=16)[0].of(image).any())
        True
    """
    difference = image - other
    energy, own = _detail(difference, step), _detail(image, step)
    if energy.sum() <= 1e-9 * own.sum():
        energy = own
    height, width = energy.shape
    side = min(side, height, width)
    rows, columns = (np.arange(0, size - side + 1, step) for size in (height, width))
    off_centre = np.hypot(rows[:, None] - (height - side) / 2, columns - (width - side) / 2)
    invalid = _sums(~np.isfinite(difference).all(axis=-1), side, step) / side**2
    scores = _sums(energy, side, step) / (energy.sum() or 1) - 2 * (invalid > 0) - invalid
    # Among equal places the middle one.
    scores -= 1e-6 * off_centre / max(height, width)
    apart = 2 * side if min(height, width) >= 6 * side else side
    found: list[Area] = []
    while len(found) < count and np.isfinite(scores).any():
        row, column = np.unravel_index(np.argmax(scores), scores.shape)
        top, left = int(rows[row]), int(columns[column])
        found.append(Area(top, left, side, side))
        scores[np.ix_(np.abs(rows - top) < apart, np.abs(columns - left) < apart)] = -np.inf
    return found


def draw_frame(axes: Axes, area: Area, colour: str, name: str = "") -> None:
    """Frames an area of the image that the axes show in pixels, its name in the middle."""
    frame = Rectangle((area.col, area.row), area.width, area.height, fill=False, edgecolor=colour, linewidth=1.6)
    frame.set_path_effects([withStroke(linewidth=3, foreground="black")])
    axes.add_patch(frame)
    if name:
        middle = area.col + area.width / 2, area.row + area.height / 2
        text = axes.text(*middle, name, ha="center", va="center", clip_on=True)
        text.set(color=colour, fontsize=9, fontweight="bold", parse_math=False)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="black")])


def draw_insets(axes: Axes, painted: np.ndarray, areas: Sequence[Area], *, room: int) -> None:
    """Draws areas of a painted image (height, width, 4) side by side, each with its frame's colour around it.

    Args:
        axes: what they fill; it shows nothing else.
        painted: the whole image.
        areas: which.
        room: areas that fit beside each other.
    """
    axes.set_axis_off()
    for place, (area, colour) in enumerate(zip(areas, FRAMES)):
        inset = axes.inset_axes((place / room, 0, 1 / room, 1))
        draw_raster(inset, area.of(painted), None)
        inset.spines[:].set(color=colour, linewidth=2.5)


def _detail(image: np.ndarray, step: int) -> np.ndarray:
    """Energy of what smoothing takes away, over all colours; 0 where invalid."""
    valid = np.isfinite(image).astype(np.float64)
    filled = np.where(valid > 0, image, 0).astype(np.float64)
    total, weight = (ndimage.gaussian_filter(part, step, axes=(0, 1), mode="nearest") for part in (filled, valid))
    smooth = np.divide(total, weight, out=np.zeros_like(total), where=valid > 0)
    return np.sum(valid * (filled - smooth) ** 2, axis=-1)


def _sums(values: np.ndarray, side: int, step: int) -> np.ndarray:
    """Sums over all windows of `side` that begin at multiples of `step`."""
    rows = sliding_window_view(values, side, axis=0)[::step].sum(axis=-1)
    return sliding_window_view(rows, side, axis=1)[:, ::step].sum(axis=-1)
