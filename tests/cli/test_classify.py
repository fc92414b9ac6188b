"""`geodl predict` and `geodl info` with a network for time series."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio

import geodl
from geodl.cli.cropinfo import print_classifier, print_series
from geodl.cli.terminal import Answer
from tests.inference.cropfakes import DAYS, make_classifier, make_contract, make_cube, make_parcels


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cube in a file, and a network that is loaded whatever the run."""
    monkeypatch.setattr(geodl, "load", lambda run, *, runtime: make_classifier())
    make_cube().to_netcdf(tmp_path / "cube.nc")
    return tmp_path / "cube.nc"


def test_a_cube_becomes_a_map(geodl_cli: Callable[..., Any], cube: Path) -> None:
    target = cube.parent / "map.tif"
    polygons = cube.parent / "map.gpkg"
    result = geodl_cli("predict", "runs/crops", cube, target, "--confidence", "--vectorize", polygons, "--scale", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Map: {target}\nPolygons: {polygons}\n"
    assert (cube.parent / "map.confidence.tif").exists()
    again = geodl_cli("predict", "runs/crops", cube, target)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    result = geodl_cli("predict", "runs/crops", cube, target, "--overwrite", "--quiet", "--scale", 2)
    assert result.output == f"{target}\n"
    with rasterio.open(target) as dataset:
        expected = make_classifier().predict(make_cube() * 2)
        np.testing.assert_array_equal(dataset.read(1), expected.values)


def test_parcels_and_tables(geodl_cli: Callable[..., Any], cube: Path) -> None:
    folder = cube.parent
    make_parcels().to_file(folder / "in.gpkg")
    result = geodl_cli(
        "predict", "runs/crops", cube, folder / "out.gpkg", "--parcels", folder / "in.gpkg", "--parcel-members",
        "predictions", "--probabilities",
    )  # fmt: skip
    assert result.exit_code == 0 and result.stdout == f"Parcels: {folder / 'out.gpkg'}\n", result.output
    expected = make_classifier().predict(make_cube(), parcels=make_parcels(), members="predictions")
    assert geopandas.read_file(folder / "out.gpkg")["class"][:2].tolist() == expected["class"][:2].tolist()
    rows = {"id": [1, 1], "date": ["2020-05-01", "2020-06-01"], "red": [0.1, 0.9], "nir": [0.2, 0.1]}
    pd.DataFrame(rows).to_csv(folder / "in.csv", index=False)
    result = geodl_cli("predict", "runs/crops", folder / "in.csv", folder / "out.csv")
    assert result.exit_code == 0 and result.stdout == f"Table: {folder / 'out.csv'}\n", result.output
    assert pd.read_csv(folder / "out.csv")["class"].tolist() == ["soy"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--parcel-members", "mean"), "--parcels FILE"),
        (("--overlap", "exact"), "a network that maps scenes"),
        (("--steps", "3"), "a network for dynamics"),
        (("--ensemble", "3"), "a network for nowcasting"),
        (("--parcels", "none.gpkg"), "ends in .csv"),
    ],
    ids=["members without parcels", "overlap", "steps", "ensemble", "parcels to a map"],
)
def test_options_of_others_are_refused(
    geodl_cli: Callable[..., Any], cube: Path, options: tuple[str, ...], told: str
) -> None:
    result = geodl_cli("predict", "runs/crops", cube, cube.parent / "map.tif", *options)
    assert result.exit_code == 2 and told in " ".join(result.stderr.split()), result.output


def printed(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", io.StringIO())
        patched.setenv("COLUMNS", "200")
        found = function(Answer(), *arguments)
        return sys.stdout.getvalue(), found  # type: ignore[attr-defined]


def test_a_network_is_described() -> None:
    text, _ = printed(
        print_classifier, "runs/a", make_contract(days=DAYS, size=4, cloud_band="scl", cloud_values=(8, 9))
    )
    for word in ("series_label", "day 122 to 214", "where scl is 8, 9", "red", "bare soil", "#009e73"):
        assert word in text
    assert "any number" in printed(print_classifier, "runs/a", make_contract())[0]


def test_whether_cubes_and_tables_fit(cube: Path) -> None:
    text, fits = printed(print_series, str(cube), make_contract(days=DAYS[:3]))
    assert fits and "4, 2020-05-01 to 2020-08-01" in text and "3 of 3" in text and "7 × 6" in text
    text, fits = printed(print_series, str(cube), make_contract(bands=("red", "swir")))
    assert not fits and "does not fit" in text and "swir" in text
    rows = {
        "id": [1, 1],
        "date": ["2020-05-01", "2020-06-01"],
        "red": [0.1, 0.9],
        "nir": [0.2, 0.1],
        "farm": ["x", "x"],
    }
    pd.DataFrame(rows).to_csv(cube.parent / "in.csv", index=False)
    text, fits = printed(print_series, str(cube.parent / "in.csv"), make_contract())
    assert fits and "day 122 to 153" in text and "farm" in text


def test_info_of_a_run(geodl_cli: Callable[..., Any], cube: Path) -> None:
    run = cube.parent / "run"
    run.mkdir()
    (run / "contract.json").write_text(make_contract(days=DAYS).to_json())
    result = geodl_cli("info", run, cube)
    assert result.exit_code == 0 and "Fits." in result.output, result.output
    (run / "contract.json").write_text(make_contract(bands=("swir",)).to_json())
    assert geodl_cli("info", run, cube).exit_code == 2
