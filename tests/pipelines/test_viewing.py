"""Layers of held-out places, read back from their PNGs."""

import io

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from pyproj import CRS

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.data.places import Place
from geodl.data.source import Grid
from geodl.pipelines import viewing
from geodl.pipelines.viewing import class_viewer, rain_layer, restored_viewer
from geodl.report.palette import RIGHT, WRONG

DIMS = (Dim("y"), Dim("x"), Dim("band", size=1))


class Fake:
    """One sample with a frame of context on its left."""

    def __init__(self, x, y, weight):
        self.sample = x, y, weight

    def __len__(self):
        return 1

    def read(self, index, rng):
        return self.sample

    def place(self, index):
        return Place(None, "", name="scene (row 0, column 0)", source="scene")


class Placed(Fake):
    def grid(self, index):
        height, width = self.sample[0].shape[:2]
        return Grid(CRS.from_epsg(32633), Affine(20, 0, 5e5, 0, -20, 4e6), height, width)


def pixels(layer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(layer.png)).convert("RGBA"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


@pytest.fixture
def sample():
    x = np.random.default_rng(0).random((12, 16, 1), np.float32)
    x[3, 8] = np.nan
    y = np.zeros((12, 16), np.int32)
    y[:, 10:] = 1
    weight = np.ones((12, 16), np.float32)
    weight[:, :4] = 0
    weight[3, 8] = 0
    return x, y, weight


CLASSES = (ClassInfo(1, "a", "#0072b2"), ClassInfo(2, "b", "#e69f00"))


def say_first(x: np.ndarray) -> np.ndarray:
    """A network that is two to one sure of the first class."""
    return np.broadcast_to(np.log([2.0, 1.0]), (*x.shape[:-1], 2))


@pytest.fixture
def no_surroundings(monkeypatch):
    monkeypatch.setattr(viewing, "_LEAST", 1)


def test_what_little_is_held_out_is_shown_in_its_surroundings(sample):
    contract = Contract("segmentation", ModelInput(DIMS, (Band("B02"),)), ModelOutput("classes", classes=CLASSES))
    view = class_viewer(contract, say_first, Placed(*sample), seed=0)
    found = {layer.name: pixels(layer) for layer in view.layers}
    assert (view.height, view.width) == (12, 16)
    # There the network says something, but there is no truth.
    around = np.flatnonzero(~(sample[2] > 0).any(0))
    assert found["prediction"][0, around, 3].all() and not found["truth"][:, around, 3].any()
    assert not found["error"][:, around, 3].any()


def test_classes_show_what_is_held_out_and_where_it_is_wrong(sample, no_surroundings):
    contract = Contract("segmentation", ModelInput(DIMS, (Band("B02"),)), ModelOutput("classes", classes=CLASSES))
    view = class_viewer(contract, say_first, Placed(*sample), seed=0)
    found = {layer.name: pixels(layer) for layer in view.layers}
    assert list(found) == ["input", "truth", "prediction", "error", "confidence"]
    assert (view.height, view.width) == (12, 12) and all(image.shape == (12, 12, 4) for image in found.values())
    assert tuple(found["truth"][0, 0, :3]) == rgb("#0072b2") and tuple(found["truth"][0, 11, :3]) == rgb("#e69f00")
    assert tuple(found["error"][0, 0, :3]) == rgb(RIGHT) and tuple(found["error"][0, 11, :3]) == rgb(WRONG)
    assert {name: image[3, 4, 3] for name, image in found.items()} == dict.fromkeys(found, 0)
    assert view.pixel == pytest.approx((20, 20), rel=1e-3) and view.north == pytest.approx(0, abs=0.5)


def test_without_a_grid_there_is_no_scale(sample):
    contract = Contract("segmentation", ModelInput(DIMS, (Band("B02"),)), ModelOutput("classes", classes=CLASSES))
    view = class_viewer(contract, say_first, Fake(*sample), seed=0)
    assert view.pixel is None and view.north is None


def test_finer_output_has_finer_pixels_and_the_same_window(sample, no_surroundings):
    x, _, weight = sample
    fine = weight.repeat(2, 0).repeat(2, 1)
    y = np.ones((24, 32, 1), np.float32) * np.linspace(0, 1, 32, dtype=np.float32)[:, None]
    output = ModelOutput("bands", bands=(Band("B02", "reflectance"),), scale=2)
    contract = Contract("superresolution", ModelInput(DIMS, (Band("B02"),)), output)

    def network(seen: np.ndarray) -> np.ndarray:
        assert seen.shape == (1, 12, 16, 1)
        return y[None] + 0.1

    view = restored_viewer(
        contract, network, Placed(x, y, fine), others={"bicubic": lambda seen: y[None]}, known=True,
        names=("coarse", "network"), seed=0,
    )  # fmt: skip
    assert [layer.name for layer in view.layers] == ["bicubic", "network", "truth", "network − truth"]
    assert (view.height, view.width) == (24, 24) and view.pixel == pytest.approx((10, 10), rel=1e-3)
    images = {layer.name: pixels(layer) for layer in view.layers}
    np.testing.assert_array_equal(images["bicubic"], images["truth"])
    assert images["network"][..., 0].mean() > images["truth"][..., 0].mean()
    assert len(np.unique(images["network − truth"].reshape(-1, 4), axis=0)) == 1


def test_noise_is_shown_beside_what_was_made_of_it(sample):
    x, _, weight = sample
    output = ModelOutput("bands", bands=(Band("VV", "intensity"),))
    contract = Contract("denoising", ModelInput(DIMS, (Band("VV", "intensity"),)), output)
    view = restored_viewer(
        contract, lambda seen: 0 * seen + 0.5, Fake(x, x, weight), others={}, known=False, names=("noisy", "denoised"),
        seed=0,
    )  # fmt: skip
    assert [layer.name for layer in view.layers] == ["noisy", "denoised", "noisy − denoised"]
    assert "dB" in view.layers[-1].legend.label
    assert (view.left, view.right) == (0, 1)


def test_rain_has_the_colours_of_its_figures():
    from geodl.report.rain import paint_rain

    rate = np.array([[0.0, 0.1, 3.0, 500.0, np.nan]])
    found = pixels(rain_layer("rain", rate))
    np.testing.assert_array_equal(found[0, :4, :3], paint_rain(rate)[0, :4])
    assert found[0, 4, 3] == 0
