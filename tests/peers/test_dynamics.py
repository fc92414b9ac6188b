"""PySINDy as a baseline, live."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.baselines import Baseline
from geodl.baselines.sindy import PySINDy
from tests.baselines.dynamics_case import Segments, Trajectory, batch, lorenz63_run

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _pysindy() -> None:
    pytest.importorskip("pysindy")


def test_it_finds_lorenz_63_and_forecasts_it() -> None:
    times = np.arange(0, 30, 0.01)
    run = lorenz63_run(times)
    segments = Segments([Trajectory(times[:1000], run[:1000]), Trajectory(times[1000:2000], run[1000:2000])])
    baseline = PySINDy().fit(segments)  # type: ignore[arg-type]
    assert isinstance(baseline, Baseline)
    exact = np.zeros((3, 10))
    exact[0, [1, 2]] = -10, 10
    exact[1, [1, 2, 6]] = 28, -1, -1
    exact[2, [3, 5]] = -8 / 3, 1
    np.testing.assert_allclose(baseline._coefficients, exact, atol=0.5)
    np.testing.assert_array_equal(baseline._coefficients != 0, exact != 0)
    x, y = batch(run, range(2010, 2800, 80), step=0.01, horizon=110)
    forecast = baseline(x)
    assert np.sqrt(np.mean((forecast - y) ** 2)) < 1
    picked = np.array([0, 7, 50])
    np.testing.assert_allclose(baseline({**x, "times": x["times"][:, picked]}), forecast[:, picked])


def test_its_field_is_what_pysindy_predicts() -> None:
    import pysindy

    times = np.arange(0, 5, 0.01)
    run = lorenz63_run(times)
    segments = Segments([Trajectory(times, run)])
    baseline = PySINDy(threshold=0.2).fit(segments)  # type: ignore[arg-type]
    model = pysindy.SINDy(optimizer=pysindy.STLSQ(threshold=0.2)).fit(run, t=0.01)
    np.testing.assert_allclose(baseline._field(run[:50]), model.predict(run[:50]), rtol=1e-9)
