"""Coarse samples, against what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.augment import Augmentation
from geodl.data.downsampling import Downsampling, GuidedDownsampling
from geodl.data.source import Window
from geodl.data.stacked import FoldedSource
from geodl.physics.sensor import Blur, degrade
from tests.data.fakes import FakeSource, utm_grid


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    st.integers(2, 4), st.integers(4, 17), st.integers(4, 17), st.sampled_from(["bicubic", "mtf"]), st.integers(0, 9)
)
def test_sizes_that_the_scale_does_not_divide_are_cropped(
    scale: int, height: int, width: int, blur: Blur, seed: int
) -> None:
    values = rng(seed).normal(50, 9, (height, width, 2)).astype(np.float32)
    values[rng(seed).random((height, width)) < 0.05] = np.nan
    weight = np.isfinite(values).all(-1).astype(np.float32)
    x, y, counted = Downsampling(scale, blur)(values, weight, rng())
    rows, columns = height // scale, width // scale
    assert x.shape == (rows, columns, 2) and y.shape == (rows * scale, columns * scale, 2)
    np.testing.assert_array_equal(y, values[: rows * scale, : columns * scale])
    missing = np.isnan(y).reshape(rows, scale, columns, scale, 2).any((1, 3))
    np.testing.assert_array_equal(np.isnan(x), missing)
    seen = np.kron(~missing.any(-1), np.ones((scale, scale), bool))
    np.testing.assert_array_equal(counted > 0, seen & (weight[: rows * scale, : columns * scale] > 0))
    assert x.dtype == y.dtype == counted.dtype == np.float32


def test_a_ramp_stays_the_ramp() -> None:
    """The value of a coarse pixel is that of a linear image at its centre, away from mirrored borders."""
    rows, columns = np.mgrid[:48, :60] + 0.5
    ramp = (3 * rows - 2 * columns)[..., None].astype(np.float32)
    for scale in (2, 3):
        for blur in ("bicubic", "mtf"):
            x, _, _ = Downsampling(scale, blur)(ramp, np.ones((48, 60), np.float32), rng())
            coarse_rows, coarse_columns = (np.mgrid[: 48 // scale, : 60 // scale] + 0.5) * scale
            np.testing.assert_allclose(
                x[3:-3, 3:-3, 0],
                (3 * coarse_rows - 2 * coarse_columns)[3:-3, 3:-3],
                atol=1e-3,
                err_msg=f"{scale} {blur}",
            )


def test_coarse_values_of_eight_bit_scenes_are_whole_numbers_of_eight_bits() -> None:
    values = np.where(rng().random((40, 40, 1)) < 0.5, 0, 255).astype(np.float32)
    x, y, _ = Downsampling(2, whole_numbers=True)(values, np.ones((40, 40), np.float32), rng())
    plain, _, _ = Downsampling(2)(values, np.ones((40, 40), np.float32), rng())
    assert plain.min() < 0 and plain.max() > 255
    np.testing.assert_array_equal(x, np.clip(np.rint(plain), 0, 255))
    np.testing.assert_array_equal(y, values)


def folded(height: int, width: int, scale: int, coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    grid = utm_grid(height, width)
    source = FoldedSource(FakeSource(coarse, grid=grid), FakeSource(fine, grid=grid.finer(scale)), factor=scale)
    return source.read(Window(0, 0, width, height))[0]


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_fine_and_coarse_bands_are_turned_alike(scale: int, seed: int) -> None:
    """Both sample one ramp: made coarser by their ratio, fine bands are the coarse ones, whichever way they are turned."""
    side = 12 * scale
    rows, columns = np.mgrid[:side, :side] + 0.5
    fine_rows, fine_columns = (np.mgrid[: side * scale, : side * scale] + 0.5) / scale
    coarse = np.stack([5 * rows + columns, 7 * columns], -1)
    fine = (5 * fine_rows + fine_columns)[..., None]
    given_values = folded(side, side, scale, coarse, fine)
    weight = rng(1).integers(2, size=(side, side)).astype(np.float32)
    augment = Augmentation()
    x, y, counted = GuidedDownsampling(scale, 2, augment=augment)(given_values, weight, rng(seed))
    turned = augment.turn((coarse, weight), rng(seed))
    np.testing.assert_allclose(y, turned[0], rtol=1e-6)
    np.testing.assert_array_equal(counted, turned[1])
    inner = np.s_[3 * scale : -3 * scale, 3 * scale : -3 * scale]
    np.testing.assert_allclose(x[..., 0][inner], y[..., 0][inner], atol=1e-2)
    np.testing.assert_allclose(x[..., 1:][inner], y[inner], atol=1e-2)


def test_guided_samples_are_cropped_and_do_not_count_where_an_input_is_missing() -> None:
    coarse, fine = rng().normal(size=(9, 11, 1)), rng(1).normal(size=(18, 22, 1))
    fine[4, 6] = np.nan
    coarse[6, 7] = np.nan
    values = folded(9, 11, 2, coarse, fine)
    weight = np.isfinite(values).all(-1).astype(np.float32)
    x, y, counted = GuidedDownsampling(2, 1)(values, weight, rng())
    assert x.shape == (8, 10, 2) and y.shape == (8, 10, 1)
    np.testing.assert_array_equal(y[..., 0], coarse[:8, :10, 0].astype(np.float32))
    expected = np.ones((8, 10))
    expected[2, 3] = 0
    # The coarse pixel of twice the size that holds a missing one is missing itself.
    expected[6:8, 6:8] = 0
    np.testing.assert_array_equal(counted, expected)
    guide = degrade(fine[:16, :20].astype(np.float32), 2, blur="mtf")[..., 0]
    np.testing.assert_allclose(x[..., 0][counted > 0], guide[counted > 0], atol=1e-6)
