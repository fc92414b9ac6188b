from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from geodl.autodiff import value_and_gradient
from geodl.errors import OptionError
from geodl.losses.dynamics import StateLikelihood, StateNorm

pytestmark = pytest.mark.usefixtures("float64")

STD = [8.0, 9.0, 0.5]
EVERY = [StateNorm(std=STD), StateNorm(1, STD), StateNorm(1.5), StateLikelihood(STD)]
every = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: f"{loss.name} {getattr(loss, 'p', '')}".strip())


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4, 5, 3)) * STD
    y[rng.random(y.shape) < 0.2] = np.nan
    y[1, 2] = np.nan
    return y


@pytest.fixture
def guess() -> np.ndarray:
    rng = np.random.default_rng(1)
    triangle = rng.normal(size=(4, 5, 6)) * 0.3
    triangle[..., [0, 2, 5]] = rng.uniform(0.3, 2, (4, 5, 3))
    return np.concatenate([rng.normal(size=(4, 5, 3)) * STD, triangle], axis=-1)


def _given(loss: Any, guess: np.ndarray) -> np.ndarray:
    return guess if isinstance(loss, StateLikelihood) else guess[..., :3]


@pytest.mark.parametrize("p", [2, 1, 1.5], ids=str)
def test_the_norm_is_that_of_observed_variables(truth: np.ndarray, guess: np.ndarray, p: float) -> None:
    difference = np.abs(guess[..., :3] - truth) / STD
    seen = np.isfinite(truth)
    expected = np.where(seen, difference**p, 0).sum(-1) / np.maximum(seen.sum(-1), 1)
    found = StateNorm(p, STD).call(truth.astype("float32"), guess[..., :3].astype("float32"))
    np.testing.assert_allclose(_numpy(found), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_likelihood_is_that_of_observed_variables(truth: np.ndarray, guess: np.ndarray, dtype: str) -> None:
    found = _numpy(StateLikelihood(STD).call(truth.astype(dtype), guess.astype(dtype)))
    assert found.dtype == dtype
    for place in np.ndindex(4, 5):
        factor = np.zeros((3, 3))
        factor[np.tril_indices(3)] = guess[place][3:]
        seen = np.isfinite(truth[place])
        expected = 0.0
        if seen.any():
            factor /= np.reshape(STD, (3, 1))
            error, covariance = (truth[place] - guess[place][:3]) / STD, factor @ factor.T
            expected = -multivariate_normal.logpdf(error[seen], cov=covariance[np.ix_(seen, seen)])
        assert found[place] == pytest.approx(expected, rel=1e-4 if dtype == "float32" else 1e-10, abs=1e-5)


@every
def test_what_was_not_observed_has_no_gradient(loss: Any, truth: np.ndarray, guess: np.ndarray) -> None:
    y, x = truth.astype("float32"), _given(loss, guess).astype("float32")
    # An error of exactly 0 has a gradient, too.
    y[0, 0] = x[0, 0, :3]
    value, gradient = value_and_gradient(lambda p: keras.ops.sum(loss.call(y, p)), keras.ops.convert_to_tensor(x))
    gradient = _numpy(gradient)
    assert np.isfinite(gradient).all() and np.isfinite(float(value))
    assert (gradient[..., :3][np.isnan(y)] == 0).all() and (gradient[1, 2] == 0).all()
    assert _numpy(loss.call(y, x))[1, 2] == 0


@every
def test_losses_come_back_from_their_config(loss: Any, truth: np.ndarray, guess: np.ndarray) -> None:
    same = type(loss).from_config(loss.get_config())
    y, x = truth.astype("float32"), _given(loss, guess).astype("float32")
    np.testing.assert_array_equal(_numpy(same.call(y, x)), _numpy(loss.call(y, x)))


def test_the_norm_takes_the_states_of_the_gaussian_head(truth: np.ndarray, guess: np.ndarray) -> None:
    y, x = truth.astype("float32"), guess.astype("float32")
    np.testing.assert_array_equal(_numpy(EVERY[0].call(y, x)), _numpy(EVERY[0].call(y, x[..., :3])))


def test_arguments_are_checked(truth: np.ndarray, guess: np.ndarray) -> None:
    for arguments in ({"p": 0.5}, {"std": [1.0, 0.0]}):
        with pytest.raises(OptionError, match=next(iter(arguments))):
            StateNorm(**arguments)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="std: expected 3 numbers"):
        StateNorm(std=[1.0, 2.0]).call(truth.astype("float32"), guess.astype("float32"))
    with pytest.raises(OptionError, match="expected 9 channels"):
        StateLikelihood().call(truth.astype("float32"), guess[..., :3].astype("float32"))
