"""`geodl info`: contracts, files, and whether one fits the other."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from affine import Affine

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from tests.data.servers import serve_files


def _write(path: Path, *, bands: int = 2, step: float = 10.0, **options: Any) -> Path:
    profile = {"driver": "GTiff", "height": 40, "width": 30, "count": bands, "dtype": "uint16", "nodata": 0}
    profile |= {"crs": "EPSG:32633", "transform": Affine(step, 0, 280_000, 0, -step, 5_000_000), **options}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.ones((bands, 40, 30), profile["dtype"]))
        file.descriptions = ("B02", "B03", "B04")[:bands]
        file.scales = (1e-4,) * bands
        file.units = ("reflectance",) * bands
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    axes = tuple(Dim(axis, margin=92, lattice=16, step=10.0, unit="metre") for axis in ("y", "x"))
    bands = tuple(Band(name, unit="reflectance", dtype="uint16", scale=1e-4) for name in ("B02", "B03"))
    contract = Contract(
        "segmentation",
        ModelInput((*axes, Dim("band", size=2)), bands),
        ModelOutput("classes", classes=(ClassInfo(1, "water", "#0072b2"), ClassInfo(2, "forest", "#117733"))),
        geodl_version="0.1.0",
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "contract.json").write_text(contract.to_json())
    return tmp_path / "run"


def _rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_a_contract_is_shown_without_loading_the_network(geodl_cli: Callable[..., Any], run: Path) -> None:
    result = geodl_cli("info", run)
    rows = _rows(result.stdout)
    assert result.exit_code == 0
    assert ["pipeline", "segmentation"] in rows
    assert ["y", "any", "10", "metre", "92", "16"] in rows
    assert ["B02", "reflectance", "uint16"] in rows
    assert ["2", "forest", "#117733"] in rows


def test_a_file_is_shown(geodl_cli: Callable[..., Any], tmp_path: Path) -> None:
    result = geodl_cli("info", _write(tmp_path / "a.tif"))
    rows = _rows(result.stdout)
    assert result.exit_code == 0
    assert rows[0] == [str(tmp_path / "a.tif")]
    assert ["size", "30", "×", "40", "pixels"] in rows
    assert ["CRS", "EPSG:32633"] in rows
    assert ["pixel", "size", "10", "×", "10", "metre"] in rows
    assert ["extent", "280000,", "4999600,", "280300,", "5000000"] in rows
    assert ["cloud-optimised", "no"] in rows
    assert ["invalid", "pixels", "nodata", "values"] in rows
    assert ["map", "of", "it", "1.2", "kB", "of", "classes", "before", "compression"] in rows
    assert ["B03", "uint16", "reflectance", "0.0001", "0", "0"] in rows


def test_cloud_optimised_files_alpha_and_masks_are_told(geodl_cli: Callable[..., Any], tmp_path: Path) -> None:
    cog = tmp_path / "cog.tif"
    profile = {"driver": "COG", "height": 1200, "width": 1200, "count": 1, "dtype": "uint8", "compress": "deflate"}
    with rasterio.open(cog, "w", **profile, crs="EPSG:32633", transform=Affine(10, 0, 0, 0, -10, 0)) as file:
        file.write(np.ones((1, 1200, 1200), np.uint8))
    rows = _rows(geodl_cli("info", cog).stdout)
    assert ["cloud-optimised", "yes"] in rows
    assert ["layout", "tiles", "of", "512", "×", "512,", "deflate"] in rows
    assert ["overviews", "1:2,", "1:4"] in rows
    assert ["invalid", "pixels", "not", "marked", "(except", "not-a-number)"] in rows
    alpha = _write(tmp_path / "alpha.tif", bands=2, dtype="uint8", nodata=None, photometric="minisblack", alpha="yes")
    rows = _rows(geodl_cli("info", alpha).stdout)
    assert ["invalid", "pixels", "alpha"] in rows
    masked = _write(tmp_path / "masked.tif", nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as file:
        file.write_mask(np.eye(40, 30, dtype=np.uint8) * 255)
    assert ["invalid", "pixels", "mask", "band"] in _rows(geodl_cli("info", masked).stdout)


def test_a_scene_that_fits_is_told_so(geodl_cli: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    result = geodl_cli("info", run, _write(tmp_path / "a.tif", bands=3))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Fits.")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bands": 1}, "Does not fit. a: the bands do not fit. Expected 2: B02, B03. Received 1: B02."),
        ({"step": 20.0}, "Does not fit. a: the pixel size does not fit. Expected 10 x 10 metres"),
    ],
)
def test_a_scene_that_does_not_fit_is_told_why(
    geodl_cli: Callable[..., Any], run: Path, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    scene = _write(tmp_path / "a.tif", **options)
    result = geodl_cli("info", run, scene)
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1].startswith(sentence)
    if "step" in options:
        assert geodl_cli("info", run, scene, "--any-resolution").exit_code == 0


def test_a_network_of_brightness_takes_colours_and_makes_them_finer(
    geodl_cli: Callable[..., Any], tmp_path: Path
) -> None:
    luma = (Band("luma", unit="luma"),)
    contract = Contract(
        "superresolution",
        ModelInput((Dim("y", margin=9), Dim("x", margin=9), Dim("band", size=1)), luma),
        ModelOutput("bands", bands=luma, scale=2),
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "contract.json").write_text(contract.to_json())
    with rasterio.open(tmp_path / "photo.png", "w", driver="PNG", height=40, width=30, count=3, dtype="uint8") as file:
        file.write(np.ones((3, 40, 30), np.uint8))
    result = geodl_cli("info", tmp_path / "run", tmp_path / "photo.png")
    rows = _rows(result.stdout)
    assert ["scale", "pixels", "2", "×", "as", "fine,", "along", "y", "and", "x"] in rows
    assert ["map", "of", "it", "19.2", "kB", "of", "values", "before", "compression"] in rows
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Fits.")


def test_files_may_be_bands_of_one_scene(geodl_cli: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    (tmp_path / "bands").mkdir()
    for name in ("B02", "B03"):
        _write(tmp_path / "bands" / f"{name}.tif", bands=1)
        with rasterio.open(tmp_path / "bands" / f"{name}.tif", "r+") as file:
            file.descriptions = (name,)
    result = geodl_cli("info", run, tmp_path / "bands", "--stack")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Fits.")


def test_mistakes(geodl_cli: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tif").write_text("no image")
    for argument, sentence in (
        (tmp_path / "unfinished", "The training is not finished. Repeat the geodl train command to continue it."),
        (tmp_path / "empty", "expected images"),
        (tmp_path / "text.tif", "Cannot read"),
        (tmp_path / "nowhere", "there is no such file or folder"),
    ):
        result = geodl_cli("info", argument)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Error: ")
        assert sentence in result.stderr
    assert geodl_cli("info", run, run).exit_code == 2
    (run / "contract.json").write_text("{}")
    assert "Not a contract" in geodl_cli("info", run).stderr


def test_a_netcdf_file_is_shown_without_reading_its_values(
    geodl_cli: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    times = np.array(["1999-01-31", "1999-02-28"], "datetime64[ns]")
    coords = {"time": times, "lat": [50.5, 50.0, 49.5], "lon": [5.0, 5.5]}
    rain = xr.Dataset({"pr": (("time", "lat", "lon"), np.ones((2, 3, 2)), {"units": "mm/h"})}, coords)
    rain.pr.encoding |= {"scale_factor": 0.1, "dtype": "int16", "_FillValue": -1}
    rain.to_netcdf(tmp_path / "rain.nc", engine="scipy")
    result = geodl_cli("info", tmp_path / "rain.nc")
    rows = _rows(result.stdout)
    assert result.exit_code == 0
    assert rows[0] == [str(tmp_path / "rain.nc")]
    assert ["size", "2", "×", "3", "pixels"] in rows
    assert ["CRS", "EPSG:4326"] in rows
    assert ["pixel", "size", "0.5", "×", "0.5", "degree"] in rows
    assert ["times", "2,", "1999-01-31", "to", "1999-02-28;", "choose", "one", "with", "@1999-01-31"] in rows
    assert ["pr", "int16", "mm/h", "0.1", "0", "-1"] in rows
    one = geodl_cli("info", f"{tmp_path}/rain.nc@1999-02", run)
    assert not any(row[:1] == ["times"] for row in _rows(one.stdout))
    assert "Does not fit. rain_1999-02: the bands do not fit" in one.stdout
    assert "2 times, 1999-01-31 to 1999-02-28" in geodl_cli("info", tmp_path / "rain.nc", run).stdout


def test_times_without_a_date_are_chosen_by_their_position(geodl_cli: Callable[..., Any], tmp_path: Path) -> None:
    xr.Dataset({"pr": (("time", "y", "x"), np.ones((2, 3, 2)))}).to_netcdf(tmp_path / "rain.nc", engine="scipy")
    assert "2; choose one with @0" in geodl_cli("info", tmp_path / "rain.nc").stdout
    assert geodl_cli("info", f"{tmp_path}/rain.nc@0").exit_code == 0


def test_a_stac_item_is_shown_and_fits_by_its_bands(geodl_cli: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    assets = {}
    for name, step in (("blue", 10.0), ("green", 10.0), ("swir", 20.0)):
        path = _write(tmp_path / f"{name}.tif", bands=1, step=step)
        eo = [{"name": {"blue": "B02", "green": "B03"}.get(name, "B11"), "common_name": name}]
        assets[name] = {"href": path.name, "type": "image/tiff; application=geotiff", "eo:bands": eo}
    item = pystac.Item("scene", None, None, datetime.datetime(2024, 6, 1), {}).to_dict(include_self_link=False)
    (tmp_path / "item.json").write_text(json.dumps(item | {"assets": assets}))
    result = geodl_cli("info", tmp_path / "item.json", run)
    rows = _rows(result.stdout)
    assert ["pixel", "size", "10", "×", "10", "metre", "(of", "the", "finest", "band)"] in rows
    assert [row[0] for row in rows if row[:1] and row[0] in assets] == ["blue", "green", "swir"]
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Fits.")


def test_a_run_at_an_address_is_told_from_scenes(
    geodl_cli: Callable[..., Any], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    with serve_files(tmp_path) as server:
        local, remote = geodl_cli("info", str(run)), geodl_cli("info", server.url("run"))
        scene = geodl_cli("info", server.url(_write(tmp_path / "a.tif").name), server.url("run"))
        missing = geodl_cli("info", server.url("none"))
    assert (local.exit_code, remote.exit_code, scene.exit_code) == (0, 0, 0)
    assert _rows(remote.output)[1:] == _rows(local.output)[1:]
    assert scene.output.rstrip().endswith("Fits.")
    assert missing.exit_code == 2
    assert "there is no such file" in missing.output


def test_a_map_is_shown_by_its_classes(geodl_cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    with rasterio.open(path, "w", driver="GTiff", height=4, width=3, count=1, dtype="uint8", nodata=255) as file:
        file.write(np.ones((1, 4, 3), np.uint8))
        file.write_colormap(1, {1: (0, 114, 178, 255), 7: (213, 94, 0, 255)})
        file.update_tags(1, class_1="water", class_7="built-up")
    result = geodl_cli("info", path, "--json", tmp_path / "info.json")
    rows = _rows(result.stdout)
    assert result.exit_code == 0
    assert ["1", "water", "#0072b2"] in rows and ["7", "built-up", "#d55e00"] in rows
    assert not any("red" in row for row in rows)
    classes = json.loads((tmp_path / "info.json").read_text())["tables"][1]
    assert classes["rows"][0] == {"value": 1, "class": "water", "colour": "#0072b2"}
