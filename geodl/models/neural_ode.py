"""Neural ordinary differential equations: a field that is a network, and its integration, in one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import layers, ops

from geodl.autodiff import concrete
from geodl.errors import OptionError
from geodl.models.errorgrowth import ErrorGrowth
from geodl.models.fields import BilinearField, MLPField, ResidualField
from geodl.models.options import check_counts, statistics
from geodl.models.scaling import Denormalisation, Normalisation
from geodl.models.solvers import GRADIENTS, Gradient, find_tableau, integrate, is_adaptive

__all__ = ("BilinearODE", "Head", "MLPODE", "NeuralODE", "ResidualODE", "integrates")

_register = keras.saving.register_keras_serializable(package="geodl")
_Shape = tuple[int | None, ...]

Head = Literal["state", "gaussian"]
"""What a network gives: states; or states and the Cholesky factor of their errors' covariance."""


@_register
class NeuralODE(layers.Layer):
    """The flow of dX/dt = F(X): from first states and times to states, differentiable.

    Gradients reach the weights of the field and the first states, see `geodl.models.solvers.integrate`.

    Args:
        field: F, a Keras layer from states (batch, S) to derivatives (batch, S), or a function written in keras.ops.
        solver: "euler", "heun", "rk4", "dopri5" or "dop853".
        step: longest time step, in the unit of the times. Taken where the layer is called with times that are known,
            rather than traced.
        substeps: equal steps in each interval between two times; taken elsewhere, as in a Functional model. With neither
            of the two the steps of dopri5 and dop853 follow from the tolerances.
        rate: (S,): the field's output is multiplied by it. Fields of standardised variables take the standard
            deviations of their derivatives. None stands for ones.
        rtol, atol: tolerances of adaptive steps.
        max_steps: adaptive steps, at most.
        gradient: "solver", "rematerialised" or "adjoint".

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> flow = NeuralODE(MLPField(3), solver="rk4", step=0.01)
        >>> flow(np.ones((8, 3), "float32"), np.linspace(0, 1, 11, dtype="float32")).shape
        (8, 11, 3)
    """

    def __init__(
        self,
        field: layers.Layer | Callable[[Any], Any],
        solver: str = "rk4",
        *,
        step: float | None = None,
        substeps: int | None = None,
        rate: Sequence[float] | None = None,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        max_steps: int = 10_000,
        gradient: Gradient = "solver",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(field):
            raise OptionError("field", expected="a Keras layer or a function of states", received=field)
        tableau = find_tableau(solver)
        for given in ({"step": step, "substeps": None}, {"step": None, "substeps": substeps}):
            if any(value is not None for value in given.values()) or step is substeps:
                is_adaptive(tableau, **given)
        if gradient not in GRADIENTS:
            raise OptionError("gradient", expected=f"one of: {', '.join(GRADIENTS)}", received=gradient)
        if rate is not None and not (np.isfinite(rate).all() and np.greater(rate, 0).all()):
            raise OptionError("rate", expected="finite numbers greater than 0, one per variable", received=rate)
        self.field = field
        self.solver, self.step, self.substeps = solver, step, substeps
        self.rate = None if rate is None else tuple(float(value) for value in rate)
        self.rtol, self.atol, self.max_steps, self.gradient = rtol, atol, max_steps, gradient

    def build(self, state_shape: _Shape, times_shape: _Shape | None = None) -> None:
        """Makes the field's weights."""
        if self.rate is not None and len(self.rate) != state_shape[-1]:
            raise OptionError("rate", expected=f"{state_shape[-1]} numbers, one per variable", received=self.rate)
        if isinstance(self.field, layers.Layer) and not self.field.built:
            self.field.build(tuple(state_shape))

    def call(self, state: Any, times: Any) -> Any:
        """Integrates from first states.

        Args:
            state: (batch, S).
            times: (time,), or (batch, time) for times of each sample's own; `state` holds at the first of them.

        Returns:
            (batch, time, S); [:, 0] is `state`.
        """
        by_step = self.step is not None and (self.substeps is None or concrete(times) is not None)
        function, parameters = self._function()
        return integrate(
            function,
            state,
            times,
            parameters=parameters,
            solver=self.solver,
            step=self.step if by_step else None,
            substeps=None if by_step else self.substeps,
            rtol=self.rtol,
            atol=self.atol,
            max_steps=self.max_steps,
            gradient=self.gradient,
        )

    def derivative(self, state: Any) -> Any:
        """Returns dX/dt (batch, S) at states (batch, S)."""
        function, parameters = self._function()
        return function(parameters, ops.convert_to_tensor(state))

    def _function(self) -> tuple[Callable[[Sequence[Any], Any], Any], list[Any]]:
        """Returns the field as a function of its weights, so that solvers can derive by them, and the weights."""
        field = self.field

        def scaled(derivative: Any) -> Any:
            return derivative if self.rate is None else derivative * ops.convert_to_tensor(self.rate, derivative.dtype)

        if not isinstance(field, layers.Layer):
            return lambda _, state: scaled(field(state)), []
        trained = [variable.value for variable in field.trainable_variables]
        fixed = [variable.value for variable in field.non_trainable_variables]

        def function(parameters: Sequence[Any], state: Any) -> Any:
            derivative, _ = field.stateless_call(list(parameters), fixed, state)
            return scaled(derivative)

        return function, trained

    def compute_output_shape(self, state_shape: _Shape, times_shape: _Shape) -> _Shape:
        """The states' with the axis of time."""
        return (state_shape[0], times_shape[-1], state_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = ("solver", "step", "substeps", "rate", "rtol", "atol", "max_steps", "gradient")
        field = keras.saving.serialize_keras_object(self.field)
        return {**super().get_config(), "field": field, **{name: getattr(self, name) for name in own}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NeuralODE:
        """Makes the layer of `get_config`'s result."""
        return cls(**{**config, "field": keras.saving.deserialize_keras_object(config["field"])})


def integrates(network: Any) -> bool:
    """Says whether a network, or a model inside it, holds a `NeuralODE`: a long loop of small operations, which XLA fuses."""
    layers = getattr(network, "layers", ())
    return any(isinstance(layer, NeuralODE) or integrates(layer) for layer in layers)


def MLPODE(
    states: int,
    *,
    widths: Sequence[int] = (64, 64),
    activation: str = "tanh",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rate: Sequence[float] | None = None,
    solver: str = "rk4",
    substeps: int | None = 1,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: Gradient = "solver",
    head: Head = "state",
    name: str = "mlp_ode",
) -> keras.Model:
    """A network whose field is a multilayer perceptron.

    It computes in the dtype policy that is in force, float32 or float64. Its layer "flow" is the `NeuralODE`.

    Args:
        states: S, variables of the state.
        widths, activation: see `MLPField`.
        mean, std: of each variable's training values, in its unit.
        rate: standard deviation of each standardised variable's derivative, per unit of time.
        solver: see `NeuralODE`.
        substeps: steps of the solver between two times; None lets dopri5 and dop853 choose theirs by the tolerances.
        rtol, atol: tolerances of adaptive steps, of standardised variables.
        max_steps: adaptive steps, at most.
        gradient: see `NeuralODE`.
        head: "state", or "gaussian", which appends the rows of L of `ErrorGrowth`, in physical units.
        name: name of the model.

    Returns:
        A model from `state` (batch, S) in physical units and `times` (batch, time), the first of which it holds at, to
        states (batch, time, S) in these units; with the head "gaussian" S(S+1)/2 more channels.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = MLPODE(3, mean=[0, 0, 23], std=[8, 9, 8.6], rate=[5, 8, 8])
        >>> network.predict({"state": np.ones((1, 3)), "times": np.array([[0, 0.01, 0.02]])}).shape
        (1, 3, 3)
    """
    flow = _options(states, rate, solver, substeps, rtol, atol, max_steps, gradient)
    field = MLPField(states, widths, activation, dtype=_dtype(), name="field")
    return _network(states, NeuralODE(field, **flow), mean, std, head, name)


def ResidualODE(
    states: int,
    *,
    width: int = 64,
    blocks: int = 2,
    activation: str = "tanh",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rate: Sequence[float] | None = None,
    solver: str = "rk4",
    substeps: int | None = 1,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: Gradient = "solver",
    head: Head = "state",
    name: str = "residual_ode",
) -> keras.Model:
    """A network whose field is a residual network.

    Args:
        states: S, variables of the state.
        width, blocks, activation: see `ResidualField`.
        mean, std, rate, solver, substeps, rtol, atol, max_steps, gradient, head, name: see `MLPODE`.

    Returns:
        A model as `MLPODE` gives.

    Raises:
        OptionError: an argument is out of range.
    """
    flow = _options(states, rate, solver, substeps, rtol, atol, max_steps, gradient)
    field = ResidualField(states, width, blocks, activation, dtype=_dtype(), name="field")
    return _network(states, NeuralODE(field, **flow), mean, std, head, name)


def BilinearODE(
    states: int,
    *,
    products: int | Literal["all"] = "all",
    energy_preserving: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rate: Sequence[float] | None = None,
    solver: str = "rk4",
    substeps: int | None = 1,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: Gradient = "solver",
    head: Head = "state",
    name: str = "bilinear_ode",
) -> keras.Model:
    """A network whose field is quadratic.

    Args:
        states: S, variables of the state.
        products: see `BilinearField`.
        energy_preserving: whether the products preserve the sum of the squares of the variables, in their own units.
        mean, std, rate, solver, substeps, rtol, atol, max_steps, gradient, head, name: see `MLPODE`.

    Returns:
        A model as `MLPODE` gives.

    Raises:
        OptionError: an argument is out of range.
    """
    flow = _options(states, rate, solver, substeps, rtol, atol, max_steps, gradient)
    # dz/dt is rate × field, so that the energy ½ Σ x² = ½ Σ (std z)² changes by Σ std² z rate × field.
    energy = np.square(statistics(None, std, states)[1]) * flow["rate"]
    energy /= energy.mean()
    field = BilinearField(
        states,
        products,
        energy_preserving,
        energy.tolist() if energy_preserving else None,
        dtype=_dtype(),
        name="field",
    )
    return _network(states, NeuralODE(field, **flow), mean, std, head, name)


def _dtype() -> str:
    """Returns the precision of the policy in force; never 16 bits, in which no solver gets far."""
    return str(keras.config.dtype_policy().variable_dtype)


def _options(
    states: int,
    rate: Sequence[float] | None,
    solver: str,
    substeps: int | None,
    rtol: float,
    atol: float,
    max_steps: int,
    gradient: Gradient,
) -> dict[str, Any]:
    """Returns the arguments of the layer "flow"."""
    check_counts(states=states)
    rates = [1.0] * states if rate is None else list(rate)
    if len(rates) != states:
        raise OptionError("rate", expected=f"{states} numbers, one per variable", received=rate)
    steps = {"solver": solver, "substeps": substeps, "rtol": rtol, "atol": atol, "max_steps": max_steps}
    return {**steps, "rate": rates, "gradient": gradient, "dtype": _dtype(), "name": "flow"}


def _network(
    states: int, flow: NeuralODE, mean: Sequence[float] | None, std: Sequence[float] | None, head: Head, name: str
) -> keras.Model:
    if head not in get_args(Head):
        raise OptionError("head", expected=" or ".join(map(repr, get_args(Head))), received=head)
    means, stds = statistics(mean, std, states)
    state = keras.Input((states,), dtype=flow.dtype, name="state")
    times = keras.Input((None,), dtype=flow.dtype, name="times")
    z = Normalisation(means, stds, dtype=flow.dtype, name="normalisation")(state)
    output = Denormalisation(means, stds, dtype=flow.dtype, name="denormalisation")(flow(z, times))
    if head == "gaussian":
        error = ErrorGrowth(states, float(np.mean(flow.rate or 1.0)), dtype=flow.dtype, name="error")(times)
        # Rows of L in the units of their variables.
        rows = np.tril_indices(states)[0]
        scale = Denormalisation([0.0] * len(rows), [stds[row] for row in rows], dtype=flow.dtype, name="error_scale")
        error = scale(error)
        output = layers.Concatenate(dtype=flow.dtype, name="states_and_error")([output, error])
    return keras.Model({"state": state, "times": times}, output, name=name)
