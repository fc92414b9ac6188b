import io
import itertools
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from geodl.errors import OptionError
from geodl.report.comparison import MOST
from geodl.report.figures import to_png
from geodl.report.restoration import denoising_figure, superresolution_figure

RGB = ("B04", "B03", "B02")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def panels(figure: Figure) -> list[np.ndarray]:
    """Arrays of all images, in the order they were drawn."""
    return [image.get_array() for axes in figure.axes for image in axes.images]


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return 255 * np.clip((values - low) / (high - low), 0, 1)


def as_signed(difference: np.ndarray, limit: float) -> np.ndarray:
    """What matplotlib itself makes of a difference with white at zero: uint8 (height, width, 4)."""
    return matplotlib.colormaps["RdBu_r"]((difference / limit + 1) / 2, bytes=True)


def differ(drawn: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(drawn.astype(int) - expected.astype(int)).max())


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Texts drawn upon one another, or beyond the figure."""
    to_png(figure, dpi=100)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    edge = figure.bbox
    outside = [
        (name, "figure") for name, b in boxes if b.x0 < -1 or b.y0 < -1 or b.x1 > edge.x1 + 1 or b.y1 > edge.y1 + 1
    ]
    return outside + [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]


def test_a_row_shares_the_stretch_of_its_truth(rng):
    truth = rng.normal(100, 30, (2, 20, 30, 1)).astype(np.float32)
    noisy, denoised = truth + rng.normal(0, 25, truth.shape), truth + 1
    drawn = panels(denoising_figure(noisy, denoised, truth, bands=("grey",), names="ab"))
    for row in range(2):
        ends = np.percentile(truth[row], [2, 98])
        for image, values in zip(drawn[4 * row :], (noisy, truth, denoised)):
            assert np.abs(image[..., 0] - stretched(values[row, ..., 0], *ends)).max() <= 0.51
            assert (image[..., 3] == 255).all()
    without = panels(denoising_figure(noisy, denoised, bands=("grey",), names="ab"))
    ends = np.percentile(denoised[0], [2, 98])
    assert np.abs(without[0][..., 0] - stretched(noisy[0, ..., 0], *ends)).max() <= 0.51


def test_natural_colours_of_many_bands(rng):
    truth = rng.random((1, 16, 16, 5)).astype(np.float32)
    drawn = panels(denoising_figure(truth, truth, truth, bands=("B08", "B02", "B03", "B04", "x"), names=("a",)))
    each = np.percentile(truth[0, ..., 1:4], [2, 98], axis=(0, 1))
    for channel, band in enumerate((3, 2, 1)):
        # One stretch for all three, so that grey stays grey.
        expected = stretched(truth[0, ..., band], each[0].min(), each[1].max())
        assert np.abs(drawn[0][..., channel] - expected).max() <= 0.51


def test_the_residual_is_the_difference_around_zero(rng):
    noisy, denoised = rng.normal(0, 5, (2, 1, 24, 24, 1))
    figure = denoising_figure(noisy, denoised, bands=("grey",), names=("a",), unit="DN")
    difference, axes = (noisy - denoised)[0, ..., 0], figure.axes[-1]
    limit = np.percentile(np.abs(difference), 99.5)
    assert differ(axes.images[0].get_array(), as_signed(difference, limit)) <= 1
    bar = axes.child_axes[0]
    assert bar.get_ylim() == pytest.approx((-limit, limit)) and bar.get_ylabel() == "noisy − denoised (DN)"
    assert axes.get_title() == "removed: noisy − denoised"


def test_the_error_is_told_by_the_truth_and_unknown_pixels_are_not_drawn(rng):
    noisy, denoised, truth = rng.normal(0, 5, (3, 1, 24, 24, 1))
    denoised[0, :4] = truth[0, :4]
    truth[0, 20:] = np.nan
    figure = denoising_figure(noisy, denoised, truth, bands=("height",), names=("a",), unit="metre")
    axes = figure.axes[-1]
    difference = (denoised - truth)[0, ..., 0]
    drawn = axes.images[0].get_array()
    limit = np.nanpercentile(np.abs(difference), 99.5)
    assert differ(drawn[:20], as_signed(difference[:20], limit)) <= 1
    assert (drawn[:4, :, :3] >= 246).all() and not drawn[20:, :, 3].any()
    assert axes.child_axes[0].get_ylabel() == "denoised − truth (m)"
    assert axes.get_title() == "error: denoised − truth"


def test_of_several_bands_the_largest_difference_is_drawn(rng):
    noisy, denoised = rng.normal(0, 5, (2, 1, 24, 24, 3))
    figure = denoising_figure(noisy, denoised, bands=RGB, names=("a",))
    difference = (noisy - denoised)[0].reshape(-1, 3)
    largest = np.array([row[np.abs(row).argmax()] for row in difference]).reshape(24, 24)
    limit = np.percentile(np.abs(largest), 99.5)
    assert differ(figure.axes[-1].images[0].get_array(), as_signed(largest, limit)) <= 1
    assert figure.axes[-1].child_axes[0].get_ylabel() == "noisy − denoised (no unit)\nlargest of 3 bands"


def test_scale_bars_are_as_long_as_they_say(rng):
    images = rng.random((2, 40, 50, 1))
    figure = denoising_figure(images, images, bands=("a",), names="ab", metres=[30.0, None])
    (bar,) = figure.axes[0].lines
    assert figure.axes[0].texts[0].get_text() == "200 m"
    assert np.ptp(bar.get_xdata()) * 30 == pytest.approx(200)
    assert not figure.axes[3].lines


@pytest.mark.parametrize("unit", ["intensity", "amplitude"])
def test_radar_shows_the_ratio_of_intensities_around_one(rng, unit):
    power = 1 if unit == "intensity" else 2
    denoised = rng.gamma(50, 1 / 50, (1, 24, 24, 2)) + 1
    noisy = denoised * rng.gamma(4, 1 / 4, denoised.shape) ** (1 / power)
    figure = denoising_figure(noisy, denoised, bands=("VV", "VH"), names=("a",), unit=unit)
    ratio = figure.axes[-1].images[0]
    assert np.allclose(ratio.get_array(), (noisy / denoised)[0, ..., 0] ** power)
    assert ratio.norm(1.0) == pytest.approx(0.5) and ratio.norm(0.0) == 0
    decibels = [10 * power * np.log10(values[0, ..., 0]) for values in (noisy, denoised)]
    ends = np.percentile(decibels, [6, 99])
    for image, values in zip(panels(figure), decibels):
        assert np.abs(image[..., 0] - stretched(values, *ends)).max() <= 0.6


def test_decibels_are_subtracted(rng):
    noisy, denoised = rng.normal(-12, 3, (2, 1, 16, 16, 1)).astype(np.float32)
    figure = denoising_figure(noisy, denoised, bands=("VV",), names=("a",), unit="dB")
    difference = (noisy - denoised)[0, ..., 0]
    limit = np.percentile(np.abs(difference), 99.5)
    assert differ(figure.axes[-1].images[0].get_array(), as_signed(difference, limit)) <= 1
    assert figure.axes[-1].child_axes[0].get_ylabel() == "noisy − denoised (dB)"


def test_a_zero_of_radar_is_dark_and_nodata_is_transparent(rng):
    values = rng.gamma(4, 1 / 4, (1, 16, 16, 1))
    values[0, 0, 0], values[0, 1, 1] = 0, np.nan
    noisy, denoised, ratio = panels(denoising_figure(values, values, bands=("VV",), names="a", unit="intensity"))
    for image in (noisy, denoised):
        assert image[0, 0].tolist() == [0, 0, 0, 255]
        assert image[1, 1, 3] == 0
    assert ratio.mask.sum() == 2


def test_nodata_of_any_band_is_left_out_of_picture_and_stretch(rng):
    truth = rng.random((1, 20, 20, 4)).astype(np.float32)
    dirty = truth.copy()
    dirty[0, :5, :, 3], dirty[0, :5, :, 1] = np.nan, 1e6
    drawn = panels(denoising_figure(truth, dirty, dirty, bands=(*RGB, "not drawn"), names=("a",)))
    each = np.percentile(truth[0, 5:, :, :3], [2, 98], axis=(0, 1))
    ends = each[0].min(), each[1].max()
    assert (drawn[0][..., 3] == 255).all()
    assert np.abs(drawn[0][..., 1] - stretched(truth[0, ..., 1], *ends)).max() <= 0.51
    for image in drawn[1:]:
        assert not image[:5, :, 3].any() and (image[5:, :, 3] == 255).all()


@pytest.mark.parametrize("unit", ["", "intensity", "dB"])
def test_one_pixel_and_nothing_at_all(unit):
    one, nothing = np.ones((1, 1, 3), np.float32), np.full((6, 9, 3), np.nan, np.float32)
    figure = denoising_figure([one, nothing], [one, nothing], [one, nothing], bands=RGB, names="ab", unit=unit)
    assert np.asarray(Image.open(io.BytesIO(to_png(figure, dpi=40)))).std() > 0
    assert all((image[..., 3] == 0).all() for image in panels(figure)[4:8])


def test_large_images_are_cut_where_they_are_valid():
    values = np.arange(900, dtype=np.float32)[:, None, None] + np.zeros((900, 400, 1), np.float32)
    values[:500] = np.nan
    figure = denoising_figure([values], [values], bands=("a",), names=("a",))
    assert all(image.shape[:2] == (MOST, MOST) for image in panels(figure))
    assert panels(figure)[0][..., 3].all()
    assert f"Cut to {MOST} × {MOST} pixels at most" in figure.get_supxlabel()


@pytest.mark.parametrize(("shape", "shown"), [((4, 90), (4, 8)), ((90, 4), (6, 4)), ((1, 3), (1, 2))])
def test_long_images_are_cut_so_that_they_can_be_seen(shape, shown):
    values = np.ones((*shape, 1), np.float32)
    for figure in (
        denoising_figure([values], [values], bands=("a",), names="a"),
        superresolution_figure([values], [values], [values], scale=1, bands=("a",), names="a"),
    ):
        assert figure.axes[0].images[0].get_array().shape[:2] == shown
        assert "Cut to" in figure.get_supxlabel()


def test_scores_and_names_stand_where_they_belong(rng):
    images = rng.random((2, 12, 12, 1))
    scores = [{"noisy": {"psnr": 20.168, "ssim": 0.30791}, "denoised": {"psnr": np.nan, "sam": 3.2}}, {}]
    figure = denoising_figure(images, images, bands=("a",), names=("a_$x$_" + "b" * 60, "c"), scores=scores)
    assert [axes.get_title() for axes in figure.axes] == [
        "noisy\nPSNR 20.17 dB · SSIM 0.308", "denoised\nSAM 3.20°", "removed: noisy − denoised", "", "", "",
    ]  # fmt: skip
    assert figure.axes[0].get_ylabel().startswith("a_$x$_bb") and "…" in figure.axes[0].get_ylabel()
    assert figure.axes[3].get_ylabel() == "c"
    assert not overlapping(figure)


def test_images_must_lie_on_the_same_pixels(rng):
    image = rng.random((12, 12, 1))
    with pytest.raises(OptionError, match=r"denoised: expected .*\(12, 12, 1\).*\(11, 12, 1\)"):
        denoising_figure([image], [image[1:]], bands=("a",), names="a")
    with pytest.raises(OptionError, match=r"restored: expected .*\(24, 24, 1\)"):
        superresolution_figure([image], [np.ones((24, 24, 1))], [image], scale=2, bands=("a",), names="a")
    with pytest.raises(OptionError, match="insets"):
        superresolution_figure([image], [image], [image], scale=1, bands=("a",), names="a", insets=5)


@pytest.fixture
def finer(rng):
    """One sample: smooth everywhere, but for two spots in which the restored image has detail."""
    low = (np.arange(48)[:, None] + np.arange(40.0) + 10)[None, ..., None] + np.zeros(3)
    bicubic = low.repeat(2, axis=1).repeat(2, axis=2) + 0.0
    restored = bicubic.copy()
    restored[0, 20:28, 60:68] += rng.normal(0, 9, (8, 8, 1))
    restored[0, 70:78, 10:18] += rng.normal(0, 4, (8, 8, 1))
    return low, bicubic, restored, restored + 0.5


def test_finer_images_share_the_stretch_and_coarse_pixels_are_squares(finer):
    low, bicubic, restored, truth = finer
    drawn = panels(superresolution_figure(low, bicubic, restored, truth, scale=2, bands=RGB, names=("a",)))
    wide = low.repeat(2, axis=1).repeat(2, axis=2)
    each = np.percentile(truth[0], [2, 98], axis=(0, 1))
    ends = each[0].min(), each[1].max()
    for channel in range(3):
        for image, values in zip(drawn[:4], (wide, truth, bicubic, restored), strict=True):
            assert np.abs(image[..., channel] - stretched(values[0, ..., channel], *ends)).max() <= 0.51


def test_insets_show_the_detailed_spots_of_every_image(finer):
    figure = superresolution_figure(*finer, scale=2, bands=RGB, names=("a",))
    overviews, places = figure.axes[:5], figure.axes[5:]
    spots = (slice(20, 28), slice(60, 68)), (slice(70, 78), slice(10, 18))
    for overview, place in zip(overviews, places, strict=True):
        whole = overview.images[0].get_array()
        for frame, inset, (rows, columns) in zip(overview.patches, place.child_axes, spots, strict=True):
            left, top, width, height = (int(v) for v in (*frame.get_xy(), frame.get_width(), frame.get_height()))
            assert top <= rows.start and rows.stop <= top + height and left <= columns.start < left + width
            assert top % 2 == left % 2 == height % 2 == width % 2 == 0
            assert np.array_equal(inset.images[0].get_array(), whole[top : top + height, left : left + width])
            assert inset.spines["left"].get_edgecolor() == frame.get_edgecolor()
    assert not overlapping(figure)


def test_no_insets_and_no_truth(finer):
    low, bicubic, restored, _ = finer
    scores = [{"bicubic": {"psnr": 30.0}, "restored": {"psnr": 33.0}}]
    figure = superresolution_figure(low, bicubic, restored, scale=2, bands=RGB, names=("a",), insets=0, scores=scores)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["low resolution 1 : 2", "bicubic × 2\nPSNR 30.00 dB", "restored × 2\nPSNR 33.00 dB"]
    assert not any(axes.patches for axes in figure.axes)


def test_finer_images_of_one_pixel_and_of_nothing():
    low = [np.ones((1, 1, 1), np.float32), np.full((4, 5, 1), np.nan, np.float32)]
    fine = [image.repeat(3, axis=0).repeat(3, axis=1) for image in low]
    figure = superresolution_figure(low, fine, fine, scale=3, bands=("a",), names="ab")
    assert to_png(figure, dpi=40)
    assert all((image[..., 3] == 0).all() for image in panels(figure)[3:])


def test_large_finer_images_are_cut_to_whole_coarse_pixels():
    low = np.random.default_rng(0).random((150, 200, 1))
    fine = low.repeat(3, axis=0).repeat(3, axis=1)
    first, *others = panels(superresolution_figure([low], [fine], [fine], scale=3, bands=("a",), names="a"))
    assert first.shape[:2] == (339, 339)
    assert all(np.array_equal(first, other) for other in others)
    assert (first[0::3, 0::3] == first[2::3, 2::3]).all()


def test_no_global_state_is_touched(finer):
    superresolution_figure(*finer, scale=2, bands=RGB, names=("a",))
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    assert helpers is None or not helpers.Gcf.figs
