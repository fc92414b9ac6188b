import math

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.feature import graycomatrix, graycoprops

from geodl.errors import OptionError
from geodl.metrics.speckle import (
    Area,
    co_occurrences,
    enl,
    estimate_looks,
    homogeneous_areas,
    ratio_image,
    ratio_statistics,
    ratio_structure,
    speckle_octiles,
)


def gamma(shape: tuple[int, int], looks: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(looks, 1 / looks, shape)


def scene(looks: float, seed: int = 0) -> np.ndarray:
    """Flat ground on the left, blotches of growing contrast on the right."""
    ground = np.repeat([3.0, 30.0, 9.0, 90.0], 50)[:, None] * np.ones((1, 200))
    blotches = ndimage.gaussian_filter(np.random.default_rng(seed + 1).normal(size=(200, 100)), 2)
    ground[:, 100:] *= np.exp(blotches / blotches.std() * np.linspace(1, 3, 100))
    return ground * gamma((200, 200), looks, seed)


def test_enl_is_that_of_the_gamma_distribution() -> None:
    for looks in (1, 2.5, 16):
        found = enl(7 * gamma((400, 400), looks), [Area(0, 0, 400, 400), Area(200, 100, 200, 300)])
        np.testing.assert_allclose(found, looks, rtol=0.03)
        assert stats.gamma(looks, scale=7 / looks).mean() ** 2 / stats.gamma(looks, scale=7 / looks).var() == (
            pytest.approx(looks)
        )


def test_enl_of_flat_and_unknown_areas() -> None:
    image = np.ones((10, 20))
    image[0, 12] = np.nan
    flat, unknown = enl(image, [Area(0, 0, 10, 10), Area(0, 10, 10, 10)])
    assert flat == math.inf
    assert math.isnan(unknown)
    assert enl(image, []).shape == (0,)


@pytest.mark.parametrize("looks", [1, 4, 10])
def test_looks_are_estimated_where_half_is_texture(looks: float) -> None:
    assert estimate_looks(scene(looks)) == pytest.approx(looks, rel=0.12)


def test_the_most_frequent_looks_are_those_of_a_kernel_density() -> None:
    image = scene(4)
    windows = np.lib.stride_tricks.sliding_window_view(image, (15, 15))[::7, ::7].reshape(-1, 225)
    found = np.log(windows.mean(axis=1) ** 2 / windows.var(axis=1))
    width = 0.9 * min(found.std(), stats.iqr(found) / 1.34) * found.size**-0.2
    grid = np.linspace(found.min(), found.max(), 2000)
    density = stats.gaussian_kde(found, width / found.std(ddof=1))(grid)
    assert estimate_looks(image) == pytest.approx(np.exp(grid[density.argmax()]), rel=0.03)


def test_looks_of_nothing() -> None:
    assert math.isnan(estimate_looks(np.full((40, 40), np.nan)))
    assert math.isnan(estimate_looks(np.ones((5, 5))))
    assert math.isnan(estimate_looks(np.ones((40, 40))))


@pytest.mark.parametrize("looks", [1, 4])
@pytest.mark.parametrize("known", [True, False])
def test_areas_lie_on_flat_ground(looks: int, known: bool) -> None:
    image = scene(looks)
    areas = homogeneous_areas(image, looks=looks if known else None)
    assert 4 <= len(areas) <= 8
    for index, area in enumerate(areas):
        assert area.col + area.width <= 100, area
        assert area.row // 50 == (area.row + area.height - 1) // 50, area
        for other in areas[:index]:
            assert abs(area.row - other.row) >= 25 or abs(area.col - other.col) >= 25
    assert np.median(enl(image, areas)) == pytest.approx(looks, rel=0.15)


def test_areas_leave_out_slopes_nodata_zeros_and_saturation() -> None:
    image = gamma((90, 240), 4)
    image[:, :60] *= np.linspace(1, 9, 60)
    image[40, 90], image[45, 95] = np.nan, 0.0
    image[:, 120:180] = np.minimum(image[:, 120:180], 2.0) + 10
    image[10::20, 125:180:10] = 500.0
    for area in homogeneous_areas(image, looks=4, count=20):
        assert area.col >= 55
        assert np.all(area.of(image) > 0)
        assert area.of(image).max() < 500
    assert homogeneous_areas(image, looks=50) == []
    assert homogeneous_areas(image[:20], looks=4) == []


def test_area_options_are_checked() -> None:
    for options in ({"size": 5}, {"count": 0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            homogeneous_areas(np.ones((50, 50)), **options)


def test_ratio_of_truth_is_speckle() -> None:
    clean = np.exp(ndimage.gaussian_filter(np.random.default_rng(3).normal(0, 9, (300, 300)), 4))
    mean, variance = ratio_statistics(ratio_image(clean * gamma(clean.shape, 4), clean))
    assert mean == pytest.approx(1, abs=0.01)
    assert variance == pytest.approx(0.25, rel=0.03)


def test_ratio_is_unknown_where_either_is() -> None:
    ratio = ratio_image(np.array([[1.0, 0.0, np.nan, 4.0]]), np.array([[2.0, 1.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(ratio, [[0.5, np.nan, np.nan, np.nan]])
    assert ratio_statistics(ratio) == (0.5, 0.0)
    assert all(math.isnan(value) for value in ratio_statistics(np.full((2, 2), np.nan)))


def test_octiles_of_speckle() -> None:
    np.testing.assert_allclose(speckle_octiles(3.5), stats.gamma(3.5, scale=1 / 3.5).ppf(np.arange(1, 8) / 8))


def test_co_occurrences_are_those_of_scikit_image() -> None:
    ratio = gamma((40, 50), 2)
    edges = speckle_octiles(2)
    grey = np.digitize(ratio, edges).astype(np.uint8)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    theirs = graycomatrix(grey, [1], angles, levels=8, symmetric=True).sum(axis=(2, 3))
    pairs, pixels = co_occurrences(ratio, edges)
    np.testing.assert_array_equal(pairs, theirs)
    np.testing.assert_array_equal(pixels, np.bincount(grey.ravel(), minlength=8))


def test_unknown_pixels_have_no_neighbours() -> None:
    ratio = np.array([[0.1, np.nan, 0.1], [np.nan, 9.0, np.nan], [0.1, np.nan, 0.1]])
    pairs, pixels = co_occurrences(ratio, np.array([1.0]))
    np.testing.assert_array_equal(pairs, [[0, 4], [4, 0]])
    np.testing.assert_array_equal(pixels, [4, 1])


def test_structure_against_shuffled_pixels() -> None:
    rng = np.random.default_rng(0)
    ratio = ndimage.gaussian_filter(rng.normal(size=(24, 30)), 0.6)
    grey = np.digitize(ratio, np.quantile(ratio, np.arange(1, 8) / 8)).astype(np.uint8)

    def homogeneity(levels: np.ndarray) -> float:
        table = graycomatrix(levels, [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=8, symmetric=True)
        return graycoprops(table.sum(axis=3, keepdims=True), "homogeneity").item()

    shuffled = np.mean([homogeneity(rng.permutation(grey.ravel()).reshape(grey.shape)) for _ in range(300)])
    expected = 100 * abs(homogeneity(grey) - shuffled) / homogeneity(grey)
    assert ratio_structure(ratio) == pytest.approx(expected, abs=0.15)
    assert expected > 5


def test_structure_of_speckle_and_of_a_lost_edge() -> None:
    pure = gamma((200, 200), 4)
    lost = pure * np.where(np.arange(200) < 100, 0.5, 1.5)
    for looks in (None, 4):
        assert ratio_structure(pure, looks=looks) < 160 / 200
        assert ratio_structure(lost, looks=looks) > 5
    assert ratio_structure(3 * pure) == pytest.approx(ratio_structure(pure))
    assert math.isnan(ratio_structure(np.full((4, 4), np.nan)))
