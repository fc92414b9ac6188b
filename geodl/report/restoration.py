"""Figures of restored images: denoised ones with what was removed, finer ones with a closer look at their detail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast, get_args

import numpy as np
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.metrics.speckle import Area, ratio_image
from geodl.physics.speckle import Unit, to_intensity
from geodl.report.axes import draw_raster
from geodl.report.comparison import (
    MOST,
    Scores,
    caption,
    check_shape,
    colour_bar,
    colours,
    draw_difference,
    excerpt,
    figure_of,
    panel_width,
    row_height,
    shared_ends,
    shorten,
    title,
    unit_sign,
)
from geodl.report.insets import detail_areas, draw_frame, draw_insets
from geodl.report.palette import FRAMES
from geodl.report.picture import are_natural, drawn_bands, paint
from geodl.report.scalebar import draw_scale_bar
from geodl.report.speckle import RADAR, RATIO_LABEL, RATIO_TICKS, decibels, draw_ratio, radar_ends

__all__ = ("denoising_figure", "superresolution_figure")

_HEADINGS = {
    "low": "low resolution 1 : {}",
    "bicubic": "bicubic × {}",
    "restored": "restored × {}",
    "truth": "truth",
    "error": "error: restored − truth",
}
_BASIS = "2–98 % of the {}"
_BASIS_RADAR = f"{RADAR[0]}–{RADAR[1]} % of all its images"


def denoising_figure(
    noisy: Sequence[np.ndarray],
    denoised: Sequence[np.ndarray],
    truth: Sequence[np.ndarray] | None = None,
    *,
    bands: Sequence[str],
    names: Sequence[str],
    scores: Scores | None = None,
    unit: str = "",
    metres: Sequence[float | None] = (),
) -> Figure:
    """Draws samples in rows: noisy | truth | denoised | error, or without a truth noisy | denoised | what was removed.

    The images of a row share one stretch, that of the truth, or of the denoised image. The error is the difference
    denoised − truth, white at zero. What was removed is the difference noisy − denoised, likewise; of radar intensities
    and amplitudes it is the ratio of the intensities, one in the middle of the greys. Of radar the first polarisation is
    drawn, in dB, with a stretch from all images.
    Large and long images are cut to about `MOST` rows and columns, see `geodl.report.comparison.excerpt`.

    Args:
        noisy: shape (height, width, band) each, in `unit`, not-a-number where invalid.
        denoised: likewise.
        truth: likewise; left out if None.
        bands: their names; `geodl.report.picture.drawn_bands` chooses which are drawn.
        names: of the samples, beside them.
        scores: of the panels "noisy" and "denoised" of each sample, above them.
        unit: "intensity", "amplitude" or "dB" for radar, else whatever the values' unit is called.
        metres: that a pixel of each sample is wide on the ground; None draws no scale bar.

    Raises:
        OptionError: the images of a sample differ in shape.

    Example:
        >>> noisy = np.random.rand(1, 32, 32, 1)
        >>> figure = denoising_figure(noisy, 0 * noisy + 0.5, bands=("grey",), names=("scene",), unit="reflectance")
    """
    samples = [
        dict(zip(("noisy", "denoised") if truth is None else ("noisy", "truth", "denoised"), images))
        for images in zip(noisy, *([] if truth is None else [truth]), denoised, strict=True)
    ]
    for images in samples:
        for name, image in images.items():
            check_shape(name, image, images["noisy"].shape)
    radar = unit in get_args(Unit)
    linear = radar and unit != "dB"
    cuts = [excerpt(np.isfinite(images["noisy"]).all(axis=-1)) for images in samples]
    columns = 3 if truth is None else 4
    heights = [row_height(cut, columns) for cut in cuts]

    figure = figure_of(columns, sum(heights) + 0.3 * len(samples) + 0.6, bar=True)
    panels = figure.subplots(len(samples), columns, squeeze=False, height_ratios=heights)
    for number, (row, images, cut) in enumerate(zip(panels, samples, cuts)):
        shown = values = {name: colours(image[cut], bands) for name, image in images.items()}
        if radar:
            shown = {name: image[..., :1] for name, image in values.items()}
        if linear:
            values = {name: to_intensity(image, cast(Unit, unit)) for name, image in shown.items()}
            shown = {name: decibels(image) for name, image in values.items()}
        trusted = [shown["truth" if truth is not None else "denoised"], *shown.values()]
        ends = radar_ends(shown.values()) if radar else shared_ends(trusted, natural=are_natural(bands))
        for axes, (name, image) in zip(row, shown.items()):
            # A radar's zero is no missing value: as dark as can be.
            draw_raster(axes, paint(np.maximum(image, ends[0]) if radar else image, ends), None)
            title(axes, "" if number else name, scores[number].get(name, {}) if scores else {})
        row[0].set_ylabel(shorten(names[number], heights[number]), fontsize=8, parse_math=False)
        draw_scale_bar(row[0], metres[number] if number < len(metres) else None)
        if truth is None and linear:
            drawn = draw_ratio(row[-1], ratio_image(values["noisy"], values["denoised"])[..., 0])
            colour_bar(row[-1], drawn, RATIO_LABEL, ticks=RATIO_TICKS, extend="max")
            title(row[-1], "" if number else "noisy / denoised", {})
        else:
            pair = ("noisy", "denoised") if truth is None else ("denoised", "truth")
            told = " − ".join(pair)
            with np.errstate(invalid="ignore"):
                difference = shown[pair[0]] - shown[pair[1]]
            draw_difference(row[-1], difference, f"{told} ({'dB' if radar else unit_sign(unit)})")
            title(row[-1], "" if number else f"{'removed' if truth is None else 'error'}: {told}", {})
    basis = _BASIS_RADAR if radar else _BASIS.format("truth" if truth is not None else "denoised image")
    note = _how_drawn([f"{bands[drawn_bands(bands)[0]]} in dB"] if radar else bands, basis)
    caption(figure, note + _how_cut((images["noisy"] for images in samples), cuts, MOST))
    return figure


def superresolution_figure(
    low: Sequence[np.ndarray],
    bicubic: Sequence[np.ndarray],
    restored: Sequence[np.ndarray],
    truth: Sequence[np.ndarray] | None = None,
    *,
    scale: int,
    bands: Sequence[str],
    names: Sequence[str],
    scores: Scores | None = None,
    insets: int = 2,
    unit: str = "",
    metres: Sequence[float | None] = (),
) -> Figure:
    """Draws samples in rows: low resolution | truth | bicubic | restored | error, and below each the same places enlarged.

    The error is the difference restored − truth, white at zero.

    The enlarged places are those where the restored image differs most in detail from the bicubic one, see
    `geodl.report.insets.detail_areas`. The images of a row share one stretch, that of the truth, or of the restored
    image. Large and long images are cut to about `MOST` rows and columns, see `geodl.report.comparison.excerpt`.

    Args:
        low: shape (height, width, band) each, not-a-number where invalid; its pixels are drawn as squares.
        bicubic: shape (height · scale, width · scale, band) each.
        restored: likewise.
        truth: likewise; left out if None.
        scale: pixels of the finer grid along one of the coarser.
        bands: their names; `geodl.report.picture.drawn_bands` chooses which are drawn.
        names: of the samples, beside them.
        scores: of the panels "bicubic" and "restored" of each sample, above them.
        insets: places to enlarge, at most 4; fewer are drawn where the image has no room.
        unit: of the values.
        metres: that a pixel of each sample's finer grid is wide on the ground; None draws no scale bar.

    Raises:
        OptionError: an image does not lie on the finer grid, or too many insets are wanted.

    Example:
        >>> low = np.random.rand(1, 32, 32, 1)
        >>> fine = low.repeat(2, axis=1).repeat(2, axis=2)
        >>> figure = superresolution_figure(low, fine, fine, scale=2, bands=("grey",), names=("scene",))
    """
    if not 0 <= insets <= len(FRAMES):
        raise OptionError("insets", expected=f"0 to {len(FRAMES)}", received=insets)
    samples = [
        dict(zip(("low", *([] if truth is None else ["truth"]), "bicubic", "restored"), images))
        for images in zip(low, *([] if truth is None else [truth]), bicubic, restored, strict=True)
    ]
    for images in samples:
        height, width, depth = images["low"].shape
        images["low"] = images["low"].repeat(scale, axis=0).repeat(scale, axis=1)
        for name, image in images.items():
            check_shape(name, image, (height * scale, width * scale, depth))
    cuts = [_aligned_excerpt(images["restored"], scale) for images in samples]
    columns = 3 if truth is None else 5
    heights = [row_height(cut, columns) for cut in cuts]
    below = panel_width(columns) / insets if insets else 0.0

    figure = figure_of(columns, sum(heights) + len(samples) * (below + 0.35) + 0.5, bar=truth is not None)
    ratios = [part for height in heights for part in ((height, below) if insets else (height,))]
    grid = figure.subplots(len(ratios), columns, squeeze=False, height_ratios=ratios)
    for number, (images, cut) in enumerate(zip(samples, cuts)):
        shown = {name: colours(image[cut], bands) for name, image in images.items()}
        trusted = [shown["truth" if truth is not None else "restored"], *shown.values()]
        ends = shared_ends(trusted, natural=are_natural(bands))
        areas = _places(shown["restored"], shown["bicubic"], ends, count=insets, scale=scale)
        panels, *places = grid[number * len(ratios) // len(samples) :][: 1 + bool(insets)]
        panels[0].set_ylabel(shorten(names[number], heights[number]), fontsize=8, parse_math=False)
        for column, name in enumerate([*shown, *([] if truth is None else ["error"])]):
            if name == "error":
                difference = shown["restored"] - shown["truth"]
                painted = draw_difference(panels[column], difference, f"restored − truth ({unit_sign(unit)})")
            else:
                painted = paint(shown[name], ends)
                draw_raster(panels[column], painted, None)
            heading = "" if number else _HEADINGS[name].format(scale)
            title(panels[column], heading, scores[number].get(name, {}) if scores else {})
            for area, colour in zip(areas, FRAMES):
                draw_frame(panels[column], area, colour)
            for axes in places:
                draw_insets(axes[column], painted, areas, room=insets)
        draw_scale_bar(panels[0], metres[number] if number < len(metres) else None)
    note = _how_drawn(bands, _BASIS.format("truth" if truth is not None else "restored image"))
    caption(figure, note + _how_cut((images["low"] for images in samples), cuts, MOST // scale * scale))
    return figure


def _aligned_excerpt(image: np.ndarray, scale: int) -> tuple[slice, slice]:
    """What to show of an image on the finer grid: whole pixels of the coarser one."""
    valid = np.isfinite(image).all(axis=-1)
    rows, columns = excerpt(valid[::scale, ::scale], max(MOST // scale, 1))
    return slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale)


def _places(restored: np.ndarray, bicubic: np.ndarray, ends: np.ndarray, *, count: int, scale: int) -> list[Area]:
    """Areas to enlarge: an eighth of the image wide, 16 to 48 pixels, in whole pixels of the coarser grid."""
    spread = np.where(ends[1] > ends[0], ends[1] - ends[0], 1)
    side = min(max(max(restored.shape[:2]) // 8, 16), 48)
    side = min(-(-side // scale) * scale, *restored.shape[:2])
    return detail_areas(restored / spread, bicubic / spread, count=count, side=side, step=scale)


def _how_drawn(bands: Sequence[str], basis: str) -> str:
    return f"Drawn: {', '.join(bands[index] for index in drawn_bands(bands))}; one stretch per row, {basis}."


def _how_cut(images: Iterable[np.ndarray], cuts: Iterable[tuple[slice, slice]], most: int) -> str:
    whole = all(image[cut].shape == image.shape for image, cut in zip(images, cuts))
    return "" if whole else f" Cut to {most} × {most} pixels at most, long images shorter."
