from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geodl.data.opening import find_scenes, open_source
from geodl.data.products import is_product, open_product
from geodl.data.warp import Resample
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable

PRODUCT = "S2B_MSIL{level}_20230823T095559_N0509_R122_T34UCF_20230823T124759"
GRANULE = "GRANULE/L{level}_T34UCF_A033753_20230823T095553"
SIZES = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20, "B09": 60,
    "B10": 60, "B11": 20, "B12": 20,
}  # fmt: skip
BANDS = list(SIZES)
SIDE = 120  # metres × 10: one hundredth of a tile's side, so that 10, 20 and 60 m divide it


def metadata(level: str, *, offsets: bool = True, quantification: int = 10000, head: str = "", nodata: int = 0) -> str:
    """The parts of the product metadata that matter here, as ESA writes them."""
    name, short = ("Level-1C", "RADIO") if level == "1C" else ("Level-2A", "BOA")
    outer = "Radiometric_Offset_List" if level == "1C" else "BOA_ADD_OFFSET_VALUES_LIST"
    each = "".join(f'<{short}_ADD_OFFSET band_id="{k}">{-1000 - k}</{short}_ADD_OFFSET>' for k in range(len(BANDS)))
    quantified = (
        f'<QUANTIFICATION_VALUE unit="none">{quantification}</QUANTIFICATION_VALUE>'
        if level == "1C"
        else f'<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">{quantification}'
        '</BOA_QUANTIFICATION_VALUE><AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
        "</QUANTIFICATION_VALUES_LIST>"
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>{head}
<n1:{name}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{name}.xsd">
  <n1:General_Info>
    <Product_Info><PROCESSING_BASELINE>05.09</PROCESSING_BASELINE></Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>{nodata}</SPECIAL_VALUE_INDEX></Special_Values>
      <Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
      {quantified}
      {f"<{outer}>{each}</{outer}>" if offsets else ""}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:{name}_User_Product>"""


def stored(band: str, size: int) -> np.ndarray:
    rng = np.random.default_rng(BANDS.index(band) if band in BANDS else 99)
    side = SIDE * 10 // size
    values = rng.integers(1, 12 if band == "SCL" else 12_000, (side, side)).astype(np.uint16)
    values[:2, :3] = 0
    values[-1, -1] = values[-1, -1] if band == "SCL" else 65535
    return values.astype(np.uint8) if band == "SCL" else values


def write_image(path: Path, values: np.ndarray, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", dtype=values.dtype.name, count=1, height=len(values), width=len(values),
        crs="EPSG:32634", transform=Affine(size, 0, 300_000, 0, -size, 5_900_040), QUALITY="100", REVERSIBLE="YES",
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)


def write_safe(folder: Path, level: str, *, text: str | None = None) -> Path:
    safe = folder / f"{PRODUCT.format(level=level)}.SAFE"
    images = safe / GRANULE.format(level=level) / "IMG_DATA"
    safe.mkdir(parents=True)
    (safe / f"MTD_MSIL{level}.xml").write_text(text or metadata(level), encoding="utf-8")
    for band, native in SIZES.items():
        if level == "1C":
            write_image(images / f"T34UCF_20230823T095559_{band}.jp2", stored(band, native), native)
        elif band != "B10":
            for size in (10, 20, 60):
                # Each resolution also has the finer bands, and B01 at 20 m.
                if size >= native or (band == "B01" and size == 20):
                    path = images / f"R{size}m" / f"T34UCF_20230823T095559_{band}_{size}m.jp2"
                    write_image(path, stored(band, size), size)
    if level == "2A":
        for size in (20, 60):
            write_image(images / f"R{size}m" / f"T34UCF_20230823T095559_SCL_{size}m.jp2", stored("SCL", size), size)
        write_image(images / "R10m" / "T34UCF_20230823T095559_TCI_10m.jp2", stored("B02", 10), 10)
    return safe


def reflectance(band: str, size: int, *, offset: bool = True, quantification: float = 10_000) -> np.ndarray:
    values = stored(band, size).astype(np.float64)
    physical = (values + (-1000 - BANDS.index(band) if offset else 0)) / quantification
    return np.where(values == 0, np.nan, physical)


@pytest.fixture(scope="module")
def level1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safe(tmp_path_factory.mktemp("l1"), "1C")


@pytest.fixture(scope="module")
def level2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safe(tmp_path_factory.mktemp("l2"), "2A")


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_without_names_the_bands_of_10_m_are_read_in_reflectance(level: str, request: pytest.FixtureRequest) -> None:
    safe: Path = request.getfixturevalue(f"level{level[0]}")
    scene = open_product(safe)
    assert scene.name == PRODUCT.format(level=level)
    assert [(band.name, band.unit, band.nodata) for band in scene.bands] == [
        (name, "reflectance", 0) for name in ("B02", "B03", "B04", "B08")
    ]
    assert (scene.grid.resolution, scene.grid.shape) == ((10, 10), (SIDE, SIDE))
    values, valid = scene.read()
    for axis, band in enumerate(scene.bands):
        expected = reflectance(band.name, 10)
        np.testing.assert_allclose(values[..., axis], expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(valid[..., axis], np.isfinite(expected))
    assert values[-1, -1, 0] == pytest.approx((65535 - 1001) / 10_000)


def test_the_bands_of_20_m_are_taken_at_their_native_resolution(level2: Path) -> None:
    scene = open_product(level2, bands=["B12", "B8A"])
    assert (scene.grid.resolution, [band.name for band in scene.bands]) == ((20, 20), ["B12", "B8A"])
    for axis, band in enumerate(("B12", "B8A")):
        np.testing.assert_allclose(scene.read()[0][..., axis], reflectance(band, 20), rtol=1e-6, atol=1e-7)
    assert open_product(level2, bands=["B01"]).grid.resolution == (60, 60)


def test_bands_of_several_pixel_sizes_need_resampling(level2: Path) -> None:
    with pytest.raises(GridMismatch, match=r"B11.*pixel size.*10 m.*20 m.*data\.resample \(--resample\)"):
        open_product(level2, bands=["B04", "B11"])
    scene = open_product(level2, bands=["B11", "B04"], resample=Resample("bilinear"))
    assert scene.grid.resolution == (10, 10)
    values = scene.read()[0]
    np.testing.assert_allclose(values[..., 1], reflectance("B04", 10), rtol=1e-6, atol=1e-7)
    expected = np.full((SIDE, SIDE), np.nan)
    reproject(
        reflectance("B11", 20), expected, src_crs="EPSG:32634", dst_crs="EPSG:32634", src_nodata=np.nan,
        dst_nodata=np.nan, src_transform=scene.grid.transform @ Affine.scale(2), dst_transform=scene.grid.transform,
        resampling=Resampling.bilinear,
    )  # fmt: skip
    np.testing.assert_allclose(values[..., 0], expected, rtol=1e-5, atol=1e-6)


def test_with_resampling_and_no_names_all_spectral_bands_are_read(level1: Path, level2: Path) -> None:
    for safe, expected in ((level1, BANDS), (level2, [band for band in BANDS if band != "B10"])):
        scene = open_product(safe, resample=Resample("cubic"))
        assert ([band.name for band in scene.bands], scene.grid.resolution) == (expected, (10, 10))


def test_the_scene_classification_is_there_by_name_and_never_mixed(level1: Path, level2: Path) -> None:
    plain = open_product(level2, bands=["SCL"]).read()[0][..., 0]
    classes = stored("SCL", 20).astype(float)
    np.testing.assert_array_equal(plain, np.where(classes == 0, np.nan, classes))
    both = open_product(level2, bands=["B02", "SCL"], resample=Resample("bilinear"))
    np.testing.assert_array_equal(both.read()[0][..., 1], np.kron(plain, np.ones((2, 2))))
    with pytest.raises(BandMismatch, match="Expected 1: SCL. Received 13: B01, B02"):
        open_product(level1, bands=["SCL"])


def test_metadata_decides_not_the_baseline(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, "2A", text=metadata("2A", offsets=False, quantification=8000))
    values = open_product(safe, bands=["B02"]).read()[0][..., 0]
    np.testing.assert_allclose(values, reflectance("B02", 10, offset=False, quantification=8000), rtol=1e-6)
    (safe / "MTD_MSIL2A.xml").write_text(metadata("2A", nodata=stored("B02", 10)[5, 5]), encoding="utf-8")
    valid = open_product(safe, bands=["B02"]).read()[1][..., 0]
    assert (valid[0, 0], valid[5, 5]) == (True, False)


def test_every_way_to_name_a_product(level1: Path, tmp_path: Path) -> None:
    for where in (level1, level1.parent, level1 / "MTD_MSIL1C.xml", str(level1) + "/"):
        assert is_product(where)
        assert open_product(where, bands=["B09"]).grid.resolution == (60, 60)
    assert not is_product(level1 / "GRANULE")
    assert not is_product("s3://bucket/a.SAFE")
    for k in (1, 2):
        (tmp_path / f"{k}.SAFE").mkdir()
        (tmp_path / f"{k}.SAFE" / "MTD_MSIL2A.xml").write_text(metadata("2A"))
    assert not is_product(tmp_path)
    assert [spec for _, spec in find_scenes(tmp_path)] == [str(tmp_path / f"{k}.SAFE") for k in (1, 2)]
    source = open_source(level1, bands=["B03"])
    np.testing.assert_allclose(source.read()[0][..., 0], reflectance("B03", 10), rtol=1e-6, atol=1e-7)


BAD = {
    "no XML": ("<n1:", "its XML cannot be used"),
    "a document type": (metadata("2A", head='<!DOCTYPE x [<!ENTITY a "b">]>'), "declares a document type"),
    "another product": ("<Level-3_Product/>", "no metadata of a Sentinel-2"),
    "no quantification": (metadata("2A").replace("BOA_QUANTIFICATION", "X"), "quantification value is missing"),
    "a word": (metadata("2A").replace(">10000<", ">many<"), "quantification value is missing or no number"),
    "zero": (metadata("2A", quantification=0), "quantification value is 0"),
    "a missing offset": (metadata("2A").replace('band_id="3"', 'band_id="33"'), "BOA_ADD_OFFSET of B04 is missing"),
}


@pytest.mark.parametrize("what", BAD)
def test_metadata_that_cannot_be_used_is_refused(what: str, level2: Path, tmp_path: Path) -> None:
    text, cause = BAD[what]
    safe = tmp_path / "a.SAFE"
    safe.mkdir()
    (safe / "GRANULE").symlink_to(level2 / "GRANULE")
    (safe / "MTD_MSIL2A.xml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceUnreadable, match=f"MTD_MSIL2A.xml: .*{cause}"):
        open_product(safe)


def test_what_holds_no_images_or_several_tiles_is_refused(tmp_path: Path) -> None:
    safe = tmp_path / "a.SAFE"
    safe.mkdir()
    (safe / "MTD_MSIL1C.xml").write_text(metadata("1C"), encoding="utf-8")
    with pytest.raises(SourceUnreadable, match="no images lie in"):
        open_product(safe)
    for tile in ("T1", "T2"):
        write_image(safe / "GRANULE" / tile / "IMG_DATA" / f"{tile}_B02.jp2", stored("B02", 10), 10)
    with pytest.raises(SourceUnreadable, match="it holds 2 tiles"):
        open_product(safe)
    with pytest.raises(SourceUnreadable, match="no product that is known"):
        open_product(tmp_path / "elsewhere")
