"""Trajectories from xarray, NetCDF and numpy archives, and what of these is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geodl.data.trajectories import open_trajectories
from geodl.errors import BandMismatch, SourceUnreadable, TrajectoryUnusable

TIMES = np.arange(5) * 0.25
STATES = np.random.default_rng(0).normal(size=(3, 5, 2))


def dataset() -> xr.Dataset:
    found = xr.Dataset(
        {"x": (("run", "time"), STATES[..., 0], {"units": "m"}), "y": (("time", "run"), STATES[..., 1].T)},
        {"time": ("time", TIMES, {"units": "s"}), "run": ["a", "b", "c"]},
    )
    return found.assign(note="by hand", area=("cell", [1.0, 2.0]))


@pytest.mark.parametrize("kind", ["memory", "h5netcdf", "scipy"])
def test_variables_over_runs_and_time(tmp_path: Path, kind: str) -> None:
    thing: object = dataset()
    if kind != "memory":
        thing = tmp_path / "storm.nc"
        dataset().drop_vars("note" if kind == "scipy" else []).to_netcdf(thing, engine=kind)
    # NetCDF-3 files list their variables in an order of their own.
    found = open_trajectories(thing, variables=("x", "y") if kind == "scipy" else None)
    assert [each.name for each in found] == [("array_" if kind == "memory" else "storm_") + k for k in "abc"]
    for each, states in zip(found, STATES):
        np.testing.assert_array_equal(each.times, TIMES)
        np.testing.assert_array_equal(each.states, states)
        assert (each.variables, each.units, each.time_unit) == (("x", "y"), ("m", ""), "s")
    (only, *_) = open_trajectories(thing, variables=["y"])
    np.testing.assert_array_equal(only.states, STATES[0, :, 1:])


@pytest.mark.parametrize("named", [True, False], ids=["named", "numbered"])
def test_a_dim_of_states_gives_the_variables(named: bool) -> None:
    array = xr.DataArray(STATES[0], dims=("time", "state"), coords={"time": TIMES})
    if named:
        array = array.assign_coords(state=["u", "v"])
    (found,) = open_trajectories(array)
    assert found.variables == (("u", "v") if named else ("x1", "x2"))
    np.testing.assert_array_equal(found.states, STATES[0])


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_dates_become_days(tmp_path: Path, calendar: str) -> None:
    times = xr.date_range("2021-03-01", periods=5, freq="6h", calendar=calendar, use_cftime=calendar == "noleap")
    thing = xr.Dataset({"x": ("time", STATES[0, :, 0])}, {"time": times})
    thing.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    for where in (thing, tmp_path / "run.nc"):
        (found,) = open_trajectories(where)
        np.testing.assert_allclose(found.times, TIMES, atol=1e-12)
        assert found.time_unit == "days" and found.origin == np.datetime64("2021-03-01")


def test_times_of_each_run_and_padding(tmp_path: Path) -> None:
    times = np.stack([TIMES, TIMES * 2, TIMES * 3])
    times[1, 3:] = np.nan
    states = STATES.copy()
    states[1, 3:] = np.nan
    arrays = {"times": times, "states": states, "variables": ["u", "v"], "names": ["a", "b", "c"], "time_unit": "h"}
    np.savez(tmp_path / "runs.npz", **arrays)
    packed = xr.Dataset(
        {"time": (("trajectory", "obs"), times, {"units": "h"}), "u": (("trajectory", "obs"), states[..., 0]),
         "v": (("trajectory", "obs"), states[..., 1])},
        {"trajectory": ["a", "b", "c"]},
    )  # fmt: skip
    for thing in (arrays, tmp_path / "runs.npz", packed):
        found = open_trajectories(thing)
        assert [each.name[-2:] for each in found] == ["_a", "_b", "_c"]
        assert [len(each) for each in found] == [5, 3, 5] and found[0].time_unit == "h"
        np.testing.assert_array_equal(found[1].times, times[1, :3])
        np.testing.assert_array_equal(found[2].states, STATES[2])
        assert found[0].variables == ("u", "v")


def test_an_archive_of_one_run_needs_no_names(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "one.npz", t=TIMES.astype("datetime64[D]"), states=STATES[0])
    with pytest.raises(TrajectoryUnusable, match="time 0 occurs twice"):
        open_trajectories(tmp_path / "one.npz")
    np.savez_compressed(tmp_path / "one.npz", t=np.arange(5), states=STATES[0].astype(np.float32))
    (found,) = open_trajectories(tmp_path / "one.npz")
    assert found.variables == ("x1", "x2") and found.name == "one" and found.states.dtype == np.float64


FAULTS = {
    "no_states": ({"times": TIMES, "x": TIMES}, "it has no states; there are times, x"),
    "no_times": ({"states": STATES[0]}, "none of its arrays is called time"),
    "shapes": (
        {"times": TIMES[:4], "states": STATES[0]},
        r"times are of shape \(4,\) and its states of shape \(5, 2\)",
    ),
    "names": ({"times": TIMES, "states": STATES[0], "variables": ["u"]}, "2 columns of states, 1 variables"),
    "text": ({"times": TIMES, "states": STATES[0].astype(str)}, "its states are of type"),
    "runs": ({"times": TIMES, "states": STATES, "names": ["a"]}, "3 trajectories and 1 names"),
}


@pytest.mark.parametrize(("arrays", "sentence"), FAULTS.values(), ids=FAULTS)
def test_archives_that_are_none(tmp_path: Path, arrays: dict, sentence: str) -> None:
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(TrajectoryUnusable, match=sentence):
        open_trajectories(tmp_path / "run.npz")
    if "states" in arrays:
        with pytest.raises(TrajectoryUnusable, match=sentence):
            open_trajectories(arrays)


def test_datasets_that_are_none() -> None:
    with pytest.raises(TrajectoryUnusable, match="none of its variables is called time"):
        open_trajectories(dataset().drop_vars("time"))
    with pytest.raises(TrajectoryUnusable, match="x has the dims run, time, level"):
        open_trajectories(dataset().assign(x=dataset().x.expand_dims(level=2, axis=-1).expand_dims(m=2, axis=-1)))
    with pytest.raises(TrajectoryUnusable, match="none of its variables over time holds numbers"):
        open_trajectories(dataset()[["note", "area", "time"]])
    with pytest.raises(BandMismatch, match="Expected 2: y, z"):
        open_trajectories(dataset(), variables=("y", "z"))


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_damaged_files_are_told(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"run.{ending}"
    if ending == "nc":
        dataset().to_netcdf(path, engine="h5netcdf")
    else:
        np.savez(path, times=TIMES, states=STATES[0])
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no such thing at all"):
        path.write_bytes(content)
        with pytest.raises(SourceUnreadable, match=r"Cannot read .*run\." + ending):
            open_trajectories(path)
    with pytest.raises(SourceUnreadable, match="there is no such file"):
        open_trajectories(tmp_path / f"absent.{ending}")


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", times=TIMES, states=np.array([{}] * 5, object))
    with pytest.raises(SourceUnreadable, match="pickled objects"):
        open_trajectories(tmp_path / "run.npz")
