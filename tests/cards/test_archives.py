"""Unpacking: what comes out, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.cards import archives
from geodl.cards.archives import member_path, unpack, unpack_nested
from geodl.errors import OutputUnwritable, SourceUnreadable

FILES = {"images/a.tif": b"a" * 1000, "labels/a.tif": b"b", "empty.txt": b""}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


MAKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "tar.bz2": lambda path, files: tarred(path, files, "w:bz2"),
    "tar.xz": lambda path, files: tarred(path, files, "w:xz"),
}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
both_kinds = pytest.mark.parametrize("make", [zipped, tarred], ids=["zip", "tar"])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@every_kind
def test_all_files_come_out(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    packed = make(tmp_path / "a", {f"./{name}": data for name, data in FILES.items()} | {"__MACOSX/._a": b"x"})
    assert unpack(packed, tmp_path / "out", name="a") == list(FILES)
    assert content(tmp_path / "out") == FILES


def test_one_gzipped_file_loses_its_ending(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(b"rain"))
    assert unpack(tmp_path / "x", tmp_path / "out", name="radar/rain.nc.gz") == ["rain.nc"]
    assert content(tmp_path / "out") == {"rain.nc": b"rain"}


def test_archives_in_an_archive_are_unpacked_where_they_lie(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.tif": b"1"}).read_bytes()
    other = tarred(tmp_path / "inner.tar.gz", {"deep/b.tif": b"2"}, "w:gz").read_bytes()
    packed = tarred(tmp_path / "outer", {"site/one.zip": inner, "site/two.tar.gz": other, "index.csv": b"i"})
    found = unpack_nested(packed, tmp_path / "out", name="outer")
    assert content(tmp_path / "out") == {"site/a.tif": b"1", "site/deep/b.tif": b"2", "index.csv": b"i"}
    assert sorted(found) == sorted(content(tmp_path / "out"))


def test_two_archives_in_an_archive_do_not_replace_each_other(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.tif": b"1"}).read_bytes()
    packed = zipped(tmp_path / "outer", {"one.zip": inner, "two.zip": inner})
    with pytest.raises(SourceUnreadable, match=r"outer: two.zip: it holds 'a.tif', and that twice"):
        unpack_nested(packed, tmp_path / "out", name="outer")


SLIPS = [
    "../evil",
    "a/../../evil",
    "/evil",
    "a\\..\\evil",
    "C:/evil",
    "a/\x00b",
    "a\nb",
    ".geodl-dataset.json",
    "x" * 300,
]


@pytest.mark.parametrize("name", SLIPS, ids=[repr(name[:20]) for name in SLIPS])
@both_kinds
def test_no_path_leaves_the_folder(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str) -> None:
    packed = make(tmp_path / "a", {"good": b"1", name: b"2"})
    if "\x00" in name:  # Both formats end a name there.
        unpack(packed, tmp_path / "out", name="a")
        assert all((tmp_path / "out") in path.parents for path in tmp_path.rglob("b*") if path.is_file())
        return
    with pytest.raises(SourceUnreadable, match=r"^Cannot read a: it holds .*It was not unpacked"):
        unpack(packed, tmp_path / "out", name="a")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"a", "good"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_makes_no_links_and_no_devices(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a", "w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(SourceUnreadable, match="'link', and that is a link or a device"):
        unpack(tmp_path / "a", tmp_path / "out", name="a")
    assert not list((tmp_path / "out").iterdir())


def test_a_zip_makes_no_links(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(SourceUnreadable, match="'link', and that is a link or a device"):
        unpack(tmp_path / "a", tmp_path / "out", name="a")


@both_kinds
def test_names_that_some_file_systems_take_for_one_are_refused(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    with pytest.raises(SourceUnreadable, match="'A.tif', and that twice"):
        unpack(make(tmp_path / "a", {"a.tif": b"1", "A.tif": b"2"}), tmp_path / "out", name="a")


@pytest.mark.parametrize("make", [zipped, MAKERS["tar.gz"]], ids=["zip", "tar.gz"])
def test_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    monkeypatch.setattr(archives, "_FREE", 1000)
    packed = make(tmp_path / "a", {f"{k}": bytes(1 << 20) for k in range(3)})
    with pytest.raises(SourceUnreadable, match="it would unpack to at least [13],[0-9]+,[0-9]+ bytes"):
        unpack(packed, tmp_path / "out", name="a")
    assert sum(map(len, content(tmp_path / "out").values())) < 1000 + 120 * packed.stat().st_size


def test_a_gzip_bomb_is_stopped_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE", 1000)
    monkeypatch.setattr(archives, "_CHUNK", 10_000)
    (tmp_path / "x").write_bytes(gzip.compress(bytes(10 << 20)))
    with pytest.raises(SourceUnreadable, match="more than it announces, or than can be honest"):
        unpack(tmp_path / "x", tmp_path / "out", name="x.gz")
    assert (tmp_path / "out" / "x").stat().st_size < 121 * (tmp_path / "x").stat().st_size


def test_a_zip_that_understates_its_sizes_is_stopped(tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a", {"big": bytes(1 << 20)})
    raw = bytearray(packed.read_bytes())
    real = struct.pack("<I", 1 << 20)
    while (at := raw.find(real)) >= 0:
        raw[at : at + 4] = struct.pack("<I", 10)
    packed.write_bytes(raw)
    with pytest.raises(SourceUnreadable):
        unpack(packed, tmp_path / "out", name="a")
    assert (tmp_path / "out" / "big").stat().st_size <= 10


def test_more_than_the_card_announces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="at least 1,001 bytes, and 1,000 are the most"):
        unpack(zipped(tmp_path / "a", FILES), tmp_path / "out", name="a", announced=1000)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_FILES", 2)
    with pytest.raises(SourceUnreadable, match="more than 2 files"):
        unpack(zipped(tmp_path / "a", FILES), tmp_path / "out", name="a")


def test_a_disk_that_is_too_small_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 0, 10))
    with pytest.raises(OutputUnwritable, match="at least 1,001 bytes, and 10 are free"):
        unpack(zipped(tmp_path / "a", FILES), tmp_path / "out", name="a")


@every_kind
def test_damaged_archives_are_named(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    packed = make(tmp_path / "a", {"a": os.urandom(200_000)})
    raw = bytearray(packed.read_bytes())
    del raw[100_000:150_000]
    packed.write_bytes(raw)
    with pytest.raises(SourceUnreadable, match=r"^Cannot read a.zip: it "):
        unpack(packed, tmp_path / "out", name="a.zip")


@pytest.mark.parametrize("raw", [b"", b"text", bz2.compress(b"x")], ids=["empty", "text", "bz2"])
def test_other_files_are_no_archives(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(SourceUnreadable, match="neither zip nor tar nor gzip"):
        unpack(tmp_path / "a", tmp_path / "out", name="a")


@given(st.text(st.sampled_from("ab./\\: \n\x00é") | st.characters(), max_size=30))
def test_a_member_stays_below_the_folder_or_is_refused(name: str) -> None:
    try:
        path = member_path(name)
    except (ValueError, UnicodeEncodeError):
        return
    whole = os.path.normpath(os.path.join("/folder", path))
    assert whole == "/folder" or whole.startswith("/folder/")
    assert member_path(path) == path
    assert "\\" not in path and not os.path.splitdrive(path)[0]
