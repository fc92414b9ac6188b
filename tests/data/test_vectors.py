from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from geodl.data.source import Grid
from geodl.data.vectors import is_vector, read_layer
from geodl.errors import EmptyDataset, LabelsUnreadable, SourceUnreadable
from tests.data.buckets import uploaded

GRID = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 100, 100)
SQUARES = [shapely.box(500_000 + 100 * k, 4_999_900, 500_090 + 100 * k, 5_000_000) for k in range(4)]


def write(
    path: Path,
    shapes: list[Any],
    columns: dict[str, list[Any]] | None = None,
    *,
    crs: str | None = "EPSG:32633",
    **kwargs: Any,
) -> Path:
    columns = columns or {}
    kind = kwargs.pop("kind", "Polygon")
    fields = [
        np.array(values, object) if isinstance(values[0], (str, type(None))) else np.array(values)
        for values in columns.values()
    ]
    encoded = np.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], object)
    pyogrio.raw.write(path, encoded, fields, list(columns), geometry_type=kind, crs=crs, **kwargs)
    return path


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "fgb"])
def test_every_format_gives_the_same_layer(tmp_path: Path, ending: str) -> None:
    crs = "EPSG:4326" if ending == "geojson" else "EPSG:32633"
    columns = {"class": ["a", "b", "a", "ä"], "code": [1, 2, 1, 3]}
    layer = read_layer(
        write(tmp_path / f"a.{ending}", SQUARES, columns, crs=crs, encoding="UTF-8" if ending == "shp" else None)
    )
    assert layer.crs == CRS.from_user_input(crs)
    # FlatGeobuf sorts its features by place.
    order = np.argsort(shapely.bounds(layer.shapes)[:, 0])
    assert [layer.values("class")[k] for k in order] == columns["class"]
    assert [layer.values("code")[k] for k in order] == columns["code"]
    assert shapely.equals(layer.shapes[order], SQUARES).all()
    assert is_vector(layer.path) and is_vector("https://host/a.gpkg?key=1.tif")


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson"])
def test_layers_at_addresses_are_fetched(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crs = "EPSG:4326" if ending == "geojson" else "EPSG:32633"
    here = write(tmp_path / f"a.{ending}", SQUARES, {"class": ["a", "b", "a", "b"]}, crs=crs)
    address = uploaded(tmp_path, monkeypatch) + here.name
    layer = read_layer(address)
    assert (layer.crs, layer.values("class")) == (CRS.from_user_input(crs), ["a", "b", "a", "b"])
    assert shapely.equals(layer.shapes, SQUARES).all()
    with pytest.raises(SourceUnreadable, match=r"^Cannot read memory://.*there is no such file"):
        read_layer(address.replace("/a.", "/b."))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", SQUARES, {"class": ["a"] * 4})
    first = read_layer(path)
    assert read_layer(path) is first
    path.unlink()
    write(path, SQUARES[:2], {"class": ["a", "a"]})
    assert len(read_layer(path).shapes) == 2


def test_invalid_shapes_are_mended_and_empty_ones_left_out(tmp_path: Path) -> None:
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    path = write(tmp_path / "a.gpkg", [bow_tie, None, SQUARES[0]], {"class": ["a", "b", "c"]}, kind="Unknown")
    layer = read_layer(path)
    assert shapely.is_valid(layer.shapes).all()
    assert layer.values("class") == ["a", "c"]
    assert shapely.area(layer.shapes[0]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"anything": ["a", "b", "a", "b"]}, "anything"),
        ({"Classname": ["a", "b", "a", "b"], "Classvalue": [1, 2, 1, 2]}, "Classname"),
        ({"fid_1": [1, 2, 3, 4], "LC": [1, 2, 1, 2], "area": [0.5, 1.5, 2.5, 3.5]}, "LC"),
        (
            {"note": ["w", "x", "y", "z"], "crop_type": ["a", "b", "a", "b"], "surveyor": ["p", "p", "q", "q"]},
            "crop_type",
        ),
        ({"id": [1, 1, 2, 2], "kind": [3, 3, 4, 4]}, "kind"),
        ({"name": ["w", "x", "y", "z"], "label": [1, 2, 1, 2]}, "label"),
        ({"code": [1.0, 2.0, np.nan, 2.0], "share": [0.1, 0.2, 0.3, 0.4]}, "code"),
    ],
)
def test_the_column_of_the_class_is_found(tmp_path: Path, columns: dict[str, list[Any]], expected: str) -> None:
    assert read_layer(write(tmp_path / "a.gpkg", SQUARES, columns)).class_column() == expected


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        (
            {"one": ["a", "b", "a", "b"], "two": ["a", "b", "a", "b"]},
            r"\(one, two\)\. Set data\.label_column\. Columns: one, two",
        ),
        ({"area": [0.5, 1.5, 2.5, 3.5]}, "no column can hold the class"),
    ],
)
def test_no_column_is_guessed(tmp_path: Path, columns: dict[str, list[Any]], cause: str) -> None:
    with pytest.raises(LabelsUnreadable, match=cause):
        read_layer(write(tmp_path / "a.gpkg", SQUARES, columns)).class_column()


def test_values_are_whole_numbers_or_texts(tmp_path: Path) -> None:
    columns = {
        "digits": ["1", "10", " 2 ", None],
        "text": ["1", "b", "", "d"],
        "gaps": [1.0, np.nan, 3.0, 4.0],
        "part": [0.5] * 4,
    }
    layer = read_layer(write(tmp_path / "a.gpkg", SQUARES, columns))
    assert layer.values("digits") == [1, 10, 2, None]
    assert layer.values("text") == ["1", "b", None, "d"]
    assert layer.values("gaps") == [1, None, 3, 4]
    with pytest.raises(LabelsUnreadable, match="neither text nor whole numbers"):
        layer.values("part")
    with pytest.raises(LabelsUnreadable, match=r"no column 'txt'.*Did you mean 'text'\?"):
        layer.values("txt")


def test_codes_go_one_to_one_with_names(tmp_path: Path) -> None:
    columns = {"name": ["a", "b", "a", "c"], "code": [5, 7, 5, 9], "fid_2": [1, 2, 3, 4], "zone": [1, 1, 2, 2]}
    layer = read_layer(write(tmp_path / "a.gpkg", SQUARES, columns))
    assert layer.codes("name") == {"a": 5, "b": 7, "c": 9}
    assert layer.codes("code") == {}


def test_polygons_on_a_grid_are_those_that_touch_it_in_its_crs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = np.column_stack([rng.uniform(499_000, 502_000, 200), rng.uniform(4_998_000, 5_001_000, 200)])
    shapes = shapely.buffer(shapely.points(centres), 60, quad_segs=2)
    to_lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    lonlat = shapely.transform(shapes, lambda xy: np.column_stack(to_lonlat.transform(*xy.T)))
    for path, content, crs in ((tmp_path / "a.gpkg", shapes, "EPSG:32633"), (tmp_path / "b.gpkg", lonlat, "EPSG:4326")):
        moved, positions = read_layer(write(path, list(content), crs=crs)).on(GRID)
        assert positions.tolist() == np.flatnonzero(shapely.intersects(shapes, GRID.footprint())).tolist()
        assert shapely.equals_exact(moved, shapes[positions], tolerance=1e-3).all()


def test_a_crs_must_be_stated_on_both_sides_or_on_none(tmp_path: Path) -> None:
    without = read_layer(write(tmp_path / "a.gpkg", SQUARES, crs=None))
    pixels = Grid(None, GRID.transform, 100, 100)
    assert len(without.on(pixels)[0]) == 4
    with pytest.raises(LabelsUnreadable, match="CRS of the polygons is not stated, that of the image is"):
        without.on(GRID)
    with pytest.raises(LabelsUnreadable, match="CRS of the image is not stated"):
        read_layer(write(tmp_path / "b.gpkg", SQUARES)).on(pixels)


def test_what_holds_no_polygons_is_refused(tmp_path: Path) -> None:
    points = write(tmp_path / "p.gpkg", [shapely.Point(0, 0), shapely.Point(1, 1)], kind="Point")
    with pytest.raises(LabelsUnreadable, match=r"it holds point features\. Expected polygons\. Buffer"):
        read_layer(points)
    (tmp_path / "e.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(EmptyDataset, match="expected polygons. Received: an empty layer"):
        read_layer(tmp_path / "e.geojson")
    (tmp_path / "t.gpkg").write_text("text")
    for name in ("t.gpkg", "absent.gpkg"):
        with pytest.raises(SourceUnreadable):
            read_layer(tmp_path / name)
    shapefile = write(tmp_path / "cut.shp", SQUARES, {"class": ["a"] * 4})
    shapefile.write_bytes(shapefile.read_bytes()[:-100])
    with pytest.raises(SourceUnreadable, match="cut short"):
        read_layer(shapefile)
    (tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(SourceUnreadable, match="no polygons in a format that is known"):
        read_layer(tmp_path / "a.json")
    two = write(tmp_path / "two.gpkg", SQUARES, layer="fields")
    write(two, SQUARES, layer="roads", append=True)
    with pytest.raises(LabelsUnreadable, match=r"several layers \(fields, roads\)"):
        read_layer(two)
