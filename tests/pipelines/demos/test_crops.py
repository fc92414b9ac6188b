"""The demonstration of crops: what it writes to learn from quickly, slowly as users see it."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr
from matplotlib import image

from geodl.data.series import open_series
from geodl.pipelines import demo
from geodl.pipelines.demos import crops


def test_what_is_learnt_and_what_is_mapped_are_of_other_years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "_SERIES", {"train": 24, "validation": 8, "test": 8})
    monkeypatch.setattr(crops, "_SIZE", 40)
    series, cube, fields = tmp_path / "series.parquet", tmp_path / "cube.nc", tmp_path / "fields.gpkg"
    learnt = crops._write(tmp_path, series, cube, fields)
    table = open_series(series, cloud_band="cloud", cloud_values=(1, 2))
    assert table.parts is not None and learnt.labels is not None and table.labels is not None
    trained = table.take(table.parts == "train")
    assert trained.years is not None and set(trained.years) <= {2019, 2020}
    # What is read is what was simulated, clouds and all.
    order = np.argsort([name.removeprefix("train_") for name in trained.ids])
    mine = np.argsort(learnt.ids)
    first, second = trained.values[order], learnt.values[mine]
    length = min(first.shape[1], second.shape[1])
    np.testing.assert_allclose(first[:, :length], second[:, :length], atol=1e-6)
    names = [[info.name for info in found.classes] for found in (trained, learnt)]
    assert [names[0][k] for k in trained.labels[order]] == [names[1][k] for k in learnt.labels[mine]]  # type: ignore[index]
    with xr.open_dataset(cube) as opened:
        assert set(opened.time.dt.year.values) == {2021}
        assert set(np.unique(opened["cloud"])) <= {0, 1, 2}
    assert set(gpd.read_file(fields)["crop"]) <= {info.name for info in table.classes}


@pytest.mark.slow
def test_as_users_see_it(tmp_path: Path) -> None:
    result = demo("crops", output=tmp_path)
    forest = result.evaluation.baselines["forest"].metrics
    assert result.evaluation.metrics["accuracy"] > 0.85
    assert result.evaluation.metrics["accuracy"] > forest["accuracy"] - 0.05
    with rasterio.open(result.paths["map"]) as made:
        assert made.shape == (crops._SIZE, crops._SIZE)
        assert len(made.colormap(1)) == 256
    assert image.imread(result.paths["picture"]).std() > 0.05
    assert json.loads(result.paths["metrics"].read_text())["protocol"]["part"] == "all"
