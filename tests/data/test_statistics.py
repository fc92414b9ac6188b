from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.corruption import GaussianNoise
from geodl.data.degraded import DegradedSamples
from geodl.data.samples import RegionSamples, Scene, SceneSamples
from geodl.data.source import Window
from geodl.data.splits import SceneSplit
from geodl.data.statistics import sample_statistics, statistics
from geodl.data.unlabelled import Unlabelled
from geodl.errors import NoValidPixels
from tests.data.fakes import FakeLabels, FakeSource


def scene(values: np.ndarray, split: SceneSplit | None = None) -> Scene:
    return Scene(FakeSource(values), FakeLabels(np.zeros(values.shape[:2])), split or SceneSplit())


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(3, 50), st.integers(0, 9))
def test_all_windows_together_give_what_numpy_gives(height: int, width: int, size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    arrays = [random.normal((3, -1e4), (1, 20), (height, width, 2)).astype(np.float32) for _ in range(2)]
    arrays[0][random.random((height, width)) < 0.3] = np.nan
    arrays[1][0, 0, 1] = np.inf
    held = Window(0, 0, width // 2, height // 2)
    scenes = [scene(array, SceneSplit(excluded=(held,))) for array in arrays]
    pixels = []
    for array in arrays:
        array[: height // 2, : width // 2] = np.nan
        pixels.append(np.where(np.isfinite(array), array, np.nan).reshape(-1, 2).astype(np.float64))
    pixels = np.concatenate(pixels)
    if (~np.isnan(pixels)).sum(0).min() < 2:
        return
    mean, std = statistics(scenes, size=size, most=10_000)
    np.testing.assert_allclose(mean, np.nanmean(pixels, 0), rtol=1e-12)
    np.testing.assert_allclose(std, np.nanstd(pixels, 0), rtol=1e-9)


def test_a_large_offset_does_not_drown_the_deviation() -> None:
    values = np.random.default_rng(0).normal(0, 1, (200, 200, 1)) + 1e6
    mean, std = statistics([scene(values)], size=16, most=10_000)
    stored = values.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose([mean[0], std[0]], [stored.mean(), stored.std()], rtol=1e-9)


def test_a_choice_of_windows_is_close_and_depends_on_the_seed_only() -> None:
    values = np.random.default_rng(0).normal(5, 2, (320, 320, 1))
    found = [statistics([scene(values)], size=16, most=50, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert found[0][0] == pytest.approx(5, abs=0.1) and found[0][1] == pytest.approx(2, abs=0.1)


def test_windows_of_nodata_do_not_count() -> None:
    values = np.full((160, 160, 1), np.nan)
    values[150:, 150:] = np.random.default_rng(0).normal(5, 2, (10, 10, 1))
    mean, _ = statistics([scene(values)], size=16, most=1)
    assert mean == pytest.approx(np.nanmean(values.astype(np.float32)))


def test_scenes_that_do_not_train_are_left_out() -> None:
    random = np.random.default_rng(0)
    arrays = [random.normal(mean, 1, (40, 40, 1)) for mean in (0, 100)]
    mean, _ = statistics([scene(arrays[0]), scene(arrays[1], SceneSplit(trains=False))])
    assert mean == pytest.approx(arrays[0].mean(), abs=1e-6)


def test_constant_bands_have_deviation_one_and_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    values = np.random.default_rng(0).normal(5, 2, (40, 40, 3))
    values[..., 0], values[..., 2] = 0.1, 0
    with caplog.at_level(logging.WARNING, "geodl"):
        mean, std = statistics([scene(values)], size=8)
    np.testing.assert_allclose(mean[[0, 2]], [0.1, 0], rtol=1e-6)
    assert std[[0, 2]].tolist() == [1, 1] and std[1] > 1.5
    assert len(caplog.records) == 1 and "band_1, band_3" in caplog.text


def test_nodata_everywhere_is_an_error_that_names_the_bands() -> None:
    values = np.ones((20, 20, 2))
    values[..., 1] = np.nan
    with pytest.raises(NoValidPixels, match="Every pixel of band_2 is nodata"):
        statistics([scene(values)], size=8)


def windows(values: np.ndarray, patch: int = 16) -> SceneSamples:
    source = FakeSource(values)
    return SceneSamples([Scene(source, Unlabelled(source))], patch=patch, sampling="grid")


def test_samples_are_measured_as_the_network_gets_them() -> None:
    values = np.random.default_rng(0).normal((100, -5), (20, 1), (64, 64, 2))
    values[:20, :20] = np.nan
    noisy = DegradedSamples(windows(values), GaussianNoise((15.0, 15.0)))
    mean, std = sample_statistics(noisy, of="x", most=64)
    known = np.isfinite(values).all(-1)
    np.testing.assert_allclose(mean, values[known].mean(0), atol=0.3)
    np.testing.assert_allclose(std, np.sqrt(values[known].var(0) + 15**2), rtol=0.02)
    mean, std = sample_statistics(noisy, of="y", most=64)
    np.testing.assert_allclose([*mean, *std], [*values[known].mean(0), *values[known].std(0)], rtol=1e-2)
    again = sample_statistics(noisy, of="y", most=64)
    np.testing.assert_array_equal(again, (mean, std))
    assert (
        sample_statistics(noisy, of="x", most=5, seed=1)[0] != sample_statistics(noisy, of="x", most=5, seed=2)[0]
    ).all()


def test_samples_side_by_side_give_what_numpy_gives() -> None:
    values = np.random.default_rng(0).gamma(2, 3, (48, 32, 3)).astype(np.float32)
    for transform in (np.asarray, np.log):
        mean, std = sample_statistics(windows(values), most=6, transform=transform)
        pixels = transform(values.astype(np.float64)).reshape(-1, 3)
        np.testing.assert_allclose([mean, std], [pixels.mean(0), pixels.std(0)], rtol=1e-5)


def test_what_has_no_logarithm_is_left_out_and_constants_can_be_divided_by() -> None:
    values = np.full((16, 16, 2), np.e)
    values[:4, :, 0], values[5:, :, 0] = 0, np.e**3
    with np.errstate(divide="ignore"):
        mean, std = sample_statistics(windows(values), transform=np.log)
    np.testing.assert_allclose(mean, [(1 * 1 + 11 * 3) / 12, 1], rtol=1e-6)
    assert std[0] == pytest.approx(np.sqrt(1 / 12 * 11 / 12) * 2, rel=1e-6) and std[1] == 1


def test_samples_without_a_value_are_an_error() -> None:
    source = FakeSource(np.full((8, 8, 1), np.nan))
    regions = RegionSamples([Scene(source, Unlabelled(source), SceneSplit.whole(source.grid, "test"))], part="test")
    with pytest.raises(NoValidPixels, match="The training samples"):
        sample_statistics(regions)
