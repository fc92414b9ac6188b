"""Layers of one place, to be laid over one another in a map viewer: small images with their legends."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from geodl.contract import ClassInfo

__all__ = ("ColourBar", "Layer", "Swatches", "Viewer", "class_layer", "picture_layer", "ramp_layer")

_CLEAR = 255
"""Palette entry of pixels without value."""
_LISTED = 12
"""Classes up to which a legend names all; of more it names those that are seen."""
_SHOWN = 9
"""Colours of a colour bar."""


@dataclass(frozen=True)
class Swatches:
    """A legend of single colours."""

    entries: tuple[tuple[str, str], ...]
    """(colour as `#rrggbb`, what it means) of each."""


@dataclass(frozen=True)
class ColourBar:
    """A legend of values along a ramp of colours."""

    colours: tuple[str, ...]
    """From the least to the greatest value, `#rrggbb`."""
    low: str
    """The least value in words."""
    high: str
    label: str
    """What is shown, with its unit."""


@dataclass(frozen=True)
class Layer:
    """One image of a place. Pixels without value are transparent."""

    name: str
    png: bytes
    """The bytes of a PNG file."""
    legend: Swatches | ColourBar | None = None


@dataclass(frozen=True)
class Viewer:
    """Layers of one place, all of one size."""

    title: str
    layers: tuple[Layer, ...]
    width: int
    """Columns of each layer."""
    height: int
    """Rows of each layer."""
    pixel: tuple[float, float] | None = None
    """Size of a layer's pixel along y and x in metres; None: not known, and there is no scale bar."""
    north: float | None = None
    """Where north is, in degrees clockwise from the top; None: not known."""
    left: int = 0
    """Which layer is seen first on the left of the divider."""
    right: int = 1
    """Which one on its right."""
    note: str = ""
    """What else there is to know."""

    @property
    def legends(self) -> tuple[tuple[tuple[int, ...], Swatches | ColourBar], ...]:
        """The different legends, each with the positions of the layers that share it."""
        found: dict[Swatches | ColourBar, list[int]] = {}
        for number, layer in enumerate(self.layers):
            if layer.legend is not None:
                found.setdefault(layer.legend, []).append(number)
        return tuple((tuple(numbers), legend) for legend, numbers in found.items())

    @property
    def size(self) -> int:
        """Bytes of all images together."""
        return sum(len(layer.png) for layer in self.layers)


def class_layer(name: str, indices: np.ndarray, classes: Sequence[ClassInfo]) -> Layer:
    """Makes a layer of classes.

    Args:
        name: what it shows.
        indices: positions in `classes`, shape (height, width); transparent where there is none, such as -1.
        classes: at most 255.

    Example:
        >>> water = ClassInfo(1, "water", "#0072b2")
        >>> class_layer("map", np.array([[0, -1]]), [water]).legend.entries
        (('#0072b2', 'water'),)
    """
    colours = [info.colour for info in classes]
    known = (indices >= 0) & (indices < len(classes))
    stored = np.where(known, indices, _CLEAR).astype(np.uint8)
    found = set(np.unique(stored).tolist())
    named = range(len(classes)) if len(classes) <= _LISTED else found
    entries = tuple((info.colour, info.name) for k, info in enumerate(classes) if k in named)
    return Layer(name, _palette_png(stored, colours), Swatches(entries))


def picture_layer(name: str, picture: np.ndarray) -> Layer:
    """Makes a layer of a picture, of at most 255 colours: a third of the bytes, and hardly to be seen.

    Args:
        name: what it shows.
        picture: uint8 of shape (height, width, 4), as `geodl.report.picture.paint` gives it.
    """
    colours, seen = picture[..., :3], picture[..., 3] > 0
    if (colours == colours[..., :1]).all():
        levels = np.minimum(colours[..., 0], 254)
        return Layer(
            name, _palette_png(np.where(seen, levels, _CLEAR), [f"#{k:02x}{k:02x}{k:02x}" for k in range(255)])
        )
    image = Image.fromarray(np.ascontiguousarray(colours))
    few = image.quantize(255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    table = np.asarray(few.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return Layer(name, _palette_png(np.where(seen, np.asarray(few), _CLEAR), ["#" + bytes(rgb).hex() for rgb in table]))


def ramp_layer(
    name: str, values: np.ndarray, *, ends: tuple[float, float] | None = None, label: str = "", colours: str = "cividis"
) -> Layer:
    """Makes a layer of numbers along a ramp of colours.

    Args:
        name: what it shows.
        values: shape (height, width); not-a-number is transparent.
        ends: values of the first and the last colour; default: the 2nd and 98th percentile.
        label: what the numbers are, with their unit.
        colours: a colour map of matplotlib; the default keeps its order in grey print and for the colour-blind.

    Example:
        >>> ramp_layer("confidence", np.array([[0.0, 1.0]]), ends=(0, 1), label="probability").legend.high
        '1'
    """
    finite = np.isfinite(values)
    if ends is None:
        low, high = np.percentile(values[finite], (2, 98)) if finite.any() else (0.0, 1.0)
        ends = (float(low), float(high))
    spread = ends[1] - ends[0] or 1.0
    levels = np.clip(np.nan_to_num((values - ends[0]) / spread), 0, 1) * 63
    ramp = matplotlib.colormaps[colours]
    table = [to_hex(ramp(k / 63)) for k in range(64)]
    bar = ColourBar(
        tuple(to_hex(ramp(k / (_SHOWN - 1))) for k in range(_SHOWN)), _figure(ends[0]), _figure(ends[1]), label or name
    )
    return Layer(name, _palette_png(np.where(finite, np.rint(levels), _CLEAR), table), bar)


def _figure(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _palette_png(stored: np.ndarray, colours: Sequence[str]) -> bytes:
    """Writes palette entries as PNG; `_CLEAR` is transparent."""
    image = Image.frombytes("P", stored.shape[::-1], np.ascontiguousarray(stored, np.uint8).tobytes())
    table = np.full((256, 3), 255, np.uint8)
    for number, colour in enumerate(colours[:_CLEAR]):
        table[number] = tuple(bytes.fromhex(colour.removeprefix("#")))
    image.putpalette(table.tobytes())
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True, transparency=_CLEAR)
    return stream.getvalue()
