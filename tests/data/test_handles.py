from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT

from geodl.data import handles
from geodl.data.handles import Handle, reading
from geodl.errors import SourceUnreadable


def write(path: Path, **profile: object) -> str:
    shape = {"width": 64, "height": 64, "count": 1, "dtype": "uint16", "driver": "GTiff", "crs": "EPSG:32633"}
    transform = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(path, "w", **shape | {"transform": transform} | profile) as dataset:
        dataset.write(np.random.default_rng(0).integers(1, 999, (dataset.count, 64, 64)).astype(dataset.dtypes[0]))
    return str(path)


def test_each_thread_has_its_own_handle_and_keeps_it(tmp_path: Path) -> None:
    handle = Handle(write(tmp_path / "a.tif"))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(handle.dataset()))
    thread.start()
    thread.join()
    assert handle.dataset() is handle.dataset()
    assert seen[0] is not handle.dataset()


def test_another_thread_may_close_a_file_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing(OrderedDict[int, rasterio.DatasetReader]):
        """As if another thread closed each data set just after it was found."""

        def get(self, key: int, default: Any = None) -> Any:
            found = super().get(key, default)
            self.pop(key, None)
            return found

    monkeypatch.setattr(handles._POOL, "opened", Closing())
    handle = Handle(write(tmp_path / "a.tif"))
    assert handle.dataset() is handle.dataset()
    assert not handle.dataset().closed


def test_only_so_many_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "_MOST_OPEN", 3)
    opened = [Handle(write(tmp_path / f"{k}.tif")) for k in range(5)]
    datasets = [handle.dataset() for handle in opened]
    assert [handle.dataset() is dataset for handle, dataset in zip(opened[2:], datasets[2:])] == [True] * 3
    assert opened[0].dataset() is not datasets[0]


@pytest.fixture
def _few_objects() -> Iterator[None]:
    """Leaves out of collections what other tests have left: looking through all of it takes seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
@pytest.mark.usefixtures("_few_objects")
def test_files_are_closed_with_their_handle_and_with_their_thread(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")

    def count() -> int:
        gc.collect()
        links = (link for link in Path("/proc/self/fd").iterdir())
        return sum(link.is_symlink() and str(link.readlink()) == path for link in links)

    handle = Handle(path)
    handle.dataset()
    counts: list[int] = []

    def use(handle: Handle) -> None:
        handle.dataset()
        counts.append(count())

    thread = threading.Thread(target=use, args=(handle,))
    thread.start()
    thread.join()
    del thread
    assert (counts, count()) == ([2], 1)
    handle.close()
    assert count() == 0
    handle.dataset()
    assert count() == 1
    del handle
    assert count() == 0


@pytest.mark.parametrize("part", [0.0, 0.5, 0.98])
@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"])
def test_a_truncated_file_is_refused_in_one_sentence_and_quietly(
    tmp_path: Path, driver: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = Path(write(tmp_path / "whole", driver=driver, count=3, dtype="uint8"))
    cut = tmp_path / "cut"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    capfd.readouterr()
    handle = Handle(str(cut))
    with pytest.raises(SourceUnreadable, match=r"^Cannot read .*cut: .*(empty|cut short)"), reading(str(cut)):
        handle.dataset().read()
    assert capfd.readouterr() == ("", "")


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.tif"
    text.write_text("not an image")
    for path, cause in ((text, "not an image"), (tmp_path / "b.tif", "no such file"), (tmp_path, "it is a folder")):
        with pytest.raises(SourceUnreadable, match=cause):
            Handle(str(path)).dataset()


def test_a_file_without_transform_is_opened_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = write(tmp_path / "a.png", driver="PNG", dtype="uint8", crs=None)
    recwarn.clear()
    Handle(path).dataset()
    assert not recwarn.list


def test_what_is_read_through_a_handle_keeps_the_errors_of_the_file(tmp_path: Path) -> None:
    handle = Handle(write(tmp_path / "a.tif"))
    assert handle.use(lambda dataset: dataset.read()).shape == (1, 64, 64)

    def refuse(dataset: rasterio.DatasetReader) -> None:
        raise rasterio.errors.RasterioIOError("blocks are missing.")

    with pytest.raises(SourceUnreadable, match=r"damaged or cut short \(blocks are missing\)\. Copy"):
        handle.use(refuse)


def test_an_opener_wraps_the_file_and_both_are_closed_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    handle = Handle(path, lambda name: WarpedVRT(rasterio.open(name), crs="EPSG:3857"))
    gc.collect()
    with rasterio.open(path) as dataset, WarpedVRT(dataset, crs="EPSG:3857") as warped:
        np.testing.assert_array_equal(handle.use(lambda opened: opened.read()), warped.read())
    source = weakref.ref(handle.dataset().src_dataset)
    handle.close()
    gc.collect()
    assert source() is None
