from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geodl.inference.scratch import scratch_folder


def test_the_folder_lies_beside_the_target_and_goes(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new" / "map.gpkg") as folder:
        assert folder.parent == tmp_path / "new" and folder.name.startswith(".map.gpkg.")
        (folder / "map.gpkg").write_text("whole")
        os.replace(folder / "map.gpkg", tmp_path / "new" / "map.gpkg")
    assert os.listdir(tmp_path / "new") == ["map.gpkg"]


def test_given_up_it_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path / "a" / "b" / "map.gpkg") as folder:
        (folder / "half").write_text("")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_folders_above_go_where_the_last_one_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"), scratch_folder(tmp_path / "a" / ("b" * 300) / "map.gpkg"):
        pass
    assert os.listdir(tmp_path) == []


def test_leftovers_of_dead_processes_are_removed_and_others_are_not(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    target = tmp_path / "map.gpkg"
    with scratch_folder(target) as living:
        dead = tmp_path / living.name.replace(f"-{os.getpid()}-", f"-{process.pid}-")
        elsewhere = tmp_path / living.name.replace(".map.gpkg.", ".map.gpkg.other-")
        for folder in (dead, elsewhere):
            folder.mkdir()
            (folder / "half").write_text("")
        with scratch_folder(target):
            assert living.exists() and elsewhere.exists() and not dead.exists()
