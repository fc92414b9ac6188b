from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from geodl.data.source import Grid, Window
from geodl.data.windows import bbox_window
from geodl.errors import OptionError, SourceUnreadable
from geodl.inference.area import Area
from tests.inference.fakes import TRANSFORM, UTM

GRID = Grid(UTM, TRANSFORM, 60, 80)


def write_polygons(path: Path, polygons: list[shapely.Geometry], crs: str | None) -> Path:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(polygons)),
        field_data=[np.arange(len(polygons))],
        fields=["n"],
        crs=crs,
        geometry_type="Polygon",
    )
    return path


def centres_inside(polygon: shapely.Geometry, grid: Grid) -> np.ndarray:
    rows, columns = np.mgrid[: grid.height, : grid.width]
    x, y = grid.transform @ (columns + 0.5, rows + 0.5)
    return shapely.contains_xy(polygon, x, y)


def test_polygons_of_another_crs_are_burnt_by_pixel_centres(tmp_path: Path) -> None:
    here = shapely.Polygon([(500_103, 4_999_951), (500_604, 4_999_880), (500_331, 4_999_503)])
    to_lonlat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    there = shapely.transform(here, lambda xy: np.column_stack(to_lonlat.transform(xy[:, 0], xy[:, 1])))
    path = write_polygons(tmp_path / "area.gpkg", [there], "EPSG:4326")
    area = Area.read(path, GRID)
    expected = centres_inside(here, GRID)
    assert expected.sum() > 500
    assert (area.mask(GRID.window) != expected).sum() <= 2
    parts = [[area.mask(Window(x, y, 40, 20)) for x in (0, 40)] for y in (0, 20, 40)]
    np.testing.assert_array_equal(np.block(parts), area.mask(GRID.window))


def test_polygons_beside_the_scene_and_other_files_are_refused(tmp_path: Path) -> None:
    far = write_polygons(tmp_path / "far.geojson", [shapely.box(1, 1, 2, 2)], "EPSG:4326")
    with pytest.raises(OptionError, match="mask: expected polygons that overlap the scene"):
        Area.read(far, GRID)
    with pytest.raises(SourceUnreadable, match="no such file"):
        Area.read(tmp_path / "none.gpkg", GRID)
    here = write_polygons(tmp_path / "here.geojson", [shapely.box(0, 0, 30, 30)], "EPSG:4326")
    with pytest.raises(OptionError, match="with a CRS where the scene has one"):
        Area.read(here, Grid(None, Affine.identity(), 60, 80))


def test_a_box_is_snapped_outwards_to_whole_pixels() -> None:
    window = bbox_window((500_015, 4_999_700, 500_119.9, 4_999_811), GRID)
    assert window == Window(1, 18, 11, 12)
    assert bbox_window((500_010, 4_999_700, 500_120, 4_999_810), GRID) == Window(1, 19, 11, 11)
    assert bbox_window((0, 0, 1e7, 1e7), GRID) == GRID.window


def test_boxes_on_south_up_and_rotated_grids() -> None:
    south_up = Grid(UTM, Affine(10, 0, 500_000, 0, 10, 4_999_400), 60, 80)
    assert bbox_window((500_010, 4_999_420, 500_020, 4_999_450), south_up) == Window(1, 2, 1, 3)
    rotated = Grid(None, Affine.rotation(90), 60, 80)
    assert bbox_window((-30, 10, -20, 15), rotated) == Window(10, 20, 5, 10)


@pytest.mark.parametrize(
    "bbox", [(0, 0, 1, 1), (500_200, 4_999_900, 500_100, 4_999_950), (1, 2, 3), "abcd", (np.nan, 0, 1e7, 1e7)]
)
def test_boxes_that_hold_no_pixel_are_refused(bbox: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="bbox: expected"):
        bbox_window(bbox, GRID)


def test_geographic_grids() -> None:
    grid = Grid(CRS.from_epsg(4326), Affine(0.001, 0, 10, 0, -0.001, 50), 100, 100)
    assert bbox_window((10.01, 49.95, 10.02, 49.96), grid) == Window(10, 40, 10, 10)
