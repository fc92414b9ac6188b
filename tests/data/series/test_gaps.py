"""Filled gaps against numpy's interpolation, series by series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series.gaps import fill_gaps


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0, 1), st.booleans())
def test_each_band_is_what_numpy_interpolates(length: int, seed: int, missing: float, ragged: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, length, 2))
    values[rng.random(values.shape) < missing] = np.nan
    days = np.cumsum(rng.uniform(0.5, 20, (5, length)), axis=1)
    if ragged:
        days[2, length // 2 :] = values[2, length // 2 :] = np.nan
    filled = fill_gaps(values, days)
    for row in range(5):
        for band in range(2):
            known = np.isfinite(values[row, :, band])
            if not known.any():
                assert np.isnan(filled[row, :, band]).all()
                continue
            # Behind the end numpy, too, carries the last value on.
            when = np.where(np.isfinite(days[row]), days[row], 1e6)
            expected = np.interp(when, when[known], values[row, known, band])
            np.testing.assert_allclose(filled[row, :, band], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 1), (3, 6, 2), (2, 3, 6, 2)], ids=["series", "table", "cube"])
def test_shape_and_type_stay_and_the_given_array_too(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values[..., 2, :] = np.nan
    before = values.copy()
    filled = fill_gaps(values, np.array([1, 2, 4, 5, 6, 7], np.float32))
    assert filled.dtype == np.float32 and filled.shape == shape and np.isfinite(filled).all()
    np.testing.assert_array_equal(values, before)
    middle = values[..., 1, :] * np.float32(1 / 3) + values[..., 3, :] * np.float32(2 / 3)
    np.testing.assert_allclose(filled[..., 2, :], middle, rtol=1e-6)
