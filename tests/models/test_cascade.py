"""The head that corrects rain scale by scale."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import ndimage

from geodl import losses
from geodl.models import EncoderForecaster
from geodl.models.cascade import FirstGuess, cascade
from tests.model_case import once


def pyramid_network(scales: int, *, size: int = 32, finest: int = 4) -> keras.Model:
    """A network that is the cascade alone: start and features of 3 channels in, correction out."""
    start = keras.Input((size, size, 1))
    features = keras.Input((size // finest, size // finest, 3))
    return keras.Model([start, features], cascade(start, {finest: features}, scales=scales))


def inputs(size: int = 32, finest: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    start = rng.gamma(0.5, 2, (2, size, size, 1)).astype(np.float32)
    return [start, rng.normal(size=(2, size // finest, size // finest, 3)).astype(np.float32)]


def set_told(network: keras.Model, scale: int, *, gain: float, addend: float = 0.0) -> None:
    """Has one scale multiplied by 1 + `gain`, whatever the features."""
    layer = network.get_layer(f"cascade{scale}_told")
    kernel, bias = layer.get_weights()
    # Gain and addend of each pixel lie side by side.
    layer.set_weights([kernel, np.where(np.arange(len(bias)) % 2 == 0, gain, addend).astype(np.float32)])


def test_nothing_is_corrected_before_training() -> None:
    network = pyramid_network(4)
    assert not network.predict_on_batch(inputs()).any()


def test_all_gains_alike_are_one_gain() -> None:
    network = pyramid_network(4)
    for scale in range(4):
        set_told(network, scale, gain=-0.25)
    start, features = inputs()
    np.testing.assert_allclose(network.predict_on_batch([start, features]), -0.25 * start, atol=1e-5)


def test_taking_the_finest_scale_away_leaves_means_of_two_by_two_pixels_enlarged() -> None:
    network = pyramid_network(3)
    set_told(network, 0, gain=-1)
    start, features = inputs()
    smoothed = start + network.predict_on_batch([start, features])
    for image, found in zip(start[..., 0], smoothed[..., 0], strict=True):
        means = image.reshape(16, 2, 16, 2).mean((1, 3))
        places = (np.mgrid[:32, :32] + 0.5) / 2 - 0.5
        expected = ndimage.map_coordinates(means, places, order=1, mode="nearest")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_coarsest_scale_adds_smoothly() -> None:
    network = pyramid_network(4)
    set_told(network, 3, gain=0, addend=1.0)
    np.testing.assert_allclose(network.predict_on_batch(inputs()), 1.0, atol=1e-6)


@pytest.mark.parametrize("leads", [1, 3])
def test_without_advected_frames_all_lead_times_start_from_the_last(leads: int) -> None:
    clip = np.random.default_rng(0).gamma(0.5, 2, (2, 4, 5, 6, 1)).astype(np.float32)
    guess = np.asarray(FirstGuess(4, leads, "db", std=2.0)(clip)).reshape(2, leads, 5, 6, 1)
    level = np.where(clip[:, 3] >= 0.1, 10 * np.log10(np.maximum(clip[:, 3], 0.1)) + 15, 50 * clip[:, 3]) / 2
    np.testing.assert_allclose(guess, np.repeat(level[:, None], leads, 1), atol=1e-4)


@once
def test_the_score_itself_can_be_learnt() -> None:
    """A gradient that drives dry pixels down without end makes this loss rise again after a few steps."""
    rng = np.random.default_rng(0)
    field = np.exp(2.5 * 14 * ndimage.gaussian_filter(rng.normal(size=(2, 48, 48)), (0, 4, 4))) - 1
    field = np.where(field < 0.3, 0, np.minimum(field, 40)).astype(np.float32)
    clip = np.stack([field] * 5, 1)[..., None]
    truth = 0.7 * np.roll(clip[:, :2], 2, axis=3)
    keras.utils.set_random_seed(0)
    network = EncoderForecaster(3, 2, advected=True, widths=(8,), transform="db", mean=-8.0, std=9.0, scales=4)
    network.compile(keras.optimizers.Adam(5e-3), loss=losses.build("soft_csi"), jit_compile=False)
    weight = np.ones(truth.shape[:4], np.float32)
    found = [float(network.train_on_batch(clip, truth, weight)) for _ in range(40)]
    assert min(found) == pytest.approx(found[-1], rel=0.02)
    assert found[-1] < 0.75 * found[0]
