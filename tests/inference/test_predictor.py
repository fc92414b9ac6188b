from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import keras
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import rioxarray
import shapely
import xarray as xr
from scipy import special

from geodl.contract import Contract
from geodl.data.cube import open_cube
from geodl.data.raster import open_raster
from geodl.errors import (
    BandMismatch,
    EmptyDataset,
    NoValidPixels,
    OptionError,
    OutputExists,
    OutputUnwritable,
    ResolutionMismatch,
    SourceUnreadable,
)
from geodl.inference import mapper, planning
from geodl.inference.predictor import Predictor
from geodl.models import UNet
from geodl.models.receptive import receptive_margin, total_stride
from tests.inference.fakes import CLASSES, TRANSFORM, make_contract, make_scene

BANDS = ("B01", "B02")


@pytest.fixture(scope="module")
def model() -> Predictor:
    """A small U-Net with random weights."""
    keras.utils.set_random_seed(3)
    network = UNet(channels=2, classes=3, width=4, depth=2, mean=[0.1, 0.2], std=[0.5, 0.5])
    margin, lattice = receptive_margin(network), total_stride(network)
    return Predictor(network, make_contract(margin=margin, lattice=lattice))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_TILE", 64)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scene as GeoTIFF, and returns its path."""

    def written(values: np.ndarray, name: str = "scene.tif", bands: tuple[str, ...] = BANDS, size: float = 10) -> Path:
        path = tmp_path / name
        height, width, count = values.shape
        transform = TRANSFORM @ rasterio.Affine.scale(size / 10)
        profile = {"count": count, "dtype": "float32", "nodata": np.nan, "crs": "EPSG:32633", "transform": transform}
        with rasterio.open(path, "w", driver="GTiff", height=height, width=width, **profile) as file:
            file.write(np.moveaxis(values, -1, 0))
            file.descriptions = bands
        return path

    return written


def scene_values(height: int, width: int) -> np.ndarray:
    return make_scene(height, width, holes=True).read()[0]


def whole_pass(model: Predictor, values: np.ndarray) -> np.ndarray:
    logits = keras.ops.convert_to_numpy(model.network(values[None], training=False))[0]
    return special.softmax(logits.astype(np.float64), axis=-1)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1).squeeze(-1) if file.count == 1 else np.moveaxis(file.read(), 0, -1)


@pytest.mark.usefixtures("small_tiles")
def test_exact_maps_equal_one_whole_pass(model: Predictor) -> None:
    for shape in ((150, 203), (65, 129), (37, 40)):
        values = scene_values(*shape)
        mapped = model.predict(values, overlap="exact", probabilities=True)
        valid = np.isfinite(values).all(-1)
        expected = whole_pass(model, values)
        np.testing.assert_allclose(np.moveaxis(mapped.probabilities.values, 0, -1)[valid], expected[valid], atol=1e-4)
        assert (mapped.classes.values == 255).sum() == (~valid).sum()


@pytest.mark.usefixtures("small_tiles")
def test_blended_maps_have_no_seams_and_abutting_tiles_do(model: Predictor) -> None:
    """The error against one whole pass jumps at seams by less than a tenth of what the map itself varies by there."""
    rng = np.random.default_rng(5)
    fields = rng.normal(size=(34, 34, 2)).astype(np.float32).repeat(12, 0).repeat(12, 1)
    whole = np.moveaxis(whole_pass(model, fields), -1, 0)
    # Without a stated margin no overlap is made exact.
    blending = Predictor(model.network, make_contract(margin=None, lattice=4))

    def jump(overlap: int) -> float:
        mapped = blending.predict(fields, overlap=overlap, probabilities=True).probabilities.values
        cost = planning.Cost(bands=2, channels=3, activations=300)
        tiling = planning.plan_tiling(fields.shape[:2], blending.contract, cost=cost, overlap=overlap)
        seams = [span.fade - 1 for span in tiling.columns[:-1]]
        assert len(seams) > 2
        steps = np.abs(np.diff(mapped - whole, axis=2)).mean(axis=(0, 1))
        return float(steps[seams].mean() / np.abs(np.diff(whole, axis=2)).mean())

    assert jump(24) < 0.1 < 1 < jump(0)


def test_networks_that_see_everything_warn_once_where_they_are_tiled(
    model: Predictor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    blending = Predictor(model.network, make_contract(margin=None, lattice=4))
    with caplog.at_level(logging.WARNING, "geodl"):
        blending.predict(scene_values(70, 40))
        assert not caplog.records
        monkeypatch.setattr(planning, "_TILE", 64)
        monkeypatch.setattr(planning, "DEFAULT_OVERLAP", 16)
        blending.predict(scene_values(170, 40))
        blending.predict(scene_values(170, 40))
    assert len(caplog.records) == 1 and "seams between tiles are possible" in caplog.text


@pytest.mark.usefixtures("small_tiles")
def test_files_hold_what_arrays_hold(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    values = scene_values(150, 203)
    told: list[tuple[int, int]] = []
    (path,) = model.predict_file(
        write(values),
        tmp_path / "maps" / "map.tif",
        probabilities=True,
        confidence=True,
        entropy=True,
        progress=lambda *p: told.append(p),
    )
    mapped = model.predict(values, probabilities=True, confidence=True, entropy=True)
    np.testing.assert_array_equal(read(path), mapped.classes)
    for extra in ("confidence", "entropy"):
        np.testing.assert_array_equal(read(path.with_name(f"map.{extra}.tif")), mapped[extra])
    probabilities = np.moveaxis(mapped.probabilities.values, 0, -1)
    np.testing.assert_array_equal(read(path.with_name("map.probabilities.tif")), probabilities)
    assert told[-1] == (150 * 203, 150 * 203)
    with rasterio.open(path) as file:
        assert file.transform == TRANSFORM and file.crs.to_epsg() == 32633 and file.tags(1)["class_1"] == "water"


@pytest.mark.usefixtures("small_tiles")
def test_data_arrays_keep_what_they_have_and_lazy_ones_stay_lazy(model: Predictor, write: Callable[..., Path]) -> None:
    path = write(scene_values(150, 203))
    eager = rioxarray.open_rasterio(path)
    assert isinstance(eager, xr.DataArray)
    mapped = model.predict(eager)
    assert mapped.dims == ("y", "x") and mapped.rio.crs == eager.rio.crs
    xr.testing.assert_equal(mapped.y, eager.y)
    lazy = model.predict(rioxarray.open_rasterio(path, chunks={"x": 50, "y": 50}), confidence=True)
    assert isinstance(lazy.classes.data, da.Array)
    np.testing.assert_array_equal(lazy.classes, mapped)


@pytest.mark.usefixtures("small_tiles")
def test_a_box_and_a_batch_change_no_pixel(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    scene = write(scene_values(150, 203))
    (whole,) = model.predict_file(scene, tmp_path / "whole.tif")
    (part,) = model.predict_file(scene, tmp_path / "part.tif", bbox=(500_300, 4_998_800, 501_305, 4_999_500))
    with rasterio.open(part) as file:
        assert (file.transform.c, file.transform.f, file.shape) == (500_300, 4_999_500, (70, 101))
    np.testing.assert_array_equal(read(part), read(whole)[50:120, 30:131])
    (batched,) = model.predict_file(scene, tmp_path / "batched.tif", batch_size=3)
    assert (read(batched) == read(whole)).mean() > 0.999


def test_a_mask_leaves_out_the_rest(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(40, 50, 2)).astype(np.float32)
    scene = write(values)
    polygon = shapely.box(500_050, 4_999_700, 500_200, 4_999_900)
    mask = tmp_path / "mask.gpkg"
    pyogrio.raw.write(
        mask, shapely.to_wkb(np.array([polygon])), [], [], crs="EPSG:32633", geometry_type="Polygon"
    )  # fmt: skip
    (path,) = model.predict_file(scene, tmp_path / "map.tif", mask=mask)
    inside = np.zeros((40, 50), bool)
    inside[10:30, 5:20] = True
    np.testing.assert_array_equal(read(path), np.where(inside, model.predict(values), 255))
    np.testing.assert_array_equal(model.predict(scene, mask=mask), read(path))


def test_bands_are_found_by_name_in_files_and_mappings(
    model: Predictor, write: Callable[..., Path], tmp_path: Path
) -> None:
    values = scene_values(40, 50)
    expected = model.predict(values)
    swapped = write(values[..., [1, 0]], "swapped.tif", BANDS[::-1])
    np.testing.assert_array_equal(model.predict(swapped), expected)
    files = {name: write(values[..., [k]], f"{name}.tif", (name,)) for k, name in enumerate(BANDS)}
    (path,) = model.predict_file(files, tmp_path / "map.tif")
    np.testing.assert_array_equal(read(path), expected)
    np.testing.assert_array_equal(model.predict(open_raster(swapped)), expected)


def test_many_scenes_make_a_folder_of_maps(
    model: Predictor, write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "scenes").mkdir()
    told: list[tuple[int, int]] = []
    for name, fill in (("scenes/a.tif", None), ("scenes/b.tif", np.nan), ("scenes/c.tif", None)):
        values = scene_values(30, 40)
        write(values if fill is None else np.full_like(values, fill), name)
    with caplog.at_level(logging.WARNING, "geodl"):
        paths = model.predict_file(tmp_path / "scenes", tmp_path / "maps", progress=lambda *p: told.append(p))
    assert [path.name for path in paths] == ["a.tif", "c.tif"] == sorted(os.listdir(tmp_path / "maps"))
    assert "b: Every pixel asked for is nodata" in caplog.text and told[-1] == (3600, 3600)
    with pytest.raises(OutputExists):
        model.predict_file([tmp_path / "scenes/a.tif"], tmp_path / "maps")
    with pytest.raises(OptionError, match="target: expected a folder"):
        model.predict_file(tmp_path / "scenes", tmp_path / "map.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataset):
        model.predict_file(tmp_path / "empty", tmp_path / "maps")


def test_one_pixel(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    (path,) = model.predict_file(write(np.ones((1, 1, 2), np.float32)), tmp_path / "map.tif")
    assert read(path).shape == (1, 1) and read(path)[0, 0] in {c.value for c in CLASSES}


def test_what_cannot_be_mapped_is_told_and_leaves_nothing(
    model: Predictor, write: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = scene_values(300, 400)
    whole = write(values, "whole.tif")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    cases = [
        (write(np.full_like(values, np.nan), "nodata.tif"), {}, NoValidPixels),
        (write(values[..., :1], "one.tif", ("B01",)), {}, BandMismatch),
        (write(values, "coarse.tif", size=30), {}, ResolutionMismatch),
        (cut, {}, SourceUnreadable),
        (tmp_path / "absent.tif", {}, SourceUnreadable),
        (whole, {"bbox": (0, 0, 1, 1)}, OptionError),
        (whole, {"batch_size": 0}, OptionError),
        (whole, {"overlap": -3}, OptionError),
        (whole, {"memory": 1000}, OptionError),
        (whole, {"mask": tmp_path / "absent.gpkg"}, SourceUnreadable),
    ]
    before = sorted(os.listdir(tmp_path))
    for source, options, error in cases:
        with pytest.raises(error):
            model.predict_file(source, tmp_path / "map.tif", **options)
        assert sorted(os.listdir(tmp_path)) == before
    assert "ERROR" not in capfd.readouterr().err
    model.predict_file(cases[2][0], tmp_path / "map.tif", any_resolution=True)
    with pytest.raises(NoValidPixels):
        model.predict(np.full((5, 5, 2), np.nan))


def test_a_scene_is_never_replaced_by_its_map(model: Predictor, write: Callable[..., Path]) -> None:
    scene = write(scene_values(20, 20))
    with pytest.raises(OptionError, match="another file than the scene's own"):
        model.predict_file(scene, scene, overwrite=True)
    with rasterio.open(scene) as file:
        assert file.count == 2


def test_a_mask_is_never_replaced_by_polygons(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    scene, mask = write(scene_values(20, 20)), tmp_path / "area.gpkg"
    polygon = shapely.to_wkb(np.array([shapely.box(500_050, 4_999_850, 500_150, 4_999_950)]))
    pyogrio.raw.write(mask, polygon, [], [], crs="EPSG:32633", geometry_type="Polygon")
    before = mask.read_bytes()
    with pytest.raises(OptionError, match=r"or the mask's. Received: '.*area.gpkg'"):
        model.predict_file(scene, tmp_path / "map.tif", mask=mask, vectorise=mask, overwrite=True)
    assert mask.read_bytes() == before


def test_a_map_that_no_disk_holds_is_refused_before_it_is_planned(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes of text can claim more pixels than there are disks for."""
    bands = "".join(
        f'<VRTRasterBand dataType="Float32" band="{k}"><Description>{name}</Description></VRTRasterBand>'
        for k, name in enumerate(BANDS, 1)
    )
    size = 2**31 - 1
    transform = ", ".join(map(str, TRANSFORM.to_gdal()))
    text = f"<GeoTransform>{transform}</GeoTransform>{bands}"
    scene = tmp_path / "scene.vrt"
    scene.write_text(f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}">{text}</VRTDataset>')
    monkeypatch.setattr(mapper, "plan_tiling", lambda *arguments, **options: pytest.fail("it was planned"))
    with pytest.raises(OutputUnwritable, match=r"map.tif: .* takes 4,294,967,292.0 GiB, and [\d,.]+ .iB are free"):
        model.predict_file(scene, tmp_path / "map.tif", any_resolution=True)
    assert os.listdir(tmp_path) == ["scene.vrt"]


@pytest.mark.parametrize("options", [{"target": "s3://bucket/map.tif"}, {"vectorise": "https://host/map.gpkg"}])
def test_maps_are_written_here(
    model: Predictor,
    write: Callable[..., Path],
    tmp_path: Path,
    options: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = write(scene_values(20, 20))
    with pytest.raises(
        OptionError, match=f"expected a path of this machine. Received: '{next(iter(options.values()))}'"
    ):
        model.predict_file(scene, **{"target": "map.tif", **options})
    assert os.listdir(tmp_path) == ["scene.tif"]


def test_mistakes_are_told_before_the_network_is_loaded(write: Callable[..., Path], tmp_path: Path) -> None:
    unloaded = Predictor(None, make_contract(), tmp_path / "nowhere")
    scene = write(scene_values(20, 20))
    (tmp_path / "map.tif").touch()
    for options, error in (
        ({"target": "map.png"}, OptionError),
        ({"target": tmp_path / "map.tif"}, OutputExists),
        ({"target": "new.tif", "bbox": (0, 0, 1, 1)}, OptionError),
        ({"target": "new.tif", "vectorise": tmp_path / "map.tif" / "map.gpkg"}, OutputUnwritable),
    ):
        with pytest.raises(error):
            unloaded.predict_file(scene, **options)
    with pytest.raises(BandMismatch):
        unloaded.predict(scene_values(20, 20)[..., :1])


def test_finer_outputs_lie_on_the_finer_grid(tmp_path: Path, write: Callable[..., Path]) -> None:
    inputs = keras.Input((None, None, 2))
    network = keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs))
    contract = make_contract(kind="bands", scale=2)
    values = np.ones((30, 40, 2), np.float32)
    values[3, 4] = np.nan
    (path,) = Predictor(network, contract).predict_file(write(values), tmp_path / "fine.tif")
    with rasterio.open(path) as file:
        assert file.shape == (60, 80) and file.res == (5, 5) and file.descriptions == BANDS
        expected = values.repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), expected)


def test_a_predictor_says_what_it_is(model: Predictor) -> None:
    assert repr(model) == "<Predictor segmentation: 2 bands to 3 classes>"
    assert isinstance(model.contract, Contract) and model.path is None


def test_turns_average_probabilities(model: Predictor) -> None:
    """Of a scene whose size is a multiple of the stride, so that nothing is filled up."""
    values = make_scene(40, 32).read()[0]
    options: dict[str, Any] = {"probabilities": True, "any_resolution": True}
    got = model.predict(values, turns=2, **options)["probabilities"].values
    plain, mirrored = (model.predict(x, **options)["probabilities"].values for x in (values, values[:, ::-1]))
    np.testing.assert_allclose(got, (plain + mirrored[..., ::-1]) / 2, atol=1e-6)
    with pytest.raises(OptionError, match=r"turns \(--tta\): expected 1, 2, 4 or 8"):
        model.predict(values, turns=3, **options)  # type: ignore[arg-type]


def test_scenes_of_another_pixel_size_are_resampled_on_request(
    model: Predictor, write: Callable[..., Path], tmp_path: Path
) -> None:
    coarse = write(scene_values(30, 26), "coarse.tif", size=20)
    with pytest.raises(ResolutionMismatch, match="--resample"):
        model.predict_file(coarse, tmp_path / "map.tif")
    (path,) = model.predict_file(coarse, tmp_path / "map.tif", resample="nearest")
    with rasterio.open(path) as made, rasterio.open(coarse) as given:
        assert (made.res, made.shape, made.bounds) == ((10, 10), (60, 52), given.bounds)
        finer = np.moveaxis(given.read(), 0, -1).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(made.read(1), model.predict(finer).values)
    with pytest.raises(ResolutionMismatch):
        model.predict(open_cube(rioxarray.open_rasterio(coarse), bands=BANDS), resample="nearest")


def test_a_mosaic_is_mapped_as_one_scene(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    values = scene_values(60, 50)
    whole = write(values, "whole.tif")
    for name, (rows, columns) in {"a": ((0, 40), (0, 30)), "b": ((0, 60), (20, 50)), "c": ((30, 60), (0, 40))}.items():
        path = write(values[slice(*rows), slice(*columns)], f"{name}.tif")
        with rasterio.open(path, "r+") as part:
            part.transform = TRANSFORM @ rasterio.Affine.translation(columns[0], rows[0])
    parts = [tmp_path / f"{name}.tif" for name in "abc"]
    (one,) = model.predict_file(parts, tmp_path / "mosaic_map.tif", mosaic=True)
    (other,) = model.predict_file(whole, tmp_path / "whole_map.tif")
    with rasterio.open(one) as made, rasterio.open(other) as expected:
        assert (made.bounds, made.crs) == (expected.bounds, expected.crs)
        np.testing.assert_array_equal(made.read(), expected.read())


def test_polygons_say_class_and_confidence(model: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    scene = write(scene_values(60, 50))
    polygons = tmp_path / "map.gpkg"
    (path,) = model.predict_file(scene, tmp_path / "map.tif", vectorise=polygons)
    assert {file.name for file in tmp_path.iterdir()} == {"scene.tif", "map.tif", "map.gpkg"}
    confidence = model.predict(scene, confidence=True)["confidence"].values
    _, _, shapes, (values, names, pixels, means) = pyogrio.raw.read(
        polygons, columns=["value", "class", "pixels", "confidence"]
    )
    with rasterio.open(path) as made:
        classes, transform = made.read(1), made.transform
    assert sum(pixels) == (classes != 255).sum()
    assert dict(zip(values, names)) == {c.value: c.name for c in CLASSES if c.value in classes}
    for shape, value, mean in zip(shapely.from_wkb(shapes), values, means):
        inside = rasterio.features.rasterize([shape], classes.shape, transform=transform) == 1
        assert (classes[inside] == value).all()
        np.testing.assert_allclose(mean, confidence[inside].mean(), rtol=1e-5)
    with pytest.raises(OutputExists, match="map.gpkg already holds polygons"):
        model.predict_file(scene, tmp_path / "again.tif", vectorise=polygons)
    with pytest.raises(OptionError, match=r"vectorise \(--vectorize\): expected one map of classes.*Received: 2"):
        model.predict_file([scene, path], tmp_path / "maps", vectorise=polygons)


def test_a_map_is_kept_where_its_polygons_cannot_be_written(
    model: Predictor, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> int:
        raise OutputUnwritable(tmp_path / "map.gpkg", "No space left on device")

    monkeypatch.setattr("geodl.inference.vectorise.vectorise", fail)
    with pytest.raises(OutputUnwritable, match="No space left"):
        model.predict_file(write(scene_values(20, 20)), tmp_path / "map.tif", vectorise=tmp_path / "map.gpkg")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "map.tif"}
