import math

import numpy as np
import pytest
from scipy import ndimage, stats

from geodl.errors import OptionError
from geodl.metrics.edges import (
    edge_contrasts,
    edge_preservation,
    edge_preservation_degree,
    edge_preservation_index,
)


def blocks(seed: int = 0) -> np.ndarray:
    """A town of squares of 24 pixels, 1 to 100."""
    levels = 10 ** np.random.default_rng(seed).uniform(0, 2, (8, 8))
    return np.kron(levels, np.ones((24, 24)))


def speckled(clean: np.ndarray, looks: float, seed: int = 1) -> np.ndarray:
    return clean * np.random.default_rng(seed).gamma(looks, 1 / looks, clean.shape)


def test_index_is_the_correlation_of_laplacians() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(20, 25))
    filtered = ndimage.gaussian_filter(clean, 1) + rng.normal(0, 0.1, clean.shape)
    one, other = (ndimage.laplace(image, mode="nearest").ravel() for image in (clean, filtered))
    assert edge_preservation_index(clean, filtered) == pytest.approx(stats.pearsonr(one, other).statistic, abs=1e-12)
    assert edge_preservation_index(clean, 3 * clean + 7) == pytest.approx(1.0)
    assert edge_preservation_index(clean, -clean) == pytest.approx(-1.0)


def test_index_leaves_out_neighbours_of_nodata() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(12, 12))
    filtered = clean + rng.normal(0, 0.3, clean.shape)
    one, other = (ndimage.laplace(image, mode="nearest") for image in (clean, filtered))
    away = np.ones(clean.shape, bool)
    away[[4, 5, 6, 5, 5], [7, 6, 7, 7, 8]] = False
    clean[5, 7] = np.nan
    expected = stats.pearsonr(one[away], other[away]).statistic
    assert edge_preservation_index(clean, filtered) == pytest.approx(expected, abs=1e-12)
    assert math.isnan(edge_preservation_index(np.full((5, 5), np.nan), filtered[:5, :5]))
    assert math.isnan(edge_preservation_index(clean, np.ones_like(clean)))


def test_degree_on_paper() -> None:
    noisy = np.array([[1.0, 2.0], [4.0, 8.0]])
    filtered = np.array([[2.0, 2.0], [2.0, 4.0]])
    down, across = (2 / 2 + 2 / 4) / (1 / 4 + 2 / 8), (2 / 2 + 2 / 4) / (1 / 2 + 4 / 8)
    assert edge_preservation_degree(noisy, filtered) == pytest.approx((down + across) / 2)
    assert edge_preservation_degree(noisy, noisy) == 1.0
    holed = np.pad(noisy, 1, constant_values=0.0)
    holed[0] = np.nan
    assert edge_preservation_degree(holed, np.pad(filtered, 1)) == edge_preservation_degree(noisy, filtered)
    assert math.isnan(edge_preservation_degree(np.zeros((3, 3)), np.ones((3, 3))))


@pytest.mark.parametrize("looks", [1, 4])
def test_truth_keeps_all_contrast_and_blur_loses_it(looks: float) -> None:
    clean = blocks()
    noisy = speckled(clean, looks)

    def kept(filtered: np.ndarray) -> float:
        return edge_preservation(noisy, filtered, looks=looks)

    assert kept(clean) == pytest.approx(1.0, abs=0.05)
    assert kept(noisy) == pytest.approx(1.0, abs=1e-12)
    assert kept(np.ones_like(clean)) == 0.0
    assert kept(np.sqrt(clean)) == pytest.approx(kept(clean) / 2, rel=0.1)
    assert kept(clean) > kept(ndimage.gaussian_filter(clean, 1)) > kept(ndimage.gaussian_filter(clean, 3)) > 0


def test_wide_spacing_serves_correlated_speckle() -> None:
    from geodl.physics.speckle import add_speckle

    clean = blocks()
    noisy = add_speckle(clean, 4, unit="intensity", rng=np.random.default_rng(0), correlation=0.7)
    assert edge_preservation(noisy, clean, looks=4, spacing=3) == pytest.approx(1.0, abs=0.05)


def test_share_of_false_alarms_in_pure_speckle() -> None:
    pure = speckled(np.ones((300, 300)), 3)
    options = {"looks": 3, "window": 3, "spacing": 2, "false_alarms": 0.02}
    *_, edges = edge_contrasts(pure, pure, np.ones(pure.shape, bool), **options)
    boundaries = 2 * 2 * (300 - 12 + 1) * (300 - 6 + 1)
    assert edges / boundaries == pytest.approx(0.02, rel=0.15)


def test_nodata_hides_boundaries_near_it() -> None:
    clean = np.where(np.arange(40)[None, :] < 20, 1.0, 50.0) * np.ones((40, 1))
    noisy = speckled(clean, 4)
    halved = noisy.copy()
    halved[:20] = np.nan
    expected = edge_preservation(noisy[20:], clean[20:], looks=4)
    assert edge_preservation(halved, clean, looks=4) == pytest.approx(expected, rel=0.1)
    counted = np.zeros(noisy.shape, bool)
    assert edge_contrasts(noisy, clean, counted, looks=4) == (0.0, 0.0, 0)
    counted[20, 19] = True
    assert edge_contrasts(noisy, clean, counted, looks=4)[2] == 2
    assert math.isnan(edge_preservation(np.full((40, 40), np.nan), clean, looks=4))
    assert math.isnan(edge_preservation(noisy[:8, :8], clean[:8, :8], looks=4))


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="spacing"):
        edge_preservation(np.ones((20, 20)), np.ones((20, 20)), looks=1, spacing=0)
