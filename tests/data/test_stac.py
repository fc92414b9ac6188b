from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window

from geodl.data.cube import open_cube
from geodl.data.resample import Resample
from geodl.data.stac import is_item, open_item
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable
from tests.data.servers import serve_files

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def raster(path: Path, *, step: float = 10, count: int = 1, seed: int = 0, dtype: str = "uint16") -> np.ndarray:
    height = width = round(320 / step)
    factor = 1000 if dtype == "uint16" else 1
    values = (np.random.default_rng(seed).integers(0, 5, (count, height, width)) * factor).astype(dtype)
    profile = {"driver": "GTiff", "dtype": dtype, "count": count, "height": height, "width": width}
    transform = Affine(step, 0, 600_000, 0, -step, 5_000_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform) as file:
        file.write(values)
    return values


def asset(href: str, *, step: float = 10, bands: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    side = round(320 / step)
    place = {"proj:shape": [side, side], "proj:transform": [step, 0, 600_000, 0, -step, 5_000_000]}
    told = {} if bands is None else {"eo:bands": bands}
    return {"href": href, "type": COG, "roles": ["data"], **place, **told, **more}


def item(assets: dict[str, Any], *, identifier: str = "S2_T33", **properties: Any) -> dict[str, Any]:
    """A STAC 1.0 item, as Earth Search and the Planetary Computer give them."""
    schemas = ("eo/v1.1.0", "raster/v1.1.0", "projection/v1.1.0")
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [f"https://stac-extensions.github.io/{name}/schema.json" for name in schemas],
        "id": identifier,
        "collection": "sentinel-2-l2a",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[16.26, 45.14], [16.28, 45.14], [16.28, 45.15], [16.26, 45.15], [16.26, 45.14]]],
        },
        "bbox": [16.26, 45.14, 16.28, 45.15],
        "properties": {"datetime": "2024-06-01T10:00:00Z", "proj:epsg": 32633, **properties},
        "links": [],
        "assets": assets,
    }


def write(folder: Path, content: dict[str, Any], name: str = "item.json") -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two bands of 10 m, one of 20 m, a picture, a mask and a thumbnail."""
    scaled = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 1e-4, "offset": -0.1}]}
    for seed, name in enumerate(("B04", "B08", "B11", "SCL")):
        step = 20 if name in ("B11", "SCL") else 10
        raster(tmp_path / f"{name}.tif", seed=seed, step=step, dtype="uint8" if name == "SCL" else "uint16")
    raster(tmp_path / "TCI.tif", count=3, dtype="uint8")
    colours = [{"name": name, "common_name": c} for name, c in (("B04", "red"), ("B03", "green"), ("B02", "blue"))]
    assets = {
        "visual": asset("TCI.tif", bands=colours, roles=["visual"]),
        "B04": asset("B04.tif", bands=[{"name": "B04", "common_name": "red"}], **scaled),
        "B08": asset("./B08.tif", bands=[{"name": "B08", "common_name": "nir"}], **scaled),
        "B11": asset("B11.tif", step=20, bands=[{"name": "B11", "common_name": "swir16"}], **scaled),
        "SCL": asset("SCL.tif", step=20),
        "thumbnail": {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "metadata": {"href": "m.xml", "type": "application/xml", "roles": ["metadata"]},
    }
    return write(tmp_path, item(assets))


@pytest.mark.parametrize("bands", [("B08", "B04"), ("nir", "red"), ("NIR", "B04")])
def test_values_are_those_that_odc_stac_loads_scaled_once(scene: Path, bands: tuple[str, ...]) -> None:
    source = open_item(scene, bands=bands)
    assert (source.name, [band.name for band in source.bands]) == ("S2_T33", list(bands))
    assert [(band.scale, band.offset, band.nodata) for band in source.bands] == [(1e-4, -0.1, 0)] * 2
    assert [Path(path).name for path in source.paths] == ["B08.tif", "B04.tif"]
    loaded = odc.stac.load([pystac.Item.from_file(str(scene))], bands=["B08", "B04"]).isel(time=0)
    cube = open_cube(loaded)
    assert source.grid.differs(cube.grid) is None
    assert source.grid.crs == CRS.from_epsg(32633)
    stored = np.stack([loaded["B08"].values, loaded["B04"].values], -1)
    expected = np.where(stored == 0, np.nan, stored * 1e-4 - 0.1)
    np.testing.assert_allclose(source.read()[0], expected, rtol=1e-5, atol=1e-7)
    window = Window(5, 6, 7, 8)
    np.testing.assert_allclose(source.read(window)[0], expected[6:14, 5:12], rtol=1e-5, atol=1e-7)


def test_bands_of_another_pixel_size_need_resampling(scene: Path) -> None:
    with pytest.raises(
        SourceUnreadable, match=r"S2_T33: its bands lie on several grids.*B04, red, B08, nir, B11, swir16"
    ):
        open_item(scene)
    with pytest.raises(GridMismatch, match="resample"):
        open_item(scene, bands=("red", "swir16"))
    source = open_item(scene, bands=("red", "swir16"), resample=Resample("nearest"))
    with rasterio.open(scene.parent / "B11.tif") as file:
        stored = file.read(1).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(source.read()[0][..., 1], np.where(stored == 0, np.nan, stored * 1e-4 - 0.1), rtol=1e-5)


def test_by_default_bands_bear_the_keys_of_their_assets_without_pictures_and_copies(tmp_path: Path) -> None:
    for name in ("red", "nir", "visual"):
        raster(tmp_path / f"{name}.tif")
    red = [{"name": "B04", "common_name": "red"}]
    assets = {
        "red-jp2": asset("missing.jp2", bands=red) | {"type": "image/jp2"},
        "red": asset("red.tif", bands=red),
        "nir": asset("nir.tif", bands=[{"name": "B08", "common_name": "nir"}]),
        "visual": asset("visual.tif", roles=["visual"]),
    }
    path = write(tmp_path, item(assets))
    assert [band.name for band in open_item(path).bands] == ["red", "nir"]
    # The cloud-optimised copy is taken.
    assert [Path(file).name for file in open_item(path, bands=("B04",)).paths] == ["red.tif"]


@pytest.mark.parametrize(("applied", "offset"), [(True, 0.0), (False, -0.1), (None, -0.1)])
def test_an_offset_that_pixels_have_already_is_not_applied_again(
    tmp_path: Path, applied: bool | None, offset: float
) -> None:
    stored = raster(tmp_path / "red.tif", seed=3)[0]
    told = {"raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": -0.1}]}
    properties = {} if applied is None else {"earthsearch:boa_offset_applied": applied}
    properties["s2:processing_baseline"] = "05.09"
    source = open_item(write(tmp_path, item({"red": asset("red.tif", **told)}, **properties)))
    expected = np.where(stored == 0, np.nan, stored * 1e-4 + offset)
    np.testing.assert_allclose(source.read()[0][..., 0], expected, rtol=1e-5)


def test_what_earth_search_says_of_its_copies_does_not_hold_for_the_originals(tmp_path: Path) -> None:
    stored = raster(tmp_path / "red.tif", seed=3)[0]
    told = {"raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": -0.1}]}
    assets = {"red": asset("red.tif", **told), "red-jp2": asset("red.tif", **told) | {"type": "image/jp2"}}
    path = write(tmp_path, item(assets, **{"earthsearch:boa_offset_applied": True}))
    values = open_item(path, bands=("red", "red-jp2")).read()[0]
    for axis, offset in enumerate((0, -0.1)):
        np.testing.assert_allclose(values[..., axis], np.where(stored == 0, np.nan, stored * 1e-4 + offset), rtol=1e-5)


@pytest.mark.parametrize("told", [{}, {"classification:classes": [{"value": 3, "name": "shadow"}]}])
def test_classes_are_never_averaged(tmp_path: Path, told: dict[str, Any]) -> None:
    raster(tmp_path / "red.tif")
    stored = raster(tmp_path / "classes.tif", step=20, dtype="uint8")[0]
    key = "clouds" if told else "scl"
    path = write(tmp_path, item({"red": asset("red.tif"), key: asset("classes.tif", step=20, **told)}))
    values = open_item(path, bands=("red", key), resample=Resample("bilinear")).read()[0]
    np.testing.assert_array_equal(values[..., 1], stored.repeat(2, 0).repeat(2, 1))


def test_an_offset_is_never_guessed_from_a_baseline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored = raster(tmp_path / "B04.tif", seed=3)[0]
    source = open_item(write(tmp_path, item({"B04": asset("B04.tif")}, **{"s2:processing_baseline": "05.09"})))
    np.testing.assert_array_equal(source.read()[0][..., 0], stored)
    assert "states no offset" in caplog.text


def test_bands_in_the_words_of_stac_1_1(tmp_path: Path) -> None:
    stored = raster(tmp_path / "all.tif", count=3, seed=5)
    bands = [{"name": f"b{k}", "eo:common_name": name} for k, name in enumerate(("red", "green", "nir"))]
    told = {"bands": bands, "raster:scale": 2.75e-5, "raster:offset": -0.2, "nodata": 0, "unit": "1"}
    content = item({"sr": asset("all.tif", **told)}) | {"stac_version": "1.1.0", "stac_extensions": []}
    path = write(tmp_path, content)
    assert [band.name for band in open_item(path).bands] == ["b0", "b1", "b2"]
    source = open_item(path, bands=("nir", "b0"))
    assert source.bands[0].unit == "1"
    expected = np.where(stored == 0, np.nan, stored * 2.75e-5 - 0.2)[[2, 0]]
    np.testing.assert_allclose(source.read()[0], np.moveaxis(expected, 0, -1), rtol=1e-5)
    bands[0]["raster:scale"] = 3e-5
    write(tmp_path, content)
    with pytest.raises(SourceUnreadable, match="several values of scale"):
        open_item(path)


def test_what_an_item_does_not_say_the_file_does(tmp_path: Path) -> None:
    raster(tmp_path / "three.tif", count=3)
    raster(tmp_path / "one.tif")
    with rasterio.open(tmp_path / "one.tif", "r+") as file:
        file.scales, file.offsets, file.nodata, file.units = (0.5,), (2.0,), 1000, ("K",)
    three = {"href": "three.tif", "type": COG}
    one = {"href": "one.tif"}
    assert [b.name for b in open_item(write(tmp_path, item({"image": three}))).bands] == ["band_1", "band_2", "band_3"]
    (band,) = open_item(write(tmp_path, item({"image": one}))).bands
    assert (band.name, band.scale, band.offset, band.nodata, band.unit) == ("image", 0.5, 2.0, 1000, "K")


def test_an_item_over_http_with_relative_assets(scene: Path) -> None:
    with serve_files(scene.parent) as server:
        remote = open_item(server.url("item.json"), bands=("red",), name="there")
        assert remote.name == "there"
        np.testing.assert_array_equal(remote.read()[0], open_item(scene, bands=("red",)).read()[0])
        with pytest.raises(SourceUnreadable, match=r"other.json: there is no such file"):
            open_item(server.url("other.json"))
        address = server.url("item.json")
    with pytest.raises(SourceUnreadable, match="Check the address"):
        open_item(address)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("{", "it is not JSON"),
        ("[1]", "not a STAC item but JSON of type list"),
        ('{"type": "Feature", "properties": {}}', "not a STAC item but JSON of type Feature"),
        ('{"type": "Collection", "stac_version": "1.0.0"}', "not a STAC item but a STAC Collection"),
        ('{"type": "Feature", "stac_version": "1.0.0", "assets": {}}', "its content is not that of a STAC item"),
        (None, "there is no such file"),
    ],
)
def test_what_is_no_item(tmp_path: Path, content: str | None, cause: str) -> None:
    if content is not None:
        (tmp_path / "item.json").write_text(content)
    with pytest.raises(SourceUnreadable, match=f"item.json: .*{cause}"):
        open_item(tmp_path / "item.json")


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"raster:bands": [{"scale": "a tenth"}]}, "red.tif: the item states a scale that is no number .*'a tenth'"),
        ({"raster:bands": [{"nodata": [0]}]}, r"red.tif: the item states a nodata that is no number .*\[0\]"),
        ({"eo:bands": {"red": 1}}, "S2_T33: its assets are not those of a STAC item"),
        ({"bands": [3]}, "S2_T33: its assets are not those of a STAC item"),
    ],
)
def test_items_that_state_nonsense(tmp_path: Path, told: dict[str, Any], cause: str) -> None:
    raster(tmp_path / "red.tif")
    with pytest.raises(SourceUnreadable, match=cause):
        open_item(write(tmp_path, item({"red": asset("red.tif", **told)})))


def test_what_reading_an_address_takes_may_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*args: Any, **options: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", without)
    with pytest.raises(SourceUnreadable, match=r"s3://bucket/item.json: Install s3fs to access S3. .*geodl\[s3\]"):
        open_item("s3://bucket/item.json")


def test_items_without_the_assets_that_are_wanted(scene: Path) -> None:
    with pytest.raises(BandMismatch, match=r"S2_T33: .*Expected 2: red, B12.*B04, red, B08, nir"):
        open_item(scene, bands=("red", "B12"))
    with pytest.raises(BandMismatch, match="red and B04 are the same band"):
        open_item(scene, bands=("B04", "red"))
    bare = item({"thumbnail": {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}})
    with pytest.raises(SourceUnreadable, match=r"no raster assets.*thumbnail \(image/jpeg\)"):
        open_item(write(scene.parent, bare, "bare.json"))
    with pytest.raises(SourceUnreadable, match=r"gone.tif: there is no such file"):
        open_item(write(scene.parent, item({"red": asset("gone.tif")}), "gone.json"))


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ("a/item.json", True),
        ("https://host/collections/c/items/S2A?token=1", True),
        ("https://host/a.json?token=1", True),
        (pystac.Item.from_dict(item({})), True),
        ("items/a.tif", False),
        ("https://host/a.tif", False),
        ({"red": "a.tif"}, False),
        (np.zeros(3), False),
    ],
)
def test_what_looks_like_an_item(thing: Any, expected: bool) -> None:
    assert is_item(thing) is expected
