"""Data sets that are computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from geodl.cards import check_folder, get, is_here
from geodl.cards.manifest import own_files
from geodl.cards.simulated import planned_files, simulate_files
from geodl.cards.simulators import CropSimulator, RainSimulator, SceneSimulator, TrajectorySimulator
from geodl.errors import OutputUnwritable
from geodl.physics.systems import Lorenz63, solve

SCENES = {"name": "scenes", "train": [1, 2], "test": [9], "size": [40, 48], "test_size": [33, 35]}


def test_scenes_and_which_are_missing(tmp_path: Path) -> None:
    simulator = SceneSimulator.model_validate(SCENES)
    made = simulate_files(simulator, tmp_path)
    assert sorted(made) == own_files(tmp_path) == sorted(planned_files(simulator))
    with rasterio.open(tmp_path / "test/labels/scene_9.tif") as labels:
        assert labels.shape == (33, 35)
    kept = (tmp_path / "train/images/scene_1.tif").stat().st_mtime_ns
    (tmp_path / "train/labels/scene_2.tif").unlink()
    assert simulate_files(simulator, tmp_path) == ["train/images/scene_2.tif", "train/labels/scene_2.tif"]
    assert (tmp_path / "train/images/scene_1.tif").stat().st_mtime_ns == kept
    assert not list(tmp_path.rglob(".*"))


def test_rain(tmp_path: Path) -> None:
    content = {"train": [1], "test": [0], "size": [16, 24], "pixel_km": 2.0, "frames": 3, "step_minutes": 5.0}
    simulator = RainSimulator.model_validate({"name": "rain", **content})
    simulate_files(simulator, tmp_path)
    with xr.open_dataset(tmp_path / "train/event_01/rain.nc") as event:
        assert event.rain_rate.shape == (3, 16, 24)
        minutes = np.diff(event.time.values) / np.timedelta64(1, "m")
    assert minutes.tolist() == [5, 5]
    assert own_files(tmp_path) == ["test/event_00/rain.nc", "train/event_01/rain.nc"]


def test_crops(tmp_path: Path) -> None:
    content: dict[str, Any] = {"series": {"train": 30, "test": 20}, "years": [2019], "region": "west", "size": 48}
    simulator = CropSimulator.model_validate({"name": "crops", "mapped_year": 2021, **content})
    simulate_files(simulator, tmp_path)
    table = pd.read_parquet(tmp_path / "series.parquet")
    assert table.groupby("split").series.nunique().to_dict() == {"test": 20, "train": 30}
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube.B04.shape[1:] == (48, 48)
    assert own_files(tmp_path) == ["cube.nc", "fields.gpkg", "series.parquet"]


def test_trajectories_obey_the_system(tmp_path: Path) -> None:
    content = {"system": "lorenz63", "train": 2, "test": 1, "duration": 0.5}
    simulate_files(TrajectorySimulator.model_validate({"name": "trajectories", **content}), tmp_path)
    table = pd.read_csv(tmp_path / "train/lorenz63_train_1.csv")
    assert list(table) == ["time", "x", "y", "z"] and len(table) == 51
    states = table[["x", "y", "z"]].to_numpy()
    expected = solve(Lorenz63(), states[:1], table.time.to_numpy(), rtol=1e-13, atol=1e-13)[0]
    np.testing.assert_allclose(states, expected, rtol=1e-9, atol=1e-9)


def test_a_simulated_set_is_got_and_checked_like_any_other(carded: Callable[..., str]) -> None:
    name = carded(simulator=SCENES)
    found = get(name)
    assert len(found.new) == 6 and is_here(name)
    assert get(name).new == ()
    assert check_folder(found.folder) == []
    (found.folder / "test/images/scene_9.tif").unlink()
    assert check_folder(found.folder) == ["test/images/scene_9.tif is missing."]
    assert get(name).new == ("test/images/scene_9.tif", "test/labels/scene_9.tif")
    assert check_folder(found.folder) == []


def test_a_folder_that_cannot_be_written_is_named(carded: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="file"):
        get(carded(simulator=SCENES), tmp_path / "file")
