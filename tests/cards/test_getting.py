"""Data sets as a whole: fetched, continued, adopted, refused."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from geodl.cards import default_folder, find_folder, get, is_here
from geodl.cards.manifest import Manifest, own_files
from geodl.errors import OptionError, OutputUnwritable, SourceUnreadable
from tests.cards.publisher import Publisher, publish

A, B = b"a" * 1000, bytes(range(256)) * 4000


def packed(files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


ZIP = packed({"images/a.tif": A, "labels/a.tif": b"1"})


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publish(a=A, b=B, zip=ZIP) as found:
        yield found


Carded = Callable[..., str]
Sum = Callable[[bytes], str]


def test_files_and_archives_are_put_where_the_card_says(publisher: Publisher, carded: Carded, sha256: Sum) -> None:
    files = [
        {"path": "sub/a.bin", "url": publisher.url("a"), "checksum": sha256(A), "bytes": len(A)},
        {"path": "x.zip", "url": publisher.url("zip"), "checksum": sha256(ZIP), "unpack": True, "to": "data"},
        {"path": "b.bin", "url": publisher.url("b")},
    ]
    found = get(carded(files=files, data={"images": "data/images"}))
    assert found.folder == default_folder("mine")
    assert found.new == ("sub/a.bin", "x.zip", "b.bin")
    assert found.unverified == ("b.bin",)
    there = ["b.bin", "data/images/a.tif", "data/labels/a.tif", "sub/a.bin"]
    assert own_files(found.folder) == there
    assert (found.folder / "data/images/a.tif").read_bytes() == A
    manifest = json.loads((found.folder / ".geodl-dataset.json").read_text())
    assert manifest["complete"] and sorted(manifest["files"]) == there
    assert f"sha256:{manifest['files']['b.bin']['sha256']}" == sha256(B)
    assert not (found.folder / ".geodl-partial").exists()
    assert is_here("mine")


def test_what_is_here_is_not_fetched_again(publisher: Publisher, carded: Carded) -> None:
    files = [{"path": "b.bin", "url": publisher.url("b")}, {"path": "z", "url": publisher.url("zip"), "unpack": True}]
    name = carded(files=files)
    folder = get(name).folder
    publisher.asked.clear()
    assert get(name).new == () and not publisher.asked
    (folder / "images/a.tif").unlink()
    (folder / "b.bin").write_bytes(b"short")
    assert set(get(name).new) == {"z", "b.bin"}
    assert (folder / "b.bin").read_bytes() == B and (folder / "images/a.tif").read_bytes() == A


def test_nothing_has_its_name_before_all_of_it_is_verified(publisher: Publisher, carded: Carded, sha256: Sum) -> None:
    files = [
        {"path": "a.bin", "url": publisher.url("a"), "checksum": sha256(A)},
        {"path": "b.bin", "url": publisher.url("b"), "checksum": sha256(A)},
    ]
    name = carded(files=files)
    with pytest.raises(SourceUnreadable, match="is not the published file"):
        get(name)
    assert own_files(default_folder(name)) == ["a.bin"]
    assert not is_here(name)
    publisher.asked.clear()
    get(carded(files=[files[0], files[1] | {"checksum": sha256(B)}]))
    assert [path for path, *_ in publisher.asked] == ["b"]


def test_a_killed_call_is_continued_by_the_same_one(publisher: Publisher, carded: Carded, sha256: Sum) -> None:
    publisher.chunk, publisher.pause = 1 << 16, 0.2
    name = carded(files=[{"path": "b.bin", "url": publisher.url("b"), "checksum": sha256(B), "bytes": len(B)}])
    # A copy of this process, as another one would import for seconds.
    process = multiprocessing.get_context("fork").Process(target=get, args=[name])
    process.start()
    folder = default_folder(name) / ".geodl-partial"
    while not any(path.stat().st_size >= 1 << 17 for path in folder.glob("*.part")):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert own_files(default_folder(name)) == []
    there = next(folder.glob("*.part")).stat().st_size
    publisher.pause = 0
    publisher.asked.clear()
    assert (get(name).folder / "b.bin").read_bytes() == B
    assert publisher.asked == [("b", there, len(B) - there)]


def test_an_interrupted_unpacking_is_continued(publisher: Publisher, carded: Carded) -> None:
    name = carded(files=[{"path": "z", "url": publisher.url("zip"), "unpack": True}])
    folder = default_folder(name)
    (folder / "images").mkdir(parents=True)
    (folder / "images/a.tif").write_bytes(A)  # Had its name already.
    assert get(name).new == ("z",)
    assert (folder / "labels/a.tif").is_file()


@pytest.mark.parametrize("unpack", [True, False], ids=["archive", "file"])
def test_a_file_of_the_users_is_never_replaced(
    publisher: Publisher, carded: Carded, tmp_path: Path, unpack: bool
) -> None:
    url = publisher.url("zip" if unpack else "a")
    name = carded(files=[{"path": "images/a.tif", "url": url, "unpack": unpack, "bytes": len(ZIP if unpack else A)}])
    if unpack:
        name = carded(files=[{"path": "z", "url": url, "unpack": True}])
    own = tmp_path / "own" / "images" / "a.tif"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(SourceUnreadable, match="it is there, but is not the file of the data set"):
        get(name, tmp_path / "own")
    assert own.read_bytes() == b"mine"


def test_an_archive_that_slips_leaves_nothing(publisher: Publisher, carded: Carded, tmp_path: Path) -> None:
    publisher.files["zip"] = packed({"good": b"1", "../evil": b"2"})
    with pytest.raises(SourceUnreadable, match="outside the folder"):
        get(carded(files=[{"path": "z", "url": publisher.url("zip"), "unpack": True}]), tmp_path / "own")
    assert own_files(tmp_path / "own") == []
    assert not list(tmp_path.rglob("evil"))


def test_parts_come_alone_and_later_together(publisher: Publisher, carded: Carded) -> None:
    files = [
        {"path": "always", "url": publisher.url("a")},
        {"path": "one", "url": publisher.url("a"), "part": "one"},
        {"path": "two", "url": publisher.url("b"), "part": "two"},
    ]
    name = carded(files=files)
    assert get(name, parts=["one"]).new == ("always", "one")
    assert get(name, parts=["two"]).new == ("two",)
    assert Manifest.read(find_folder(name)).parts == ["one", "two"]  # type: ignore[union-attr]
    assert get(name).new == ()
    assert Manifest.read(find_folder(name)).parts is None  # type: ignore[union-attr]
    with pytest.raises(OptionError, match=r"parts \(--part\): expected some of one, two. Received: 'three'"):
        get(name, parts=["three"])


def test_files_that_a_list_names_are_fetched(publisher: Publisher, carded: Carded) -> None:
    publisher.files["list.csv"] = b"x_S1.tif,x_L.tif\ny_S1.tif,y_L.tif\n" * 2
    for name in "xy":
        publisher.files |= {f"S1/{name}": name.encode(), f"L/{name}": name.upper().encode()}
    index = {
        "listing": "list.csv",
        "pattern": "(.*)_S1",
        "files": [
            {"path": "S1/{name}_S1.tif", "url": publisher.url("S1/{name}")},
            {"path": "L/{name}_L.tif", "url": publisher.url("L/{name}"), "part": "labels"},
        ],
    }
    name = carded(files=[{"path": "list.csv", "url": publisher.url("list.csv")}], index=[index])
    folder = get(name, parts=[]).folder
    assert own_files(folder) == ["S1/x_S1.tif", "S1/y_S1.tif", "list.csv"]
    get(name)
    assert (folder / "L/y_L.tif").read_bytes() == b"Y"


def test_restrictive_terms_must_be_accepted(publisher: Publisher, carded: Carded) -> None:
    terms: dict[str, Any] = {
        "restrictive": True,
        "reason": "Only for research.",
        "licence_url": "https://publisher.example/terms",
    }
    name = carded(files=[{"path": "a", "url": publisher.url("a")}], **terms)
    with pytest.raises(OptionError) as error:
        get(name)
    assert str(error.value) == (
        "accept_licence (--accept-licence): expected true, as the terms of mine are restrictive: Only for research. "
        "Read them first: https://publisher.example/terms. Received: False."
    )
    assert not publisher.asked
    assert get(name, accept_licence=True).new == ("a",)


def test_a_file_by_hand_is_asked_for_and_then_taken(carded: Carded, sha256: Sum, tmp_path: Path) -> None:
    name = carded(files=[{"path": "a.bin", "checksum": sha256(A)}], manual="Register with the publisher.")
    with pytest.raises(SourceUnreadable, match=r"own/a.bin.*Register with the publisher. Put it there, and run"):
        get(name, tmp_path / "own")
    (tmp_path / "own" / "a.bin").write_bytes(A)
    assert get(name, tmp_path / "own").unverified == ()


def test_a_disk_that_is_too_small_is_named_before_anything_comes(
    publisher: Publisher, carded: Carded, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 0, 1500))
    files = [{"path": "a", "url": publisher.url("a"), "bytes": 1000, "unpacked_bytes": 1000}]
    with pytest.raises(OutputUnwritable, match="2,000 bytes are needed, and 1,500 are free"):
        get(carded(files=files))
    assert not publisher.asked


def test_another_folder_is_remembered(publisher: Publisher, carded: Carded, tmp_path: Path) -> None:
    name = carded(files=[{"path": "a", "url": publisher.url("a")}])
    get(name, tmp_path / "elsewhere")
    assert find_folder(name) == tmp_path / "elsewhere"
    assert is_here(name)
    shutil.rmtree(tmp_path / "elsewhere")
    assert not is_here(name) and find_folder(name) == default_folder(name)


def test_the_environment_says_where_data_sets_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder("x") == tmp_path / "cache" / "datasets" / "x"
    monkeypatch.setenv("GEODL_DATASETS", os.fspath(tmp_path / "sets"))
    assert default_folder("x") == tmp_path / "sets" / "x"


def test_a_folder_holds_one_data_set(publisher: Publisher, carded: Carded, tmp_path: Path) -> None:
    files = [{"path": "a", "url": publisher.url("a")}]
    get(carded("one", files=files), tmp_path / "own")
    with pytest.raises(OptionError, match="a folder of its own: this one holds one"):
        get(carded("two", files=files), tmp_path / "own")


def test_a_damaged_manifest_is_named(publisher: Publisher, carded: Carded) -> None:
    name = carded(files=[{"path": "a", "url": publisher.url("a")}])
    (get(name).folder / ".geodl-dataset.json").write_text("{")
    assert not is_here(name)
    with pytest.raises(SourceUnreadable, match=r"geodl-dataset.json: it is damaged. Remove this file"):
        get(name)
