"""Sizes of steps: the first as scipy's, the next within its bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from scipy.integrate import DOP853

from geodl.models.stepcontrol import StepControl


def tensor(*numbers: float) -> Any:
    return ops.convert_to_tensor(np.array(numbers, "float32"))


def test_first_step_is_scipys() -> None:
    control = StepControl(7, 1e-6, 1e-3)
    states = np.array([[1.0, 0.0], [3.0, -2.0]], "float32")

    def slope(x: Any) -> Any:
        return ops.stack([x[:, 1], -ops.sin(x[:, 0])], axis=1)

    state = ops.convert_to_tensor(states)
    found = np.asarray(control.first(slope, state, slope(state), tensor(1, -1)))
    for size, start, end in zip(found, states.astype(float), (100, -100), strict=True):
        peer = DOP853(lambda t, x: np.array([x[1], -np.sin(x[0])]), 0, start, end, rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(size, peer.h_abs, rtol=1e-3)


def test_steps_follow_the_error_within_bounds() -> None:
    control = StepControl(4, 1e-6, 1e-6)
    errors = tensor(1e-12, 0.5, 0.5, 2.0, 1e9, float("nan"), float("inf"))
    accepted = errors <= 1
    before = ops.convert_to_tensor([False, False, True, False, False, False, False])
    following, last = control.after(
        ops.ones_like(errors), errors, last_error=ops.ones_like(errors), accepted=accepted, rejected_before=before
    )
    following, last = np.asarray(following), np.asarray(last)
    assert following[0] == 10
    np.testing.assert_allclose(following[1], 0.9 * 0.5 ** -(0.2 - 0.03), rtol=1e-5)
    assert following[2] <= 1 and 0.2 < following[3] < 0.9
    np.testing.assert_allclose(following[4:], 0.2)
    np.testing.assert_allclose(last, [1e-4, 0.5, 0.5, 1, 1, 1, 1], rtol=1e-5)


def test_smallest_step_is_a_few_spacings_of_numbers() -> None:
    times = np.array([0.0, 1.0, -1000.0], "float32")
    found = np.asarray(StepControl(4, 1e-6, 1e-6).smallest(ops.convert_to_tensor(times)))
    assert found[0] > 0
    assert (times[1:] + np.sign(times[1:]) * found[1:] != times[1:]).all()
    assert (found[1:] < 20 * np.spacing(np.abs(times[1:]))).all()
