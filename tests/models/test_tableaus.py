"""The coefficients, against scipy's and the order conditions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate._ivp import dop853_coefficients, rk

from geodl.models.tableaus import TABLEAUS

ALL = pytest.mark.parametrize("name", TABLEAUS)


def _square(name: str) -> np.ndarray:
    rows = TABLEAUS[name].a
    return np.array([[*row, *[0.0] * (len(rows) - len(row))] for row in rows])


@ALL
def test_conditions_of_the_orders_up_to_four(name: str) -> None:
    tableau = TABLEAUS[name]
    a, b, c = _square(name), np.array(tableau.b), np.array(tableau.c)
    conditions = [
        (1, b.sum(), 1),
        (2, b @ c, 1 / 2),
        (3, b @ c**2, 1 / 3),
        (3, b @ a @ c, 1 / 6),
        (4, b @ c**3, 1 / 4),
        (4, (b * c) @ a @ c, 1 / 8),
        (4, b @ a @ c**2, 1 / 12),
        (4, b @ a @ a @ c, 1 / 24),
    ]
    for order, found, expected in conditions:
        if order <= tableau.order:
            assert found == pytest.approx(expected, abs=1e-14), order
    bushy = [b @ c ** (q - 1) - 1 / q for q in range(1, tableau.order + 2)]
    np.testing.assert_allclose(bushy[:-1], 0, atol=1e-14)


@ALL
def test_nodes_are_the_sums_of_the_rows(name: str) -> None:
    tableau = TABLEAUS[name]
    np.testing.assert_allclose(_square(name).sum(axis=1), tableau.c, atol=1e-14)
    np.testing.assert_allclose([sum(row) for row in tableau.extra_a], tableau.extra_c, atol=1e-14)
    assert len(tableau.a) == len(tableau.b) == len(tableau.c) == tableau.stages


def test_dopri5_is_scipys() -> None:
    tableau, sizes = TABLEAUS["dopri5"], np.arange(7)
    theirs = rk.RK45
    np.testing.assert_allclose(_square("dopri5")[:, :5], theirs.A, rtol=1e-15)
    np.testing.assert_allclose(tableau.b, theirs.B, rtol=1e-15)
    np.testing.assert_allclose(np.abs(tableau.error), np.abs(theirs.E), rtol=1e-15)
    np.testing.assert_allclose(np.outer(tableau.error, theirs.E)[sizes, sizes].max(), 0)
    np.testing.assert_allclose(tableau.dense, theirs.P, rtol=1e-15)
    assert (tableau.order, tableau.error_order) == (theirs.order, theirs.error_estimator_order)


def test_dop853_is_scipys() -> None:
    tableau, theirs = TABLEAUS["dop853"], dop853_coefficients
    np.testing.assert_array_equal(_square("dop853"), theirs.A[:12, :12])
    for row, expected in zip(tableau.extra_a, theirs.A[13:], strict=True):
        np.testing.assert_array_equal(row, expected[: len(row)])
        assert not expected[len(row) :].any()
    np.testing.assert_array_equal(
        [*tableau.b, *tableau.c, *tableau.extra_c], [*theirs.B, *theirs.C[:12], *theirs.C[13:]]
    )
    np.testing.assert_array_equal(tableau.error, theirs.E5)
    np.testing.assert_array_equal(tableau.error_third, theirs.E3)
    assert (tableau.order, tableau.error_order) == (rk.DOP853.order, rk.DOP853.error_estimator_order)


def test_dense_output_of_dop853_is_scipys() -> None:
    rng, h = np.random.default_rng(0), 0.3
    slopes, start = rng.normal(size=(16, 3)), rng.normal(size=3)
    change = h * slopes[:12].T @ dop853_coefficients.B
    parts = [change, h * slopes[0] - change, 2 * change - h * (slopes[12] + slopes[0])]
    theirs = rk.Dop853DenseOutput(0, h, start, np.vstack([parts, h * dop853_coefficients.D @ slopes]))
    for theta in (0.0, 0.1, 0.5, 0.9, 1.0):
        weights = np.array(TABLEAUS["dop853"].dense) @ theta ** np.arange(1, 8)
        np.testing.assert_allclose(start + h * weights @ slopes, theirs(theta * h), atol=1e-12)


@pytest.mark.parametrize("name", ["dopri5", "dop853"])
def test_dense_output_ends_where_the_step_does(name: str) -> None:
    tableau = TABLEAUS[name]
    dense = np.array(tableau.dense)
    at_end = np.zeros(len(dense))
    at_end[: tableau.stages] = tableau.b
    np.testing.assert_allclose(dense.sum(axis=1), at_end, atol=1e-12)
    # The slopes at both ends are those of the field.
    slopes = [dense[:, 0], dense @ np.arange(1, dense.shape[1] + 1)]
    np.testing.assert_allclose(slopes, np.eye(len(dense))[[0, tableau.stages]], atol=1e-12)
