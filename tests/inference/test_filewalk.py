"""What networks of restoration write to files; what those of classes do is in `test_predictor`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geodl.errors import NoValidPixels, OptionError, OutputExists, OutputUnwritable
from geodl.inference.predictor import Predictor
from tests.inference.fakes import TRANSFORM, make_contract, make_predictor
from tests.inference.test_adapting import luma_contract, told_contract

VALUES = np.random.default_rng(0).integers(0, 200, (30, 40, 3), np.uint8)


@pytest.fixture
def darker() -> Predictor:
    """Takes 5 from each of two bands."""
    return make_predictor(lambda inputs: inputs - 5, make_contract(kind="bands"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str, bands: int = 2, fill: float | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with rasterio.open(
            path, "w", driver="GTiff", height=30, width=40, count=bands, dtype="uint8", nodata=255, crs="EPSG:32633",
            transform=TRANSFORM,
        ) as file:  # fmt: skip
            file.write(np.moveaxis(VALUES[..., :bands] if fill is None else np.full_like(VALUES, fill), -1, 0)[:bands])
            file.descriptions = ("B01", "B02") if bands == 2 else ("red", "green", "blue")
        return path

    return written


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def test_the_residual_is_a_file_of_its_own(darker: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    scene = write("scene.tif")
    (path,) = darker.predict_file(scene, tmp_path / "clean.tif", residual=tmp_path / "more" / "noise.tif")
    assert sorted(os.listdir(tmp_path)) == ["clean.tif", "more", "scene.tif"]
    np.testing.assert_array_equal(read(path), VALUES[..., :2] - 5.0)
    np.testing.assert_array_equal(read(tmp_path / "more/noise.tif"), 5)
    with rasterio.open(tmp_path / "more/noise.tif") as made:
        assert (made.transform, made.crs.to_epsg(), made.descriptions) == (TRANSFORM, 32633, ("B01", "B02"))
        assert np.isnan(made.nodata) and made.units == ("reflectance", "reflectance")
    with pytest.raises(OutputExists, match=r"noise\.tif already holds a map"):
        darker.predict_file(scene, tmp_path / "other.tif", residual=tmp_path / "more" / "noise.tif")
    assert sorted(os.listdir(tmp_path)) == ["clean.tif", "more", "scene.tif"]


def test_of_several_scenes_it_is_a_folder(
    darker: Predictor, write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        write(f"scenes/{name}.tif")
    write("scenes/empty.tif", fill=255)
    with caplog.at_level(logging.WARNING, "geodl"):
        darker.predict_file(tmp_path / "scenes", tmp_path / "clean", residual=tmp_path / "noise")
    assert "empty" in caplog.text
    assert sorted(os.listdir(tmp_path / "clean")) == sorted(os.listdir(tmp_path / "noise")) == ["a.tif", "b.tif"]
    np.testing.assert_array_equal(read(tmp_path / "noise/b.tif"), 5)
    for residual, sentence in (("noise.tif", "a folder"), ("clean", "another place than that of the map")):
        with pytest.raises(OptionError, match=rf"residual \(--residual\): expected .*{sentence}"):
            darker.predict_file(tmp_path / "scenes", tmp_path / "clean", residual=tmp_path / residual, overwrite=True)
    darker.predict_file(tmp_path / "scenes/a.tif", tmp_path / "one.tif", residual=tmp_path / "noise", overwrite=True)
    (path,) = darker.predict_file(
        [tmp_path / "scenes/a.tif", tmp_path / "scenes/b.tif"],
        tmp_path / "mosaic.tif",
        residual=tmp_path / "mosaic-noise.tif",
        mosaic=True,
    )
    assert read(tmp_path / "mosaic-noise.tif").shape == read(path).shape


def test_where_it_cannot_be_written_nothing_is(darker: Predictor, write: Callable[..., Path], tmp_path: Path) -> None:
    scene = write("scene.tif")
    classes = make_predictor(lambda inputs: inputs, make_contract())
    cases: tuple[tuple[Predictor, object, type[Exception], str], ...] = (
        (classes, tmp_path / "noise.tif", OptionError, r"residual \(--residual\): expected a network that gives bands"),
        (darker, tmp_path / "map.tif", OptionError, "another place than that of the map"),
        (darker, tmp_path / "noise.png", OptionError, r"residual: expected a file name that ends in \.tif"),
        (darker, "s3://bucket/noise.tif", OptionError, "expected a path of this machine. Received: 's3://bucket"),
        (darker, scene, OptionError, "another file than the scene's own"),
        (darker, scene / "noise.tif", OutputUnwritable, "Cannot write .*noise.tif"),
    )
    for model, residual, error, sentence in cases:
        with pytest.raises(error, match=sentence):
            model.predict_file(scene, tmp_path / "map.tif", residual=residual, overwrite=True)  # type: ignore[arg-type]
        assert os.listdir(tmp_path) == ["scene.tif"]


def test_photos_go_through_a_network_of_luma(write: Callable[..., Path], tmp_path: Path) -> None:
    model = make_predictor(lambda inputs: inputs - 219, luma_contract())
    (path,) = model.predict_file(write("photo.tif", 3), tmp_path / "clean.tif", residual=tmp_path / "noise.tif")
    with rasterio.open(path) as made:
        assert made.descriptions == ("red", "green", "blue")
    np.testing.assert_allclose(read(path), VALUES - 255.0, atol=1e-3)
    np.testing.assert_allclose(read(tmp_path / "noise.tif"), 255, atol=1e-3)
    mosaicked = model.predict_file([tmp_path / "photo.tif"], tmp_path / "mosaic.tif", mosaic=True)
    np.testing.assert_array_equal(read(mosaicked[0]), read(path))


def test_the_noise_is_estimated_once_for_each_scene(
    write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_predictor(lambda inputs: inputs[..., :2] - inputs[..., 2:], told_contract())
    write("scenes/a.tif")
    empty = write("scenes/b.tif", fill=255)
    with caplog.at_level(logging.WARNING, "geodl"):
        model.predict_file(tmp_path / "scenes", tmp_path / "clean", residual=tmp_path / "noise")
    # That of values that are distributed evenly; it is made for normal ones.
    np.testing.assert_allclose(read(tmp_path / "noise/a.tif"), 200 / np.sqrt(12), rtol=0.2)
    assert caplog.text.count("the noise level is taken as") == 1 and "b: Every pixel is nodata" in caplog.text
    with pytest.raises(NoValidPixels):
        model.predict_file(empty, tmp_path / "empty.tif")
    model.predict_file(tmp_path / "scenes/a.tif", tmp_path / "told.tif", noise_level=25)
    np.testing.assert_allclose(read(tmp_path / "told.tif"), VALUES[..., :2] - 25.0)
