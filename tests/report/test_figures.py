import io
import sys

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from pyproj import CRS

from geodl.contract import ClassInfo
from geodl.data.source import Grid
from geodl.report.figures import confusion_figure, learning_curves, map_figure, picture, samples_figure, to_png

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


def test_samples_in_rows(scene):
    image, truth, predicted, _ = scene
    figure = samples_figure([image] * 2, [truth] * 2, [predicted] * 2, classes=CLASSES, names=["a", "b"])
    assert len(figure.axes) == 6
    assert share(decoded(figure), "#0072b2") > 0.1


def test_curves_hold_the_history():
    history = [
        {"epoch": k, "loss": 1 / k, "val_miou": 0.2 * k, "val_iou/water": 0.1, "seconds": 1.0} for k in (1, 2, 3)
    ]
    history[2]["val_miou"] = 0.3
    loss, scores = learning_curves(history, monitor="miou").axes
    assert loss.lines[0].get_ydata() == pytest.approx([1, 1 / 2, 1 / 3])
    assert [line.get_label() for line in scores.get_legend().get_lines()] == ["miou"]
    assert scores.lines[0].get_ydata() == pytest.approx([0.2, 0.4, 0.3])
    assert scores.lines[1].get_xdata() == [2, 2]
    assert len(learning_curves([{"epoch": 1, "loss": 0.5}]).axes) == 1


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
