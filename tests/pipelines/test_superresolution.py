"""The super-resolution pipeline on small rasters: from a single scene, and with the help of finer bands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rasterio
from PIL import Image

import geodl
from geodl.contract import Contract
from geodl.errors import (
    BandMismatch,
    GeodlError,
    GridMismatch,
    NoValidPixels,
    RecipeError,
    ResolutionMismatch,
    UnitMismatch,
)
from geodl.physics.sensor import degrade, enlarge, rgb_to_luma
from geodl.pipelines.superresolution import Superresolution
from geodl.pipelines.task import open_pipeline
from tests.pipeline_case import PipelineCase
from tests.pipelines.rasters import landscape, write

SMALL: dict[str, Any] = {
    "data.patch": 16,
    "data.split": {"by": "blocks", "validation": 0.2},
    "network": {"name": "auto", "blocks": 1, "width": 4},
}


def pipeline(images: Any, recipe: str = "superresolution", **changes: Any) -> Superresolution:
    settings = {**SMALL, "data.images": images, **{key.replace("__", "."): value for key, value in changes.items()}}
    found = open_pipeline(recipe, settings)
    assert isinstance(found, Superresolution)
    return found


def ten_and_twenty(
    folder: Path, *, side: tuple[int, int] = (96, 96), nodata: float | None = None, **options: Any
) -> dict[str, str]:
    """Writes two fine bands, and two coarse ones that reach a fine pixel beyond them where their sides are odd.

    With `nodata`, the upper left 5 x 7 fine pixels are that.
    """
    height, width = side
    fine = landscape(height, width, 2).astype("float32")
    coarse = landscape((height + 1) // 2, (width + 1) // 2, 2, step=2).astype("float32")
    if nodata is not None:
        fine[:5, :7] = nodata
    found = {}
    for k in range(2):
        found[f"B0{k + 2}"] = write(folder / f"B0{k + 2}.tif", fine[..., [k]], nodata=nodata, **options)
    for k in range(2):
        found[f"B0{k + 5}"] = write(folder / f"B0{k + 5}.tif", coarse[..., [k]], pixel=20.0, nodata=nodata, **options)
    return found


class TestSuperresolution(PipelineCase):
    recipe = "superresolution"
    quick: ClassVar[dict[str, Any]] = {**SMALL, **PipelineCase.quick}

    def data(self, folder: Path) -> dict[str, Any]:
        # Neither side is a multiple of the scale.
        values = landscape(97, 95, 2).astype("uint16")
        values[:20, 40:50] = 0
        return {"data.images": write(folder / "scene.tif", values, names=("B04", "B08"), nodata=0)}

    def scene(self, folder: Path) -> Path:
        values = landscape(31, 43, 2).astype("uint16")
        values[:5, :7] = 0
        return Path(write(folder / "ragged.tif", values, names=("B04", "B08"), nodata=0))

    def test_bicubic_stands_beside_the_scores(self, run: Any) -> None:
        content = json.loads((run[0].path / "metrics.json").read_text())
        assert content["protocol"]["made coarser by"] == "antialiased bicubic (MATLAB's imresize)"
        assert content["protocol"]["scale"] == 2 and content["details"]["ratio"] == 2
        bicubic = content["baselines"]["bicubic"]["metrics"]
        # Two steps from bicubic: the network starts as that.
        assert content["metrics"]["psnr"] == pytest.approx(bicubic["psnr"], abs=1.5)
        assert content["metrics"]["consistency"] < 2 and "psnr_input" not in content["metrics"]

    def test_samples_are_the_scene_made_coarser(self, run: Any) -> None:
        parts = pipeline(run[1]["data.images"]).samples()
        x, y, weight = parts.train.read(3, np.random.default_rng(0))
        assert x.shape == (8, 8, 2) and y.shape == (16, 16, 2) and weight.shape == (16, 16)
        if np.isfinite(y).all():
            np.testing.assert_allclose(x, degrade(y, 2), rtol=1e-6)
        assert parts.validation is not None
        for k in range(len(parts.validation)):
            x, y, _ = parts.validation.read(k, np.random.default_rng(0))
            assert y.shape[0] == 2 * x.shape[0] and y.shape[1] == 2 * x.shape[1]

    def test_other_scenes_are_scored_whole_and_cropped(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        found = geodl.evaluate(run[0].path, {"data.images": str(scene), "scoring.crop": 2})
        pixels = np.ones((30, 42), int)
        # Coarse pixels that hold nodata are nodata.
        pixels[:6, :8] = 0
        assert found.details["scenes"][0]["pixels"] == 2 * pixels[2:-2, 2:-2].sum()

    def test_what_the_network_is_cannot_be_changed_when_it_is_scored(self, run: Any) -> None:
        assert geodl.evaluate(run[0].path, {"scale": 2}).metrics == pytest.approx(run[0].metrics, abs=1e-3)
        with pytest.raises(RecipeError, match=r"scale: the network is trained.*Received: 3"):
            geodl.evaluate(run[0].path, {"scale": 3})
        with pytest.raises(RecipeError, match=r"network\.width: the network is trained.*Received: 8"):
            geodl.evaluate(run[0].path, {"network.width": 8})

    def test_a_scene_without_any_value_has_no_score(self, run: Any, tmp_path: Path) -> None:
        empty = write(tmp_path / "empty.tif", np.zeros((20, 20, 2), "uint16"), names=("B04", "B08"), nodata=0)
        with pytest.raises(NoValidPixels, match="The data to score"):
            geodl.evaluate(run[0].path, {"data.images": empty})

    def test_a_scene_with_other_bands_is_refused_by_name(self, run: Any, tmp_path: Path) -> None:
        one = write(tmp_path / "one.tif", landscape(20, 20).astype("uint16"), names=("B04",))
        with pytest.raises(BandMismatch, match=r"Expected 2: B04, B08\. Received 1: B04"):
            geodl.load(run[0].path).predict_file(one, tmp_path / "map.tif")


class TestGuided(PipelineCase):
    recipe = "superresolution-guided"
    quick: ClassVar[dict[str, Any]] = {
        **SMALL,
        **PipelineCase.quick,
        "network": {"name": "guided", "blocks": 1, "width": 4},
    }

    def data(self, folder: Path) -> dict[str, Any]:
        return {"data.images": ten_and_twenty(folder, side=(192, 192))}

    def scene(self, folder: Path) -> dict[str, str]:
        return ten_and_twenty(folder / "ragged", side=(61, 83), nodata=-1)

    def test_coarse_bands_come_on_the_fine_grid(self, run: Any, tmp_path: Path) -> None:
        contract = run[0].predictor.contract
        assert [band.name for band in contract.input.bands] == ["B02", "B03", "B05", "B06"]
        assert contract.input.dim("y").step == 10 and contract.output.scale == 1
        scene = self.scene(tmp_path)
        geodl.load(run[0].path).predict_file(scene, tmp_path / "map.tif")
        with rasterio.open(tmp_path / "map.tif") as made, rasterio.open(scene["B06"]) as coarse:
            assert made.descriptions == ("B05", "B06")
            values = np.moveaxis(coarse.read(), 0, -1)
            found = made.read(2)
        # Two steps from what bicubic makes of them.
        enlarged = enlarge(values, 2)[8:52, 10:74, 0]
        assert np.abs(found[8:52, 10:74] - enlarged).mean() < 0.1 * values.std()

    def test_bands_of_another_ratio_are_refused(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        with pytest.raises(ResolutionMismatch, match=r"band B06.*Expected 20 .*finest band has 10.*Received: 10"):
            geodl.load(run[0].path).predict_file({**scene, "B06": scene["B02"]}, tmp_path / "map.tif")
        assert not (tmp_path / "map.tif").exists()

    def test_truth_are_the_coarse_bands_themselves(self, run: Any) -> None:
        parts = pipeline(run[1]["data.images"], self.recipe).samples()
        x, y, weight = parts.train.read(5, np.random.default_rng(0))
        assert x.shape == (16, 16, 4) and y.shape == (16, 16, 2) and weight.all()
        np.testing.assert_allclose(x[..., 2:], enlarge(degrade(y, 2, blur="mtf"), 2), rtol=1e-5)
        content = json.loads((run[0].path / "metrics.json").read_text())
        assert content["protocol"]["made coarser by"] == "Gaussian point spread and mean of pixels"
        assert content["metrics"].keys() >= {"rmse/B05", "rmse/B06", "sam", "ergas", "consistency"}

    def test_other_scenes_must_fit_the_network(self, run: Any, tmp_path: Path) -> None:
        path = run[0].path
        found = geodl.evaluate(path, {"data.images": ten_and_twenty(tmp_path / "same", side=(64, 80))})
        assert found.protocol["part"] == "all"
        stated = pipeline(ten_and_twenty(tmp_path / "own", side=(64, 64), units=["reflectance"]), self.recipe)
        contract = Contract("superresolution", *stated.describe(stated.open_scenes(stated.found())[0]))
        with pytest.raises(
            UnitMismatch, match="band B05 has another unit. Expected 'reflectance'. Received: 'percent'"
        ):
            pipeline(ten_and_twenty(tmp_path / "unit", side=(64, 64), units=["percent"]), self.recipe).held_out(
                contract, "all"
            )
        bands = ten_and_twenty(tmp_path / "large", side=(64, 64))
        for band in bands.values():
            with rasterio.open(band, "r+") as file:
                file.transform = file.transform @ rasterio.Affine.scale(2)
        with pytest.raises(ResolutionMismatch):
            geodl.evaluate(path, {"data.images": bands})
        del bands["B06"]
        with pytest.raises(BandMismatch, match=r"Expected 2: B05, B06"):
            geodl.evaluate(path, {"data.images": bands})


def test_bands_on_grids_that_do_not_fit_are_named(tmp_path: Path) -> None:
    bands = ten_and_twenty(tmp_path)
    with pytest.raises(
        RecipeError, match=r"scale: no band of .* has pixels 3 times as large.*B02 10, B03 10, B05 20, B06 20"
    ):
        pipeline(bands, mode="guided", scale=3, data__patch=18).samples()
    shifted = {**bands, "B05": write(tmp_path / "m/B05.tif", landscape(48, 48).astype("float32"), pixel=20, east=5.0)}
    del shifted["B06"]
    with pytest.raises(
        GridMismatch, match=r"\(B02, B03\) is not on the grid of .*\(B05\), 2 times finer: the transform"
    ):
        pipeline(shifted, mode="guided").samples()
    named = {"mode": "guided", "guide": ["B02"], "sharpen": ["B05", "B11"]}
    with pytest.raises(BandMismatch, match="B05, B11"):
        pipeline(bands, **named).samples()
    with pytest.raises(RecipeError, match="guide: .* is no mapping of band names to files"):
        pipeline(bands["B02"], mode="guided").samples()
    parts = pipeline(bands, **{**named, "sharpen": ["B06"]}).samples()
    assert [band.name for band in parts.input.bands] == ["B02", "B06"]
    assert [band.name for band in parts.output.bands] == ["B06"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data__patch": 33}, "data.patch: expected a multiple of 2. Received: 33."),
        ({"mode": "guided", "data__augment__brightness": 0.1}, "guided super-resolution is varied by flips and rotations only"),
        ({"mode": "guided", "network__name": "rcan"}, "network.name: expected 'guided'. Received: 'rcan'."),
        ({"mode": "single_image", "network__name": "guided"}, "network.name: expected one of edsr, rcan, srcnn, vdsr"),
        ({"mode": "single_image", "scale": 5, "data__patch": 20}, "scale: expected 2, 3 or 4. Received: 5."),
        ({"scoring__reference": "none"}, "scoring.reference: none is for denoising. Expected: truth."),
        ({"data__augment__noise": 0.1}, "data.augment"),
        ({"mode": "single_image", "loss": "gamma"}, "loss: gamma is for radar scenes"),
        ({"data__targets": __file__}, "data.targets: second looks are for denoising"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    images: Any = ten_and_twenty(tmp_path, side=(128, 128))
    if changes.get("mode") != "guided":
        images = images["B02"]
    with pytest.raises(GeodlError) as error:
        asked = pipeline(images, **changes)
        asked.network(asked.samples())
        asked.loss()
    assert sentence in str(error.value)


def test_networks_of_either_mode_are_chosen_unasked(tmp_path: Path) -> None:
    images = ten_and_twenty(tmp_path, side=(128, 128))
    for asked, name in ((pipeline(images, mode="guided"), "guided_sr"), (pipeline(images["B02"]), "edsr")):
        assert asked.network(asked.samples()).name == name


def test_brightness_of_colour_and_grey_pictures(tmp_path: Path) -> None:
    colours = landscape(64, 60, 3).astype("uint8")
    grey = tmp_path / "images/grey.png"
    grey.parent.mkdir()
    Image.fromarray(colours).save(tmp_path / "images/colour.png")
    Image.fromarray(landscape(62, 50, seed=3)[..., 0].astype("uint8")).save(grey)
    settings = {
        **SMALL,
        "data.images": str(tmp_path / "images"),
        "data.bands": ["luma"],
        "data.split": {"by": "file", "validation": 0.5},
        "scoring.crop": 2,
        "train.epochs": 1,
        "train.steps_per_epoch": 1,
        "train.batch_size": 2,
    }
    run = geodl.train("superresolution", settings, output=tmp_path / "run")
    assert [band.name for band in run.predictor.contract.input.bands] == ["luma"]
    found = geodl.evaluate(run.path, {"data.images": str(tmp_path / "images")}, baselines=True)
    assert found.details["peak"] == 255 and found.details["quantise"] == [0, 255]
    assert [scene["scene"] for scene in found.details["scenes"]] == ["colour", "grey"]
    # The bicubic score of the colour picture, computed by hand.
    luma = rgb_to_luma(colours.astype(np.float64))
    low = np.clip(np.rint(degrade(luma, 2)), 0, 255)
    error = (np.clip(np.rint(enlarge(low, 2)), 0, 255) - np.rint(luma))[2:-2, 2:-2]
    bicubic = found.baselines["bicubic"].details["scenes"][0]["psnr"]
    assert bicubic == pytest.approx(10 * np.log10(255**2 / np.square(error).mean()), abs=0.01)
    floating = write(tmp_path / "floating.tif", landscape(20, 20).astype("float32"))
    of_floats = geodl.evaluate(run.path, {"data.images": floating})
    assert of_floats.details["peak"] == 255 and of_floats.protocol["peak"] == "255 for brightness"
    network = geodl.load(run.path)
    network.predict_file(tmp_path / "images/colour.png", tmp_path / "colour.tif")
    network.predict_file(grey, tmp_path / "grey.tif")
    with rasterio.open(tmp_path / "colour.tif") as three, rasterio.open(tmp_path / "grey.tif") as one:
        assert three.count == 3 and three.shape == (128, 120)
        assert one.count == 1 and one.shape == (124, 100)
        enlarged = enlarge(colours.astype(np.float32), 2)
        assert np.abs(np.moveaxis(three.read(), 0, -1) - enlarged).mean() < 3
