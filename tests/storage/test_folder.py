"""What is the same for all services, on fsspec's memory; see `test_s3.py` and `test_web.py` for the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from geodl.errors import BackendUnavailable, OptionError, OutputUnwritable, SourceUnreadable
from geodl.storage import Storage, fetched, fetched_folder, working_folder
from geodl.storage import objects as module


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.makedirs("/bucket")
    yield files
    files.rm("/bucket", recursive=True)


def test_files_come_and_go_by_their_names(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 1000)
    data = os.urandom(2500)
    (tmp_path / "file").write_bytes(data)
    run = Storage("memory://bucket/run/")
    run.check_writable()
    for name in ("a.bin", "deep/b.bin"):
        run.store(tmp_path / "file", name)
    assert bucket.cat_file("/bucket/run/deep/b.bin") == data
    assert run.sizes() == {"a.bin": 2500, "deep/b.bin": 2500}
    assert run.sizes(deep=False) == {"a.bin": 2500}
    run.fetch("deep/b.bin", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    run.remove("a.bin")
    run.remove("a.bin")
    assert (run.exists("a.bin"), run.exists("deep/b.bin"), run.exists("deep")) == (False, True, False)
    assert repr(run) == "Storage('memory://bucket/run')"


def test_local_files_that_cannot_be_read_or_written(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    bucket.pipe_file("/bucket/run/a", b"x")
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match=f"^Cannot write {tmp_path}/file/got"):
        Storage("memory://bucket/run").fetch("a", tmp_path / "file" / "got")
    with pytest.raises(SourceUnreadable, match=f"^Cannot read {tmp_path}/none: No such file"):
        Storage("memory://bucket/run").store(tmp_path / "none", "x")


@pytest.mark.parametrize("address", ["runs/a", "s3://", "ftp://host/a", "https:///a?key=secret"])
def test_what_is_no_address_of_a_folder(address: str) -> None:
    with pytest.raises(OptionError, match="such as s3://bucket/run") as caught:
        Storage(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("scheme", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")])
def test_a_package_that_is_missing_is_named(
    scheme: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("AWS_PROFILE", "no connection from before")
    with pytest.raises(
        BackendUnavailable, match=rf'{package} is not installed\. Run: pip install "geodl\[{extra}\]"\.'
    ):
        Storage(f"{scheme}://bucket/run")


def test_of_azure_rasters_are_read_only() -> None:
    with pytest.raises(BackendUnavailable, match=r"geodl reads rasters only\. Copy it to s3://"):
        fetched("az://container/labels.gpkg")


def test_copies_are_of_one_version(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/bucket/labels.gpkg", b"one")
    first = fetched("memory://bucket/labels.gpkg")
    assert first == fetched("memory://bucket/labels.gpkg")
    bucket.pipe_file("/bucket/labels.gpkg", b"two")
    second = fetched("memory://bucket/labels.gpkg")
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")
    assert first.name == second.name == "labels.gpkg"


def test_a_copy_that_is_not_whole_is_not_used(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/bucket/a", b"whole")
    fetched("memory://bucket/a").write_bytes(b"wh")
    assert fetched("memory://bucket/a").read_bytes() == b"whole"


def test_a_whole_copy_serves_where_nothing_may_be_written(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe_file("/bucket/a", b"x")
    copy = fetched("memory://bucket/a")
    monkeypatch.setattr(Path, "mkdir", lambda *given, **named: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert fetched("memory://bucket/a") == copy
    bucket.pipe_file("/bucket/a", b"y")
    with pytest.raises(OutputUnwritable, match="denied"):
        fetched("memory://bucket/a")


def test_a_folder_is_copied_with_what_is_there(bucket: fsspec.AbstractFileSystem) -> None:
    for name in ("a", "b"):
        bucket.pipe_file(f"/bucket/run/{name}", name.encode())
    folder = fetched_folder("memory://bucket/run", ["a", "c"], optional=["b", "d"])
    assert folder.name == "run"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "a", "b": "b"}
    bucket.rm("/bucket/run/b")
    assert [path.name for path in fetched_folder("memory://bucket/run", ["a", "b"]).iterdir()] == ["a"]


def test_each_address_has_its_own_working_folder(tmp_path: Path) -> None:
    folder = working_folder("s3://bucket/runs/a")
    assert folder.parent == tmp_path / "cache" / "runs"
    assert folder == working_folder("s3://bucket/runs/a/")
    assert len({folder, working_folder("gs://bucket/runs/a"), working_folder("s3://other/runs/a")}) == 3
    assert working_folder("s3://bucket").name.startswith("bucket-")
    assert not folder.exists()
