"""States that forecasts start from: the order is that of their names, whatever they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geodl.errors import GeodlError, OptionError, SourceUnreadable, UnitMismatch
from geodl.inference.statefile import Starts, read_starts
from tests.inference.dynamicsfakes import make_contract

CONTRACT = make_contract(("x", "y", "z"), units=("m", "", "K"))
STATES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]])
NAMES = ["north", "south"]


def table(path: Path) -> Path:
    path.write_text("# two states\nname, z, note, x [m], y, time\nnorth, 3, 7, 1, 2, 10\nsouth, 6.5, 7, 4, 5, 10.5\n")
    return path


def dataset() -> xr.Dataset:
    columns = {
        name: ("start", STATES[:, k], {"units": unit}) for k, (name, unit) in enumerate(zip("xyz", ("m", "1", "K")))
    }
    made = xr.Dataset({name: columns[name] for name in "zyx"}, {"start": NAMES, "time": ("start", [10.0, 10.5])})
    return made.assign(more=("other", [1.0, 2.0, 3.0]))


def array() -> xr.DataArray:
    coordinates = {"variable": list("zxy"), "start": NAMES, "time": ("start", [10.0, 10.5])}
    return xr.DataArray(STATES[:, [2, 0, 1]].T, dims=("variable", "start"), coords=coordinates)


def netcdf(path: Path) -> Path:
    dataset().to_netcdf(path)
    return path


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": lambda folder: table(folder / "states.csv"),
    "text path": lambda folder: str(table(folder / "states.txt")),
    "dataset": lambda folder: dataset(),
    "array": lambda folder: array(),
    "array in a dataset": lambda folder: array().rename(variable="state").to_dataset(name="all"),
    "netcdf": lambda folder: netcdf(folder / "states.nc"),
    "mapping": lambda folder: {
        "z": STATES[:, 2],
        "y": STATES[:, 1],
        "x": STATES[:, 0],
        "t": [10.0, 10.5],
        "name": NAMES,
    },
    "npz": lambda folder: archive(
        folder / "a.npz", z=STATES[:, 2], y=STATES[:, 1], x=STATES[:, 0], time=[10, 10.5], name=NAMES
    ),
    "npz whole": lambda folder: archive(folder / "b.npz", states=STATES, time=[10, 10.5], start=NAMES),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_states_come_in_the_networks_order(kind: str, tmp_path: Path) -> None:
    found = read_starts(SOURCES[kind](tmp_path), CONTRACT)
    np.testing.assert_array_equal(found.values, STATES)
    assert found.values.dtype == np.float64 and not found.single
    assert found.labels.tolist() == NAMES
    assert found.times is not None and found.times.tolist() == [10.0, 10.5]
    assert len(found.paths) == (kind in ("csv", "text path", "netcdf", "npz", "npz whole"))
    assert read_starts(found, CONTRACT) is found


@pytest.mark.parametrize(
    "data",
    [
        [1, 2, 3],
        np.array([1.0, 2.0, 3.0], np.float32),
        {"y": 2.0, "z": 3, "x": 1},
        xr.Dataset({"z": 3.0, "x": 1.0, "y": 2.0}),
        xr.DataArray([3.0, 1.0, 2.0], dims="state", coords={"state": ["z", "x", "y"]}),
        xr.DataArray([1.0, 2.0, 3.0], dims="state"),
        dataset().isel(start=0),
    ],
    ids=["list", "ndarray", "mapping", "dataset", "array", "unnamed array", "one of a dataset"],
)
def test_one_state_is_no_list_of_one(data: Any) -> None:
    found = read_starts(data, CONTRACT)
    assert found.single and found.values.tolist() == [[1.0, 2.0, 3.0]]
    assert not read_starts(STATES[:1], CONTRACT).single


def test_a_time_of_its_own_is_kept() -> None:
    run = xr.Dataset({name: ("time", STATES[:, k]) for k, name in enumerate("xyz")}, {"time": [0.5, 0.6]})
    assert read_starts(run.isel(time=[1]), CONTRACT).times == [0.6]
    assert read_starts(run.isel(time=1), CONTRACT).times == [0.6]
    all_of_it = read_starts(run, CONTRACT)
    assert all_of_it.times is not None and all_of_it.times.tolist() == [0.5, 0.6] and len(all_of_it.values) == 2
    assert read_starts(STATES, CONTRACT).times is None


def test_dates_are_days_since_the_first(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("time,x,y\n2020-01-03T12:00,1,2\n2020-01-01,3,4\n")
    found = read_starts(tmp_path / "s.csv", make_contract(time_unit="days"))
    assert found.origin == np.datetime64("2020-01-01") and found.times is not None
    assert found.times.tolist() == [2.5, 0.0]
    with pytest.raises(
        OptionError, match=r"s.csv, time: expected numbers, in the system's time unit \(s\).*2020-01-01"
    ):
        read_starts(tmp_path / "s.csv", make_contract(time_unit="s"))


def gap() -> np.ndarray:
    return np.where(STATES == 5, np.nan, STATES)


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (STATES[:, :2], OptionError, r"an array of 3 variables \(x, y, z\), or \(start, 3\). Received: \(2, 2\)"),
        (STATES[None], OptionError, r"Received: \(1, 2, 3\)"),
        (STATES[:0], OptionError, "at least one state. Received: 'none'"),
        (gap(), OptionError, "finite numbers: .* Received: 'y of state 1 is nan'"),
        ([1.0, np.inf, 2.0], OptionError, "Received: 'y is inf'"),
        (["a", "b", "c"], OptionError, "expected numbers. Received: 'a'"),
        ({"x": 1, "y": 2}, OptionError, "expected the variables x, y, z. Received: 'x, y'"),
        ({"x": 1, "y": [2, 3], "z": 3}, OptionError, r"Received: 'x \(\), y \(2,\), z \(\)'"),
        (array().assign_coords({"variable": ["x", "y", "w"]}), OptionError, "Received: 'x, y, w'"),
        (array().rename(variable="band"), OptionError, "a dim 'variable' or 'state'"),
        (xr.DataArray([1.0, 2.0], dims="state"), OptionError, "expected 3 variables: x, y, z. Received: 2"),
        (dataset().drop_vars("y"), OptionError, "Received: 'z, x, more'"),
        (dataset().expand_dims(member=2), OptionError, "one dim of states at most .* Received: '(member, start|start, member)'"),
        (dataset().assign(z=dataset().z.assign_attrs(units="degC")), UnitMismatch, "z has another unit. Expected 'K'"),
        ("nowhere.csv", SourceUnreadable, "no such file"),
        ("states.xlsx", SourceUnreadable, r"not read from .xlsx files. Give a .csv, .nc or .npz"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value[:30],
)  # fmt: skip
def test_what_is_no_state(data: Any, error: type[GeodlError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read_starts(data, CONTRACT)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "empty"),
        ("x,y,z\n", "at least one state"),
        ("x,y\n1,2\n", "expected the variables x, y, z. Received: 'x, y'"),
        ("x,y,z\n1,,3\n", "y of state 0 is nan"),
        ("x [km],y,z\n1,2,3\n", "x has another unit. Expected 'm'. Received: 'km'"),
        ("x,y,z\n1,2\n", "line 2 has 2 values"),
        ("time,x,y,z\n,1,2,3\n0,1,2,3\n", "a time for each state, or none"),
    ],
    ids=["empty", "no rows", "a variable missing", "a gap", "another unit", "cut short", "a time missing"],
)
def test_tables_that_are_none(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "states.csv").write_text(content)
    with pytest.raises(GeodlError, match=sentence) as told:
        read_starts(tmp_path / "states.csv", CONTRACT)
    assert "states.csv" in str(told.value)


@pytest.mark.parametrize("suffix", [".nc", ".npz", ".csv"])
def test_damaged_files_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"states{suffix}"
    path.write_bytes(bytes(range(128, 256)) * 3)
    with pytest.raises(SourceUnreadable, match=f"Cannot read .*states{suffix}"):
        read_starts(path, CONTRACT)
    path.unlink()
    path.mkdir()
    with pytest.raises(SourceUnreadable, match="it is a folder"):
        read_starts(path, CONTRACT)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "states.npz", states=np.array([object()]))
    with pytest.raises(SourceUnreadable, match="pickle"):
        read_starts(tmp_path / "states.npz", CONTRACT)


def test_starts_may_be_made_by_hand() -> None:
    made = Starts("mine", STATES, np.arange(2))
    assert read_starts(made, CONTRACT) is made and made.times is None
