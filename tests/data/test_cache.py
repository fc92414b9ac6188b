from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from geodl.data.cache import CachedLabels, CachedSource, cached, free_memory
from geodl.data.samples import Scene
from geodl.data.source import Window
from tests.data.fakes import FakeLabels, FakeSource

random = np.random.default_rng(0)


def scene(height: int = 20, width: int = 30) -> FakeSource:
    values = random.normal(size=(height, width, 2))
    values[3, 4] = np.nan
    return FakeSource(values)


def test_a_cached_source_gives_what_the_source_gives() -> None:
    source = scene()
    for window in (None, Window(2, 1, 9, 7), Window(-3, 15, 40, 10)):
        for mine, expected in zip(CachedSource(source).read(window), source.read(window)):
            np.testing.assert_array_equal(np.broadcast_to(mine, expected.shape), expected)


def test_times_are_selected() -> None:
    source = FakeSource(random.normal(size=(5, 8, 9, 1)))
    kept = CachedSource(source)
    assert kept.dims == ("time", "y", "x", "band")
    np.testing.assert_array_equal(kept.read(Window(1, 2, 3, 4), slice(1, 3))[0], source.values[1:3, 2:6, 1:4])


def test_many_threads_read_the_source_once() -> None:
    source = scene()
    kept = CachedSource(source)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: kept.read(Window(k % 10, k % 5, 5, 5))[0], range(64)))
    assert len(source.reads) == 1
    np.testing.assert_array_equal(found[7], source.values[2:7, 7:12])


def test_what_is_read_can_be_changed_without_harm() -> None:
    kept = CachedSource(scene())
    first = kept.read()[0]
    first[:] = 7
    assert not (kept.read()[0] == 7).any()


def test_bands_can_be_selected_and_renamed() -> None:
    source = scene()
    kept = CachedSource(source).select(("band_2",)).rename(("green",))
    assert [band.name for band in kept.bands] == ["green"]
    np.testing.assert_array_equal(kept.read()[0], source.values[..., 1:])


def test_cached_labels_give_what_the_labels_give() -> None:
    labels = FakeLabels(random.integers(-1, 3, (20, 30)))
    kept = CachedLabels(labels)
    for window in (None, Window(2, 1, 9, 7), Window(-3, 15, 40, 10)):
        np.testing.assert_array_equal(kept.read(window), labels.read(window))
    assert kept.read().dtype == np.int32
    labels.reads.clear()
    kept.read(Window(0, 0, 4, 4))[:] = 2
    np.testing.assert_array_equal(kept.read(), labels.indices)
    assert not labels.reads


def test_all_are_kept_in_memory_or_none() -> None:
    scenes = [Scene(scene(), FakeLabels(np.zeros((20, 30)))) for _ in range(2)]
    needed = 2 * 20 * 30 * (2 * 4 + 2)
    for source, labels, _ in cached(scenes, budget=needed):
        assert isinstance(source, CachedSource) and isinstance(labels, CachedLabels)
    assert cached(scenes, budget=needed - 1) == scenes


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="this system does not say how much memory it has")
def test_free_memory_is_some_of_the_machines() -> None:
    assert 0 <= free_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_control_groups_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:  5000 kB\nHugePages_Total: 0\n",
        "/sys/fs/cgroup/memory.max": "3000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 1000000\nfile 1900000\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda path, encoding=None: files[str(path)])
    assert free_memory() == 2_000_000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert free_memory() == 5_120_000
