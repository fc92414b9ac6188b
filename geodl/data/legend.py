"""Names and colours of classes: what a raster file says of them, and the colours they get where nothing is said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from xml.etree import ElementTree

from geodl.data.rasterfile import RasterFile

__all__ = ("PALETTE", "class_colour", "colours_of", "names_of")

PALETTE = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#442200",
    "#8800ee", "#222244", "#aaeeaa", "#8866ee", "#ee0044", "#4422aa", "#884466", "#00ee66",
    "#440066", "#aa0088", "#226622", "#88aa66", "#aa0000", "#8888ee", "#224444", "#ee8844",
)  # fmt: skip
"""24 colours: the first seven are those of Okabe and Ito (2008); each other one is as far as can be, with any kind of colour
vision, from those before it, from white and from the grey of missing data."""


def class_colour(position: int) -> str:
    """Returns the default colour of the class at `position`."""
    return PALETTE[position % len(PALETTE)]


def colours_of(file: RasterFile) -> dict[int, str]:
    """Returns `#rrggbb` by value from the file's colour table; entries that were never set are black there."""
    table = {} if file.colormap is None else file.colormap
    return {value: f"#{red:02x}{green:02x}{blue:02x}" for value, (red, green, blue, _) in table.items()}


def names_of(file: RasterFile) -> dict[int, str]:
    """Returns class names by value: from the tags `class_<value>` of maps and labels that geodl wrote, or from GDAL's
    sidecar `.aux.xml`, its category names or raster attribute table.
    """
    tagged = {key[6:]: name for key, name in file.tags.items() if key.startswith("class_") and key[6:].isdecimal()}
    if tagged:
        return _distinct({int(value): name for value, name in tagged.items()})
    sidecar = file.path + ".aux.xml"
    if not os.path.isfile(sidecar):
        return {}
    try:
        root = ElementTree.parse(sidecar).getroot()
    except (ElementTree.ParseError, ValueError, LookupError, OSError):  # Damaged, or in an encoding nobody knows.
        return {}
    categories = root.findall(".//PAMRasterBand/CategoryNames/Category")
    names = {value: (category.text or "").strip() for value, category in enumerate(categories)}
    return _distinct(names or _attribute_table(root))


def _attribute_table(root: ElementTree.Element) -> dict[int, str]:
    """Reads the columns with usage 5 (value; also 3, least value) and 2 (name) of a raster attribute table."""
    table = root.find(".//GDALRasterAttributeTable")
    if table is None:
        return {}
    usages = [field.findtext("Usage", "") for field in table.findall("FieldDefn")]
    value_at = next((usages.index(usage) for usage in ("5", "3") if usage in usages), None)
    if value_at is None or "2" not in usages:
        return {}
    rows = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
    try:
        return {int(float(row[value_at])): row[usages.index("2")].strip() for row in rows}
    except (ValueError, IndexError):
        return {}


def _distinct(names: Mapping[int, str]) -> dict[int, str]:
    given = {value: name for value, name in names.items() if name}
    return given if len(set(given.values())) == len(given) else {}
