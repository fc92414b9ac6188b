"""Files by https://, against a server that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from geodl.errors import OutputUnwritable, SourceUnreadable
from geodl.storage import Storage, cached, fetched, fetched_folder
from geodl.storage.folder import download
from tests.data.servers import Fault, serve_files

DATA = os.urandom(3_500_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"GDAL_HTTP_RETRY_DELAY": "0.001", "GDAL_HTTP_LOW_SPEED_TIME": "0.4", "GDAL_HTTP_MAX_RETRY": "2"}
    for name, value in (settings | {"GEODL_CACHE": str(tmp_path / "cache"), "NO_PROXY": "*"}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.bin").write_bytes(DATA)
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        (Fault(status=503, times=2), 1.0),
        (Fault(share=0.6, then="close", least=2), 1.5),
        (Fault(share=0.6, then="reset", least=2, times=2), 3.0),
        (Fault(share=0.0, then="stall", least=2), 2.0),
        (Fault(share=0.4, then="close", least=2, times=2), 2.0),
        (Fault(ranges=False, times=-1), 1.0),
    ],
    ids=lambda value: f"{value.status or value.then}" if isinstance(value, Fault) else "",
)
def test_transfers_that_break_go_on_where_they_stopped(folder: Path, tmp_path: Path, fault: Fault, most: float) -> None:
    with serve_files(folder, [fault]) as server:
        download(server.url("a.bin"), tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == DATA
        if fault.ranges:
            assert server.requested() <= most * len(DATA) + 9


def test_an_empty_file(folder: Path, tmp_path: Path) -> None:
    with serve_files(folder) as server:
        download(server.url("empty"), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "fault", "sentence"),
    [
        ("gone", Fault(times=0), r"there is no such file\. Check the address\.$"),
        (
            "empty",
            Fault(status=403, times=-1),
            r"access is denied \(HTTP status 403\)\. Sign the URL, or set GDAL_HTTP_US",
        ),
        (
            "empty",
            Fault(status=500, times=-1),
            r"the server answered with HTTP status 500 \(tried 3 times in \d s\)",
        ),
        (
            "a.bin",
            Fault(share=0.1, then="close", least=2, times=-1),
            r"the connection broke \(tried 3 times in \d s\)",
        ),
        ("a.bin", Fault(share=0, then="stall", least=2, times=-1), r"the transfer stalled \(tried 3 times in \d s\)"),
    ],
    ids=["gone", "denied", "error", "cut", "stalled"],
)
def test_what_cannot_be_had_is_said_in_one_sentence_without_keys(
    folder: Path, tmp_path: Path, name: str, fault: Fault, sentence: str
) -> None:
    with (
        serve_files(folder, [fault]) as server,
        pytest.raises(SourceUnreadable, match=rf"^Cannot read {server.url(name)}: {sentence}"),
    ):
        download(server.url(name) + "?signature=secret", tmp_path / "got")
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        SourceUnreadable, match=r"cannot be reached \(Connection refused\) \(tried 3 times.*HTTPS_PROXY"
    ):
        download("http://127.0.0.1:1/a", tmp_path / "a")


def test_a_full_disk_is_not_taken_for_a_broken_connection(folder: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serve_files(folder) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
        try:
            with pytest.raises(OutputUnwritable, match=f"^Cannot write {tmp_path}/got: File too large"):
                download(server.url("a.bin"), tmp_path / "got")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(server.requests()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("GDAL_HTTP_BEARER", "token", ("authorization", "Bearer token")),
        ("GDAL_HTTP_USERPWD", "me:key", ("authorization", "Basic bWU6a2V5")),
        ("GDAL_HTTP_HEADERS", "X-Key: one\r\nX-Other: two", ("x-other", "two")),
    ],
)
def test_who_asks_is_said_as_gdal_says_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sent: tuple[str, str]
) -> None:
    monkeypatch.setenv(name, value)
    with serve_files(folder) as server:
        download(server.url("empty"), tmp_path / "got")
        assert all(request.headers[sent[0]] == sent[1] for request in server.requests())
        monkeypatch.delenv(name)
        download(server.url("empty").replace("//", "//me:key@"), tmp_path / "got")
        assert server.requests()[-1].headers["authorization"] == "Basic bWU6a2V5"


def test_each_process_fetches_anew_what_its_server_tells_no_versions_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of these tests sends neither ETag nor time."""
    with serve_files(folder) as server:
        for _ in range(2):
            assert fetched(server.url("a.bin")).read_bytes() == DATA
        assert len(server.requests()) == 3
        (folder / "a.bin").write_bytes(DATA[::-1])
        monkeypatch.setattr(cached, "_UNTOLD", set())
        assert fetched(server.url("a.bin")).read_bytes() == DATA[::-1]


def test_files_of_a_folder_are_asked_for_by_name(folder: Path) -> None:
    denied = Fault(status=403, path="secret", times=-1)
    with serve_files(folder, [denied]) as server:
        local = fetched_folder(server.url(""), ["empty", "gone"], optional=["secret"])
        assert [path.name for path in local.iterdir()] == ["empty"]
        with pytest.raises(SourceUnreadable, match="access is denied"):
            fetched_folder(server.url(""), ["empty", "secret"])
        assert (Storage(server.url("")).exists("empty"), Storage(server.url("")).exists("gone")) == (True, False)


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (lambda storage, path: storage.names(), SourceUnreadable),
        (lambda storage, path: storage.store(path / "empty", "x"), OutputUnwritable),
        (lambda storage, path: storage.remove("x"), OutputUnwritable),
        (lambda storage, path: storage.check_writable(), OutputUnwritable),
    ],
    ids=["names", "store", "remove", "check_writable"],
)
def test_the_web_is_neither_listed_nor_written(
    folder: Path, attempt: Callable[[Storage, Path], object], error: type[Exception]
) -> None:
    with pytest.raises(error, match="https:// addresses can"):
        attempt(Storage("https://host/run"), folder)
