from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geodl.data.source import Grid
from geodl.errors import OptionError, OutputExists, OutputUnwritable
from geodl.inference import writers
from geodl.inference.products import make_products
from geodl.inference.writers import MapWriter, check_room
from tests.inference.fakes import TRANSFORM, UTM, make_contract

PRODUCTS = make_products(make_contract().output, probabilities=True, confidence=True)


def write_map(target: Path, grid: Grid, *, overwrite: bool = False, block: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Writes a map of random logits in ragged blocks; returns the logits and which pixels are valid."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(*grid.shape, 3)).astype(np.float32)
    valid = rng.random(grid.shape) > 0.1
    with MapWriter(target, PRODUCTS.layers, grid, overwrite=overwrite, tags={"MADE_BY": "a test"}) as writer:
        for row in range(0, grid.height, block):
            for column in range(0, grid.width, block):
                part = slice(row, row + block), slice(column, column + block)
                writer.write(row, column, PRODUCTS(logits[part], valid[part]))
        assert not target.exists() or overwrite
        writer.finish()
    return logits, valid


def test_maps_are_valid_cogs_that_say_what_they_hold(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "map.tif"
    grid = Grid(UTM, TRANSFORM, 1100, 1300)
    expected = PRODUCTS(*write_map(target, grid))
    assert sorted(os.listdir(target.parent)) == ["map.confidence.tif", "map.probabilities.tif", "map.tif"]
    with rasterio.open(target) as written:
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert written.overviews(1) == [2, 4] and written.block_shapes == [(512, 512)]
        assert (written.crs.to_epsg(), written.transform) == (32633, TRANSFORM)
        assert (written.dtypes, written.nodata) == (("uint8",), 255)
        assert written.tags(1)["class_4"] == "bare soil" and written.tags()["MADE_BY"] == "a test"
        colours = written.colormap(1)
        assert colours[4] == (0xE6, 0x9F, 0x00, 255)
        np.testing.assert_array_equal(written.read(), expected[0])
        # Overviews of classes hold classes, never averages of them.
        assert set(np.unique(written.read(1, out_shape=(275, 325)))) <= {1, 2, 4, 255}
    with rasterio.open(tmp_path / "new/folder/map.probabilities.tif") as written:
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert written.descriptions == ("water", "bare soil", "forest") and written.units == ("1", "1", "1")
        assert np.isnan(written.nodata)
        np.testing.assert_array_equal(written.read(), expected[1])


def test_a_layer_may_lie_elsewhere(tmp_path: Path) -> None:
    contract = make_contract(kind="bands")
    products = make_products(contract.output, residual_of=contract.input.bands)
    grid, target, apart = Grid(UTM, TRANSFORM, 3, 4), tmp_path / "map.tif", tmp_path / "else" / "where" / "noise.tif"
    seen, given = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    with MapWriter(target, products.layers, grid, apart={"residual": apart}) as writer:
        assert writer.paths == (target, apart)
        writer.write(0, 0, products(given, np.ones((3, 4), bool), seen))
        # Each is made beside its own place, which may be on another disk.
        assert [path.parent.parent for path in writer.make().values()] == [tmp_path, apart.parent]
        assert not target.exists() and not apart.exists()
        writer.finish()
    assert (os.listdir(apart.parent), sorted(os.listdir(tmp_path))) == (["noise.tif"], ["else", "map.tif"])
    with rasterio.open(apart) as written:
        np.testing.assert_array_equal(written.read(), np.moveaxis(seen - given, -1, 0))
        assert written.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "what the network took away: input - output"
        assert (written.descriptions, np.isnan(written.nodata)) == (("B01", "B02"), True)
    with pytest.raises(OutputExists, match=r"noise\.tif already holds"):
        MapWriter(tmp_path / "new.tif", products.layers, grid, apart={"residual": apart})
    with pytest.raises(OptionError, match=r"residual: expected a file name that ends in \.tif"):
        MapWriter(tmp_path / "new.tif", products.layers, grid, apart={"residual": tmp_path / "noise.png"})
    with (
        pytest.raises(KeyboardInterrupt),
        MapWriter(target, products.layers, grid, overwrite=True, apart={"residual": tmp_path / "a/b.tif"}),
    ):
        raise KeyboardInterrupt
    assert sorted(os.listdir(tmp_path)) == ["else", "map.tif"]


def test_without_crs_and_on_rotated_grids(tmp_path: Path) -> None:
    write_map(tmp_path / "plain.tif", Grid(None, Affine.identity(), 3, 5))
    with rasterio.open(tmp_path / "plain.tif") as written:
        assert written.crs is None and written.transform.is_identity
    rotated = Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
    write_map(tmp_path / "rotated.tif", Grid(UTM, rotated, 3, 5))
    with rasterio.open(tmp_path / "rotated.tif") as written:
        assert written.transform.almost_equals(rotated)


def test_one_pixel(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif", Grid(UTM, TRANSFORM, 1, 1))
    with rasterio.open(tmp_path / "map.tif") as written:
        assert written.shape == (1, 1)


def test_existing_maps_are_replaced_only_on_demand(tmp_path: Path) -> None:
    grid = Grid(UTM, TRANSFORM, 4, 4)
    (tmp_path / "map.confidence.tif").write_text("mine")
    with pytest.raises(OutputExists, match=r"map\.confidence\.tif already holds a map"):
        write_map(tmp_path / "map.tif", grid)
    assert os.listdir(tmp_path) == ["map.confidence.tif"]
    write_map(tmp_path / "map.tif", grid, overwrite=True)
    with rasterio.open(tmp_path / "map.confidence.tif") as written:
        assert written.shape == (4, 4)


def test_a_map_given_up_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        MapWriter(tmp_path / "new/folder/map.tif", PRODUCTS.layers, Grid(UTM, TRANSFORM, 4, 4)) as writer,
    ):
        writer.write(0, 0, PRODUCTS(np.zeros((2, 2, 3), np.float32), np.ones((2, 2), bool)))
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_names_that_are_no_geotiff_and_folders_are_refused(tmp_path: Path) -> None:
    grid = Grid(UTM, TRANSFORM, 4, 4)
    with pytest.raises(OptionError, match=r"ends in \.tif"):
        MapWriter(tmp_path / "map.png", PRODUCTS.layers, grid)
    (tmp_path / "map.tif").mkdir()
    with pytest.raises(OutputUnwritable, match="it is a folder"):
        MapWriter(tmp_path / "map.tif", PRODUCTS.layers, grid)


def test_folders_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match=r"Cannot write .*file/map\.tif"):
        write_map(tmp_path / "file" / "map.tif", Grid(UTM, TRANSFORM, 4, 4))


def test_a_map_that_is_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def usage(total: int, free: int) -> None:
        def disk_usage(folder: Path) -> Any:
            asked.append(folder)
            return SimpleNamespace(total=total, free=free)

        monkeypatch.setattr(writers.shutil, "disk_usage", disk_usage)

    target, grid = tmp_path / "new" / "folder" / "map.tif", Grid(UTM, TRANSFORM, 1024, 2048)
    needed = 1024 * 2048 * (1 + 3 * 4 + 4)  # Classes, three probabilities, confidence.
    usage(2**60, needed)
    check_room(target, PRODUCTS.layers, grid)
    usage(2**60, needed - 1)
    with pytest.raises(OutputUnwritable, match=r"of 1024 x 2048 pixels takes 34\.0 MiB, and 34\.0 MiB are free"):
        check_room(target, PRODUCTS.layers, grid)
    usage(0, 0)
    check_room(target, PRODUCTS.layers, grid)
    assert asked == [tmp_path] * 3
    usage(2**60, needed - 4 * 1024 * 2048)
    check_room(target, PRODUCTS.layers, grid, apart={"confidence": tmp_path / "other.tif"})


def test_interrupted_while_room_is_made_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writers, "reserve", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        MapWriter(tmp_path / "map.tif", PRODUCTS.layers, Grid(UTM, TRANSFORM, 4, 4)).__enter__()
    assert os.listdir(tmp_path) == [] and caught


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folders_are_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputUnwritable, match="Permission denied"):
        write_map(tmp_path / "map.tif", Grid(UTM, TRANSFORM, 4, 4))
    tmp_path.chmod(0o700)


def test_leftovers_of_dead_processes_are_removed_and_others_are_not(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    with MapWriter(target, PRODUCTS.layers, Grid(UTM, TRANSFORM, 4, 4)):
        (living,) = os.listdir(tmp_path)
        dead = living.replace(f"-{os.getpid()}-", f"-{_dead_process()}-")
        elsewhere = living.replace(".map.tif.", ".map.tif.other-")
        for name in (dead, elsewhere):
            (tmp_path / name).mkdir()
            (tmp_path / name / "classes.raw").write_text("half")
        write_map(target, Grid(UTM, TRANSFORM, 4, 4))
        assert {living, elsewhere} <= set(os.listdir(tmp_path)) and dead not in os.listdir(tmp_path)


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


_KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from geodl.data.source import Grid
from geodl.inference import writers
from tests.inference.fakes import TRANSFORM, UTM
from tests.inference.test_writers import write_map

folder = Path(sys.argv[1])
grid = Grid(UTM, TRANSFORM, 60, 70)
point = None

def killing(function, name):
    def called(*arguments, **options):
        if point == ("before", name):
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if point == ("after", name):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return called

writers.MapWriter.write = killing(writers.MapWriter.write, "write")
writers.rasterio.shutil.copy = killing(writers.rasterio.shutil.copy, "copy")
writers.os.replace = killing(writers.os.replace, "replace")
for point in [(when, name) for name in ("write", "copy", "replace") for when in ("before", "after")]:
    target = folder / ("-".join(point) + ".tif")
    child = os.fork()
    if child == 0:
        write_map(target, grid)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), point
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")
def test_killed_anywhere_there_is_no_map_or_a_whole_one_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    hidden = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert len(hidden) == 6
    # The map itself is renamed last, so not even the kill after the first rename shows it.
    assert not [name for name in os.listdir(tmp_path) if name.count(".") == 1]
    grid = Grid(UTM, TRANSFORM, 60, 70)
    for name in {name.split(".tif")[0].lstrip(".") for name in hidden}:
        write_map(tmp_path / f"{name}.tif", grid, overwrite=True)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


_FULL = """
import json, os, resource, sys
from pathlib import Path
from geodl.data.source import Grid
from geodl.errors import OutputUnwritable
from tests.inference.fakes import TRANSFORM, UTM
from tests.inference.test_writers import write_map

# A limit on the size of files fails like a full disk, wherever it strikes.
folder, told = Path(sys.argv[1]), {}
for limit in json.loads(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_map(folder / "map.tif", Grid(UTM, TRANSFORM, 600, 700))
    except OutputUnwritable as error:
        told[limit] = str(error)
    assert os.listdir(folder) == [], limit
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    grid = Grid(UTM, TRANSFORM, 600, 700)
    (tmp_path / "whole").mkdir()
    write_map(tmp_path / "whole" / "map.tif", grid)
    largest = max(path.stat().st_size for path in (tmp_path / "whole").iterdir())
    raw = 4 * 3 * 600 * 700
    assert largest - 60_000 > raw
    limits = [1000, raw - 1, largest - 60_000, largest - 100]
    (tmp_path / "full").mkdir()
    command = [sys.executable, "-c", _FULL, str(tmp_path / "full"), json.dumps(limits)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert len(told) == len(limits)
    assert all("Cannot write" in text and "Nothing half-written" in text for text in told.values())
