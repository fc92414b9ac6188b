"""Shaded relief."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from matplotlib.colors import LightSource, Normalize
from pyproj import CRS

from geodl.data.source import Grid
from geodl.report.relief import relief, relief_figure

METRES = Grid(CRS.from_epsg(32616), Affine(90, 0, 700_000, 0, -90, 4_060_000), 40, 50)
DEGREES = Grid(CRS.from_epsg(4326), Affine(1 / 1200, 0, -84.2, 0, -1 / 1200, 36.7), 40, 50)


def hills() -> np.ndarray:
    y, x = np.mgrid[:40, :50] / 6
    return 400 + 60 * np.sin(x) * np.cos(y)


def test_light_is_that_of_matplotlib_before_its_stretch():
    """An image with a slope that faces the light and one in the shade has nothing left to stretch but black and white."""
    heights = hills()
    heights[0] = heights[1] = 400.0
    grey = Normalize(-1e9, 1e9)
    shown = relief(heights, grey, METRES)[..., 1].astype(float)
    shade = LightSource(315, 45).hillshade(heights, vert_exag=4, dx=90, dy=90)
    assert np.corrcoef(shown.ravel(), shade.ravel())[0, 1] > 0.98


def test_equal_slopes_are_equally_bright_whatever_else_is_in_the_image():
    heights, cliff = hills(), hills()
    cliff[:, 40:] += 3000
    one, other = (relief(image, Normalize(300, 500), METRES)[:, :35] for image in (heights, cliff))
    np.testing.assert_array_equal(one, other)


def test_degrees_are_shaded_as_metres_are():
    one, other = (relief(hills(), Normalize(300, 500), grid).astype(int) for grid in (METRES, DEGREES))
    # 74 by 93 metres instead of 90 by 90.
    assert np.abs(one - other).mean() < 6
    assert np.abs(one - other).max() > 0


def test_the_unknown_is_transparent():
    heights = hills()
    heights[5, 7] = np.nan
    opacity = relief(heights, Normalize(300, 500), METRES)[..., 3]
    assert opacity[5, 7] == 0 and (opacity == 255).sum() == heights.size - 1
    assert not relief(np.full((40, 50), np.nan), Normalize(0, 1), METRES)[..., 3].any()


@pytest.mark.parametrize("grid", [METRES, DEGREES, Grid(None, Affine.identity(), 40, 50)])
def test_surfaces_share_their_colours_and_differences_the_scale_of_the_first(grid):
    noise = np.random.default_rng(0).normal(0, 10, (40, 50))
    figure = relief_figure(
        {"noisy": hills() + noise, "truth": hills()}, {"removed": noise, "left": noise / 5}, grid=grid, title="Hills"
    )
    figure.draw_without_rendering()
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ["noisy", "truth", "removed", "left"]
    limits = [panels[name].images[0].get_clim() for name in ("removed", "left")]
    assert limits[0] == limits[1]
    assert limits[0][1] == -limits[0][0] == pytest.approx(np.percentile(np.abs(noise), 99.5))
    assert [axes.get_xlabel() for axes in figure.axes[4:]] == ["elevation (m)", "difference (m)"]


def test_nothing_known_is_drawn_all_the_same():
    empty = np.full((40, 50), np.nan)
    relief_figure({"noisy": empty}, {"removed": empty}, grid=METRES).draw_without_rendering()
