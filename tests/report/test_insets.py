import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geodl.report.insets import detail_areas


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_the_place_of_most_detail_is_found():
    image, other = noise(2, 40, 30, 3)
    difference = image - other
    energy = np.square(difference - ndimage.gaussian_filter(difference, (1, 1, 0), mode="nearest")).sum(axis=-1)
    sums = {(r, c): energy[r : r + 9, c : c + 9].sum() for r in range(32) for c in range(22)}
    (area,) = detail_areas(image, other, count=1, side=9)
    assert (area.row, area.col) == max(sums, key=sums.get)
    assert (area.height, area.width) == (9, 9)


def test_a_slope_is_no_detail():
    image, other = np.zeros((60, 60, 1)), np.arange(60.0)[:, None, None] + np.zeros((60, 60, 1))
    image[45:50, 5:10] += 3 * noise(5, 5, 1)
    (area,) = detail_areas(image, other, count=1, side=8)
    assert area.row <= 45 < 50 <= area.row + 8 and area.col <= 5 < 10 <= area.col + 8


def test_invalid_pixels_are_avoided_and_make_no_detail():
    image = np.full((8, 60, 1), 7.0)
    image[:, 20], image[:, 50] = 100, 90
    image[:, [19, 21]] = np.nan
    (area,) = detail_areas(image, np.zeros_like(image), count=1, side=8)
    assert area.col <= 50 < area.col + 8
    nothing = np.full((12, 12, 1), np.nan)
    assert len(detail_areas(nothing, nothing, count=2, side=4)) == 2


def test_equal_images_show_their_own_detail():
    image = np.ones((40, 40, 1))
    image[4:6, 30:32] = 2
    (area,) = detail_areas(image, image, count=1, side=8)
    assert area.of(image).max() == 2
    flat = np.ones((41, 41, 1))
    assert detail_areas(flat, flat, count=1, side=9)[0][:2] == (16, 16)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9), columns=st.integers(1, 9), step=st.integers(1, 4), side=st.integers(1, 5),
    count=st.integers(0, 5),
)  # fmt: skip
def test_squares_lie_inside_apart_and_on_the_coarse_grid(rows, columns, step, side, count):
    image, other = noise(2, rows * step, columns * step, 2)
    areas = detail_areas(image, other, count=count, side=side * step, step=step)
    covered = np.zeros(image.shape[:2], int)
    for area in areas:
        assert area.row % step == area.col % step == 0
        assert area.of(image).shape[:2] == (area.height, area.width) == (min(side, rows, columns) * step,) * 2
        area.of(covered)[...] += 1
    assert covered.max() <= 1
    assert bool(areas) == bool(count)
