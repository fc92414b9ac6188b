"""Colours of all figures, one name per idea.

Pairs that stand beside each other in one figure are told apart with any kind of colour vision: they differ by a
distance in CIELAB also as Machado et al. (2009, "A physiologically-based model for simulation of color vision
deficiency") say that they are seen with protanopia, deuteranopia and tritanopia. Colours of classes are those of the
contract; `geodl.data.legend` chooses them where the data say nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, to_hex, to_rgb

__all__ = (
    "BACKDROP",
    "CAPTION",
    "FRAMES",
    "INK",
    "LIMIT",
    "METHODS",
    "NETWORK",
    "NODATA",
    "NODATA_COLOUR",
    "OTHERS",
    "PARTS",
    "PROBABILITY",
    "RAIN",
    "RIGHT",
    "RULE",
    "SHARE",
    "SIGNED",
    "TRUTH",
    "UNUSED",
    "WORTH",
    "WRONG",
    "readable",
    "signed",
)

INK = "#333333"
"""Of texts and of lines that are no data."""
CAPTION = "#555555"
"""Of notes below a figure."""
RULE = "#999999"
"""Of zero lines and second axes."""
TRUTH = "#333333"
"""What was observed or simulated."""
NETWORK = "#0072b2"
"""The network."""
METHODS = ("#d55e00", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#666666")
"""What stands beside the network: the colours of Okabe and Ito (2008), and grey."""
LIMIT = "#d55e00"
"""Thresholds, and where a forecast ends to be valid."""
OTHERS = "#c8c8c8"
"""Everything else, behind what a panel is about."""
BACKDROP = "#9db8cc"
"""Bars of a histogram that lines are drawn over."""
FRAMES = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73")
"""Frames of places that are drawn enlarged, in turn."""

_BRIGHTEST = 0.42
"""Luminance of the palest line on white."""

RIGHT, WRONG = "#d3e3ee", "#c1440e"
"""Pixels whose class was told right and wrong: pale and dark, so that grey print shows them too."""

PARTS = {
    "training": {"colour": "#56b4e9", "hatch": "", "marker": "o"},
    "validation": {"colour": "#e69f00", "hatch": "///", "marker": "^"},
    "test": {"colour": "#aa4499", "hatch": "\\\\\\", "marker": "s"},
}
"""Parts of a split: colour, hatching of areas, and marker of points."""
UNUSED = {"colour": "#f2f2f2", "hatch": "...", "marker": "x"}
"""What lies between the parts and is in none of them."""

NODATA: dict[str, Any] = {"facecolor": "#e4e4e4", "edgecolor": "#b8b8b8", "hatch": "////"}
"""How patches without data look."""
NODATA_COLOUR = "#c4c4c4"
"""Where nothing is known and hatching is not possible: a grey that no rain has."""

RAIN = ("#caebf5", "#9ad2f2", "#7bb4f1", "#7c92e4", "#8e6cc7", "#994397", "#911b60", "#73052f", "#4b0a0b")
"""Rain rates, one colour from each of `geodl.report.rain.LEVELS` on. Each is darker than the one before by the same step
of lightness (CIELAB), so that they keep their order in grey print and for the colour-blind."""

PROBABILITY = "cividis"
"""Colour map of probabilities, 0 to 1."""
SHARE = "Blues"
"""Colour map of shares that are written as numbers, too."""
WORTH = "viridis"
"""Colour map of what is at least 0."""
SIGNED = "RdBu_r"
"""Colour map of differences: blue below zero, white at zero, red above; lightness tells the size."""


def readable(colour: str) -> str:
    """Returns a colour that lines on white are seen in: itself, or as much darker as it must be.

    Example:
        >>> readable("#0072b2"), readable("#f0e442")
        ('#0072b2', '#b2a931')
    """
    parts = np.array(to_rgb(colour))
    # Weights of ITU-R BT.709, of parts that are about as bright as their square says.
    bright = float(parts**2 @ (0.2126, 0.7152, 0.0722))
    if bright <= _BRIGHTEST:
        return colour
    red, green, blue = (parts * math.sqrt(_BRIGHTEST / bright)).tolist()
    return to_hex((red, green, blue))


def signed() -> Colormap:
    """Returns the colour map of differences; what is unknown stays transparent, so that its hatching is seen."""
    return colormaps[SIGNED].with_extremes(bad=(0, 0, 0, 0))
