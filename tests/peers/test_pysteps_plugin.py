"""geodl as a nowcasting method of pysteps."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.errors import OptionError, ResolutionMismatch, StepMismatch
from tests.inference.rainfakes import FRAMES, LEADS, WeightedFrames, make_contract, make_forecaster, moving_rain

pytestmark = pytest.mark.peers

nowcasts = pytest.importorskip("pysteps.nowcasts")


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> object:
    import geodl.pysteps

    network = WeightedFrames(channels=2)
    model = make_forecaster(network, make_contract(advected=True, spread="log"))
    monkeypatch.setattr(geodl.pysteps, "_open", lambda bundle, runtime: model)
    method = nowcasts.get_method("geodl")
    assert method is geodl.pysteps.forecast
    method.network = network
    return method


def test_forecasts_have_the_shape_of_those_of_pysteps(method) -> None:
    rain = moving_rain(6, 64, 64)
    found = method(rain, None, LEADS, bundle="runs/now")
    extrapolated = nowcasts.get_method("extrapolation")(rain[-1], np.zeros((2, 64, 64)), LEADS)
    assert found.shape == extrapolated.shape == (LEADS, 64, 64)
    np.testing.assert_array_equal(method(rain, None, [1, 3], bundle="runs/now"), found[[0, 2]])
    ensemble = method(rain, None, 2, bundle="runs/now", n_ens_members=3, seed=1)
    assert ensemble.shape == (3, 2, 64, 64)
    np.testing.assert_array_equal(method(rain, None, 2, bundle="runs/now", n_ens_members=3, seed=1), ensemble)


def test_motion_is_taken_as_pysteps_gives_it(method) -> None:
    rain = moving_rain(6, 64, 64)
    velocity = np.zeros((2, 64, 64))
    velocity[0], velocity[1] = 2, -1
    method(rain, velocity, LEADS, bundle="runs/now")
    fed = method.network.inputs[-1][0, FRAMES:, ..., 0]
    carried = nowcasts.get_method("extrapolation")(rain[-1].astype(float), velocity, LEADS)
    both = np.isfinite(fed) & np.isfinite(carried)
    assert both.mean() > 0.85
    np.testing.assert_allclose(fed[both], carried[both], atol=1e-4)


def test_what_does_not_fit_is_refused(method) -> None:
    rain = moving_rain(6)
    for timesteps in (LEADS + 1, 0, [0.5]):
        with pytest.raises(OptionError, match="timesteps: expected 1 to 3 lead times"):
            method(rain, None, timesteps, bundle="runs/now")
    with pytest.raises(StepMismatch, match="Expected 10 minutes. Received: 5 minutes"):
        method(rain, None, 1, bundle="runs/now", timestep=5)
    with pytest.raises(ResolutionMismatch, match="Expected 1 km. Received: 2 km"):
        method(rain, None, 1, bundle="runs/now", kmperpixel=2)
