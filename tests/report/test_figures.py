import io
import sys

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from pyproj import CRS

from geodl.contract import ClassInfo
from geodl.data.source import Grid
from geodl.report.figures import confusion_figure, map_figure, picture, samples_figure, to_png
from geodl.report.palette import RIGHT, WRONG

CLASSES = (ClassInfo(1, "water", "#0072b2"), ClassInfo(7, "land <b>", "#e69f00"))
GRID = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 30, 40)


def decoded(figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(to_png(figure, dpi=80))).convert("RGB"))


def share(pixels: np.ndarray, colour: str) -> float:
    return float((np.abs(pixels.astype(int) - list(bytes.fromhex(colour[1:]))).max(axis=-1) < 3).mean())


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    image = picture(rng.random((30, 40, 3)).astype(np.float32), ("red", "green", "blue"))
    truth = np.zeros((30, 40), int)
    predicted = np.ones((30, 40), int)
    predicted[:10] = -1
    confidence = np.where(predicted < 0, np.nan, 0.9)
    return image, truth, predicted, confidence


def test_four_panels_with_the_colours_of_the_classes(scene):
    image, truth, predicted, confidence = scene
    figure = map_figure(image, predicted, classes=CLASSES, grid=GRID, truth=truth, confidence=confidence, title="Scene")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["input", "truth", "map", "confidence"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["water", "land <b>", "no data"]
    pixels = decoded(figure)
    # The truth is all water; a third of the map has no data.
    assert share(pixels, "#e69f00") / share(pixels, "#0072b2") == pytest.approx(2 / 3, rel=0.08)


def test_truth_and_confidence_may_be_missing(scene):
    image, _, predicted, _ = scene
    figure = map_figure(image, predicted, classes=CLASSES, grid=GRID)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["input", "map"]
    assert share(decoded(figure), "#0072b2") < 0.01


@pytest.mark.parametrize("shape", [(8, 400), (400, 8), (1, 1)])
def test_any_shape_and_no_coordinates(shape):
    image = np.full((*shape, 4), 255, np.uint8)
    grid = Grid(None, Affine.identity(), *shape)
    pixels = decoded(map_figure(image, np.zeros(shape, int), classes=CLASSES, grid=grid))
    assert max(pixels.shape) < 2500 and min(pixels.shape[:2]) > 50


def test_samples_in_rows_with_their_errors(scene):
    image, truth, predicted, _ = scene
    predicted = predicted.copy()
    predicted[20:] = 0
    figure = samples_figure(
        [image] * 2, [truth] * 2, [predicted] * 2, classes=CLASSES, names=["a", "b"], metres=[10.0, None]
    )
    assert len(figure.axes) == 8
    titles = [axes.get_title() for axes in figure.axes]
    # Of the rows 10 to 29 that have a prediction the last ten are right.
    assert titles[:4] == ["input", "truth", "map", "error\n50.0 % right"] and titles[7] == "50.0 % right"
    error = figure.axes[3].images[0].get_array()
    known = {name: [*bytes.fromhex(colour[1:]), 255] for name, colour in (("right", RIGHT), ("wrong", WRONG))}
    assert not error[:10, :, 3].any()
    assert (error[10:20] == known["wrong"]).all() and (error[20:] == known["right"]).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()][2:] == ["right", "wrong", "no data"]
    assert figure.axes[0].texts[0].get_text() == "100 m" and not figure.axes[4].texts


def test_confusion_in_percent_of_the_true_class():
    figure = confusion_figure(np.array([[30, 10, 0], [0, 0, 0], [1, 1, 2]]), ["a", "b", "c"])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["75", "25", "0", "25", "25", "50"]
    assert axes.get_ylabel() == "true class"


def test_no_global_state_is_touched(scene):
    image, truth, predicted, confidence = scene
    to_png(map_figure(image, predicted, classes=CLASSES, grid=GRID, truth=truth, confidence=confidence))
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    assert helpers is None or not helpers.Gcf.figs
