from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS

from geodl.errors import OptionError, OutputUnwritable
from geodl.inference import polygonfile
from geodl.inference.polygonfile import DRIVERS, PolygonFile, check_target
from geodl.inference.scratch import scratch_folder

UTM = CRS("EPSG:32633")


def write(target: Path, count: int, crs: CRS | None = UTM, *, batch: int = 7) -> None:
    x = np.arange(count) * 3.0
    polygons = shapely.box(x, 0, x + 2, 1)
    with scratch_folder(target) as folder:
        file = PolygonFile(target, folder, crs)
        for k in range(0, max(count, 1), batch):
            part = slice(k, k + batch)
            names = np.array(["bare soil" if i % 2 else None for i in range(count)[part]], object)
            file.add(
                polygons[part], {"number": np.arange(count)[part], "name": names, "share": np.full(len(names), np.nan)}
            )
        assert not target.exists()
        file.finish()


@pytest.mark.parametrize("ending", DRIVERS)
@pytest.mark.parametrize("vertices", [10, 500_000])
def test_what_is_written_in_batches_can_be_read(
    ending: str, vertices: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polygonfile, "_BATCH", vertices)
    target = tmp_path / f"fields{ending}"
    write(target, 20)
    assert os.listdir(tmp_path) == [target.name]
    meta, _, geometry, (number, name, share) = pyogrio.raw.read(target)
    order = np.argsort(number)  # FlatGeobuf sorts by place.
    np.testing.assert_array_equal(number[order], np.arange(20))
    assert [name[k] for k in order][:2] == [None, "bare soil"] and np.isnan(share.astype(float)).all()
    assert shapely.from_wkb(geometry)[order][3].equals(shapely.box(9, 0, 11, 1))
    assert CRS(meta["crs"]) == UTM and pyogrio.list_layers(target).tolist() == [["fields", "Polygon"]]


@pytest.mark.parametrize("ending", DRIVERS)
def test_no_polygons_and_no_crs(ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"a{ending}", 0, None)
    info = pyogrio.read_info(tmp_path / f"a{ending}", force_feature_count=True)
    assert (info["features"] == 0 and info["crs"] is None) or ending == ".geojson"


def test_geopackages_have_a_spatial_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygonfile, "_BATCH", 10)
    write(tmp_path / "map.gpkg", 20)
    assert pyogrio.read_info(tmp_path / "map.gpkg")["capabilities"]["fast_spatial_filter"]
    # Its nodes, since Python's own SQLite may know no R-trees. A leaf of 20 rectangles is enough for one node.
    with sqlite3.connect(tmp_path / "map.gpkg") as base:
        assert base.execute("select count(*) from rtree_map_geom_rowid").fetchone() == (20,)


def test_a_missing_spatial_index_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where TensorFlow was imported before geodl."""
    read_info = pyogrio.read_info

    def without(*arguments: Any, **options: Any) -> dict[str, Any]:
        info = read_info(*arguments, **options)
        return {**info, "capabilities": {**info["capabilities"], "fast_spatial_filter": False}}

    monkeypatch.setattr(polygonfile.pyogrio, "read_info", without)
    write(tmp_path / "map.gpkg", 3)
    assert "has no spatial index, since TensorFlow was imported before geodl" in caplog.text


def test_unknown_endings_are_refused() -> None:
    with pytest.raises(OptionError, match=r"\.gpkg, \.fgb, \.geojson\. Received: 'map\.dxf'"):
        check_target(Path("map.dxf"))


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match=r"Cannot write .*file/map\.gpkg"):
        check_target(tmp_path / "file" / "map.gpkg")
    check_target(tmp_path / "new" / "map.gpkg")
    assert os.listdir(tmp_path) == ["file"]


_FULL = """
import json, os, resource, signal, sys
from pathlib import Path
from geodl.errors import OutputUnwritable
from geodl.inference import polygonfile
from tests.inference.test_polygonfile import write

polygonfile._BATCH = 10_000
# A limit on the size of files fails like a full disk, wherever it strikes.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = Path(sys.argv[1])
for limit in (0, 1 << 12, 1 << 15, 200_000, 300_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write(target, 5000, batch=1000)
    except OutputUnwritable as error:
        assert str(target) in str(error), error
    else:
        raise AssertionError(limit)
    assert os.listdir(target.parent) == [], limit
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on files")
@pytest.mark.parametrize("ending", DRIVERS)
def test_full_disks_leave_a_sentence_and_nothing_else(ending: str, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _FULL, str(tmp_path / f"map{ending}")], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr


def test_unwritable_places_are_told(tmp_path: Path) -> None:
    file = PolygonFile(tmp_path / "map.gpkg", tmp_path / "gone", UTM)
    file.add(shapely.box([0], [0], [1], [1]), {"number": np.array([1])})
    with pytest.raises(OutputUnwritable, match=r"Cannot write .*map\.gpkg"):
        file.finish()
