from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geodl.data.products import is_product, open_product
from geodl.data.warp import Resample
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable

SIDE = 40
LEVEL2 = "LC08_L2SP_195028_20200507_20200820_02_T1"
LEVEL1 = "LE07_L1TP_230080_20231208_20240103_02_T1"


def level2_mtl() -> dict[str, dict[str, str]]:
    """The groups of an `_MTL` of Level-2 that matter here; it repeats names of Level-1 with other values."""
    images = {f"FILE_NAME_BAND_{k}": f"{LEVEL2}_SR_B{k}.TIF" for k in range(1, 8)}
    return {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": LEVEL2,
            "PROCESSING_LEVEL": "L2SP",
            "COLLECTION_NUMBER": "02",
            **images,
            "FILE_NAME_BAND_ST_B10": f"{LEVEL2}_ST_B10.TIF",
            "FILE_NAME_QUALITY_L2_AEROSOL": f"{LEVEL2}_SR_QA_AEROSOL.TIF",
            "FILE_NAME_QUALITY_L1_PIXEL": f"{LEVEL2}_QA_PIXEL.TIF",
        },
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            **{f"REFLECTANCE_MULT_BAND_{k}": "2.75e-05" for k in range(1, 8)},
            **{f"REFLECTANCE_ADD_BAND_{k}": "-0.2" for k in range(1, 8)},
        },
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            "TEMPERATURE_MULT_BAND_ST_B10": "0.00341802",
            "TEMPERATURE_ADD_BAND_ST_B10": "149.0",
        },
        "LEVEL1_PROCESSING_RECORD": {
            "PROCESSING_LEVEL": "L1TP",
            **{f"FILE_NAME_BAND_{k}": f"other_B{k}.TIF" for k in range(1, 12)},
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            **{f"REFLECTANCE_MULT_BAND_{k}": "2.0000E-05" for k in range(1, 10)},
            **{f"REFLECTANCE_ADD_BAND_{k}": "-0.100000" for k in range(1, 10)},
        },
    }


def level1_mtl() -> dict[str, dict[str, str]]:
    keys = ["1", "2", "3", "4", "5", "6_VCID_1", "6_VCID_2", "7", "8"]
    reflective = [key for key in keys if not key.startswith("6")]
    return {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": LEVEL1,
            "PROCESSING_LEVEL": "L1TP",
            "COLLECTION_NUMBER": "02",
            **{f"FILE_NAME_BAND_{key}": f"{LEVEL1}_B{key}.TIF" for key in keys},
            "FILE_NAME_QUALITY_L1_PIXEL": f"{LEVEL1}_QA_PIXEL.TIF",
            "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION": f"{LEVEL1}_QA_RADSAT.TIF",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            **{f"RADIANCE_MULT_BAND_{key}": "6.7087E-02" for key in keys},
            **{f"RADIANCE_ADD_BAND_{key}": "-0.06709" for key in keys},
            **{f"REFLECTANCE_MULT_BAND_{key}": f"{0.001 * k:.4E}" for k, key in enumerate(reflective, 1)},
            **{f"REFLECTANCE_ADD_BAND_{key}": "-0.012345" for key in reflective},
        },
    }


def as_text(groups: dict[str, dict[str, str]], outer: str = "LANDSAT_METADATA_FILE") -> str:
    lines = [f"GROUP = {outer}"]
    for group, content in groups.items():
        lines.append(f"  GROUP = {group}")
        lines += [
            f"    {key} = {value}" if re.fullmatch(r"[-+.\dEe]+", value) else f'    {key} = "{value}"'
            for key, value in content.items()
        ]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, f"END_GROUP = {outer}", "END", ""])


def stored(file: str) -> np.ndarray:
    rng = np.random.default_rng(sum(map(ord, file)))
    side = 2 * SIDE if file.endswith("B8.TIF") else SIDE
    values = rng.integers(1, 40_000, (side, side)).astype(np.uint16)
    values[:3, :2] = 0
    return values


def write_scene(folder: Path, groups: dict[str, dict[str, str]], *, nodata: float | None = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, file in groups["PRODUCT_CONTENTS"].items():
        if key.startswith("FILE_NAME"):
            values, size = stored(file), 15 if file.endswith("B8.TIF") else 30
            with rasterio.open(
                folder / file, "w", driver="GTiff", dtype="uint16", count=1, height=len(values), width=len(values),
                crs="EPSG:32632", transform=Affine(size, 0, 399_985, 0, -size, 5_000_015),
                nodata=1 if "QA_PIXEL" in file else nodata,
            ) as dataset:  # fmt: skip
                dataset.write(values, 1)
    (folder / f"{groups['PRODUCT_CONTENTS']['LANDSAT_PRODUCT_ID']}_MTL.txt").write_text(as_text(groups))
    return folder


def test_level_2_in_reflectance_and_kelvin(tmp_path: Path) -> None:
    scene = open_product(write_scene(tmp_path / "any name", level2_mtl()))
    assert scene.name == LEVEL2
    assert [(band.name, band.unit) for band in scene.bands] == [
        *((f"B{k}", "reflectance") for k in range(1, 8)),
        ("B10", "kelvin"),
    ]
    values, valid = scene.read()
    for axis in range(8):
        numbers = stored(f"{LEVEL2}_SR_B{axis + 1}.TIF" if axis < 7 else f"{LEVEL2}_ST_B10.TIF").astype(float)
        physical = numbers * 2.75e-5 - 0.2 if axis < 7 else numbers * 0.00341802 + 149
        np.testing.assert_allclose(values[..., axis], np.where(numbers == 0, np.nan, physical), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(valid[..., axis], numbers != 0)


def test_level_1_in_uncorrected_reflectance_and_radiance(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, level1_mtl(), nodata=None)
    scene = open_product(folder)
    names = ["B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7"]
    assert [band.name for band in scene.bands] == names
    uncorrected = "reflectance x sin(sun elevation)"
    assert [band.unit for band in scene.bands] == [uncorrected] * 5 + ["W/(m2 sr um)"] * 2 + [uncorrected]
    assert {band.nodata for band in scene.bands} == {0}
    values = scene.read()[0]
    for axis, name in enumerate(names):
        numbers = stored(f"{LEVEL1}_{name}.TIF").astype(float)
        thermal = "VCID" in name
        physical = numbers * 0.067087 - 0.06709 if thermal else numbers * 0.001 * int(name[1]) - 0.012345
        if name == "B7":
            physical = numbers * 0.006 - 0.012345
        np.testing.assert_allclose(values[..., axis], np.where(numbers == 0, np.nan, physical), rtol=1e-5, atol=1e-5)


def test_the_panchromatic_band_is_there_by_name(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, level1_mtl())
    assert open_product(folder, bands=["B8"]).grid.resolution == (15, 15)
    with pytest.raises(GridMismatch, match=r"pixel size.*15 m.*30 m"):
        open_product(folder, bands=["B3", "B8"])
    sharp = open_product(folder, bands=["B3", "B8"], resample=Resample("nearest"))
    plain = open_product(folder, bands=["B3"]).read()[0][..., 0]
    np.testing.assert_array_equal(sharp.read()[0][..., 0], np.kron(plain, np.ones((2, 2))))


def test_quality_bands_are_there_by_name_with_the_nodata_of_their_file(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, level2_mtl())
    scene = open_product(folder, bands=["QA_PIXEL", "B4"])
    numbers = stored(f"{LEVEL2}_QA_PIXEL.TIF").astype(float)
    assert (scene.bands[0].unit, scene.bands[0].nodata) == ("", 1)
    np.testing.assert_array_equal(scene.read()[0][..., 0], np.where(numbers == 1, np.nan, numbers))
    with pytest.raises(BandMismatch, match="QA_RADSAT"):
        open_product(folder, bands=["QA_RADSAT"])


def test_every_way_to_name_a_scene(tmp_path: Path) -> None:
    groups = level2_mtl()
    folder = write_scene(tmp_path, groups)
    text = folder / f"{LEVEL2}_MTL.txt"
    other = text.with_suffix(".json")
    other.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    whole = open_product(text).read()[0]
    for where in (folder, str(folder), other):
        assert is_product(where)
        np.testing.assert_array_equal(open_product(where).read()[0], whole)
    text.unlink()
    np.testing.assert_array_equal(open_product(folder).read()[0], whole)
    (folder / "LC09_MTL.json").write_text("{}")
    assert not is_product(folder)
    assert not is_product(folder / f"{LEVEL2}_SR_B1.TIF")


def test_images_that_were_not_downloaded_are_left_out(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, level2_mtl())
    for name in ("SR_B1", "ST_B10", "SR_QA_AEROSOL"):
        (folder / f"{LEVEL2}_{name}.TIF").unlink()
    assert [band.name for band in open_product(folder).bands] == [f"B{k}" for k in range(2, 8)]
    with pytest.raises(BandMismatch, match="Expected 1: B1"):
        open_product(folder, bands=["B1"])


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    groups = level2_mtl()
    metadata = write_scene(tmp_path, groups) / f"{LEVEL2}_MTL.txt"
    collection1 = {"METADATA_FILE_INFO": {"COLLECTION_NUMBER": "01"}}
    metadata.write_text(as_text(collection1, "L1_METADATA_FILE"))
    with pytest.raises(SourceUnreadable, match="not of Landsat Collection 2"):
        open_product(metadata)
    for wrong in ({}, {"REFLECTANCE_MULT_BAND_1": "x", "REFLECTANCE_ADD_BAND_1": "0"}):
        metadata.write_text(as_text(groups | {"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": wrong}))
        with pytest.raises(SourceUnreadable, match=r"how B1 is scaled \(REFLECTANCE_MULT_BAND_1\)"):
            open_product(metadata)
    metadata.write_bytes(b"\xff\xfe\x00GROUP")
    with pytest.raises(SourceUnreadable, match="MTL.txt"):
        open_product(metadata)
    broken = metadata.with_suffix(".json")
    for text, cause in (("{", "no JSON"), ("[]", "Collection 2"), ('{"LANDSAT_METADATA_FILE": 3}', "Collection 2")):
        broken.write_text(text)
        with pytest.raises(SourceUnreadable, match=cause):
            open_product(broken)
    elsewhere = tmp_path / "elsewhere" / metadata.name
    elsewhere.parent.mkdir()
    elsewhere.write_text(as_text(groups))
    with pytest.raises(SourceUnreadable, match="none of the images"):
        open_product(elsewhere)
