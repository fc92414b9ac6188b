"""What a user may mean by trajectories, and that all of one set fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl.data.trajectories import Trajectory, open_trajectories
from geodl.errors import BandMismatch, EmptyDataset, SourceUnreadable, TrajectoryUnusable, UnitMismatch
from tests.data.buckets import uploaded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run10.csv").write_text("time,x,y\n0,1,2\n1,2,3\n")
    (tmp_path / "run9.csv").write_text("time,y,x\n0,4,3\n1,,4\n")
    np.savez(tmp_path / "extra.npz", times=[0, 1], states=[[5, 6], [6, 7]], variables=["x", "y"])
    (tmp_path / "README.txt").write_text("not data")
    return tmp_path


def test_a_folder_a_glob_and_a_list(folder: Path) -> None:
    found = open_trajectories(folder)
    assert [each.name for each in found] == ["extra", "run9", "run10"]
    assert [each.variables for each in found] == [("x", "y")] * 3
    assert [each.states[0].tolist() for each in found] == [[5, 6], [3, 4], [1, 2]]
    assert [each.name for each in open_trajectories(folder / "run*.csv")] == ["run9", "run10"]
    mixed = open_trajectories([str(folder / "run10.csv"), {"time": [0, 1], "x": [1, 2], "y": [1, 2]}, found[0]])
    assert [each.name for each in mixed] == ["run10", "columns_0", "extra"]


def test_names_are_distinct(folder: Path) -> None:
    one = Trajectory("a", [0, 1], [[0], [1]], ("x",))
    assert [each.name for each in open_trajectories([one, one])] == ["a_1", "a_2"]
    (folder / "sub").mkdir()
    (folder / "run9.csv").rename(folder / "sub" / "run10.csv")
    assert len({each.name for each in open_trajectories(str(folder / "**/*.csv"))}) == 2


def test_files_with_other_variables_or_units_are_refused(folder: Path) -> None:
    (folder / "other.csv").write_text("time,x,z\n0,1,2\n1,2,3\n")
    with pytest.raises(BandMismatch, match="other: the bands do not fit. Expected 2: x, y. Received 2: x, z"):
        open_trajectories([folder / "run10.csv", folder / "other.csv"])
    assert len(open_trajectories(folder, variables=("x",))) == 4
    (folder / "other.csv").write_text("time,x (km),y\n0,1,2\n1,2,3\n")
    with pytest.raises(UnitMismatch, match="other: band x has another unit. Expected ''. Received: 'km'"):
        open_trajectories([folder / "run10.csv", folder / "other.csv"])


def test_a_variable_may_be_unobserved_in_one_but_not_in_all(folder: Path) -> None:
    for name in ("run10.csv", "run9.csv"):
        (folder / name).write_text("time,x,y\n0,1,\n1,2,\n")
    assert len(open_trajectories(folder)) == 3
    with pytest.raises(TrajectoryUnusable, match="Each of the 2 trajectories .*y is never observed"):
        open_trajectories(folder / "*.csv")


def test_what_cannot_be_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for where in (tmp_path / "none", [], str(tmp_path / "*.nc")):
        with pytest.raises(EmptyDataset):
            open_trajectories(where)
    with pytest.raises(SourceUnreadable, match="no such file or folder"):
        open_trajectories(tmp_path / "absent.csv")
    (tmp_path / "run.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceUnreadable, match=r"end in .parquet are not known. Expected one of .csv"):
        open_trajectories(tmp_path / "run.parquet")
    with pytest.raises(TrajectoryUnusable, match="it is of type ndarray. Expected files"):
        open_trajectories(np.zeros((3, 2)))
    with pytest.raises(BandMismatch):
        open_trajectories(Trajectory("a", [0, 1], [[0], [1]], ("x",)), variables=("z",))


def test_files_at_addresses_are_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "README.txt").unlink()
    found = open_trajectories(uploaded(folder, monkeypatch))
    here = open_trajectories(folder)
    assert [each.name for each in found] == [each.name for each in here] == ["extra", "run9", "run10"]
    for one, other in zip(found, here):
        np.testing.assert_array_equal(one.states, other.states)
