"""Colours: told apart with any kind of colour vision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import rgb2lab

from geodl.data.legend import PALETTE
from geodl.data.simulate.scenes import CLASSES
from geodl.data.simulate.seasons import CROPS
from geodl.report.palette import FRAMES, METHODS, NETWORK, PARTS, RAIN, RIGHT, UNUSED, WRONG, readable, signed

VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Matrices for linear red, green and blue, of full severity: Machado, Oliveira and Fernandes (2009), table 1."""

OKABE_ITO = PALETTE[:7]
SETS = {
    "default classes": (OKABE_ITO, 15),
    "all default classes": (PALETTE, 13),
    "simulated land cover": ([info.colour for info in CLASSES], 15),
    "simulated crops": ([info.colour for info in CROPS], 13),
    "methods": ([NETWORK, *METHODS], 15),
    "frames": (FRAMES, 15),
    "parts of a split": ([look["colour"] for look in PARTS.values()] + [UNUSED["colour"]], 25),
    "right and wrong": ([RIGHT, WRONG], 40),
}


def seen(colours, vision: str) -> np.ndarray:
    """CIELAB of colours as they are seen, shape (colour, 3)."""
    stored = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    shown = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    again = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return rgb2lab(again[None])[0]


@pytest.mark.parametrize("vision", VISION)
def test_greys_look_alike_to_all(vision):
    greys = seen(["#000000", "#808080", "#ffffff"], vision)
    assert np.abs(greys - seen(["#000000", "#808080", "#ffffff"], "usual")).max() < 0.1


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", SETS)
def test_colours_are_told_apart(name, vision):
    colours, least = SETS[name]
    found = seen(colours, vision)
    pairs = {
        (colours[i], colours[j]): np.linalg.norm(found[i] - found[j])
        for i, j in itertools.combinations(range(len(colours)), 2)
    }
    assert min(pairs.values()) >= least, min(pairs, key=pairs.get)


@pytest.mark.parametrize("vision", VISION)
def test_rain_and_differences_keep_their_order(vision):
    assert (np.diff(seen(["white", *RAIN], vision)[:, 0]) < -4).all()
    shades = signed()(np.linspace(0, 1, 11))[:, :3]
    lightness = seen(shades, vision)[:, 0]
    assert (np.diff(lightness[:6]) > 0).all() and (np.diff(lightness[5:]) < 0).all()
    ends = seen([shades[1], shades[-2]], vision)
    assert np.linalg.norm(ends[0] - ends[1]) > 40


def test_unknown_differences_are_transparent():
    assert signed()(np.ma.masked_invalid([np.nan]))[0, 3] == 0
    assert signed()(0.5) == pytest.approx((0.97, 0.97, 0.97, 1), abs=0.01)


def test_pale_colours_become_dark_enough_for_lines_and_keep_their_hue():
    white = seen(["white"], "usual")[0, 0]
    for colour in PALETTE:
        darker = readable(colour)
        assert white - seen([darker], "usual")[0, 0] > 25
        # A factor keeps the proportion of red, green and blue.
        before, after = (np.array(to_rgb(each)) for each in (colour, darker))
        assert np.abs(after * before.max() - before * after.max()).max() < 0.01
    assert readable("#0072b2") == "#0072b2"
