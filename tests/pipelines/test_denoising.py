"""The denoising pipeline on small rasters: every way to learn, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rasterio
from scipy import stats

import geodl
from geodl.baselines import filters
from geodl.errors import BandMismatch, GeodlError, GridMismatch, NoValidPixels, RecipeError, UnitMismatch
from geodl.physics.speckle import simulate_slc
from geodl.pipelines.denoising import Denoising
from geodl.pipelines.task import Parts, open_pipeline
from tests.pipeline_case import PipelineCase
from tests.pipelines.rasters import landscape, write

SMALL: dict[str, Any] = {
    "data.patch": 16,
    "data.split": {"by": "blocks", "validation": 0.2},
    "network": {"name": "dncnn", "depth": 3, "width": 4},
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.batch_size": 2,
}


@pytest.fixture(autouse=True, scope="module")
def short_tuning() -> Iterator[None]:
    """Lets baselines choose their strength on few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_PIXELS", 1)
        yield


def grey(folder: Path, *, dtype: str = "uint8", height: int = 96, width: int = 96, **options: Any) -> str:
    return write(folder / "grey.tif", landscape(height, width).astype(dtype), **options)


def pipeline(images: Any, **changes: Any) -> Denoising:
    settings = {**SMALL, "data.images": images, **{key.replace("__", "."): value for key, value in changes.items()}}
    found = open_pipeline("denoising", settings)
    assert isinstance(found, Denoising)
    return found


def train(folder: Path, images: Any, **changes: Any) -> Any:
    settings = {**SMALL, "data.images": images, **{key.replace("__", "."): value for key, value in changes.items()}}
    return geodl.train("denoising", settings, output=folder / "run")


def one(parts: Parts, part: str = "train", index: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return getattr(parts, part).read(index, np.random.default_rng(seed))


class TestDenoising(PipelineCase):
    recipe = "denoising"
    quick: ClassVar[dict[str, Any]] = {
        **SMALL,
        **PipelineCase.quick,
        "noise.sigma": 20,
    }

    def data(self, folder: Path) -> dict[str, Any]:
        values = landscape(96, 96, 2).astype("float32")
        values[:20, 40:50] = -9999
        path = write(folder / "images/scene.tif", values, names=("B04", "B08"), nodata=-9999)
        return {"data.images": str(Path(path).parent)}

    def scene(self, folder: Path) -> Path:
        values = landscape(61, 83, 2).astype("float32")
        values[:5, :7] = -9999
        return Path(write(folder / "ragged.tif", values, names=("B04", "B08"), nodata=-9999))

    def test_bands_and_residual_are_those_of_the_scene(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        geodl.load(run[0].path).predict_file(scene, tmp_path / "clean.tif", residual=tmp_path / "noise.tif")
        with (
            rasterio.open(scene) as given,
            rasterio.open(tmp_path / "clean.tif") as made,
            rasterio.open(tmp_path / "noise.tif") as removed,
        ):
            assert made.dtypes[0] == "float32" and made.descriptions == ("B04", "B08")
            noisy, clean, noise = (file.read(masked=True) for file in (given, made, removed))
        np.testing.assert_allclose(clean + noise, noisy, rtol=1e-4)

    def test_scenes_are_made_noisy_by_the_recipe_and_its_seed(self, run: Any) -> None:
        first, again, other, stronger = (
            geodl.evaluate(run[0].path, changes).metrics["psnr_input"]
            for changes in ({}, {}, {"seed": 5}, {"noise.sigma": 40})
        )
        assert first == again != other
        level = self.data_range(run) ** 2
        assert first == pytest.approx(10 * np.log10(level / 400), abs=0.2)
        assert stronger == pytest.approx(first - 20 * np.log10(2), abs=0.2)

    def data_range(self, run: Any) -> float:
        """Root of the mean of squares that stands for each scene's own range, over bands, in decibels."""
        details = json.loads((run[0].path / "metrics.json").read_text())["details"]
        assert details["peak"] == "scene" and details["crop"] == 0 and details["quantise"] is None
        parts = pipeline(run[1]["data.images"], noise__sigma=20).samples()
        held = [one(parts, "validation", k) for k in range(len(parts.validation or ()))]
        truth = np.concatenate([np.where(weight[..., None] > 0, y, np.nan).reshape(-1, 2) for _, y, weight in held])
        return float(np.exp(np.log(np.nanmax(truth, 0) - np.nanmin(truth, 0)).mean()))

    def test_protocol_and_baselines_stand_beside_the_scores(self, run: Any) -> None:
        content = json.loads((run[0].path / "metrics.json").read_text())
        assert content["protocol"]["noise"] == {"kind": "gaussian", "sigma": 20.0}
        assert content["protocol"]["noisy values"] == "not clipped"
        assert content["baselines"].keys() == {"nlm", "tv"}
        for found in content["baselines"].values():
            assert found["metrics"]["psnr"] > content["metrics"]["psnr_input"] + 1

    def test_a_scene_with_other_bands_is_refused_by_name(self, run: Any, tmp_path: Path) -> None:
        three = write(tmp_path / "three.tif", landscape(40, 40, 3).astype("float32"), names=("B02", "B03", "B08"))
        with pytest.raises(BandMismatch, match=r"Expected 2: B04, B08\. Received 3: B02, B03, B08"):
            geodl.load(run[0].path).predict_file(three, tmp_path / "map.tif")
        with pytest.raises(BandMismatch, match=r"Expected 2.*Received 3"):
            geodl.evaluate(run[0].path, {"data.images": three})


@pytest.fixture(scope="module")
def amplitude(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run on speckled amplitudes of an 8-bit picture, of one band."""
    folder = tmp_path_factory.mktemp("amplitude")
    return train(
        folder, grey(folder), noise={"kind": "speckle", "unit": "amplitude", "looks": 4, "level": 3, "contrast": [0.8, 1.5]}
    )  # fmt: skip


def test_speckled_amplitudes_of_a_picture(amplitude: Any) -> None:
    content = json.loads((amplitude.path / "metrics.json").read_text())
    assert content["protocol"]["noise"] == {"kind": "speckle", "looks": 4.0, "correlation": 0.0, "unit": "amplitude"}
    assert content["details"]["peak"] == 255 and content["details"]["quantise"] == [0, 255]
    assert content["baselines"].keys() == {"lee", "refined_lee", "nlm", "tv"}
    assert all(found["metrics"]["psnr"] > content["metrics"]["psnr_input"] for found in content["baselines"].values())
    assert amplitude.predictor.contract.input.bands[0].unit == "amplitude"
    again = geodl.evaluate(amplitude.path, baselines=True)
    assert again.metrics == pytest.approx(amplitude.metrics, abs=1e-4)
    for name, found in again.baselines.items():
        assert found.metrics == pytest.approx(content["baselines"][name]["metrics"], abs=1e-4), name


def test_radar_in_another_unit_is_scored_in_the_networks(amplitude: Any, tmp_path: Path) -> None:
    values = landscape(40, 40)
    as_amplitude = write(tmp_path / "a/scene.tif", values.astype("float32"), units=["amplitude"])
    as_decibels = write(tmp_path / "b/scene.tif", (20 * np.log10(values)).astype("float32"), units=["dB"])
    nameless = write(tmp_path / "c/scene.tif", (values**2).astype("float32"))
    whole = {"noise.looks": 4}
    scores = [
        geodl.evaluate(amplitude.path, {**whole, **changes}).metrics
        for changes in (
            {"data.images": as_amplitude},
            {"data.images": as_decibels},
            {"data.images": nameless, "noise.unit": "intensity"},
        )
    ]
    for found in scores[1:]:
        assert found == pytest.approx(scores[0], rel=1e-3)


def test_zeros_and_negative_values_have_no_logarithm_but_a_finite_result(amplitude: Any, tmp_path: Path) -> None:
    values = landscape(30, 40).astype("int16")
    values[:10] = 0
    values[10:15] = -300
    geodl.load(amplitude.path).predict_file(write(tmp_path / "dark.tif", values), tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as made:
        found = made.read()
        assert np.isfinite(found).all() and made.dataset_mask().all()
        assert (found[0, :8] < found[0, 17:].min()).all()


def test_unit_of_radar_must_be_known_and_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"noise\.unit: the scenes do not state what they hold\. Set it to intensity"):
        pipeline(grey(tmp_path), noise__kind="speckle").samples()
    decibels = write(tmp_path / "x/a.tif", landscape(96, 96).astype("float32"), units=["dB"])
    with pytest.raises(RecipeError, match=r"noise\.unit: the scenes state dB\. Received: amplitude"):
        pipeline(decibels, noise__kind="speckle", noise__unit="amplitude").samples()
    write(tmp_path / "x/b.tif", landscape(96, 96).astype("float32"), units=["intensity"])
    with pytest.raises(UnitMismatch, match="b: band band_1 has another unit. Expected 'dB'. Received: 'intensity'"):
        pipeline(str(tmp_path / "x"), noise__kind="speckle").samples()
    parts = pipeline(decibels, noise__kind="speckle", noise__looks=2).samples()
    assert parts.output.bands[0].unit == "dB"
    x, y, _ = one(parts)
    ratio = 10 ** ((x - y) / 10)
    assert stats.kstest(ratio.ravel(), stats.gamma(2, scale=0.5).cdf).pvalue > 1e-3
    dark = write(tmp_path / "dark.tif", np.zeros((96, 96, 1), "float32"), units=["intensity"])
    with pytest.raises(NoValidPixels, match="No intensity of a band is above 0"):
        pipeline(dark, noise__kind="speckle").samples()


def test_photon_noise_and_blind_ranges(tmp_path: Path) -> None:
    images = grey(tmp_path, dtype="uint16")
    parts = pipeline(images, noise__kind="poisson_gaussian", noise__gain=2, noise__sigma=3).samples()
    x, y, weight = one(parts)
    assert weight.all() and np.square(x - y).mean() == pytest.approx(2 * y.mean() + 9, rel=0.3)
    blind = pipeline(images, noise__sigma=[5, 50]).samples()
    levels = [np.std(np.subtract(*one(blind, index=k % len(blind.train), seed=k)[:2])) for k in range(20)]
    assert min(levels) < 15 and max(levels) > 40
    np.testing.assert_allclose(blind.mean, landscape(96, 96).mean(), rtol=0.1)


def test_a_network_is_told_how_noisy_a_scene_is(tmp_path: Path) -> None:
    run = train(tmp_path, grey(tmp_path), noise__sigma=[5, 50], network={"name": "ffdnet", "depth": 3, "width": 4})
    assert [band.name for band in run.predictor.contract.input.bands] == ["band_1", "noise_level"]
    assert [band.name for band in run.predictor.contract.output.bands] == ["band_1"]
    low, high = (geodl.evaluate(run.path, {"noise.sigma": sigma}).metrics["psnr_input"] for sigma in (5, 50))
    assert low == pytest.approx(high + 20, abs=0.3)
    assert geodl.evaluate(run.path).metrics == pytest.approx(run.metrics, abs=1e-4)
    scene = grey(tmp_path / "other", height=30, width=40)
    network = geodl.load(run.path)
    network.predict_file(scene, tmp_path / "clean.tif", noise_level=20)
    network.predict_file(scene, tmp_path / "other.tif", noise_level=40)
    with rasterio.open(tmp_path / "clean.tif") as clean, rasterio.open(tmp_path / "other.tif") as other:
        assert clean.count == 1 and np.isfinite(clean.read()).all()
        assert (clean.read() != other.read()).any()
    with pytest.raises(
        RecipeError, match=r"network\.name: ffdnet is told the level of gaussian noise\. Received: noise\.kind speckle"
    ):
        pipeline(grey(tmp_path), noise={"kind": "speckle", "unit": "amplitude"}, network={"name": "ffdnet"}).samples()


def test_noisy_scenes_alone_teach_at_pixels_that_are_hidden(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noisy = landscape(96, 96) + random.normal(0, 20, (96, 96, 1))
    run = train(tmp_path, write(tmp_path / "noisy.tif", noisy.astype("float32")), noise={"kind": "none"})
    assert run.evaluation.protocol["noise"] == {"kind": "none", "learn": "blind_spot"}
    assert run.evaluation.protocol["truth"] == "the noisy scenes, at hidden pixels"
    assert run.evaluation.baselines == {}
    held = pipeline(str(tmp_path / "noisy.tif"), noise__kind="none").samples().validation
    assert held is not None
    hidden = sum(int((held.read(k, random)[2] > 0).sum()) for k in range(len(held)))
    pixels = [row["pixels"] for row in run.evaluation.details["scenes"]]
    assert sum(pixels) == hidden < 0.05 * 96 * 96


@pytest.mark.parametrize("learn", ["noise2noise", "targets"])
def test_two_looks_of_a_place(tmp_path: Path, learn: str) -> None:
    looks = np.concatenate([landscape(96, 96, 2), landscape(96, 96, 2) + 500], -1).astype("float32")
    images = write(tmp_path / "one/scene.tif", looks[..., :2], names=("VV", "VH"))
    # The other way round: bands are found by name.
    targets = write(tmp_path / "two/scene.tif", looks[..., [3, 2]], names=("VH", "VV"))
    parts = pipeline(images, data__targets=targets, noise={"kind": "none", "learn": learn}).samples()
    assert [band.name for band in parts.output.bands] == ["VV", "VH"]
    steps = {round(float((y - x).mean())) for x, y, _ in (one(parts, seed=seed) for seed in range(20))}
    assert steps == ({500, -500} if learn == "noise2noise" else {500})
    for seed in range(3):
        x, y, _ = one(parts, "validation", seed=seed)
        np.testing.assert_allclose(y - x, 500, atol=1e-2)


def test_what_two_looks_need(tmp_path: Path) -> None:
    images = write(tmp_path / "one/scene.tif", landscape(96, 96).astype("float32"))
    moved = write(tmp_path / "two/scene.tif", landscape(96, 96).astype("float32"), east=500.0)
    pairs = {"kind": "none", "learn": "noise2noise"}
    with pytest.raises(RecipeError, match=r"data\.targets: no second looks given"):
        pipeline(images, noise=pairs).samples()
    with pytest.raises(RecipeError, match=r"data\.targets: second looks are for noise\.kind none"):
        pipeline(images, data__targets=moved).samples()
    with pytest.raises(GridMismatch, match="the transform differs"):
        pipeline(images, data__targets=moved, noise=pairs).samples()


def test_radar_without_a_truth_and_from_its_own_parts(tmp_path: Path) -> None:
    field = simulate_slc(np.full((128, 128, 1), 50.0), rng=np.random.default_rng(0))
    images = write(tmp_path / "slc.tif", np.concatenate([field.real, field.imag], -1), names=("real", "imaginary"))
    changes = {"noise": {"kind": "none", "learn": "merlin"}, "scoring__reference": "none"}
    with pytest.raises(RecipeError, match="loss: expected gamma to learn from speckled truths.*Received: charbonnier"):
        train(tmp_path, images, **changes)
    run = train(tmp_path, images, loss="gamma", data__split={"validation": 0.3}, **changes)
    content = json.loads((run.path / "metrics.json").read_text())
    assert content["protocol"]["part"] == "test" and content["protocol"]["weights"] == "last epoch"
    assert content["protocol"]["noise"] == {"kind": "that of the scenes", "looks": 0.5}
    # What is judged is a part of the complex data: an intensity of half a look.
    assert content["metrics"]["enl_input"] == pytest.approx(0.5, rel=0.2)
    assert geodl.evaluate(run.path).metrics == pytest.approx(run.metrics, abs=1e-3, nan_ok=True)
    geodl.load(run.path).predict_file(images, tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as made:
        assert made.count == 1 and (made.read() > 0).all()
    with pytest.raises(RecipeError, match=r"noise\.learn: the network learnt by merlin\. Received: blind_spot"):
        geodl.evaluate(run.path, {"data.images": images, "noise.learn": "blind_spot"})
    one_band = write(tmp_path / "one.tif", landscape(96, 96).astype("float32"))
    with pytest.raises(
        RecipeError, match=r"merlin expects two bands: real and imaginary\. Received: scenes of 1 bands"
    ):
        pipeline(one_band, loss="gamma", **changes).samples()


def test_scores_without_a_truth_are_for_radar(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"scoring\.reference: none is for radar scenes"):
        pipeline(grey(tmp_path), noise__kind="none", scoring__reference="none").samples()
    speckled = pipeline(
        grey(tmp_path), noise__kind="speckle", noise__unit="amplitude", noise__looks=[1, 8], scoring__reference="none"
    )
    with pytest.raises(
        RecipeError, match=r"noise\.looks: expected the scenes' one number of looks\. Received: \[1\.0, 8\.0\]"
    ):
        speckled.metrics(speckled.samples().output)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data__augment__noise": 0.1}, "data.augment.noise: would be in the truth too"),
        (
            {"data__augment__brightness": 0.1, "noise__kind": "speckle", "noise__unit": "amplitude"},
            "data.augment: brightness and contrast are for single scenes that are not of radar",
        ),
        (
            {"data__augment__scale": [0.8, 1.2], "noise__kind": "none"},
            "data.augment.scale: resampled noise is other noise",
        ),
        ({"network__name": "dncn"}, "Did you mean 'dncnn'?"),
        ({"network__depth": 1}, "depth: expected a whole number of at least 2"),
        ({"loss": "cross_entropy"}, "expected one of l1, l2, charbonnier, gamma, ssim"),
        ({"loss": "gamma"}, "loss: gamma is for radar scenes"),
        ({"data__labels": __file__}, "data.labels: denoising has no labels"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    asked = pipeline(grey(tmp_path), **changes)
    with pytest.raises(GeodlError) as error:
        asked.network(asked.samples())
        asked.loss()
    assert sentence in str(error.value)


def test_integers_negative_reflectance_and_nodata(tmp_path: Path) -> None:
    stored = (landscape(96, 96, 2) - 100).astype("int16")
    stored[:10] = -32768
    images = write(tmp_path / "scene.tif", stored, nodata=-32768)
    with rasterio.open(images, "r+") as file:
        file.scales, file.units = (1e-2, 1e-2), ("reflectance", "reflectance")
    asked = pipeline(images, noise__sigma=0.05, data__augment__brightness=0.2)
    parts = asked.samples()
    assert asked.peak(parts.output) == 1 and asked.quantise is None
    seen = np.concatenate([one(parts, index=k, seed=k)[1].reshape(-1, 2) for k in range(len(parts.train))])
    assert np.nanmin(seen) < -0.3 and np.nanmax(seen) < 2
    np.testing.assert_allclose(parts.mean, (stored[10:] * 1e-2).mean((0, 1)), atol=0.1)
    assert parts.output.bands[0].scale == 1 and parts.output.bands[0].dtype == "float32"


def test_a_band_without_any_value_is_an_error_before_training(tmp_path: Path) -> None:
    values = landscape(96, 96, 2).astype("float32")
    values[..., 1] = -1
    with pytest.raises(NoValidPixels, match="scene"):
        pipeline(write(tmp_path / "scene.tif", values, nodata=-1)).samples()
