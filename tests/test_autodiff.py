"""Derivatives on the backend in use, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy.optimize import rosen, rosen_der

from geodl.autodiff import concrete, enable_float64, jvp, value_and_gradient, vjp, with_gradient

A = np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 4.0]], "float32")
X = np.array([0.3, -1.2, 2.0], "float32")


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value))


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


ways = pytest.mark.parametrize("way", [_eager, _compiled], ids=["eager", "compiled"])


@ways
def test_cotangents_are_pulled_back_as_often_as_asked(way: Callable[..., Any]) -> None:
    @way
    def pulled(x: Any) -> Any:
        output, pull = vjp(lambda x: ops.matmul(A, x) ** 2, x)
        return output, pull(ops.convert_to_tensor([1.0, 0.0]))[0], pull(ops.convert_to_tensor([2.0, 3.0]))[0]

    output, first, second = pulled(ops.convert_to_tensor(X))
    jacobian = 2 * (A @ X)[:, None] * A
    np.testing.assert_allclose(_numpy(output), (A @ X) ** 2, rtol=1e-5)
    np.testing.assert_allclose(_numpy(first), jacobian[0], rtol=1e-5)
    np.testing.assert_allclose(_numpy(second), [2.0, 3.0] @ jacobian, rtol=1e-5)


def test_lists_of_tensors_and_what_nothing_depends_on() -> None:
    parameters = [ops.convert_to_tensor(A), ops.convert_to_tensor([5.0])]
    outputs, pull = vjp(lambda p, x: [ops.matmul(p[0], x), 3 * x], parameters, ops.convert_to_tensor(X))
    (of_a, of_unused), of_x = pull([ops.convert_to_tensor([1.0, 2.0]), ops.ones(3)])
    np.testing.assert_allclose(_numpy(outputs[1]), 3 * X, rtol=1e-6)
    np.testing.assert_allclose(_numpy(of_a), np.outer([1.0, 2.0], X), rtol=1e-6)
    np.testing.assert_array_equal(_numpy(of_unused), [0.0])
    np.testing.assert_allclose(_numpy(of_x), [1.0, 2.0] @ A + 3, rtol=1e-6)


@ways
def test_tangents_are_pushed_forward(way: Callable[..., Any]) -> None:
    tangent = np.array([1.0, -2.0, 0.5], "float32")
    pushed = way(lambda x, t: jvp(lambda x: ops.sin(ops.matmul(A, x)), [x], [t]))
    output, found = pushed(ops.convert_to_tensor(X), ops.convert_to_tensor(tangent))
    np.testing.assert_allclose(_numpy(output), np.sin(A @ X), rtol=1e-5)
    np.testing.assert_allclose(_numpy(found), np.cos(A @ X) * (A @ tangent), rtol=1e-4)


def test_value_and_gradient_of_rosenbrock() -> None:
    def function(x: Any) -> Any:
        return ops.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    value, gradient = value_and_gradient(function, X)
    assert float(value) == pytest.approx(rosen(X), rel=1e-5)
    np.testing.assert_allclose(_numpy(gradient), rosen_der(X), rtol=1e-4)


@ways
def test_the_gradient_is_the_one_given(way: Callable[..., Any]) -> None:
    # A wrong gradient on purpose: nobody else would have it.
    function = with_gradient(
        lambda p, x: ([p[0] * ops.exp(x), x + p[1]], (p, x)),
        lambda kept, g: ([ops.sum(g[0]), ops.sum(7 * g[1])], kept[1] + 10 * g[0]),
    )

    def total(given: Any) -> Any:
        p, q, x = given
        product, sums = function([p, q], x)
        return 2 * ops.sum(product) + ops.sum(sums)

    value, (of_p, of_q, of_x) = way(lambda given: value_and_gradient(total, given))([ops.ones(()), ops.ones(()), X])
    assert float(value) == pytest.approx(2 * np.exp(X).sum() + X.sum() + 3, rel=1e-5)
    assert (float(of_p), float(of_q)) == (6.0, 21.0)
    np.testing.assert_allclose(_numpy(of_x), X + 20, rtol=1e-6)


def test_numbers_are_there_unless_traced() -> None:
    seen = []

    def look(x: Any) -> Any:
        seen.append(concrete(x))
        return x

    _compiled(look)(ops.convert_to_tensor(X))
    if keras.backend.backend() != "torch":
        assert seen == [None]
    for value in (X, list(X), ops.convert_to_tensor(X)):
        found = concrete(value)
        assert found is not None
        np.testing.assert_array_equal(found, X)


def test_float64_stays_float64() -> None:
    enable_float64()
    x = np.linspace(0.1, 0.9, 5)
    found = ops.tanh(ops.sin(ops.convert_to_tensor(x, "float64")))
    assert keras.backend.standardize_dtype(found.dtype) == "float64"
    np.testing.assert_allclose(_numpy(found), np.tanh(np.sin(x)), rtol=1e-14)
