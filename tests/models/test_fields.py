from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models.fields import BilinearField, MLPField, ResidualField
from geodl.models.weakform import library

pytestmark = pytest.mark.usefixtures("float64")

RNG = np.random.default_rng(0)
EVERY = {
    "mlp": lambda **k: MLPField(3, widths=(8, 5), **k),
    "linear": lambda **k: MLPField(3, widths=(), **k),
    "residual": lambda **k: ResidualField(3, width=6, blocks=2, **k),
    "bilinear": lambda **k: BilinearField(3, **k),
    "few products": lambda **k: BilinearField(3, 4, **k),
    "energy": lambda **k: BilinearField(3, energy_preserving=True, energy=(1.0, 2.0, 0.5), **k),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
bilinear = pytest.mark.parametrize("name", ["bilinear", "few products", "energy"])


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fields_keep_shape_and_dtype_and_come_back_from_their_config(make: Any, dtype: str) -> None:
    field = make(dtype=dtype)
    states = RNG.normal(size=(7, 3)).astype(dtype)
    derivative = _numpy(field(states))
    assert derivative.shape == (7, 3) and derivative.dtype == dtype
    assert field.compute_output_shape((None, 3)) == (None, 3)
    same = type(field).from_config(field.get_config())
    same.build((None, 3))
    same.set_weights(field.get_weights())
    np.testing.assert_array_equal(_numpy(same(states)), derivative)
    assert all(str(variable.dtype) == dtype for variable in field.trainable_variables)


def test_residual_blocks_add() -> None:
    field = ResidualField(2, width=3, blocks=1)
    x = RNG.normal(size=(4, 2)).astype("float32")
    field(x)
    weights = {v.path.split("/", 1)[1]: np.asarray(_numpy(v)) for v in field.trainable_variables}
    entry = x @ weights["entry/kernel"]
    block = np.tanh(entry @ weights["block0_hidden/kernel"]) @ weights["block0_added/kernel"]
    np.testing.assert_allclose(_numpy(field(x)), (entry + block) @ weights["derivative/kernel"], rtol=1e-4, atol=1e-6)


@bilinear
def test_coefficients_are_the_field(name: str) -> None:
    field = EVERY[name]()
    x = RNG.normal(size=(20, 3))
    values = _numpy(field(x.astype("float32")))
    field.constant.assign([0.5, -1.0, 2.0])
    constant, linear, quadratic = field.coefficients()
    expected = library(x) @ np.concatenate([constant[:, None], linear, quadratic], axis=1).T
    np.testing.assert_allclose(values + np.array([0.5, -1.0, 2.0]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("products", ["all", 3])
def test_given_coefficients_are_kept_exactly(products: Any) -> None:
    constant, linear, quadratic = RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=(3, 6))
    quadratic[:, [0, 3, 5]] = 0
    field = BilinearField(3, products)
    field.set_quadratic(constant, linear, quadratic)
    for found, given in zip(field.coefficients(), (constant, linear, quadratic)):
        np.testing.assert_allclose(found, given, rtol=1e-6, atol=1e-7)


def test_the_energy_preserving_part_makes_no_energy() -> None:
    energy = np.array([1.0, 2.0, 0.5])
    field = EVERY["energy"]()
    field.build((None, 3))
    _, _, quadratic = field.coefficients()
    x = RNG.normal(size=(50, 3))
    power = (x * energy * (library(x)[:, 4:] @ quadratic.T)).sum(axis=1)
    np.testing.assert_allclose(power, 0, atol=1e-6)


def test_the_nearest_energy_preserving_part_is_taken() -> None:
    # That of Lorenz-63 preserves energy as it is: y (-x z) + z (x y) = 0.
    lorenz = np.zeros((3, 6))
    lorenz[1, 2], lorenz[2, 1] = -1, 1
    field = BilinearField(3, energy_preserving=True)
    field.set_quadratic(np.zeros(3), np.eye(3), lorenz)
    np.testing.assert_allclose(field.coefficients()[2], lorenz, atol=1e-6)
    # x' = x² only makes energy: nothing is left of it.
    field.set_quadratic(np.zeros(3), np.eye(3), np.eye(3, 6))
    assert np.abs(field.coefficients()[2][0, 0]) < 1e-6


def test_arguments_are_checked() -> None:
    with pytest.raises(OptionError, match="widths"):
        MLPField(3, widths=(0,))
    with pytest.raises(OptionError, match="products: expected 'all' with energy_preserving"):
        BilinearField(3, 4, energy_preserving=True)
    with pytest.raises(OptionError, match="energy: expected 3 positive"):
        BilinearField(3, energy=[1, 2])
    with pytest.raises(OptionError, match="linear: expected finite numbers of the shape"):
        BilinearField(3).set_quadratic(np.zeros(3), np.zeros(3), np.zeros((3, 6)))
    with pytest.raises(OptionError, match="at most 2 products"):
        BilinearField(3, 2).set_quadratic(np.zeros(3), np.zeros((3, 3)), np.ones((3, 6)))
