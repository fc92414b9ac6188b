from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geodl.data.legend import PALETTE, class_colour, colours_of, names_of
from geodl.data.rasterfile import RasterFile

TABLE = """<GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Area</Name><Type>1</Type><Usage>0</Usage></FieldDefn>
<FieldDefn index="2"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<Row index="0"><F>11</F><F>1.5</F><F>water</F></Row><Row index="1"><F>41</F><F>2</F><F>forest</F></Row>
</GDALRasterAttributeTable>"""
CATEGORIES = "<CategoryNames><Category>void</Category><Category></Category><Category>road</Category></CategoryNames>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, transform=rasterio.Affine(1, 0, 5, 0, -1, 5)) as dataset:
        dataset.write(np.ones((1, 2, 2), np.uint8))
    return tmp_path / "a.tif"


def test_the_palette_is_24_distinct_colours_that_begin_with_those_of_okabe_and_ito() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 24
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in PALETTE)
    assert PALETTE[:3] == ("#e69f00", "#56b4e9", "#009e73")
    assert class_colour(25) == PALETTE[1]


def test_colours_come_from_the_colour_table(path: Path) -> None:
    assert colours_of(RasterFile(path)) == {}
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (255, 0, 16, 255), 5: (0, 128, 0, 255)})
    colours = colours_of(RasterFile(path))
    assert (colours[1], colours[5]) == ("#ff0010", "#008000")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CATEGORIES, {0: "void", 2: "road"}),
        (TABLE, {11: "water", 41: "forest"}),
        (TABLE.replace("forest", "water"), {}),
        ("<CategoryNames><Category>", {}),
    ],
)
def test_names_come_from_gdals_sidecar(path: Path, content: str, expected: dict[int, str]) -> None:
    assert names_of(RasterFile(path)) == {}
    sidecar = path.with_name("a.tif.aux.xml")
    sidecar.write_text(f'<PAMDataset><PAMRasterBand band="1">{content}</PAMRasterBand></PAMDataset>')
    assert names_of(RasterFile(path)) == expected


def test_names_come_from_our_own_tags(path: Path) -> None:
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, class_0="water", class_12="forest", class_names="x")
    assert names_of(RasterFile(path)) == {0: "water", 12: "forest"}
