"""Tables of states: what numpy, pandas and people write, read back; and each fault with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.trajectories import open_trajectories
from geodl.errors import BandMismatch, SourceUnreadable, TrajectoryUnusable

pandas = pytest.importorskip("pandas")

TIMES = np.array([0, 0.5, 1.25])
STATES = np.array([[1.0, -2.0], [1.5, np.nan], [1e-3, 4.0]])


def write(folder: Path, text: str | bytes, name: str = "run.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


TEXTS = {
    "plain": "time,x,y\n0,1,-2\n0.5,1.5,\n1.25,1e-3,4\n",
    "crlf_bom_quotes": '\ufefftime,"x","y"\r\n0,1,-2\r\n0.5,"1.5",nan\r\n1.25,1e-3,4\r\n',
    "semicolons_and_commas": "t;x;y\n0;1;-2\n0,5;1,5;\n1,25;0,001;4\n",
    "tabs": "time\tx\ty\n0\t1\t-2\n0.5\t1.5\t\n1.25\t1e-3\t4\n",
    "spaces": "t   x  y\n0   1  -2\n0.5 1.5  NaN\n\n1.25 1e-3  4",
    "savetxt": "# from a model\n# t x y\n0 1 -2\n0.5 1.5 nan\n1.25 1e-3 4\n",
    "comments": "time, x, y\n# first run\n0, 1, -2\n0.5, 1.5, NA\n1.25, 1e-3, 4\n",
    "other_order_and_a_name": "station,y,Time,x\nA,-2,0,1\nB,-,0.5,1.5\nB,4,1.25,1e-3\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    (found,) = open_trajectories(write(tmp_path, text), variables=("x", "y"))
    np.testing.assert_array_equal(found.times, TIMES)
    np.testing.assert_array_equal(found.states, STATES)
    assert found.name == "run"
    assert set(open_trajectories(write(tmp_path, text))[0].variables) == {"x", "y"}


@given(st.integers(2, 30), st.integers(1, 4), st.randoms())
def test_what_pandas_writes_is_read_to_the_last_digit(tmp_path_factory: object, rows: int, size: int, chance) -> None:
    rng = np.random.default_rng(chance.getrandbits(32))
    states = rng.normal(size=(rows, size)) * 10.0 ** rng.integers(-300, 300)
    states[rng.random(states.shape) < 0.2] = np.nan
    states[0] = 1.0
    frame = pandas.DataFrame(states, columns=[f"v{k}" for k in range(size)])
    frame.insert(0, "time", np.cumsum(rng.random(rows) + 1e-3))
    path = tmp_path_factory.mktemp("tables") / "run.csv"
    frame.to_csv(path, index=False)
    for thing in (path, frame, {key: frame[key].to_numpy() for key in frame}):
        (found,) = open_trajectories(thing)
        np.testing.assert_array_equal(found.states, states)
        np.testing.assert_array_equal(found.times, frame["time"])


def test_units_stand_behind_the_names(tmp_path: Path) -> None:
    (found,) = open_trajectories(write(tmp_path, "time (s),height [m],f(x)\n0,1,2\n1,2,3\n"))
    assert found.variables == ("height", "f(x)") and found.units == ("m", "") and found.time_unit == "s"


def test_runs_are_told_apart_wherever_their_rows_are(tmp_path: Path) -> None:
    text = "trajectory,time,x\nb,0,1\na2,0,5\nb,1,2\na2,2,6\n"
    found = open_trajectories(write(tmp_path, text))
    assert [each.name for each in found] == ["run_b", "run_a2"]
    assert [each.states[:, 0].tolist() for each in found] == [[1, 2], [5, 6]]
    assert [each.times.tolist() for each in found] == [[0, 1], [0, 2]]
    numbered = write(tmp_path, "storm,time,x\n10,0,1\n10,1,2\n9,0,3\n9,1,4\n")
    assert [each.name for each in open_trajectories(numbered, run="storm")] == ["run_10", "run_9"]
    with pytest.raises(TrajectoryUnusable, match="run_c cannot .*one time only"):
        open_trajectories(write(tmp_path, text + "c,0,1\n"))


def test_dates_become_days_since_the_first(tmp_path: Path) -> None:
    text = "date,x\n2020-02-28T12:00:00Z,1\n2020-03-01 00:00,2\n2020-03-02,3\n"
    (found,) = open_trajectories(write(tmp_path, text))
    np.testing.assert_array_equal(found.times, [0, 1.5, 2.5])
    assert found.time_unit == "days" and found.origin == np.datetime64("2020-02-28T12:00")
    frame = pandas.read_csv(tmp_path / "run.csv")
    frame["date"] = pandas.to_datetime(frame["date"], format="ISO8601", utc=True).dt.tz_localize(None)
    np.testing.assert_array_equal(open_trajectories(frame)[0].times, found.times)


FAULTS = {
    "ragged": ("time,x\n0,1\n1\n", SourceUnreadable, "line 3 has 1 values, and the line of names has 2"),
    "cut_short": ("time,x,y\n0,1,2\n1,2,3\n2,", SourceUnreadable, "line 4 has 2 values"),
    "text": ("time,x\n0,1\n1,high\n", SourceUnreadable, "line 3 has 'high' in column x, where a number"),
    "text_first": ("time,x\n0,high\n1,2\n", SourceUnreadable, "line 2 has 'high' in column x"),
    "no_names": ("0,1\n1,2\n", SourceUnreadable, "line 1 holds numbers where the names"),
    "empty": ("", SourceUnreadable, "the file is empty"),
    "comments": ("# nothing\n", SourceUnreadable, "no line but comments"),
    "names_only": ("time,x\n", TrajectoryUnusable, "it has no rows"),
    "twins": ("time,x,x\n0,1,2\n", SourceUnreadable, "several columns are called x"),
    "no_time": ("T,x\n0,1\n1,2\n", TrajectoryUnusable, "none of its columns is called time; there are T, x"),
    "no_numbers": ("time,site\n0,a\n1,b\n", TrajectoryUnusable, "no column beside time holds numbers"),
    "time_only": ("time\n0\n1\n", TrajectoryUnusable, "no column beside time holds numbers"),
    "bad_date": ("time,x\n2020-01-01,1\n2020-13-01,2\n", TrajectoryUnusable, "'2020-13-01' in column time, row 2"),
    "no_date": ("time,x\n2020-01-01,1\n,2\n", TrajectoryUnusable, "the time in row 2 is nan"),
    "infinite": ("time,x\n0,1\n1,inf\n", TrajectoryUnusable, "x is infinite in row 2"),
    "never": ("time,x,y\n0,1,\n1,2,\n", TrajectoryUnusable, "y is never observed. Leave it out"),
    "one": ("time,x\n0,1\n", TrajectoryUnusable, "one time only"),
    "twice": ("time,x\n0,1\n0,2\n", TrajectoryUnusable, "time 0 occurs twice, in rows 1 and 2"),
    "latin": (b"time,h\xf6he\n0,1\n1,2\n", SourceUnreadable, "no text in UTF-8"),
    "binary": (bytes(range(256)), SourceUnreadable, "no text in UTF-8"),
}


@pytest.mark.parametrize(("text", "kind", "sentence"), FAULTS.values(), ids=FAULTS)
def test_each_fault_has_its_sentence(tmp_path: Path, text: str | bytes, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        open_trajectories(write(tmp_path, text))


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, "time,x\n0,1\n1,2\n")
    with pytest.raises(BandMismatch, match="Expected 1: z"):
        open_trajectories(path, variables=("z",))
    with pytest.raises(TrajectoryUnusable, match="no tme among its columns.*Did you mean 'time'"):
        open_trajectories(path, time="tme")
    with pytest.raises(TrajectoryUnusable, match="no storm among"):
        open_trajectories(path, run="storm")
    with pytest.raises(TrajectoryUnusable, match="columns of equal length"):
        open_trajectories({"time": [0, 1], "x": [1]})
