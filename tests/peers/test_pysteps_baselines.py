"""The baselines of pysteps against pysteps called as its examples do, and our motion and advection against its own."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geodl.baselines import ANVIL, SPROG, Advection, Extrapolation
from geodl.data.radar import open_sequence
from geodl.data.simulate import rain_motion, simulate_rain
from geodl.physics.advection import advect

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
    assert baseline.simpler == (case in ("tiny", "one frame") or (case == "rain at last" and kind is not Extrapolation))


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
    backward, options = true[::-1].astype(float), {"n_iter": 3, "allow_nonfinite_values": True}
    theirs = call("extrapolation.semilagrangian", "extrapolate", rain[-1], backward, LEADS, **options)
    ours = advect(rain[-1], true, LEADS)
    both = np.isfinite(theirs) & np.isfinite(ours)
    assert both.mean() > 0.98 * np.isfinite(theirs).mean()
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.999


def test_our_forecasts_of_real_rain_are_not_worse() -> None:
    sequence = open_sequence(_radar("bom_2018")).at_resolution(1000)
    frames, tables = sequence.read(None, slice(0, len(sequence.times)))[0][..., 0], np.zeros((2, 3))
    for start in range(0, len(frames) - 9, 12):
        seen, came = frames[start : start + 4], frames[start + 8]
        theirs, ours = (kind(5)(seen[None, ..., None])[0, -1, ..., 0] for kind in (Extrapolation, Advection))
        for table, forecast in zip(tables, (theirs, ours), strict=True):
            rain, foreseen = came >= 1, np.nan_to_num(forecast) >= 1
            table += [np.sum(rain & foreseen), np.sum(rain & ~foreseen), np.sum(~rain & foreseen)]
    theirs, ours = tables[:, 0] / tables.sum(axis=1)
    assert ours > 0.99 * theirs


def _radar(name: str) -> Path:
    folder = Path(os.environ.get("GEODL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "radar" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder
