"""Emulation from states to trajectories, in memory and in files."""

from __future__ import annotations

import csv
import errno
import logging
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import xarray as xr

import geodl
from geodl.bundle import write_bundle
from geodl.data.trajectories import Trajectory
from geodl.errors import BackendUnavailable, ContractError, OptionError, OutputExists, OutputUnwritable
from geodl.inference.emulator import Emulator
from geodl.inference.opening import open_predictor
from tests.inference.dynamicsfakes import (
    MEAN,
    STD,
    STEP,
    SpiralNetwork,
    around_mean,
    make_contract,
    make_emulator,
    spiral,
    spiral_model,
)

STARTS = np.array([[1.0, 0.0], [0.0, -2.0], [0.5, 0.5]])
STEPS = 40
TIMES = np.arange(STEPS + 1) * STEP


@pytest.fixture
def model() -> Emulator:
    return make_emulator(SpiralNetwork())


def states(forecast: xr.Dataset) -> np.ndarray:
    return np.stack([forecast.x.values, forecast.y.values], axis=-1)


def test_a_list_of_states_becomes_trajectories_by_name(model: Emulator) -> None:
    forecast = model.predict(STARTS, steps=STEPS)
    assert isinstance(forecast, xr.Dataset) and list(forecast) == ["x", "y"]
    assert forecast.x.dims == ("start", "time") and forecast.x.dtype == np.float32
    np.testing.assert_allclose(states(forecast), spiral(STARTS, TIMES), atol=1e-6)
    np.testing.assert_allclose(forecast.time, TIMES)
    assert forecast.start.values.tolist() == [0, 1, 2]
    assert forecast.x.attrs == {"long_name": "x", "units": "1"} and forecast.time.attrs["units"] == "1"
    assert forecast.attrs["step"] == STEP and forecast.attrs["Conventions"] == "CF-1.11"


def test_one_state_becomes_one_trajectory(model: Emulator) -> None:
    named = xr.Dataset({"y": -2.0, "x": 0.0}, {"time": 5.0})
    forecast = model.predict(named, steps=2)
    assert forecast.x.dims == ("time",) and forecast.time.values.tolist() == [5.0, 5.1, 5.2]
    np.testing.assert_allclose(states(forecast), spiral(STARTS[1], TIMES[:3]), atol=1e-6)
    assert "member" not in forecast.dims and "seed" not in forecast.attrs


@pytest.mark.parametrize("step", [0.03, 0.1, 0.25, 1.0], ids=str)
def test_other_output_steps_are_the_same_flow_at_steps_no_longer_than_those_of_training(step: float) -> None:
    network = SpiralNetwork()
    forecast = make_emulator(network).predict(STARTS, steps=7, step=step)
    times = np.arange(8) * step
    np.testing.assert_allclose(states(forecast), spiral(STARTS, times), atol=1e-6)
    np.testing.assert_allclose(forecast.time, times)


def test_starts_of_other_times_keep_them_beside_the_time_since(model: Emulator) -> None:
    together = model.predict({"x": [1, 2], "y": [3, 4], "time": [7, 7]}, steps=1)
    assert together.time.values.tolist() == [7.0, 7.1] and "start_time" not in together.coords
    apart = model.predict({"x": [1, 2], "y": [3, 4], "time": [7, 9], "name": ["a", "b"]}, steps=1)
    assert apart.time.values.tolist() == [0.0, 0.1]
    assert apart.start_time.values.tolist() == [7.0, 9.0] and apart.start.values.tolist() == ["a", "b"]
    assert apart.time.attrs["long_name"] == "time since the first state"


def test_dates_stay_dates(tmp_path: Path) -> None:
    model = make_emulator(SpiralNetwork(), make_contract(step=0.5, time_unit="days"))
    (tmp_path / "s.csv").write_text("time,x,y\n2020-01-31T12:00,1,0\n")
    expected = np.array(["2020-01-31T12", "2020-02-01T00"], "datetime64[ns]")
    np.testing.assert_array_equal(model.predict(tmp_path / "s.csv", steps=1).time.values, expected)
    model.predict_file(tmp_path / "s.csv", tmp_path / "f.nc", steps=1)
    with xr.open_dataset(tmp_path / "f.nc") as written:
        np.testing.assert_array_equal(written.time.values, expected)


def test_members_differ_as_much_as_was_asked(model: Emulator) -> None:
    forecast = model.predict(STARTS, steps=1, members=4000, perturbation=0.1, seed=3)
    assert forecast.x.dims == ("member", "start", "time") and forecast.member.attrs["standard_name"] == "realization"
    first = states(forecast)[:, :, 0]
    np.testing.assert_allclose(first.mean(0), STARTS, atol=0.01)
    np.testing.assert_allclose(first.std(0), np.tile([0.1, 0.2], (3, 1)), rtol=0.05)
    assert forecast.attrs["perturbation"] == 0.1 and forecast.attrs["seed"] == 3
    few = model.predict(STARTS, steps=1, members=2, perturbation=0.1, seed=3)
    np.testing.assert_array_equal(states(few), states(forecast)[:2])
    assert not np.array_equal(states(model.predict(STARTS, steps=1, members=2, perturbation=0.1)), states(few))
    for member in states(model.predict(STARTS, steps=STEPS, members=2, perturbation=0.0)):
        np.testing.assert_allclose(member, spiral(STARTS, TIMES), atol=1e-6)
    usual = states(model.predict(STARTS[0], steps=1, members=3000))[:, 0]
    np.testing.assert_allclose(usual.std(0), [1e-3, 2e-3], rtol=0.1)


def test_a_network_that_tells_its_errors_says_how_members_differ() -> None:
    """The factor at the first time is [[0.3, 0], [0.4, 0.5]], in the units of the variables."""

    def network(inputs: dict[str, np.ndarray]) -> np.ndarray:
        flown = SpiralNetwork()(inputs)
        told = (1 + inputs["times"][..., None]) * np.array([0.3, 0.4, 0.5])
        return np.concatenate([flown, told], axis=-1).astype(flown.dtype)

    model = make_emulator(network, make_contract(told=True))
    forecast = model.predict(STARTS[0], steps=STEPS, members=5000)
    assert list(forecast) == ["x", "y"] and forecast.attrs["perturbation"] == "as the network tells of its errors"
    found = np.cov(states(forecast)[:, 0].T)
    np.testing.assert_allclose(found, [[0.09, 0.12], [0.12, 0.41]], rtol=0.1)
    assert states(model.predict(STARTS[0], steps=1, members=50, perturbation=1e-6))[:, 0].std(0).max() < 1e-5


def test_files_hold_what_is_given_in_memory(model: Emulator, tmp_path: Path) -> None:
    given: dict[str, Any] = {"steps": 300, "members": 3, "perturbation": 0.1}
    expected = model.predict(STARTS, **given)
    target = tmp_path / "made" / "forecast.nc"
    # So little memory that members, starts and times come in pieces.
    assert model.predict_file(STARTS, target, memory=6 * 2 * 4 * 60, **given) == [target]
    assert os.listdir(target.parent) == ["forecast.nc"]
    with xr.open_dataset(target) as written:
        xr.testing.assert_allclose(written.load(), expected, rtol=1e-5, atol=1e-6)
        assert written.attrs == expected.attrs and written.x.attrs == expected.x.attrs
        assert written.x.dtype == np.float32 and "_FillValue" not in written.time.encoding
        assert written.x.encoding["contiguous"]
    model.predict_file(STARTS[0], tmp_path / "one.nc", steps=5)
    with xr.open_dataset(tmp_path / "one.nc") as written:
        xr.testing.assert_identical(written.load(), model.predict(STARTS[0], steps=5))


def test_tables_have_a_row_per_member_start_and_time(model: Emulator, tmp_path: Path) -> None:
    model.predict_file({"x": [1, 2], "y": [3, 4], "name": ["a", "b"]}, tmp_path / "f.csv", steps=2, members=2)
    with open(tmp_path / "f.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["member", "start", "time", "x", "y"] and len(rows) == 2 * 2 * 3
    assert [row[:2] for row in rows] == [[member, start] for member in "01" for start in "ab" for _ in range(3)]
    forecast = model.predict({"x": [1, 2], "y": [3, 4]}, steps=2, members=2)
    np.testing.assert_allclose([float(row[3]) for row in rows], forecast.x.values.ravel(), rtol=1e-6)
    with pytest.raises(
        OptionError, match=r"target: expected a file that ends in .nc, for so many states.*9999 rows|10001"
    ):
        model.predict_file(STARTS[0], tmp_path / "g.csv", steps=10_000, memory=1 << 20)


def test_what_diverges_is_told_and_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make_emulator(SpiralNetwork(blow_up=1.0))
    exact = spiral(STARTS, TIMES)[..., 0]
    lost = int(np.argmax(exact[1] > 1))
    with caplog.at_level(logging.WARNING, "geodl"):
        model.predict_file({"x": STARTS[:, 0], "y": STARTS[:, 1], "name": list("abc")}, tmp_path / "f.nc", steps=STEPS)
    assert caplog.messages == [f"Diverged, not-a-number since: start b from time {lost * STEP:g} on."]
    with xr.open_dataset(tmp_path / "f.nc") as written:
        assert np.isfinite(written.x.values[[0, 2]]).all() and np.isnan(written.y.values[1, lost:]).all()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "geodl"):
        model.predict(STARTS[1], steps=STEPS, members=9)
    assert "member 0 from time" in caplog.text and "… (9 of 9 in all)" in caplog.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 0}, r"steps \(--steps\): expected a whole number, 1 or more. Received: 0"),
        ({"steps": 2.5}, "Received: 2.5"),
        ({"steps": 1, "step": 0.0}, r"step \(--step\): expected a time above 0"),
        ({"steps": 1, "members": 0}, r"members \(--ensemble\): expected 1 or more"),
        ({"steps": 1, "members": 2, "perturbation": -0.1}, "a share of 0 or more. Received: -0.1"),
        ({"steps": 1, "perturbation": 0.1}, "an ensemble to perturb"),
        ({"steps": 1, "memory": 10}, r"memory \(--memory\): expected at least"),
    ],
    ids=["no steps", "half a step", "step of 0", "no members", "negative", "nothing to perturb", "no memory"],
)
def test_arguments_out_of_range(model: Emulator, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        model.predict(STARTS, **options)


def test_targets_that_cannot_be(model: Emulator, tmp_path: Path) -> None:
    source, target = tmp_path / "states.csv", tmp_path / "forecast.nc"
    source.write_text("x,y\n1,2\n")
    with pytest.raises(OptionError, match=r"target: expected a file name that ends in .nc or .csv"):
        model.predict_file(source, tmp_path / "forecast.tif", steps=1)
    with pytest.raises(OptionError, match="another file than that of the states"):
        model.predict_file(source, source, steps=1, overwrite=True)
    target.write_text("mine")
    with pytest.raises(OutputExists, match="already holds a forecast.*--overwrite"):
        model.predict_file("nowhere.csv", target, steps=1)
    assert target.read_text() == "mine"
    assert model.predict_file(source, target, steps=1, overwrite=True) == [target]
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(OutputUnwritable, match="it is a folder"):
        model.predict_file(source, tmp_path / "folder.nc", steps=1)
    with pytest.raises(OutputUnwritable, match="Cannot write"):
        model.predict_file(source, source / "forecast.nc", steps=1)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no disk space")
def test_a_full_disk_is_told_before_hdf5_meets_it(
    model: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def full(descriptor: int, offset: int, size: int) -> None:
        sizes.append(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputUnwritable, match="No space left on device. Nothing half-written"):
        model.predict_file(STARTS, tmp_path / "forecast.nc", steps=10_000)
    assert os.listdir(tmp_path) == [] and sizes[0] > 3 * 10_001 * 2 * 4


def test_plain_arrays_come_without_names(model: Emulator) -> None:
    given = model.forecast(STARTS, steps=STEPS)
    assert given.shape == (3, STEPS + 1, 2) and given.dtype == np.float32
    np.testing.assert_allclose(given, spiral(STARTS, TIMES), atol=1e-6)


def test_only_keras_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="runtime: expected keras or auto: no other runtime .* Received: 'onnx'"):
        Emulator(None, make_contract(), "nowhere", runtime="onnx")
    monkeypatch.setenv("GEODL_RUNTIME", "openvino")
    opened = open_predictor(None, make_contract(), "nowhere", runtime="auto")
    assert isinstance(opened, Emulator) and repr(opened) == "<Emulator dynamics: x, y, step 0.1>"
    with pytest.raises(ContractError, match="time step is 0.0. Expected a number above 0"):
        Emulator(None, make_contract(step=0.0), "nowhere")


def written(folder: Path, dtype: str) -> Path:
    """A bundle whose network is a spiral around its training mean."""
    contract = make_contract(dtype=dtype)
    return write_bundle(
        folder, network=spiral_model(dtype), contract=contract, recipe="", metrics={"pipeline": "dynamics"}
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("spiral") / "run", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bundle_is_loaded_as_an_emulator(dtype: str, tmp_path: Path) -> None:
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("all tests after it would have JAX in double precision")
    folder = written(tmp_path / "run", dtype)
    model = geodl.load(folder)
    assert isinstance(model, Emulator) and model.runtime == "keras" and model.path == folder
    forecast = model.predict(STARTS, steps=STEPS)
    assert forecast.x.dtype == np.dtype(dtype)
    np.testing.assert_allclose(states(forecast), around_mean(STARTS, TIMES), atol=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(model.statistics, (MEAN, STD))


def test_observed_trajectories_are_assimilated_and_carried_on(bundle: Path, tmp_path: Path) -> None:
    model = geodl.load(bundle)
    assert isinstance(model, Emulator)
    times = 3 + np.cumsum(np.random.default_rng(0).uniform(0.05, 0.3, 60))  # irregular
    truth = around_mean(np.array([4.0, -2.5]), times - times[0])
    seen = truth[:, :1] + np.random.default_rng(1).normal(size=(60, 1)) * 0.1 * STD[0]
    seen[50:] = np.nan
    analysis = model.assimilate(Trajectory("seen", times, seen, ("x",)), error=0.1)
    (found,) = analysis.estimates
    assert 0.6 < found.misfit < 1.4 and analysis.starts.times == [times[49]] and analysis.starts.single
    off = np.abs(found.states - truth[:50])
    # y is seen by its turning into x alone; 50 observations of error 0.2 tell both amplitudes to some 0.04.
    assert off[:, 0].max() < 0.12 and off[:, 1].max() < 0.12 * STD[1] / STD[0]
    forecast = model.predict(analysis.starts, steps=3)
    np.testing.assert_allclose(forecast.time, times[49] + np.arange(4) * STEP)
    np.testing.assert_allclose(states(forecast)[0], found.states[-1], rtol=1e-5)
    ends = model.assimilate(Trajectory("seen", times, seen, ("x",)), window=2.0).estimates[0]
    assert ends.times[0] >= times[49] - 2.0 and ends.times[-1] == times[49]


def test_what_cannot_be_assimilated(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = geodl.load(bundle)
    assert isinstance(model, Emulator)
    columns = {"time": [0.0, 0.1, 0.2], "x": [1.0, 1.0, 1.0]}
    for options, sentence in (
        ({"error": 0.0}, r"error \(--observation-error\): expected a share above 0"),
        ({"window": -1.0}, r"window \(--window\): expected a time above 0"),
        ({"iterations": 0}, "iterations: expected 1 or more"),
    ):
        with pytest.raises(OptionError, match=sentence):
            model.assimilate(columns, **options)
    with pytest.raises(OptionError, match="one at least of the variables x, y. Received: 'w'"):
        model.assimilate({"time": [0.0, 0.1], "w": [1.0, 2.0]})
    noise = np.random.default_rng(0).normal(size=40) * 10
    with caplog.at_level(logging.WARNING, "geodl"):
        model.assimilate({"time": np.arange(40) * STEP, "x": noise}, iterations=3)
    assert "errors of observation off the observations; about 1 was expected" in caplog.text


def test_an_export_is_refused_by_a_sentence(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="no format holds a network that integrates over time. Use geodl.load"):
        geodl.load(bundle).export(tmp_path / "out", format="saved_model")
    assert not (tmp_path / "out").exists()
