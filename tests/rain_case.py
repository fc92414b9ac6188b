"""The test that every nowcasting network passes, and clips to run it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.losses import Balanced, RainLikelihood
from tests.model_case import run, stirred

__all__ = ("advected_or_last", "clip", "run_rain_case")


def clip(options: Mapping[str, Any], *, advected: bool, size: tuple[int, int] = (9, 11)) -> np.ndarray:
    """Rain (mm/h) with dry pixels and gaps, among them one that only the advected frames have."""
    rng = np.random.default_rng(0)
    x = rng.gamma(0.5, 4.0, size=(2, options["frames"] + options["leads"] * advected, *size, 1)).astype("float32")
    x[rng.random(x.shape) < 0.3] = 0
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, options["frames"] - 1, 3, 3] = 7.5
    x[:, options["frames"] :, 3, 3] = np.nan
    return x


def advected_or_last(x: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
    """What an untrained network gives."""
    frames, leads = options["frames"], options["leads"]
    last = np.nan_to_num(x[:, frames - 1 : frames])
    ahead = x[:, frames:] if x.shape[1] > frames else np.repeat(last, leads, axis=1)
    return np.where(np.isnan(ahead), last, ahead)


def run_rain_case(build: Callable[..., keras.Model], options: Mapping[str, Any], *, folder: Path) -> None:
    """Untrained it gives the advected frames or the last one; it learns, saves, loads, and bears any size.

    Args:
        build: makes the network from `options`.
        options: with `frames` and `leads`.
        folder: for the saved network.
    """
    keras.utils.set_random_seed(0)
    network = build(**options, mean=-2.0, std=1.5)
    x = clip(options, advected=options.get("advected", False))
    start = run(network, x)
    gaussian = options.get("head") == "gaussian"
    expected = advected_or_last(x, options)
    assert start.dtype == np.float32 and start.shape == (*expected.shape[:-1], 2 if gaussian else 1)
    np.testing.assert_allclose(start[..., :1], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(start[..., :1][expected == 0], 0)
    if gaussian:
        np.testing.assert_allclose(start[..., 1], 2 * np.log(1.5), rtol=1e-5)

    stirred(network)
    small = run(network, x[:1, :, :1, :2])
    assert small.shape == (1, *start.shape[1:2], 1, 2, start.shape[-1])
    assert np.isfinite(small).all() and (small[..., 0] >= 0).all()
    huge = run(network, 1e4 * x)
    assert np.isfinite(huge).all() and huge[..., 0].max() <= 300.1

    truth = np.random.default_rng(1).gamma(0.5, 4.0, size=expected.shape).astype("float32")
    truth[:, :, 2] = np.nan
    loss = RainLikelihood(options.get("transform", "log")) if gaussian else Balanced(options.get("transform", "log"))
    # Five steps of so small a network are done before TensorFlow has traced one.
    network.compile(keras.optimizers.Adam(2e-3), loss, run_eagerly=keras.backend.backend() == "tensorflow")
    before = network.get_weights()
    first = network.train_on_batch(x, truth)
    after = network.get_weights()
    still = [v.path for v, b, a in zip(network.weights, before, after) if v.trainable and np.array_equal(b, a)]
    assert not still, still
    last = [network.train_on_batch(x, truth) for _ in range(4)][-1]
    assert np.isfinite([first, last]).all() and last < first

    network.save(folder / "network.keras")
    again = keras.saving.load_model(folder / "network.keras", compile=False)
    np.testing.assert_allclose(run(again, x), run(network, x), rtol=1e-5, atol=1e-5)
