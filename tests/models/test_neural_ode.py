from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from geodl.autodiff import value_and_gradient
from geodl.errors import OptionError
from geodl.losses.dynamics import StateLikelihood, StateNorm
from geodl.models.errorgrowth import ErrorGrowth
from geodl.models.fields import BilinearField, MLPField
from geodl.models.neural_ode import MLPODE, BilinearODE, NeuralODE, ResidualODE
from tests.model_case import once

pytestmark = pytest.mark.usefixtures("float64")

LINEAR = np.array([[-10.0, 10, 0], [28, -1, 0], [0, 0, -8 / 3]])
PRODUCTS = np.array([[0.0, 0, 0, 0, 0, 0], [0, 0, -1, 0, 0, 0], [0, 1, 0, 0, 0, 0]])
MEAN, STD, RATE = [0.5, 0.0, 23.0], [8.0, 9.0, 8.5], [5.0, 8.0, 8.0]


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@pytest.fixture
def double() -> Any:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(policy)


def _batch(dtype: str, times: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    state = (rng.normal(size=(6, 3)) * STD + MEAN).astype(dtype)
    return {"state": state, "times": np.tile(np.arange(times) * 0.02, (6, 1)).astype(dtype)}


def test_a_flow_is_that_of_scipy() -> None:
    field = BilinearField(3, dtype="float64")
    field.set_quadratic(np.zeros(3), LINEAR, PRODUCTS)
    flow = NeuralODE(field, "dop853", step=0.02, dtype="float64")
    state, times = np.array([[1.0, 2.0, 20.0]]), np.array([0.0, 0.1, 0.25, 0.5])

    def lorenz(_: float, x: np.ndarray) -> np.ndarray:
        return LINEAR @ x + PRODUCTS @ np.outer(x, x)[np.triu_indices(3)]

    expected = solve_ivp(lorenz, (0, 0.5), state[0], "DOP853", t_eval=times, rtol=1e-12, atol=1e-12).y.T
    np.testing.assert_allclose(_numpy(flow(state, times))[0], expected, rtol=1e-9)
    np.testing.assert_allclose(_numpy(flow.derivative(state))[0], lorenz(0, state[0]), rtol=1e-12)


def test_a_function_is_a_field_too() -> None:
    flow = NeuralODE(lambda x: -x, "rk4", step=0.1, rate=(1.0, 2.0))
    found = _numpy(flow(np.ones((1, 2), "float32"), np.array([0, 1.0], "float32")))
    np.testing.assert_allclose(found[0, 1], np.exp([-1.0, -2.0]), rtol=1e-4)


def test_gradients_reach_weights_and_first_states() -> None:
    field = MLPField(2, widths=(4,), dtype="float64")
    flow = NeuralODE(field, "rk4", substeps=2, dtype="float64")
    state, times = np.array([[0.5, -0.3]]), np.array([0.0, 0.3, 0.5])
    flow(state, times)

    def loss(x: Any) -> Any:
        return keras.ops.sum(keras.ops.square(flow(x, times)))

    _, gradient = value_and_gradient(loss, keras.ops.convert_to_tensor(state))
    moved = [float(loss(keras.ops.convert_to_tensor(state + np.array([[step, 0]])))) for step in (1e-6, -1e-6)]
    assert float(gradient[0, 0]) == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize(
    ("build", "head"),
    [
        pytest.param(MLPODE, "state", marks=once),
        (ResidualODE, "gaussian"),
        pytest.param(BilinearODE, "state", marks=once),
    ],
    ids=["mlp", "residual gaussian", "bilinear"],
)
def test_networks_train_and_are_loaded_again(build: Any, head: Any, tmp_path: Path) -> None:
    network = build(3, mean=MEAN, std=STD, rate=RATE, head=head)
    x = _batch("float32")
    first = _numpy(network(x))
    channels = 3 if head == "state" else 9
    assert first.shape == (6, 5, channels)
    np.testing.assert_allclose(first[:, 0, :3], x["state"], rtol=1e-5)
    before = [np.array(weight) for weight in network.get_weights()]
    loss = StateNorm(std=STD) if head == "state" else StateLikelihood(STD)
    network.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=keras.backend.backend() != "torch")
    network.train_on_batch(x, first[..., :3] + np.float32(0.5))
    moved = [np.abs(new - old).max() > 0 for new, old in zip(network.get_weights(), before)]
    assert all(moved)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(_numpy(loaded(x)), _numpy(network(x)))


@pytest.mark.usefixtures("double")
def test_networks_in_float64(tmp_path: Path) -> None:
    network = BilinearODE(3, mean=MEAN, std=STD, rate=RATE, solver="dop853", substeps=1)
    x = _batch("float64")
    network.save(tmp_path / "network.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    states = _numpy(loaded(x))
    assert states.dtype == "float64"
    np.testing.assert_allclose(states[:, 0], x["state"], rtol=1e-14)


@pytest.mark.usefixtures("double")
def test_the_energy_preserving_network_preserves_that_of_physical_variables() -> None:
    network = BilinearODE(3, energy_preserving=True, std=STD, rate=RATE)
    flow = network.get_layer("flow")
    flow.field.linear.assign(np.zeros((3, 3)))
    x = np.random.default_rng(0).normal(size=(9, 3)) * STD
    velocity = _numpy(flow.derivative(x / STD)) * STD
    np.testing.assert_allclose((x * velocity).sum(axis=1), 0, atol=1e-9)
    assert np.abs(velocity).max() > 1e-3


def test_errors_grow_to_those_of_unrelated_states() -> None:
    layer = ErrorGrowth(2, rate=2.0)
    times = np.array([[0.0, 1.0, 1000.0]], "float32")
    rows = _numpy(layer(times))[0]
    growth = np.log1p(np.exp(-2.25)) * 2
    assert rows.shape == (3, 3) and (rows[:, 1] == 0).all()
    np.testing.assert_allclose(rows[:2, 0], np.sqrt(2) / (1 + np.exp(4 - growth * np.array([0, 1]))), rtol=1e-4)
    np.testing.assert_allclose(rows[2, [0, 2]], np.sqrt(2), rtol=1e-6)
    layer.mixing.assign([9.0, -0.5, 9.0])
    np.testing.assert_allclose(_numpy(layer(times))[0, :, 1], -0.5 * rows[:, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"field": 3}, "field: expected a Keras layer"),
        ({"solver": "rk5"}, "solver: expected one of"),
        ({"substeps": None}, "step: expected a step, or substeps"),
        ({"step": -1.0}, "step: expected a number greater than 0"),
        ({"substeps": 0}, "substeps: expected a whole number"),
        ({"gradient": "none"}, "gradient: expected one of"),
        ({"rate": [1.0, 0.0]}, "rate: expected finite numbers greater than 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_are_checked(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        NeuralODE(**{"field": MLPField(2), "substeps": 1, **change})


def test_times_that_are_traced_need_substeps() -> None:
    state, times = keras.Input((2,)), keras.Input((None,))
    network = keras.Model([state, times], NeuralODE(MLPField(2), "dopri5", step=0.1)(state, times))
    # Keras may raise its own class, with our sentence.
    with pytest.raises((OptionError, RuntimeError), match="substeps: expected given instead of step"):
        network.predict([np.ones((1, 2)), np.ones((1, 2)).cumsum(1)], verbose=0)


def test_builders_check_their_arguments() -> None:
    for change, sentence in (({"head": "mean"}, "head"), ({"rate": [1.0]}, "rate"), ({"std": [1.0]}, "std")):
        with pytest.raises(OptionError, match=sentence):
            MLPODE(3, **change)  # type: ignore[arg-type]
