from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from geodl.errors import NoValidPixels, OutputUnwritable
from geodl.inference import unfinished, writers
from geodl.inference.products import make_products
from geodl.inference.seams import Frame
from geodl.inference.unfinished import FinishedMap, Journal, held_bytes, remove_unfinished, unfinished_folder
from geodl.inference.writers import check_room
from tests.inference.fakes import make_contract, make_scene


class Blocks:
    """Keeps how often it was flushed."""

    def __init__(self) -> None:
        self.flushed: list[bool] = []

    def flush(self, *, to_disk: bool = False) -> None:
        self.flushed.append(to_disk)


def frame(value: float) -> Frame:
    return Frame(np.ones((2, 3), bool), np.zeros((0, 3), bool), top=np.full((2, 3, 1), value, np.float32))


def test_it_stays_after_an_error_for_the_same_work_alone(tmp_path: Path) -> None:
    target = tmp_path / "maps" / "map.tif"
    for key, there in (("a", False), ("a", True), ("b", False)):
        with pytest.raises(KeyboardInterrupt), unfinished_folder(target, key=key) as folder:
            assert (folder / "half").exists() is there
            (folder / "half").write_text("half")
            raise KeyboardInterrupt
    with unfinished_folder(target, key="b") as folder:
        assert (folder / "half").exists()
        target.write_text("map")
    assert os.listdir(tmp_path / "maps") == ["map.tif"]


def test_where_there_is_nothing_to_map_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(NoValidPixels), unfinished_folder(tmp_path / "maps" / "map.tif", key="a"):
        raise NoValidPixels("scene")
    assert not os.listdir(tmp_path)


def test_what_it_holds_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = make_contract()
    layers, grid = make_products(contract.output).layers, make_scene(10, 10).grid
    monkeypatch.setattr(writers.shutil, "disk_usage", lambda path: SimpleNamespace(total=10_000, free=20))
    with pytest.raises(OutputUnwritable, match="takes 0.0 MiB"):
        check_room(tmp_path / "map.tif", layers, grid, held=held_bytes)
    with pytest.raises(KeyboardInterrupt), unfinished_folder(tmp_path / "map.tif", key="a") as folder:
        (folder / "classes.raw").write_bytes(b"0" * 100)
        raise KeyboardInterrupt
    check_room(tmp_path / "map.tif", layers, grid, held=held_bytes)


def test_two_processes_do_not_work_on_one_map(tmp_path: Path) -> None:
    program = (
        "from geodl.inference.unfinished import unfinished_folder; from pathlib import Path\n"
        "with unfinished_folder(Path('map.tif'), key='a'): print('in', flush=True); input()"
    )
    command = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(OutputUnwritable, match="another process is mapping to it"):
            unfinished_folder(tmp_path / "map.tif", key="a").__enter__()
        remove_unfinished(tmp_path / "map.tif")
        assert os.listdir(tmp_path) == [".map.tif.unfinished"]
        other.kill()
    remove_unfinished(tmp_path / "map.tif")
    assert not os.listdir(tmp_path)


def test_a_journal_tells_the_next_run_what_is_done(tmp_path: Path) -> None:
    blocks = Blocks()
    journal = Journal(tmp_path, blocks, fresh=True)
    journal.add(1, 5, frame(1))
    journal.add(0, 7, frame(0))
    journal.merge(2, 0)
    journal.add(3, 9, frame(3))
    assert blocks.flushed and not any(blocks.flushed), "it waits for the disk after each tile"
    # Never closed, as by a process that was killed while it wrote.
    with open(tmp_path / "journal", "a") as file:
        file.write("tile 4 1")
    again = Journal(tmp_path, blocks, fresh=False)
    assert again.valid == {0: 7, 1: 5, 3: 9} and again.merged == 2
    np.testing.assert_array_equal(again.frame(3).top, np.full((2, 3, 1), 3))
    assert again.frame(1).left is None and again.frame(1).top_wanted.all()
    again.add(2, 1, frame(2))
    assert set(Journal(tmp_path, blocks, fresh=False).valid) == {0, 1, 2, 3}
    assert not Journal(tmp_path, blocks, fresh=True).valid, "it tells of blocks that are not there"


def test_frames_that_nobody_needs_go_when_the_disk_has_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = Blocks()
    journal = Journal(tmp_path, blocks, fresh=True)
    for k in range(4):
        journal.add(k, 1, frame(k))
    journal.merge(4, 2)
    assert len(os.listdir(tmp_path / "frames")) == 4
    monkeypatch.setattr(unfinished, "_SYNC", 0)
    journal.merge(4, 2)
    assert blocks.flushed[-1] and sorted(os.listdir(tmp_path / "frames")) == ["2.npz", "3.npz"]


def test_what_the_disk_may_not_have_counts_for_nothing_on_a_machine_that_was_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, Blocks(), fresh=True)
    journal.add(0, 1, frame(0))
    journal.sync()
    journal.add(1, 1, frame(1))
    monkeypatch.setattr(unfinished, "_boot", lambda: "another")
    assert set(Journal(tmp_path, Blocks(), fresh=False).valid) == {0}


def test_a_finished_map_is_known_until_it_changes(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    note = FinishedMap(target)
    assert not note.holds("a")
    target.write_text("map")
    note.note("a")
    assert FinishedMap(target).holds("a") and not FinishedMap(target).holds("b")
    target.write_text("another")
    assert not FinishedMap(target).holds("a")
    note.remove()
    assert not note.exists()
