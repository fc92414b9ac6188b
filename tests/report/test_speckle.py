import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.table import Table

from geodl.errors import OptionError
from geodl.metrics.speckle import Area
from geodl.report.figures import to_png
from geodl.report.speckle import ratio_figure

AREAS = [Area(2, 4, 20, 30), Area(40, 10, 25, 25)]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    clean = np.exp(rng.normal(0, 0.05, (80, 60))) * 3
    return clean * rng.gamma(4, 1 / 4, clean.shape), clean


def cells(figure) -> list[list[str]]:
    (table,) = figure.findobj(Table)
    texts = {place: cell.get_text().get_text() for place, cell in table.get_celld().items()}
    rows, columns = (max(place[axis] for place in texts) + 1 for axis in (0, 1))
    return [[texts[row, column] for column in range(columns)] for row in range(rows)]


def histogram(figure) -> Axes:
    (axes,) = (axes for axes in figure.axes if axes.get_title().startswith("Ratio: "))
    return axes


@pytest.mark.parametrize(
    ("unit", "convert"),
    [("intensity", lambda v: v), ("amplitude", np.sqrt), ("dB", lambda v: 10 * np.log10(v))],
)
def test_the_same_whatever_the_unit(images, unit, convert):
    noisy, clean = images
    figure = ratio_figure(convert(noisy), convert(clean), areas=AREAS, unit=unit)
    left, middle, right = (axes.images[0] for axes in figure.axes[:3])
    assert np.allclose(left.get_array(), np.maximum(10 * np.log10(noisy), left.norm.vmin))
    assert (left.norm.vmin, left.norm.vmax) == (middle.norm.vmin, middle.norm.vmax)
    ends = np.percentile(10 * np.log10(images), [6, 99])
    assert (left.norm.vmin, left.norm.vmax) == pytest.approx(tuple(ends), abs=0.02)
    assert np.allclose(right.get_array(), noisy / clean)
    assert [right.norm(v) for v in (0, 1, 3)] == pytest.approx([0, 0.5, 1])


def test_the_table_holds_each_area_and_the_frames_their_numbers(images):
    noisy, clean = images
    figure = ratio_figure(noisy, clean, areas=AREAS)
    expected, looks = [], []
    for row, col, height, width in AREAS:
        part = np.s_[row : row + height, col : col + width]
        enl = [image[part].mean() ** 2 / image[part].var() for image in (noisy, clean)]
        looks.append(enl[0])
        expected.append([f"{height} × {width}", *(f"{v:,.1f}" for v in enl), f"{(noisy / clean)[part].mean():.3f}"])
    assert [row[1:] for row in cells(figure)[1:3]] == expected
    assert cells(figure)[3][2] == f"{np.mean(looks):.1f}"
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]
    frames = [(*frame.get_xy(), frame.get_width(), frame.get_height()) for frame in figure.axes[0].patches]
    assert frames == [(area.col, area.row, area.width, area.height) for area in AREAS]


def test_the_histogram_stands_beside_the_density_of_speckle(images):
    noisy, clean = images
    axes = histogram(ratio_figure(noisy, clean, looks=4))
    (bars,) = axes.patches
    heights, edges, _ = bars.get_data()
    ratio = noisy / clean
    inside = np.histogram(ratio, edges)[0]
    assert heights == pytest.approx(inside / ratio.size / np.diff(edges))
    curve = axes.lines[0]
    x = curve.get_xdata()
    assert curve.get_ydata() == pytest.approx(4**4 * x**3 * np.exp(-4 * x) / math.gamma(4))
    assert f"mean {ratio.mean():.3f} (ideal 1), variance {ratio.var():.3f} (ideal 0.250)" in axes.get_title()


def test_looks_come_from_the_areas_or_are_left_out(images):
    noisy, clean = images
    found = np.median([area.of(noisy).mean() ** 2 / area.of(noisy).var() for area in AREAS])
    legend = histogram(ratio_figure(noisy, clean, areas=AREAS)).get_legend()
    assert legend.get_texts()[1].get_text() == f"speckle: Gamma(L, 1/L), L = {found:.3g} (from the areas)"
    figure = ratio_figure(noisy, clean)
    assert len(histogram(figure).lines) == 1
    assert not figure.findobj(Table)


def test_nodata_is_left_out_and_zeros_have_no_ratio(images):
    noisy, clean = (image[..., None].copy() for image in images)
    noisy[:10], clean[70:] = np.nan, 0
    figure = ratio_figure(noisy, clean, areas=[*AREAS, Area(0, 0, 8, 8)], looks=4)
    left, middle, right = (axes.images[0].get_array() for axes in figure.axes[:3])
    assert left.mask[:10].all() and not left.mask[10:].any()
    assert not np.ma.getmaskarray(middle).any()
    assert right.mask[:10].all() and right.mask[70:].all() and not right.mask[10:70].any()
    assert cells(figure)[3][2] == "–" and cells(figure)[3][4] == "–"
    assert f"mean {(noisy[10:70] / clean[10:70]).mean():.3f}" in histogram(figure).get_title()


def test_many_areas_are_counted():
    noisy = np.random.default_rng(0).gamma(1, 1, (40, 160))
    figure = ratio_figure(noisy, np.ones_like(noisy), areas=[Area(0, 10 * k, 10, 10) for k in range(16)])
    assert len(cells(figure)) == 1 + 12 + 1 + 1
    assert cells(figure)[13][:2] == ["…", "4 more"]
    assert cells(figure)[1][3] == "∞"


def test_large_images_are_thinned_and_the_figure_says_so():
    noisy = np.ones((3, 2500), np.float32)
    figure = ratio_figure(noisy, noisy)
    assert figure.axes[0].images[0].get_array().shape == (1, 834)
    assert figure.get_supxlabel() == "Drawn: 1 × 834 of 3 × 2500 pixels."


@pytest.mark.parametrize("image", [np.ones((1, 1)), np.full((6, 9, 1), np.nan), np.zeros((5, 5, 2))])
def test_one_pixel_nothing_and_zeros(image):
    assert to_png(ratio_figure(image, image, areas=[Area(0, 0, 1, 1)], title="$5 a_b"), dpi=40)


def test_images_must_lie_on_the_same_pixels():
    with pytest.raises(OptionError, match="denoised"):
        ratio_figure(np.ones((4, 4)), np.ones((4, 5)))
