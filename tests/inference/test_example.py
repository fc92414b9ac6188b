"""The example that exports carry, with networks of numpy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geodl.contract import Band, Contract
from geodl.data.raster import open_raster
from geodl.inference import example
from tests.inference.fakes import CLASSES, TRANSFORM, BlurNetwork, make_contract, make_scene


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a GeoTIFF, and returns its path."""

    def written(values: np.ndarray, names: tuple[str | None, ...] = ("B01", "B02"), **header: Any) -> str:
        height, width, count = values.shape
        size = {"height": height, "width": width, "count": count, "dtype": values.dtype}
        nodata = {"nodata": header.pop("nodata")} if "nodata" in header else {}
        path = tmp_path / "scene.tif"
        with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=TRANSFORM, **size, **nodata) as file:
            file.descriptions = names
            for key, value in header.items():
                setattr(file, key, value)
            file.write(np.moveaxis(values, -1, 0))
        return str(path)

    return written


def plain(contract: Contract) -> dict[str, Any]:
    return json.loads(contract.to_json())


def mapped(network: Any, contract: Contract, scene: str, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    target = scene.replace("scene", "map")
    example.map_raster(network, plain(contract), scene, target, **options)
    with rasterio.open(target) as file:
        return file.read(), dict(file.profile)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("tile", [16, 40, 1000])
def test_squares_give_what_one_pass_gives(write: Callable[..., str], tile: int, scale: int) -> None:
    network = BlurNetwork(scale=scale)
    contract = make_contract(margin=network.margin, lattice=network.stride, scale=scale)
    scene = write(make_scene(70, 53, holes=True).read()[0])
    values, _ = open_raster(scene).read()
    expected = np.array([c.value for c in CLASSES], np.uint8)[network(values[None])[0].argmax(-1)]
    expected[np.isnan(values).any(-1).repeat(scale, 0).repeat(scale, 1)] = 255
    found, profile = mapped(network, contract, scene, tile=tile)
    np.testing.assert_array_equal(found[0], expected)
    assert (profile["dtype"], profile["nodata"], profile["crs"]) == ("uint8", 255, "EPSG:32633")
    finer = profile["transform"]
    assert (finer.a * scale, finer.e * scale, finer.c, finer.f) == (10, -10, TRANSFORM.c, TRANSFORM.f)


def test_bands_are_written_as_they_come(write: Callable[..., str]) -> None:
    network = BlurNetwork(channels=2)
    contract = make_contract(margin=network.margin, lattice=network.stride, kind="bands")
    scene = write(make_scene(50, 41, holes=True).read()[0])
    values, _ = open_raster(scene).read()
    expected = np.where(np.isnan(values).any(-1, keepdims=True), np.float32(np.nan), network(values[None])[0])
    found, profile = mapped(network, contract, scene, tile=20)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected, atol=1e-5)
    assert profile["dtype"] == "float32" and np.isnan(profile["nodata"])


@pytest.mark.parametrize("rule", [{"size": 64}, {"size": 16}, {"multiple": 8}])
def test_size_rules_are_kept(write: Callable[..., str], rule: dict[str, int]) -> None:
    network = BlurNetwork()
    contract = make_contract(margin=network.margin, lattice=network.stride, **rule)
    _, profile = mapped(network, contract, write(make_scene(45, 37).read()[0]), tile=24)
    assert (profile["height"], profile["width"]) == (45, 37)
    for _, height, width, _ in network.shapes:
        if "size" in rule:
            assert (height, width) == (rule["size"], rule["size"])
        else:
            assert height % 8 == width % 8 == 0


def test_a_network_that_sees_everything_is_given_everything(write: Callable[..., str]) -> None:
    network = BlurNetwork()
    mapped(network, make_contract(margin=None), write(make_scene(45, 37).read()[0]), tile=8)
    assert network.shapes == [(1, 45, 37, 2)]


class _Seen:
    """A network that keeps what it is given."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.image = image[0]
        return np.zeros((*image.shape[:-1], len(CLASSES)), np.float32)


def stored_contract(*bands: Band) -> Contract:
    contract = make_contract()
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, bands=bands))


def stored(height: int = 6, width: int = 5) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 4, (height, width, 2)).astype(np.uint16)


def test_what_the_file_says_of_its_values_counts(write: Callable[..., str]) -> None:
    contract = stored_contract(Band("b", dtype="uint16", scale=7, nodata=2), Band("A", dtype="uint16"))
    scene = write(stored(), ("a", "B"), scales=(0.5, 0.1), offsets=(-1, 3), nodata=1)
    seen = _Seen()
    found, _ = mapped(seen, contract, scene)
    expected, valid = open_raster(scene).select(("B", "a")).read()
    np.testing.assert_array_equal(seen.image, expected)
    np.testing.assert_array_equal(found[0] == 255, ~valid.all(-1))


def test_a_file_that_says_nothing_is_stored_as_the_training_data_were(write: Callable[..., str]) -> None:
    bands = (Band("B01", dtype="uint16", scale=0.5, offset=-1, nodata=2), Band("B02", dtype="float32", scale=9))
    values, seen = stored(), _Seen()
    mapped(seen, stored_contract(*bands), write(values))
    first = np.where(values[..., 0] == 2, np.nan, values[..., 0] * 0.5 - 1)
    np.testing.assert_array_equal(seen.image, np.stack([first, values[..., 1]], -1).astype(np.float32))


def test_transparency_is_no_band(write: Callable[..., str]) -> None:
    alpha = np.full((6, 5, 1), 255, np.uint16)
    alpha[2, 3] = 0
    colours = (ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha)
    scene = write(np.concatenate([stored() + np.uint16(1), alpha], -1), (None, None, None), colorinterp=colours)
    seen = _Seen()
    found, _ = mapped(seen, make_contract(), scene)
    assert seen.image.shape == (6, 5, 2)
    np.testing.assert_array_equal(np.argwhere(found[0] == 255), [[2, 3]])


def test_other_bands_are_refused(write: Callable[..., str], tmp_path: Path) -> None:
    scene = write(stored(), ("red", "nir"))
    with pytest.raises(SystemExit, match=r"expected the bands B01, B02. Found: red, nir."):
        mapped(_Seen(), make_contract(), scene)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_class_values_are_coloured(write: Callable[..., str]) -> None:
    contract = make_contract()
    scene = write(stored())
    example.map_raster(_Seen(), plain(contract), scene, scene.replace("scene", "map"))
    with rasterio.open(scene.replace("scene", "map")) as file:
        assert file.colormap(1)[4] == (0xE6, 0x9F, 0x00, 255) and file.colormap(1)[255][3] == 0
        assert file.descriptions == ("class",)


def test_the_command_line_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="Expected two arguments"):
        example.main(["scene.tif"])
    (tmp_path / "map.tif").touch()
    with pytest.raises(SystemExit, match="exists already"):
        example.main(["scene.tif", str(tmp_path / "map.tif")])
