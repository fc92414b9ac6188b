"""Layers of a viewer, read back by PIL."""

import io

import numpy as np
import pytest
from PIL import Image

from geodl.contract import ClassInfo
from geodl.report.layers import ColourBar, Swatches, Viewer, class_layer, picture_layer, ramp_layer

CLASSES = [ClassInfo(7, "water", "#0072b2"), ClassInfo(9, "forest", "#009e73")]


def pixels(layer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(layer.png)).convert("RGBA"))


def test_classes_have_their_colours_and_nothing_is_transparent():
    layer = class_layer("map", np.array([[0, 1, -1], [1, 5, 0]]), CLASSES)
    blue, green = (0x00, 0x72, 0xB2, 255), (0x00, 0x9E, 0x73, 255)
    found = pixels(layer)
    assert [tuple(p) for p in found[0, :2]] == [blue, green] and [tuple(p) for p in found[1, ::2]] == [green, blue]
    assert found[0, 2, 3] == found[1, 1, 3] == 0
    assert layer.legend == Swatches((("#0072b2", "water"), ("#009e73", "forest")))


def test_long_legends_name_what_is_seen():
    classes = [ClassInfo(k, f"class {k}", f"#0000{k:02x}") for k in range(20)]
    layer = class_layer("map", np.array([[3, 11]]), classes)
    assert [name for _, name in layer.legend.entries] == ["class 3", "class 11"]


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "colour"])
def test_pictures_keep_their_colours_and_holes(grey):
    ramp = np.linspace(0, 254, 64, dtype=np.uint8)
    picture = np.full((64, 64, 4), 255, np.uint8)
    picture[..., 0] = ramp
    picture[..., 1] = ramp if grey else ramp[::-1]
    picture[..., 2] = ramp if grey else ramp[:, None]
    picture[:8, :8, 3] = 0
    found = pixels(picture_layer("input", picture))
    np.testing.assert_array_equal(found[..., 3], picture[..., 3])
    seen = picture[..., 3] > 0
    error = np.abs(found[seen].astype(int) - picture[seen])
    assert error.max() == 0 if grey else error.mean() < 12


def test_ramps_reach_from_end_to_end():
    layer = ramp_layer("confidence", np.array([[0.0, 1.0, 2.0, np.nan]]), ends=(0, 1), label="probability")
    found = pixels(layer)
    assert isinstance(layer.legend, ColourBar) and (layer.legend.low, layer.legend.high) == ("0", "1")
    assert ["#" + bytes(p[:3]).hex() for p in found[0, :2]] == [layer.legend.colours[0], layer.legend.colours[-1]]
    assert (found[0, 1] == found[0, 2]).all() and found[0, 3, 3] == 0


@pytest.mark.parametrize("values", [np.full((2, 2), np.nan), np.full((2, 2), 3.0)], ids=["nothing", "constant"])
def test_ramps_of_nothing_and_of_one_value_are_drawn(values):
    assert pixels(ramp_layer("x", values)).shape == (2, 2, 4)


def test_layers_that_share_a_legend_have_it_once():
    one, two = (class_layer(name, np.array([[0]]), CLASSES) for name in ("truth", "map"))
    view = Viewer("v", (one, ramp_layer("confidence", np.zeros((1, 1)), ends=(0, 1)), two), 1, 1)
    assert [numbers for numbers, _ in view.legends] == [(0, 2), (1,)]
    assert view.size == sum(len(layer.png) for layer in view.layers)


def test_maps_of_classes_are_small():
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 2, (32, 32)), np.ones((32, 32), int))
    assert len(class_layer("map", blocks, CLASSES).png) < 20_000
