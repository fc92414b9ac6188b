import numpy as np
import pytest

from geodl.report.picture import drawn_bands, limits, paint, picture


def noise(bands: int, low: float = 0.0) -> np.ndarray:
    return np.random.default_rng(0).random((20, 30, bands)).astype(np.float32) + low


@pytest.mark.parametrize(
    ("bands", "chosen"),
    [
        (("B02", "B03", "B04", "B08"), (2, 1, 0)),
        (("b8", "B4", "B3", "B2"), (1, 2, 3)),
        (("nir", "blue", "green", "red"), (3, 2, 1)),
        (("a", "b", "c", "d"), (0, 1, 2)),
        (("a", "b"), (0, 0, 0)),
        (("elevation",), (0, 0, 0)),
    ],
)
def test_chooses_colours_by_name_and_stretches_each_band(bands, chosen):
    values = noise(len(bands))
    shown = picture(values, bands)
    assert shown.shape == (20, 30, 4) and shown.dtype == np.uint8
    for channel, band in enumerate(chosen):
        low, high = np.percentile(values[..., band], [2, 98])
        expected = 255 * np.clip((values[..., band] - low) / (high - low), 0, 1)
        assert np.abs(shown[..., channel] - expected).max() <= 0.51
    assert (shown[..., 3] == 255).all()


def test_radar_shows_both_polarisations_and_their_ratio():
    values = noise(2, low=-20)
    values[..., 1] -= 5
    third = values[..., 0] - values[..., 1]
    low, high = np.percentile(third, [2, 98])
    assert np.abs(picture(values, ("VV", "VH"))[..., 2] - 255 * np.clip((third - low) / (high - low), 0, 1)).max() < 1
    linear = noise(2, low=0.1)
    third = linear[..., 0] / linear[..., 1]
    low, high = np.percentile(third, [2, 98])
    assert np.abs(picture(linear, ("VV", "VH"))[..., 2] - 255 * np.clip((third - low) / (high - low), 0, 1)).max() < 1


def test_invalid_pixels_are_transparent_and_do_not_stretch():
    values = noise(4)
    dirty = values.copy()
    dirty[:5, :, 3] = np.nan
    dirty[:5, :, 0] = 1e6
    shown = picture(dirty, ("B02", "B03", "B04", "B08"))
    assert (shown[:5] == 0).all()
    assert np.array_equal(shown[5:], picture(values[5:], ("B02", "B03", "B04", "B08")))


def test_nothing_and_one_value_can_be_shown():
    assert not picture(np.full((3, 3, 3), np.nan, np.float32), ("a", "b", "c")).any()
    assert np.unique(picture(np.ones((3, 3, 3), np.float32), ("a", "b", "c"))[..., :3]).tolist() == [128]


def test_pictures_with_the_same_ends_can_be_compared():
    values = noise(3)
    ends = limits(values)
    assert np.array_equal(ends, np.percentile(values, [2, 98], axis=(0, 1)).astype(ends.dtype))
    assert np.array_equal(paint(values, ends), picture(values, ("red", "green", "blue")))
    darker = paint(values - 0.2, ends).astype(int)
    assert (darker[..., :3] <= paint(values, ends)[..., :3]).all()
    assert np.array_equal(paint(values[..., :1], ends[:, :1])[..., 2], paint(values, ends)[..., 0])


def test_limits_of_nothing_are_not_a_number():
    assert np.isnan(limits(np.full((2, 2, 3), np.nan))).all()
    assert limits(np.full((2, 2, 3), np.nan)).shape == (2, 3)


@pytest.mark.parametrize(
    ("bands", "chosen"), [(("B02", "B03", "B04"), (2, 1, 0)), (("angle", "VV", "VH"), (1,)), (("VH",), (0,))]
)
def test_bands_that_are_drawn_as_they_are(bands, chosen):
    assert drawn_bands(bands) == chosen
