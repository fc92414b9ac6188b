import numpy as np
import pytest
from scipy import ndimage
from scipy.special import digamma, polygamma
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from geodl.baselines import Baseline, Bicubic, Identity, NonLocalMeans, TotalVariation
from geodl.errors import NoValidPixels, OptionError
from geodl.physics.sensor import enlarge


class Pairs:
    """Samples held in memory; a stand-in for degraded scenes."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def read(self, index, rng):
        return self.x[index], self.y[index], np.isfinite(self.y[index]).all(axis=-1).astype(np.float32)


def smooth(rng: np.random.Generator, shape: tuple[int, int, int], bands: int = 1) -> np.ndarray:
    """Fields between 0 and 1, with edges."""
    field = ndimage.gaussian_filter(rng.normal(size=(*shape, bands)), (0, 4, 4, 0))
    return (0.2 + 0.6 * (field > 0) + field).clip(0, 1).astype(np.float32)


def noisy(rng: np.random.Generator, y: np.ndarray, sigma: float | np.ndarray) -> np.ndarray:
    return (y + sigma * rng.normal(size=y.shape)).astype(np.float32)


def speckled(rng: np.random.Generator, y: np.ndarray, looks: float) -> np.ndarray:
    return (y * np.sqrt(rng.gamma(looks, 1 / looks, y.shape))).astype(np.float32)


def by_hand(kind: type, band: np.ndarray, sigma: float, strength: float) -> np.ndarray:
    band = band.astype(float)
    if kind is NonLocalMeans:
        return denoise_nl_means(band, patch_size=7, patch_distance=11, h=strength * sigma, sigma=sigma)
    return denoise_tv_chambolle(band, weight=strength * sigma, eps=1e-5)


tuned = pytest.mark.parametrize("kind", [NonLocalMeans, TotalVariation])


@pytest.mark.parametrize("baseline", [Identity(), Bicubic(2), NonLocalMeans(), TotalVariation()])
def test_are_baselines(baseline: object) -> None:
    assert isinstance(baseline, Baseline)


def test_identity_and_bicubic() -> None:
    x = smooth(np.random.default_rng(0), (2, 12, 9), bands=3)
    x[0, 3, 4] = np.nan
    np.testing.assert_array_equal(Identity().fit(Pairs(x, x))(x), x)
    finer = Bicubic(2).fit(Pairs(x, x))(x)
    assert finer.shape == (2, 24, 18, 3) and finer.dtype == np.float32
    np.testing.assert_array_equal(finer[0], enlarge(x[0], 2))
    assert np.isnan(finer[0, 6:8, 8:10]).all() and np.isfinite(finer[1]).all()


@tuned
def test_is_scikit_image_s_filter_told_the_noise_of_each_band(kind: type) -> None:
    rng = np.random.default_rng(1)
    sigma = np.array([10.0, 0.3])
    y = smooth(rng, (2, 40, 36), bands=2) * (sigma * 5).astype(np.float32)
    x = noisy(rng, y, sigma)
    baseline = kind().fit(Pairs(x, y))
    np.testing.assert_allclose(baseline.sigma, sigma, rtol=0.05)
    clean = baseline(x)
    assert clean.shape == x.shape and clean.dtype == np.float32
    for band in range(2):
        expected = by_hand(kind, x[1, ..., band], baseline.sigma[band], baseline.strength)
        np.testing.assert_allclose(clean[1, ..., band], expected, rtol=1e-4, atol=1e-4)


@tuned
@pytest.mark.parametrize("unit", ["intensity", "amplitude", "dB"])
def test_speckle_is_filtered_as_log_intensity_without_its_bias(kind: type, unit: str) -> None:
    rng = np.random.default_rng(2)
    amplitude = speckled(rng, np.ones((1, 32, 32, 1), np.float32), 4)
    x = {"intensity": amplitude**2, "amplitude": amplitude, "dB": 20 * np.log10(amplitude)}[unit]
    baseline = kind(unit=unit, looks=4, strength=0.8).fit(Pairs(x, x))
    sigma = np.sqrt(polygamma(1, 4))
    expected = by_hand(kind, 2 * np.log(amplitude[0, ..., 0]) - digamma(4) + np.log(4), sigma, 0.8)
    clean = baseline(x)[0, ..., 0].astype(float)
    intensity = {"intensity": lambda v: v, "amplitude": np.square, "dB": lambda v: 10 ** (v / 10)}[unit](clean)
    np.testing.assert_allclose(np.log(intensity), expected, atol=1e-4)
    assert intensity.mean() == pytest.approx(1, abs=0.05)


@tuned
def test_the_strength_is_the_best_of_a_grid(kind: type) -> None:
    rng = np.random.default_rng(3)
    y = smooth(rng, (2, 40, 40)) * 100
    x = noisy(rng, y, 20)
    baseline = kind().fit(Pairs(x, y))
    grid = np.geomspace(0.1, 2.5, 12)
    sigma = float(np.sqrt(np.square((x - y).astype(float)).mean()))
    errors = [
        np.mean([np.square(by_hand(kind, a[..., 0], sigma, s) - b[..., 0]).mean() for a, b in zip(x, y, strict=True)])
        for s in grid
    ]
    assert np.square(baseline(x) - y).mean() <= 1.01 * min(errors)
    assert 3 * np.square(baseline(x) - y).mean() < np.square(x - y).mean()


@tuned
def test_nodata_has_no_influence_and_stays(kind: type) -> None:
    rng = np.random.default_rng(4)
    y = np.full((2, 40, 40, 2), 50, np.float32)
    x = noisy(rng, y, 5)
    missing = rng.random(x.shape) < 0.1
    missing[0, 5:25, 5:25, 0] = missing[1, ..., 1] = True
    x[missing] = y[missing] = np.nan
    baseline = kind().fit(Pairs(x, y))
    np.testing.assert_allclose(baseline.sigma, 5, rtol=0.06)
    clean = baseline(x)
    np.testing.assert_array_equal(np.isnan(clean), missing)
    assert np.abs(clean[~missing] - 50).max() < 8  # filled with zeros it would reach to 25


@tuned
def test_zeros_are_the_floor(kind: type) -> None:
    rng = np.random.default_rng(5)
    x = speckled(rng, np.ones((1, 24, 24, 1), np.float32), 1)
    x[0, 3, 4], x[0, 9, 9] = 0, -1
    assert np.isfinite(kind(unit="intensity", strength=1.0).fit(Pairs(x, x))(x)).all()


@tuned
def test_what_is_clean_stays(kind: type) -> None:
    y = smooth(np.random.default_rng(6), (1, 24, 24))
    np.testing.assert_allclose(kind().fit(Pairs(y, y))(y), y, atol=1e-6)


def test_the_same_seed_gives_the_same_strength() -> None:
    rng = np.random.default_rng(7)
    y = smooth(rng, (3, 32, 32))
    samples = Pairs(noisy(rng, y, 0.2), y)
    one, same = (TotalVariation().fit(samples, seed=7) for _ in range(2))
    assert (one.strength, one.sigma) == (same.strength, same.sigma)


@tuned
def test_mistakes(kind: type) -> None:
    nothing = np.full((1, 8, 8, 1), np.nan, np.float32)
    with pytest.raises(NoValidPixels, match="No target is valid"):
        kind().fit(Pairs(nothing, nothing))
    with pytest.raises(OptionError, match="^floor: expected"):
        kind(unit="intensity", floor=0)
    with pytest.raises(OptionError, match="^strength: expected"):
        kind(strength=0)
    with pytest.raises(OptionError, match="unit"):
        kind(unit="power")
    with pytest.raises(RuntimeError, match="call fit"):
        kind()(nothing)
