"""The baselines of pysteps against pysteps called as its examples do, and our motion and advection against its own."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from typing import Any

import numpy as np
import pytest

from geodl.baselines import ANVIL, SPROG, Extrapolation
from geodl.data.simulate import rain_motion, simulate_rain
from geodl.physics.advection import advect
from geodl.physics.motion import motion

pytestmark = pytest.mark.peers

LEADS = 3


def call(module: str, function: str, *arguments: Any, **options: Any) -> np.ndarray:
    found = pytest.importorskip(f"pysteps.{module}")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(found, function)(*arguments, **options)


def decibel(rates: np.ndarray) -> np.ndarray:
    return call("utils.transformation", "dB_transform", rates, threshold=0.1, zerovalue=-15.0)[0]


@pytest.fixture(scope="module")
def rain() -> np.ndarray:
    pytest.importorskip("pysteps")
    pytest.importorskip("cv2")
    return simulate_rain((160, 128), 4, seed=2, coverage_km=90).values.astype(np.float64)


@pytest.fixture(scope="module")
def velocity(rain: np.ndarray) -> np.ndarray:
    tracked = np.ma.masked_invalid(np.where(np.isnan(rain), np.nan, decibel(np.nan_to_num(rain))))
    return call("motion.lucaskanade", "dense_lucaskanade", tracked[-3:])


def test_extrapolation(rain: np.ndarray, velocity: np.ndarray) -> None:
    expected = call("nowcasts.extrapolation", "forecast", rain[-1], velocity, LEADS)
    np.testing.assert_allclose(Extrapolation(LEADS)(rain[None, ..., None])[0, ..., 0], expected, rtol=1e-4, atol=1e-4)


def test_sprog(rain: np.ndarray, velocity: np.ndarray) -> None:
    found = call(
        "nowcasts.sprog", "forecast", decibel(rain)[-3:], velocity, LEADS, precip_thr=-10.0, n_cascade_levels=5
    )
    expected = call("utils.transformation", "dB_transform", found, threshold=-10.0, inverse=True)[0]
    np.testing.assert_allclose(SPROG(LEADS)(rain[None, ..., None])[0, ..., 0], expected, rtol=1e-3, atol=1e-3)


def test_anvil(rain: np.ndarray, velocity: np.ndarray) -> None:
    found = call("nowcasts.anvil", "forecast", rain, velocity, LEADS, n_cascade_levels=5, ar_window_radius=50)
    expected = np.where(np.isnan(found), np.nan, np.maximum(found, 0))
    np.testing.assert_allclose(ANVIL(LEADS)(rain[None, ..., None])[0, ..., 0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [Extrapolation, SPROG, ANVIL])
@pytest.mark.parametrize("case", ["no rain", "rain at last", "tiny", "one frame", "nodata"])
def test_what_a_method_cannot_do_is_extrapolated(rain: np.ndarray, kind: type[Extrapolation], case: str) -> None:
    frames = {
        "no rain": np.zeros((4, 40, 40)),
        "rain at last": np.concatenate([np.zeros((3, 160, 128)), rain[-1:]]),
        "tiny": rain[:, 60:69, 60:72],
        "one frame": rain[-1:],
        "nodata": np.full((4, 40, 40), np.nan),
    }[case]
    baseline = kind(LEADS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast = baseline(frames[None, ..., None].astype(np.float32))
    assert forecast.shape == (1, LEADS, *frames.shape[1:], 1)
    assert not np.any(forecast < 0)
    if case == "no rain":
        np.testing.assert_array_equal(forecast, 0)
    if case == "one frame":
        np.testing.assert_allclose(forecast[0, -1, ..., 0], frames[0], rtol=1e-5)
    assert baseline.simpler == (kind is not Extrapolation and case in ("rain at last", "one frame"))


def test_nothing_is_printed(rain: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    SPROG(LEADS)(rain[None, ..., None])
    assert capfd.readouterr() == ("", "")


def test_three_methods_track_the_rain_once(rain: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = importlib.import_module("pysteps.motion.lucaskanade")
    tracked, calls = tracker.dense_lucaskanade, []
    monkeypatch.setattr(tracker, "dense_lucaskanade", lambda *given: calls.append(1) or tracked(*given))
    x = (1.01 * rain)[None, ..., None]
    for kind in (Extrapolation, SPROG, ANVIL):
        kind(LEADS)(x)
    assert len(calls) == 1


def test_our_advection_is_theirs(rain: np.ndarray) -> None:
    true = rain_motion((160, 128), seed=2)
    theirs = call("extrapolation.semilagrangian", "extrapolate", rain[-1], true[::-1].astype(float), LEADS, n_iter=3)
    ours = advect(rain[-1], true, LEADS)
    both = np.isfinite(theirs) & np.isfinite(ours)
    assert both.mean() > 0.8 * np.isfinite(theirs).mean()
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.99


def test_our_motion_is_not_worse_than_theirs(velocity: np.ndarray, rain: np.ndarray) -> None:
    true, wet = rain_motion((160, 128), seed=2), rain[-1] >= 0.1
    errors = [np.hypot(*(field - true))[wet].mean() for field in (motion(rain), velocity[::-1])]
    assert errors[0] < 1.2 * errors[1]
