from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from geodl.data.files import (
    common_name,
    distinct_names,
    distinct_parts,
    find_files,
    is_local,
    is_remote_folder,
    local_copy,
    stem,
)
from geodl.errors import EmptyDataset, SourceUnreadable


def touch(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return [str(folder / name) for name in names]


def find(where: object) -> list[str]:
    return find_files(where, extensions=(".tif", ".png"), what="images")  # type: ignore[arg-type]


def test_a_folder_gives_its_files_in_natural_order_without_hidden_ones_and_sidecars(tmp_path: Path) -> None:
    touch(tmp_path, "B10.tif", "B2.TIF", "B1.png", ".B3.tif", "B1.tif.aux.xml", "B1.tif.msk", "notes.txt", "sub/B9.tif")
    assert [Path(path).name for path in find(tmp_path)] == ["B1.png", "B2.TIF", "B10.tif"]


def test_globs_reach_subfolders_and_take_any_ending(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.tif", "b/y.dat", "b/y.dat.ovr")
    assert [Path(path).name for path in find(str(tmp_path / "**" / "*.*"))] == ["x.tif", "y.dat"]


def test_lists_keep_their_order_and_drop_repetitions(tmp_path: Path) -> None:
    first, second = touch(tmp_path, "a.tif", "b.tif")
    assert find([second, first, tmp_path]) == [second, first]


@pytest.mark.parametrize("remote", ["s3://bucket/a.tif", "https://host/a.tif?key=1", "/vsizip/a.zip/a.tif"])
def test_remote_names_are_passed_on_unseen(remote: str) -> None:
    assert find(remote) == [remote]
    assert not is_local(remote)
    assert stem(remote) == "a"


@pytest.fixture
def bucket() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    names = ("B10.tif", "B2.TIF", ".B3.tif", "B1.tif.msk", "notes.txt", "sub/B9.tif", "sub/x/B1.tif", "odd[1].tif")
    for name in names:
        files.pipe_file(f"/bucket/scenes/{name}", b"x")
    yield "memory://bucket/scenes/"
    files.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["B2.TIF", "B10.tif", "odd[1].tif"]),
        ("*.tif", ["B10.tif", "odd[1].tif"]),
        ("B[0-9]*", ["B2.TIF", "B10.tif"]),
        ("*/*.tif", ["sub/B9.tif"]),
        ("**/B?*.tif", ["B10.tif", "sub/B9.tif", "sub/x/B1.tif"]),
        ("sub/", ["sub/B9.tif"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_remote_folders_and_globs_are_listed_as_local_ones(bucket: str, pattern: str, names: list[str]) -> None:
    assert find(bucket + pattern) == [bucket + name for name in names]
    assert find([bucket + "B2.TIF", bucket + pattern])[0] == bucket + "B2.TIF"


@pytest.mark.parametrize(
    ("path", "several"),
    [
        ("s3://b/a.tif", False),
        ("s3://b/a/", True),
        ("s3://b/a/*.tif", True),
        ("s3://b/cube.zarr/", False),
        ("https://h/a.tif?list=*/", False),
        ("https://h/a/?key=1", True),
        ("a/*.tif", False),
        ("/vsis3/b/*.tif", False),
    ],
)
def test_what_is_a_remote_folder(path: str, several: bool) -> None:
    assert is_remote_folder(path) is several


def test_remote_folders_without_files_are_refused(bucket: str) -> None:
    for where in (bucket + "none/", bucket + "*.png"):
        with pytest.raises(EmptyDataset, match="images.*Received: nothing of that kind"):
            find(where)
    with pytest.raises(SourceUnreadable, match="folders at https:// addresses cannot be listed. Name the files"):
        find("https://host/scenes/?key=secret")


def test_local_copies(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path))
    assert local_copy("a.csv") == "a.csv"
    assert local_copy("/vsizip/a.zip/a.gpkg") == "/vsizip/a.zip/a.gpkg"
    assert Path(local_copy(bucket + "notes.txt")).read_bytes() == b"x"


def test_nothing_found_says_what_was_expected(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.tif")
    with pytest.raises(EmptyDataset, match=r"images \(.png, .tif\).*1 other entries; to look into its subfolders"):
        find(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataset, match="an empty folder"):
        find(tmp_path / "empty")
    with pytest.raises(EmptyDataset, match="match the pattern"):
        find(str(tmp_path / "*.jp2"))
    with pytest.raises(EmptyDataset, match="an empty list"):
        find([])
    with pytest.raises(SourceUnreadable, match="no such file or folder"):
        find(tmp_path / "absent.tif")


def test_names_of_scenes_made_of_several_files() -> None:
    assert common_name(["/d/LC08_0123_B4.tif", "/d/LC08_0123_B5.tif"]) == "LC08_0123"
    assert common_name(["/d/carolina/B01.tif", "/d/carolina/B02.tif"]) == "carolina"
    assert common_name(["/d/a.tif"]) == "a"


def test_parts_that_tell_files_apart() -> None:
    assert distinct_parts(["T33_B02_10m", "T33_B03_10m"]) == ["B02", "B03"]
    assert distinct_parts(["B01", "B02"]) == ["B01", "B02"]
    assert distinct_parts(["a", "a_b"]) == ["a", "a_b"]


def test_equal_stems_are_told_apart_by_their_folders() -> None:
    assert distinct_names(["p/a/x.tif", "p/b/x.tif", "p/y.tif"]) == ["a_x", "b_x", "y"]
    assert distinct_names(["p/a/s/x.tif", "p/b/s/x.tif"]) == ["a_s_x", "b_s_x"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_devices_and_broken_links_are_refused_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "nowhere.tif").symlink_to(tmp_path / "gone")
    (tmp_path / "circle.tif").symlink_to(tmp_path / "circle.tif")
    for name, cause in (
        ("pipe.tif", "neither a file nor a folder"),
        ("nowhere.tif", "a link"),
        ("circle.tif", "a link"),
    ):
        with pytest.raises(SourceUnreadable, match=f"{name}: it is {cause}"):
            find(tmp_path / name)
    with pytest.raises(EmptyDataset):
        find(tmp_path)
    with pytest.raises(SourceUnreadable, match="no such file"):
        find(tmp_path / ("n" * 300))
