from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geodl.data.augment import Augmentation, resize_labels, resize_values
from geodl.errors import OptionError


def sample(
    height: int = 12, width: int = 12, bands: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and weights that can be told from the values, so that a misalignment shows."""
    x = np.random.default_rng(seed).normal(size=(height, width, bands)).astype(np.float32)
    return x, np.floor(x[..., 0] * 100).astype(np.int32), x[..., 0] ** 2


@settings(deadline=None)
@given(st.integers(0, 500), st.booleans(), st.booleans(), st.sampled_from([(12, 12), (12, 8)]))
def test_turning_keeps_values_labels_and_weights_aligned(
    seed: int, flips: bool, rotations: bool, shape: tuple[int, int]
) -> None:
    x, y, weight = sample(*shape)
    turned = Augmentation(flips=flips, rotations=rotations)(x, y, weight, np.random.default_rng(seed))
    assert turned[0].shape == x.shape
    np.testing.assert_array_equal(turned[1], np.floor(turned[0][..., 0] * 100))
    np.testing.assert_array_equal(turned[2], turned[0][..., 0] ** 2)
    assert sorted(turned[0].ravel()) == sorted(x.ravel())


@pytest.mark.parametrize(("flips", "rotations", "shape", "ways"), [
    (True, True, (12, 12), 8), (True, False, (12, 12), 4), (False, True, (12, 12), 4), (False, True, (12, 8), 2),
    (True, True, (12, 8), 4), (False, False, (12, 12), 1),
])  # fmt: skip
def test_every_orientation_occurs(flips: bool, rotations: bool, shape: tuple[int, int], ways: int) -> None:
    augment = Augmentation(flips=flips, rotations=rotations)
    found = {augment(*sample(*shape), np.random.default_rng(seed))[0].tobytes() for seed in range(100)}
    assert len(found) == ways


def test_sequences_turn_about_their_own_axes() -> None:
    x = np.random.default_rng(0).normal(size=(5, 12, 12, 2))
    augment = Augmentation(axes=(1, 2))
    for seed in range(10):
        turned, y, _ = augment(x, x[..., 0], x[..., 1], np.random.default_rng(seed))
        np.testing.assert_array_equal(turned[..., 0], y)
        np.testing.assert_allclose(turned.sum((1, 2)), x.sum((1, 2)))


def test_brightness_and_noise_are_in_units_of_the_deviation() -> None:
    x, y, weight = sample(60, 60)
    augment = Augmentation(std=(2.0, 0.5), flips=False, rotations=False, brightness=0.3)
    shifts = np.array([(augment(x, y, weight, np.random.default_rng(k))[0] - x).mean((0, 1)) for k in range(2000)])
    np.testing.assert_allclose(shifts.std(0), [0.6, 0.15], rtol=0.05)
    assert np.corrcoef(shifts.T)[0, 1] == pytest.approx(0.5, abs=0.05)
    augment = Augmentation(std=(2.0, 0.5), flips=False, rotations=False, noise=0.1)
    added = augment(x, y, weight, np.random.default_rng(0))[0] - x
    np.testing.assert_allclose(added.std((0, 1)), [0.2, 0.05], rtol=0.05)


def test_contrast_keeps_the_mean_of_what_is_valid() -> None:
    x, y, weight = sample(60, 60)
    x[:30] += 100
    x[40:] = np.nan
    augment = Augmentation(flips=False, rotations=False, contrast=0.5)
    factors = []
    for seed in range(200):
        changed = augment(x, y, weight, np.random.default_rng(seed))[0]
        np.testing.assert_array_equal(np.isnan(changed), np.isnan(x))
        np.testing.assert_allclose(np.nanmean(changed, (0, 1)), np.nanmean(x, (0, 1)), rtol=1e-4)
        factors.append(np.nanstd(changed) / np.nanstd(x))
    assert 0.5 <= min(factors) < 0.55 and 1.45 < max(factors) <= 1.5


def test_the_given_arrays_and_their_types_are_kept() -> None:
    for dtype in (np.float32, np.float64):
        arrays = tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in sample())
        copies = [array.copy() for array in arrays]
        changed = Augmentation(brightness=0.2, contrast=0.2, noise=0.2)(*arrays, np.random.default_rng(0))
        assert [array.dtype for array in changed] == [array.dtype for array in arrays]
        for array, copy in zip(arrays, copies):
            np.testing.assert_array_equal(array, copy)


def test_all_invalid_stays_all_invalid_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    x, y, weight = sample()
    changed = Augmentation(brightness=0.2, contrast=0.2, noise=0.2)(x * np.nan, y, weight, np.random.default_rng(0))[0]
    assert np.isnan(changed).all() and not recwarn.list


@settings(deadline=None)
@given(st.integers(1, 300), st.floats(0.25, 4), st.floats(0.25, 4), st.integers(0, 99))
def test_read_sizes_give_the_asked_for_scale(patch: int, one: float, other: float, seed: int) -> None:
    low, high = sorted((one, other))
    augment = Augmentation(scale=(low, high))
    size = augment.read_size(patch, np.random.default_rng(seed))
    assert round(patch / high) - 1 <= size <= augment.greatest_read_size(patch)
    assert augment.greatest_read_size(patch) == max(1, round(patch / low))


@pytest.mark.parametrize(("height", "size"), [(20, 20), (20, 33), (33, 20), (64, 31), (7, 28)])
def test_resizing_equals_pillow(height: int, size: int) -> None:
    x = np.random.default_rng(0).normal(size=(height, height, 2)).astype(np.float32)
    resized = resize_values(x, size)
    for band in range(2):
        expected = Image.fromarray(x[..., band]).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(resized[..., band], expected, atol=1e-4)


def test_invalid_pixels_do_not_spread_and_do_not_darken() -> None:
    x = np.full((40, 40, 2), 5, np.float32)
    x[10:20, :, 0] = np.nan
    for size in (20, 40, 80):
        resized = resize_values(x, size)
        invalid = np.isnan(resized)
        assert (invalid[..., 0] == invalid[..., 1]).all()
        np.testing.assert_allclose(resized[~invalid], 5, rtol=1e-6)
        rows = np.flatnonzero(invalid[..., 0].all(1))
        assert (rows.min(), rows.max()) == (size // 4, size // 2 - 1)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_labels_take_the_pixel_that_their_centre_lies_in(height: int, size: int) -> None:
    y = np.arange(height * height).reshape(height, height)
    holding = [int(Fraction(2 * k + 1, 2) * Fraction(height, size)) for k in range(size)]
    np.testing.assert_array_equal(resize_labels(y, size), y[np.ix_(holding, holding)])


@pytest.mark.parametrize(
    "options",
    [{"scale": (0, 1)}, {"scale": (2, 1)}, {"scale": (1, 9)}, {"noise": -1}, {"contrast": 2}, {"brightness": -0.1}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"augment.{next(iter(options))}: expected"):
        Augmentation(**options)
