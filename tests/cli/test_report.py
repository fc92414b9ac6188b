"""`geodl report`: a page for a map, or where the report of a run lies."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import typer
from affine import Affine
from typer.testing import CliRunner

from geodl.cli.report import report
from geodl.errors import BundleError, OptionError, OutputExists, SourceUnreadable

app = typer.Typer()
app.command()(report)


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def rasters(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "<img src=x onerror=alert(1)>.tif", tmp_path / "scene.tif"
    for path in paths:
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 20, "width": 30}
        with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 4e6)) as made:
            made.write(np.arange(600, dtype=np.uint8).reshape(1, 20, 30) % 3 + 1)
            made.update_tags(1, class_1="water", class_2="</script>", class_3='it\'s "x"')
    return paths


def test_writes_a_page_and_says_where(rasters: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    result = call(rasters[0], "--scene", rasters[1], "--output", page)
    assert result.exit_code == 0 and str(page) in result.output
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text and "&lt;img src=x" in text and text.count("</script>") == 1
    again = call(rasters[0], "--scene", rasters[1], "--output", page)
    assert isinstance(again.exception, OutputExists)
    assert call(rasters[0], "--scene", rasters[1], "-o", page, "--overwrite", "-q").output.strip() == str(page)


def test_the_scene_may_be_a_folder_of_its_bands(rasters: tuple[Path, Path], tmp_path: Path) -> None:
    bands = tmp_path / "bands"
    bands.mkdir()
    for name in ("B02", "B03", "B04"):
        shutil.copy(rasters[1], bands / f"{name}.tif")
    page = tmp_path / "map.html"
    told = tmp_path / "told.json"
    assert call(rasters[0], "--scene", bands, "--output", page, "--json", told).exit_code == 0
    assert "B02 and 2 more" in page.read_text(encoding="utf-8")
    assert json.loads(told.read_text()) == {"files": [{"what": "Report", "path": str(page)}]}


def test_the_page_lies_beside_the_map_unless_it_is_told(rasters: tuple[Path, Path]) -> None:
    assert call(rasters[0], "--scene", rasters[1], "-q").exit_code == 0
    assert rasters[0].with_suffix(".html").is_file()


def test_mistakes_are_named(rasters: tuple[Path, Path], tmp_path: Path) -> None:
    assert isinstance(call(rasters[0]).exception, OptionError)
    assert isinstance(call(tmp_path / "none.tif", "--scene", rasters[1]).exception, SourceUnreadable)
    assert not (tmp_path / "none.html").exists()
    assert isinstance(call(tmp_path).exception, BundleError)


def test_of_a_run_it_says_where_the_report_lies(tmp_path: Path) -> None:
    stored = next(path.parent for path in (Path(__file__).parents[1] / "stored").rglob("network.keras"))
    page = stored / "report.html"
    result = call(stored, "--quiet")
    assert (result.output.strip() == str(page)) if page.is_file() else isinstance(result.exception, BundleError)
