import numpy as np
import pytest

from geodl.baselines import Baseline, Lee, RefinedLee
from geodl.errors import OptionError

both = pytest.mark.parametrize("kind", [Lee, RefinedLee])


def speckle(shape: tuple[int, ...], looks: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(looks, 1 / looks, shape)


def looks_of(intensity: np.ndarray) -> float:
    """The equivalent number of looks, mean² / variance."""
    return float(intensity.mean() ** 2 / intensity.var())


def lee_of(window: np.ndarray, pixel: float, looks: float) -> float:
    """Lee (1981) for one pixel, written out: y = x n, var n = 1/L."""
    mean, variance = window.mean(), window.var()
    signal = (variance + mean**2) / (1 + 1 / looks) - mean**2
    return mean + max(signal, 0) / variance * (pixel - mean)


@both
def test_are_baselines(kind: type) -> None:
    assert isinstance(kind(), Baseline) and kind().fit(None).name


def test_lee_is_its_definition() -> None:
    x = (speckle((1, 30, 31, 2), 3) * 40).astype(np.float32)
    x[0, :, 15:] *= 8
    clean = Lee(3, size=5)(x)
    for i, j, band in ((10, 14, 0), (20, 15, 1), (15, 3, 0), (0, 0, 1), (29, 16, 0)):
        window = x[0, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3, band].astype(float)
        assert clean[0, i, j, band] == pytest.approx(lee_of(window, x[0, i, j, band], 3), rel=1e-4)


@pytest.mark.parametrize(("i", "j"), [(15, 14), (15, 12), (15, 15), (15, 17)])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("slant", [False, True])
def test_refined_lee_takes_the_half_on_the_pixel_s_side(i: int, j: int, turns: int, slant: bool) -> None:
    row, column = np.mgrid[:31, :31]
    bright = column - (row - 15 if slant else 0) >= 15
    x = np.where(bright, 100.0, 1.0) * (1 + 0.01 * np.random.default_rng(1).normal(size=bright.shape))
    offset = np.mgrid[-3:4, -3:4]
    beyond = offset[1] - (offset[0] if slant else 0)
    half = beyond >= 0 if bright[i, j] else beyond <= 0
    window = x[i - 3 : i + 4, j - 3 : j + 4][half]
    turned = np.rot90(x, turns)[None, ..., None].astype(np.float32)
    clean = np.rot90(RefinedLee(2)(turned)[0, ..., 0], -turns)
    assert clean[i, j] == pytest.approx(lee_of(window, x[i, j], 2), rel=1e-4)


@pytest.mark.parametrize("looks", [1, 4])
def test_constant_area_gains_looks(looks: float) -> None:
    x = speckle((1, 200, 200, 1), looks).astype(np.float32)
    lee, refined = Lee(looks)(x), RefinedLee(looks)(x)
    # The mean of n pixels has n times the looks; that some windows look textured by chance takes part of it away.
    assert 0.5 * 49 * looks < looks_of(lee) < 49 * looks
    assert 0.25 * 28 * looks < looks_of(refined) < 28 * looks
    assert lee.mean() == pytest.approx(1, abs=0.02)


def test_an_edge_stays_sharper_with_the_refined_filter() -> None:
    truth = np.where(np.arange(80) < 40, 1.0, 10.0)[None, None, :, None] * np.ones((1, 80, 1, 1))
    x = (truth * speckle(truth.shape, 4)).astype(np.float32)
    near = (slice(None), slice(None), slice(37, 43))
    errors = [np.abs(np.log(kind(4)(x)) - np.log(truth))[near].mean() for kind in (Lee, RefinedLee)]
    assert errors[1] < 0.6 * errors[0]


@both
def test_units_say_the_same(kind: type) -> None:
    x = speckle((1, 20, 20, 1), 2).astype(np.float32)
    clean = kind(2)(x)
    np.testing.assert_allclose(kind(2, unit="amplitude")(np.sqrt(x)), np.sqrt(clean), rtol=1e-4)
    np.testing.assert_allclose(kind(2, unit="dB")(10 * np.log10(x)), 10 * np.log10(clean), atol=1e-3)
    np.testing.assert_allclose(kind(2)(x * 1e6), clean * 1e6, rtol=1e-4)


@both
def test_nodata_has_no_influence_and_stays(kind: type) -> None:
    x = (100 * speckle((1, 30, 30, 2), 16)).astype(np.float32)
    missing = np.zeros(x.shape, bool)
    missing[0, 5:25, 5:25, 0] = True
    missing[0, 10, 12, 1] = missing[0, 13, 10, 1] = True
    x[missing] = np.nan
    clean = kind(16)(x)
    assert clean.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(clean), missing)
    assert np.abs(clean[~missing] - 100).max() < 60
    assert np.isnan(kind(1)(np.full((1, 9, 9, 1), np.nan))).all()


@both
def test_zeros_stay(kind: type) -> None:
    assert not kind(1)(np.zeros((1, 9, 9, 1), np.float32)).any()


def test_nodata_is_no_pixel_of_the_window() -> None:
    x = (speckle((1, 9, 9, 1), 3) * 40).astype(np.float32)
    x[0, 2, 3] = np.nan
    window = x[0, 1:8, 1:8, 0].astype(float)
    expected = lee_of(window[np.isfinite(window)], x[0, 4, 4, 0], 3)
    assert Lee(3)(x)[0, 4, 4, 0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Lee(0), "looks"),
        (lambda: RefinedLee(-1), "looks"),
        (lambda: Lee(size=4), "size"),
        (lambda: Lee(unit="power"), "unit"),
    ],
)
def test_says_which_option_is_wrong(make, option: str) -> None:
    with pytest.raises(OptionError, match=f"^{option}: expected"):
        make()
