import numpy as np

from geodl.baselines.images import each_band, fill, window_mean

NAN = np.nan


def test_window_mean_is_that_of_the_valid_pixels_within() -> None:
    rng = np.random.default_rng(0)
    band = rng.normal(5, 1, (9, 8))
    band[rng.random(band.shape) < 0.5] = NAN
    band[:5, :4] = NAN
    window = np.triu(np.ones((5, 5)))
    found = window_mean(band, window)
    padded = np.pad(band, 2, constant_values=NAN)
    for i, j in np.ndindex(band.shape):
        values = padded[i : i + 5, j : j + 5][window > 0]
        values = values[np.isfinite(values)]
        np.testing.assert_allclose(found[i, j], values.mean() if len(values) else NAN)


def test_fill_takes_the_mean_around_or_else_of_all() -> None:
    band = np.zeros((3, 20))
    band[:, 1], band[0, 19] = NAN, 30
    band[:, 4:16] = NAN
    filled = fill(band, size=3)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[np.isfinite(band)], band[np.isfinite(band)])
    assert filled[1, 1] == 0
    np.testing.assert_allclose(filled[1, 10], 30 / np.isfinite(band).sum())


def test_each_band_is_filtered_by_itself_and_nodata_stays() -> None:
    x = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)
    x[0, 1, 1, 0] = x[1, ..., 1] = NAN
    seen = []

    def add(band: np.ndarray, index: int) -> np.ndarray:
        assert band.dtype == np.float64
        seen.append(index)
        return np.nan_to_num(band) + 100 * (index + 1)

    np.testing.assert_array_equal(each_band(x, add), x + np.array([100, 200], np.float32))
    assert seen == [0, 1, 0]
